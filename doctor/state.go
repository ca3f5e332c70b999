package doctor

import "context"

const nameState = "state"

// redisRules are the ACL rules that the user of FERRY_STATE_URL needs.
const redisRules = "~ferry:* +get +set +del +getrange +pttl +pexpire +time +eval +evalsha +hset +hget +hdel +zadd +zscore +zrem +zrangebyscore +ping, and +select if the URL names a database"

// state checks the storage of the state.
func (e *doctor) state(ctx context.Context) []Check {
	s := checkGroup{doctor: e}
	s.run(ctx, nameState, e.checkState)
	return s.checks
}

func (e *doctor) checkState(ctx context.Context) Check {
	switch {
	case e.State != nil:
	case e.Settings.StateInMemory:
		return ok("stored in memory, for one replica of ferry: several replicas need Redis (FERRY_STATE_URL), also to count failed logins together")
	default:
		return skipped("FERRY_STATE_URL or FERRY_STATE_KEY is not valid")
	}
	const cost = "logins work without it, but profiles of migrating users are lost, and a re-delivery may cost a second attempt at Auth0"
	refusal, err := e.State(ctx)
	switch {
	case err == nil:
		return ok("Redis answers and allows the commands that ferry uses")
	case refusal == "NOAUTH" || refusal == "WRONGPASS":
		return fail("set user and password in FERRY_STATE_URL: redis://user:password@host:6379/0", "Redis does not accept the user and password of FERRY_STATE_URL (%s); %s", refusal, cost)
	case refusal == "":
		return fail("check host, port and TLS of FERRY_STATE_URL (rediss:// with TLS), and the network", "Redis cannot be reached (%s); %s", shortened(err.Error()), cost)
	}
	return fail("allow the user of FERRY_STATE_URL: "+redisRules, "Redis refuses a command that ferry uses (%s); %s", shortened(err.Error()), cost)
}
