package state

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// FailedLogin names what a failed login counts against. In Redis the names are keyed hashes.
type FailedLogin struct {
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
	// Address is the same for an address, except that logins count once they have failed.
	Address      int
	AddressEvery time.Duration
}

// FailedLoginRefusal is the limit that was reached.
type FailedLoginRefusal int

// The limits that can be reached.
const (
	NotRefused FailedLoginRefusal = iota
	RefusedPair
	RefusedUser
	RefusedAddress
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

// FailedLoginCount is what has been counted. Pair includes logins in flight.
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

// Take counts a login as failed, unless a limit is reached. Settle must follow.
func (f *FailedLogins) Take(ctx context.Context, login FailedLogin, rules FailedLoginRules) (FailedLoginCount, error) {
	return f.run(ctx, "take login", f.redis.scripts.take, login, rules, milliseconds(refusedLife))
}

// Settle ends a login that was taken: a failed one stays counted, a success clears its pair.
func (f *FailedLogins) Settle(ctx context.Context, login FailedLogin, rules FailedLoginRules, result FailedLoginResult) (FailedLoginCount, error) {
	return f.run(ctx, "settle login", f.redis.scripts.settle, login, rules, int64(result))
}

func (f *FailedLogins) run(ctx context.Context, op string, script *redis.Script, login FailedLogin, rules FailedLoginRules, last int64) (count FailedLoginCount, err error) {
	names := []string{f.name("pair", login.Pair), f.name("user", login.User), f.name("address", login.Address), f.name("refused", login.User)}
	var reply []int64
	err = f.redis.do(ctx, op, func(ctx context.Context) (err error) {
		reply, err = script.Run(ctx, f.redis.client, names,
			rules.Pair, milliseconds(rules.PairLife), rules.User, milliseconds(rules.UserEvery), rules.Address, milliseconds(rules.AddressEvery), last).Int64Slice()
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
	return f.redis.prefix + "limit:" + kind + ":" + f.redis.keys.place("limit "+kind, []byte(what))
}

// The scripts of FailedLogins. A pair is a number. The others are leaky buckets (GCRA): the
// time, in ms, at which they are empty. What is no number counts as 0: this process' own counts
// still limit.
const (
	// KEYS pair user address refused; ARGV the rules, then what Run adds.
	limitHead = clock + `
local function number(name) return tonumber(redis.call('GET', name) or '0') or 0 end
local pairMost, pairLife = tonumber(ARGV[1]), ARGV[2]
local userMost, userEvery = tonumber(ARGV[3]), tonumber(ARGV[4])
local addressMost, addressEvery = tonumber(ARGV[5]), tonumber(ARGV[6])
local pair = number(KEYS[1])
local user = math.max(number(KEYS[2]), now)
local address = math.max(number(KEYS[3]), now)
local function store(name, ends)
  if ends <= now then redis.call('DEL', name) return end
  redis.call('SET', name, string.format('%.0f', ends), 'PX', string.format('%.0f', ends - now))
end
`
	takeScript = limitHead + `
local refused = 0
if pairMost > 0 and pair >= pairMost then refused = 1
elseif userMost > 0 and user - now + userEvery > userMost * userEvery then refused = 2
elseif addressMost > 0 and address - now + addressEvery > addressMost * addressEvery then refused = 3 end
if refused == 1 or refused == 2 then redis.call('SET', KEYS[4], '1', 'PX', ARGV[7]) end
if refused == 0 and pairMost > 0 then
  pair = pair + 1
  redis.call('SET', KEYS[1], pair, 'PX', pairLife)
end
if refused == 0 and userMost > 0 then store(KEYS[2], user + userEvery) end
return {refused, pair, address - now}
`
	// The result is ARGV[7]: 0 not failed, 1 failed, 2 succeeded. A success, or a Redis that was
	// emptied, may have dropped the pair meanwhile.
	settleScript = limitHead + `
if ARGV[7] == '1' then
  if addressMost > 0 then
    address = address + addressEvery
    store(KEYS[3], address)
  end
  pair = math.max(pair, 1)
else
  pair = pair - 1
  if userMost > 0 then store(KEYS[2], user - userEvery) end
end
if ARGV[7] == '2' or pair <= 0 then
  pair = 0
  redis.call('DEL', KEYS[1], KEYS[4])
elseif pairMost > 0 then
  redis.call('SET', KEYS[1], pair, 'PX', pairLife)
end
return {0, pair, address - now}
`
)
