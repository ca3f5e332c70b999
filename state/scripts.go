package state

import "github.com/redis/go-redis/v9"

// The Lua scripts for operations that must be atomic. Time is Redis' own, in ms, so that
// replicas agree on it. A profile has four keys:
//
//	kept:PLACE   the sealed profile, until it expires
//	lease:PLACE  the token of the lease, while it lasts
//	due          a sorted set: PLACE by the time at which it expires unclaimed
//	who          a hash: PLACE to sealed identity id and subject, for the report
//
// The claims expire on time, whether or not a replica runs. What the report needs stays
// until a replica has reported it, for a day at most. kept and who begin with the same
// version and gen.
const (
	clock = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`
	// shorten bounds the life of a key: Redis stores when a key ends, so that it would live
	// longer after the clock was put back.
	shorten = `
local function shorten(name, life)
  if redis.call('PTTL', name) > tonumber(life) then redis.call('PEXPIRE', name, life) end
end
`
	// KEYS claim; ARGV its time.
	claimScript = shorten + `
if redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) then return 1 end
shorten(KEYS[1], ARGV[1])
return 0
`
	// KEYS kept lease due who; ARGV value, its time, PLACE, who, the day.
	putScript = clock + `
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[2])
redis.call('ZADD', KEYS[3], now + ARGV[2], ARGV[3])
redis.call('HSET', KEYS[4], ARGV[3], ARGV[4])
redis.call('PEXPIRE', KEYS[3], ARGV[5])
redis.call('PEXPIRE', KEYS[4], ARGV[5])
return 1
`
	// KEYS kept lease due; ARGV gen, token, the lease's time, PLACE. A profile on lease
	// is not reported.
	leaseScript = clock + shorten + `
if redis.call('GETRANGE', KEYS[1], 1, 16) ~= ARGV[1] then return 0 end
if not redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then
  shorten(KEYS[2], ARGV[3])
  return 0
end
local ends = now + ARGV[3]
local due = redis.call('ZSCORE', KEYS[3], ARGV[4])
if due and tonumber(due) < ends then redis.call('ZADD', KEYS[3], ends, ARGV[4]) end
return 1
`
	// KEYS kept lease due who; ARGV gen, PLACE. By who, because kept may have
	// expired meanwhile; by kept where a Redis that is full has dropped who.
	doneScript = `
local who = redis.call('HGET', KEYS[4], ARGV[2]) or redis.call('GETRANGE', KEYS[1], 0, 16)
if string.sub(who, 2, 17) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[2])
redis.call('HDEL', KEYS[4], ARGV[2])
return 1
`
	// KEYS kept lease due; ARGV token, PLACE.
	releaseScript = clock + `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
if redis.call('ZSCORE', KEYS[3], ARGV[2]) then
  redis.call('ZADD', KEYS[3], now + math.max(redis.call('PTTL', KEYS[1]), 0), ARGV[2])
end
return 1
`
	// KEYS due who; ARGV how many at most, the longest time until one expires. Each is returned
	// once. Those that expire later than they can were put before the clock was put back: they
	// expire after their longest time.
	sweepScript = clock + `
local lost, latest = {}, now + ARGV[2]
for _, place in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], latest + 1, '+inf', 'LIMIT', 0, ARGV[1])) do
  redis.call('ZADD', KEYS[1], latest, place)
end
for _, place in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])) do
  lost[#lost + 1] = place
  lost[#lost + 1] = redis.call('HGET', KEYS[2], place) or ''
  redis.call('ZREM', KEYS[1], place)
  redis.call('HDEL', KEYS[2], place)
end
return lost
`
	// KEYS users; ARGV a random text.
	beginScript = `
local life = redis.call('HGET', KEYS[1], 'life')
if not life then
  life = ARGV[1]
  redis.call('HSET', KEYS[1], 'life', life)
end
return life
`
	// KEYS users; ARGV life.
	completeScript = `
if redis.call('HGET', KEYS[1], 'life') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'complete', '1')
return 1
`
)

type scripts struct {
	put, lease, done, release, sweep, begin, complete, claim, take, settle, add, read, use *redis.Script
}

func newScripts() scripts {
	return scripts{
		put: redis.NewScript(putScript), lease: redis.NewScript(leaseScript), done: redis.NewScript(doneScript),
		release: redis.NewScript(releaseScript), sweep: redis.NewScript(sweepScript),
		begin: redis.NewScript(beginScript), complete: redis.NewScript(completeScript), claim: redis.NewScript(claimScript),
		take: redis.NewScript(takeScript), settle: redis.NewScript(settleScript),
		add: redis.NewScript(addScript), read: redis.NewScript(readScript), use: redis.NewScript(useScript),
	}
}
