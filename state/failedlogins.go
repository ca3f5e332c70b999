package state

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// FailedLogin names a login, and what it counts against if it fails. In Redis the names of the
// latter are keyed hashes.
type FailedLogin struct {
	// Login is a name that no other login has.
	Login string
	// Pair is the user together with the address.
	Pair, User, Address string
}

// FailedLoginRules are the limits. A limit of 0 is off.
type FailedLoginRules struct {
	// Pair is how many failed logins a pair may have. They count until a success, or for
	// PairLife after the last one.
	Pair     int
	PairLife time.Duration
	// User is how many failed logins a user may have. One of them stops counting in each
	// UserEvery.
	User      int
	UserEvery time.Duration
	// Address is the same for an address, except that logins in flight do not count.
	Address      int
	AddressEvery time.Duration
	// InFlight is how long a login may be in flight. After that its process is taken to have
	// died, and the login counts no longer, unless it is settled as failed after all.
	InFlight time.Duration
}

// FailedLoginRefusal is the limit that was reached.
type FailedLoginRefusal int

// The limits that can be reached.
const (
	NotRefused FailedLoginRefusal = iota
	RefusedPair
	RefusedUser
	RefusedAddress
	// RefusedInFlight: a limit of the pair or the user is reached if the logins in flight fail.
	RefusedInFlight
)

// FailedLoginResult says how a login ended.
type FailedLoginResult int

// The results of a login.
const (
	// NotFailed: nothing is known of the password.
	NotFailed FailedLoginResult = iota
	// Failed: the password was wrong.
	Failed
	// Succeeded: the password was right.
	Succeeded
)

// FailedLoginCount is what has been counted. Logins in flight are not included.
type FailedLoginCount struct {
	Refused FailedLoginRefusal
	Pair    int
	Address float64
}

// refusedLife is how long Refused knows of a refusal.
const refusedLife = 24 * time.Hour

// FailedLogins counts failed logins in a Redis, for all replicas with the same URL and key.
// Counts are not sealed: Redis computes with them. Every count expires.
type FailedLogins struct{ redis *Redis }

// FailedLogins returns the counts in this Redis.
func (r *Redis) FailedLogins() *FailedLogins { return &FailedLogins{r} }

// Take notes that a login is in flight, unless a limit is reached or would be if it fails.
// Settle must follow.
func (f *FailedLogins) Take(ctx context.Context, login FailedLogin, rules FailedLoginRules) (FailedLoginCount, error) {
	return f.run(ctx, "take login", f.redis.scripts.take, login, rules, milliseconds(refusedLife))
}

// Settle ends a login, also one that Take did not note: a failed one counts, a success clears
// its pair.
func (f *FailedLogins) Settle(ctx context.Context, login FailedLogin, rules FailedLoginRules, result FailedLoginResult) (FailedLoginCount, error) {
	return f.run(ctx, "settle login", f.redis.scripts.settle, login, rules, int64(result))
}

func (f *FailedLogins) run(ctx context.Context, op string, script *redis.Script, login FailedLogin, rules FailedLoginRules, last int64) (count FailedLoginCount, err error) {
	names := []string{
		f.name("pair", login.Pair), f.name("user", login.User), f.name("address", login.Address), f.name("refused", login.User),
		f.name("pair in flight", login.Pair), f.name("user in flight", login.User),
	}
	var reply []int64
	err = f.redis.do(ctx, op, func(ctx context.Context) (err error) {
		reply, err = script.Run(ctx, f.redis.client, names,
			rules.Pair, milliseconds(rules.PairLife), rules.User, milliseconds(rules.UserEvery), rules.Address, milliseconds(rules.AddressEvery),
			milliseconds(rules.InFlight), login.Login, last).Int64Slice()
		return err
	})
	if err != nil || len(reply) != 3 {
		return FailedLoginCount{}, err
	}
	level := float64(reply[2]) / float64(milliseconds(rules.AddressEvery))
	return FailedLoginCount{Refused: FailedLoginRefusal(reply[0]), Pair: int(reply[1]), Address: level}, nil
}

// Refused reports whether Take refused a login of one of the users within a day, by a limit of
// that user.
func (f *FailedLogins) Refused(ctx context.Context, users ...string) (refused bool, err error) {
	for _, user := range users {
		value, err := f.redis.get(ctx, "refused", f.name("refused", user))
		if err != nil || value != nil {
			return value != nil, err
		}
	}
	return false, nil
}

func (f *FailedLogins) name(kind, what string) string {
	return f.redis.prefix + "limit:" + strings.ReplaceAll(kind, " ", "-") + ":" + f.redis.keys.place("limit "+kind, []byte(what))
}

// The scripts of FailedLogins. A pair is a number. User and address are leaky buckets (GCRA): the
// time, in ms, at which they are empty, and the time at which that was written. Logins in flight
// are a sorted set, by the time at which they count no longer. What is not of that form counts
// as 0: this process' own counts still limit.
//
// Redis' clock may be wrong by any time, and may be put forward or back. After it was put back,
// nothing lives longer than it would have, and a bucket is as full as when it was written. After
// it was put forward, counts are forgotten as after so much time.
const (
	// KEYS pair user address refused, pair and user in flight; ARGV the rules, the login, then
	// what run adds.
	limitHead = clock + shorten + `
local function number(name) return tonumber(redis.call('GET', name) or '0') or 0 end
local pairMost, pairLife = tonumber(ARGV[1]), tonumber(ARGV[2])
local userMost, userEvery = tonumber(ARGV[3]), tonumber(ARGV[4])
local addressMost, addressEvery = tonumber(ARGV[5]), tonumber(ARGV[6])
local flight, login, last = tonumber(ARGV[7]), ARGV[8], ARGV[9]
local function store(name, ends)
  if ends <= now then redis.call('DEL', name) return end
  redis.call('SET', name, string.format('%.0f %.0f', ends, now), 'PX', string.format('%.0f', ends - now))
end
local function bucket(name)
  local ends, at = string.match(redis.call('GET', name) or '', '^(%d+) (%d+)$')
  ends, at = tonumber(ends), tonumber(at)
  if not ends then return now end
  if at > now then
    ends = ends - (at - now)
    store(name, ends)
  end
  return math.max(ends, now)
end
shorten(KEYS[1], pairLife)
local pair, user, address = number(KEYS[1]), bucket(KEYS[2]), bucket(KEYS[3])
`
	takeScript = limitHead + `
local function flying(name)
  local n, all = 0, redis.call('ZRANGEBYSCORE', name, '-inf', '+inf', 'WITHSCORES')
  for i = 1, #all, 2 do
    local ends = tonumber(all[i + 1])
    if ends <= now then
      redis.call('ZREM', name, all[i])
    else
      n = n + 1
      if ends > now + flight then redis.call('ZADD', name, now + flight, all[i]) end
    end
  end
  return n
end
local function fly(name)
  redis.call('ZADD', name, now + flight, login)
  redis.call('PEXPIRE', name, flight)
end
local function full(failed) return user - now + failed * userEvery > userMost * userEvery end
local refused = 0
if pairMost > 0 and pair >= pairMost then refused = 1
elseif userMost > 0 and full(1) then refused = 2
elseif addressMost > 0 and address - now + addressEvery > addressMost * addressEvery then refused = 3
elseif pairMost > 0 and pair + flying(KEYS[5]) >= pairMost then refused = 4
elseif userMost > 0 and full(flying(KEYS[6]) + 1) then refused = 4 end
if refused == 1 or refused == 2 then redis.call('SET', KEYS[4], '1', 'PX', last) end
if refused == 0 and pairMost > 0 then fly(KEYS[5]) end
if refused == 0 and userMost > 0 then fly(KEYS[6]) end
return {refused, pair, address - now}
`
	// The result is ARGV[9]: 0 not failed, 1 failed, 2 succeeded.
	settleScript = limitHead + `
redis.call('ZREM', KEYS[5], login)
redis.call('ZREM', KEYS[6], login)
if last == '1' then
  if pairMost > 0 then
    pair = pair + 1
    redis.call('SET', KEYS[1], pair, 'PX', pairLife)
  end
  if userMost > 0 then store(KEYS[2], math.min(user + userEvery, now + userMost * userEvery)) end
  if addressMost > 0 then
    address = address + addressEvery
    store(KEYS[3], address)
  end
elseif last == '2' then
  pair = 0
  redis.call('DEL', KEYS[1], KEYS[4])
end
return {0, pair, address - now}
`
)
