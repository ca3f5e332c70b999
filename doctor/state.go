package doctor

import "context"

const nameState = "state"

// redisRules is what the user of FERRY_STATE_URL must be allowed.
const redisRules = "~ferry:* +get +set +del +getrange +pttl +pexpire +time +eval +evalsha +hset +hget +hdel +zadd +zscore +zrem +zrangebyscore +ping, and +select where the URL names a database"

// state looks at where what crosses between the two hooks is kept.
func (e *doctor) state(ctx context.Context) []Check {
	s := checkGroup{doctor: e}
	s.run(ctx, nameState, e.checkState)
	return s.checks
}

func (e *doctor) checkState(ctx context.Context) Check {
	switch {
	case e.State != nil:
	case e.Settings.StateInMemory:
		return ok("kept in memory, for one replica of ferry: several need a Redis (FERRY_STATE_URL)")
	default:
		return skipped("FERRY_STATE_URL or FERRY_STATE_KEY cannot be used")
	}
	const cost = "logins go on without it: profiles of people who cross are lost, and a repeated delivery may cost a second attempt at Auth0"
	refusal, err := e.State(ctx)
	switch {
	case err == nil:
		return ok("Redis answers and allows what ferry does there")
	case refusal == "NOAUTH" || refusal == "WRONGPASS":
		return fail("set user and password in FERRY_STATE_URL: redis://user:password@host:6379/0", "Redis does not take the user and password of FERRY_STATE_URL (%s); %s", refusal, cost)
	case refusal == "":
		return fail("check host, port and TLS of FERRY_STATE_URL (rediss:// with TLS), and the network between", "Redis cannot be reached (%s); %s", shortened(err.Error()), cost)
	}
	return fail("allow the user of FERRY_STATE_URL what ferry does: "+redisRules, "Redis refuses a command of ferry's (%s); %s", shortened(err.Error()), cost)
}
