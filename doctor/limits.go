package doctor

import "context"

// nameLimits is the check of the limits of failed logins.
const nameLimits = "limits.own_address"

// limits checks what ferry counts failed logins by, and where.
func (e *doctor) limits(ctx context.Context) []Check {
	s := checkGroup{doctor: e}
	s.run(ctx, nameLimits, e.checkOwnAddress)
	return s.checks
}

// checkOwnAddress says what happens to the failed logins that Auth0 counts against this machine.
func (e *doctor) checkOwnAddress(ctx context.Context) Check {
	if e.Settings.SuspiciousIPAttempts == 0 {
		return ok("FERRY_AUTH0_SUSPICIOUS_IP_ATTEMPTS is 0: ferry never stops because of failed logins from its own address, which is right where Auth0 does not block it")
	}
	meaning := "ferry does not tell Auth0 the client address: after %d failed logins a day, of all users together, it answers 424 to all, except for one login every %s"
	switch {
	case e.Settings.ForwardClientIP && !e.takesNoTemplate(ctx):
		return ok("ferry counts failed logins by the client address that it sends to Auth0")
	case e.Settings.ForwardClientIP:
		meaning = "this Kratos does not tell ferry the client address: after %d failed logins a day, of all users together, ferry answers 424 to all, except for one login every %s"
	}
	stops, every := e.Settings.SuspiciousIPAttempts*95/100, perDay(e.Settings.SuspiciousIPAttempts)
	switch {
	case e.State != nil:
		return ok(meaning+"; they are counted in Redis", stops, every)
	case e.Settings.DataDir != "":
		return ok(meaning+"; they are counted in FERRY_DATA_DIR", stops, every)
	}
	return warn("set FERRY_DATA_DIR; better, send Auth0 the client address (FERRY_AUTH0_FORWARD_CLIENT_IP), or put this machine's public address on Auth0's allow lists and set FERRY_AUTH0_SUSPICIOUS_IP_ATTEMPTS=0",
		meaning+"; a restart forgets how many they were", stops, every)
}

// locked checks whether ferry's own limits refuse the user.
func (q *userCheck) locked(ctx context.Context, identityID string) {
	const name = "locked"
	if q.Locked == nil {
		q.note(name, ok("ferry counts failed logins in memory: only its log tells whether it refuses the user, by the outcome locked"))
		return
	}
	locked, err := q.Locked(ctx, identityID, q.identifier)
	switch {
	case err != nil:
		q.note(name, unseen("check FERRY_STATE_URL and FERRY_STATE_KEY", "Redis cannot be asked whether ferry refuses the user after too many wrong passwords: "+shortened(err.Error())))
	case locked:
		q.note(name, warn("let the user recover the account at Kratos, which sets a password; ferry's log says from when on it refuses the user (outcome locked)",
			"within a day ferry refused a login without asking Auth0: there were too many wrong passwords from one address, or in all"))
	default:
		q.note(name, ok("ferry refused no login of the user within a day because of too many wrong passwords"))
	}
}
