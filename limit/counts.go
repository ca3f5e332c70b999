package limit

import (
	"crypto/sha256"
	"time"

	"ferry/state"
)

const (
	// maxRecords is how many records each kind of counter has at most: some megabytes in all.
	maxRecords = 1 << 16
	// evictionSample is how many records are compared to find one to drop.
	evictionSample = 32
)

// record is one counter. One that has reached its time is as good as none.
//
// A pair has a count of failed logins, until its time. The others are leaky buckets (GCRA): each failed login
// moves the time on by the interval at which the limit allows one more, so the time tells how
// full the bucket is.
type record struct {
	count int
	until time.Time
}

// level is how many failed logins are in a bucket.
func (r record) level(now time.Time, every time.Duration) float64 {
	if every <= 0 || !r.until.After(now) {
		return 0
	}
	return float64(r.until.Sub(now)) / float64(every)
}

// added is the bucket with so many failed logins more.
func (r record) added(n int, now time.Time, every time.Duration) record {
	if r.until.Before(now) {
		r.until = now
	}
	r.until = r.until.Add(time.Duration(n) * every)
	return r
}

// weaker reports whether r limits less than other.
func (r record) weaker(other record) bool {
	if r.count != other.count {
		return r.count < other.count
	}
	return r.until.Before(other.until)
}

// table is a bounded map of records. A new record displaces an expired one, or the weakest of a
// sample. So a flood of new users or addresses displaces records of one failed login, and a user
// who is close to a limit stays close to it.
type table struct {
	most    int
	evicted int
	records map[tableKey]record
}

type tableKey [16]byte

func keyOf(text string) tableKey {
	sum := sha256.Sum256([]byte(text))
	return tableKey(sum[:16])
}

func (t *table) get(key string, now time.Time) record {
	r := t.records[keyOf(key)]
	if !r.until.After(now) {
		return record{}
	}
	return r
}

// set stores a record, or deletes one that has reached its time.
func (t *table) set(key string, r record, now time.Time) {
	k := keyOf(key)
	if !r.until.After(now) {
		delete(t.records, k)
		return
	}
	if _, found := t.records[k]; !found && len(t.records) >= t.most {
		t.evict(now)
	}
	t.records[k] = r
}

func (t *table) evict(now time.Time) {
	var weakest tableKey
	var least record
	seen := 0
	for k, r := range t.records { // in random order
		if seen == 0 || r.weaker(least) {
			weakest, least = k, r
		}
		if seen++; seen >= evictionSample || !r.until.After(now) {
			if !r.until.After(now) {
				weakest = k
			}
			break
		}
	}
	delete(t.records, weakest)
	t.evicted++
}

// counts are the counters of this process. It is not safe for concurrent use.
type counts struct {
	pairs, users, addresses table
	own                     record // of ferry's own address; it is never displaced
	// The logins in flight.
	flyingPairs, flyingUsers flying
}

// flying counts the logins in flight.
type flying map[string]int

// land ends one.
func (f flying) land(key string) {
	if f[key]--; f[key] <= 0 {
		delete(f, key)
	}
}

func newCounts(most int) *counts {
	made := func() table { return table{most: most, records: map[tableKey]record{}} }
	return &counts{pairs: made(), users: made(), addresses: made(), flyingPairs: flying{}, flyingUsers: flying{}}
}

// take notes that a login is in flight, unless a limit is reached, or would be if all logins in
// flight fail. The address counts no more than what has failed. state.FailedLogins does the
// same in Redis.
func (c *counts) take(k state.FailedLogin, rules state.FailedLoginRules, now time.Time) state.FailedLoginCount {
	pair, user, address := c.pairs.get(k.Pair, now), c.users.get(k.User, now), c.address(k.Address, now)
	count := state.FailedLoginCount{Pair: pair.count, Address: address.level(now, rules.AddressEvery)}
	full := func(failed int) bool {
		return rules.User > 0 && user.level(now, rules.UserEvery)+float64(failed) > float64(rules.User)
	}
	switch {
	case rules.Pair > 0 && pair.count >= rules.Pair:
		count.Refused = state.RefusedPair
	case full(1):
		count.Refused = state.RefusedUser
	case rules.Address > 0 && count.Address+1 > float64(rules.Address):
		count.Refused = state.RefusedAddress
	case rules.Pair > 0 && pair.count+c.flyingPairs[k.Pair] >= rules.Pair, full(c.flyingUsers[k.User] + 1):
		count.Refused = state.RefusedInFlight
	default:
		c.flyingPairs[k.Pair]++
		c.flyingUsers[k.User]++
	}
	return count
}

// settle ends a login that was taken.
func (c *counts) settle(k state.FailedLogin, rules state.FailedLoginRules, result state.FailedLoginResult, now time.Time) state.FailedLoginCount {
	c.flyingPairs.land(k.Pair)
	c.flyingUsers.land(k.User)
	pair, address := c.pairs.get(k.Pair, now), c.address(k.Address, now)
	switch result {
	case state.NotFailed:
	case state.Failed:
		pair = record{pair.count + 1, now.Add(rules.PairLife)}
		address = address.added(1, now, rules.AddressEvery)
		c.setAddress(k.Address, address, now)
		if rules.User > 0 {
			c.users.set(k.User, c.users.get(k.User, now).added(1, now, rules.UserEvery), now)
		}
	case state.Succeeded:
		pair = record{}
	}
	if rules.Pair > 0 && result != state.NotFailed {
		c.pairs.set(k.Pair, pair, now)
	}
	return state.FailedLoginCount{Pair: pair.count, Address: address.level(now, rules.AddressEvery)}
}

func (c *counts) address(key string, now time.Time) record {
	if key == ownAddress {
		return c.own
	}
	return c.addresses.get(key, now)
}

func (c *counts) setAddress(key string, r record, now time.Time) {
	if key == ownAddress {
		c.own = r
		return
	}
	c.addresses.set(key, r, now)
}
