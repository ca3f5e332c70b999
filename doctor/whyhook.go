package doctor

import (
	"context"
	"slices"

	"ferry/kratos"
)

const fixNameConfig = "give the kratos.yml that Kratos runs with: --kratos-config FILE"

// hook checks whether Kratos calls ferry, and whether ferry answers.
func (q *userCheck) hook(ctx context.Context) {
	trip := q.tripTo(ctx, nameTrip)
	switch {
	case trip.Status == Fail && !q.callsFerry():
		trip.Status = Warn // Kratos may call another address, or with another key
	case trip.Status == Warn && q.callsFerry():
		trip.Status = Fail // ferry is off, or the migration is closed
	}
	if trip.Status == Skip {
		trip.Fix = fixNameConfig + "; or set FERRY_LISTEN and FERRY_HOOK_KEYS as the running ferry has them"
	}
	switch {
	case q.KratosConfig == nil:
		q.note("kratos_config", unseen(fixNameConfig, "whether the hook is switched on in Kratos, and its address"))
		q.note("hook_call", trip)
		return
	case q.configFault != nil:
		q.skip("kratos_config", warn(fixNameConfig+", in YAML or JSON", "the file of --kratos-config cannot be used: %v", q.configFault))
		q.note("hook_call", trip)
		return
	}
	q.noteAs("hook", "hook_off", q.checkHook())
	if trip.Status == OK && q.callsFerry() {
		q.note("hook_call", trip) // the url and the key of kratos.yml are right
	} else {
		q.explain(trip)
	}
	q.noteAs("clients_http", "hook_blocked", q.checkClients())
}

// noteAs adds a check under one of two names, depending on its result.
func (q *userCheck) noteAs(fine, fault string, check Check) {
	if check.Status == Fail || check.Status == Warn {
		fine = fault
	}
	q.note(fine, check)
}

// callsFerry reports whether kratos.yml has the address of the hook.
func (q *userCheck) callsFerry() bool {
	address := q.config.migration().url
	return address != "" && !unresolved(address)
}

// explain notes why the hook does not answer: what is wrong in kratos.yml, or else what
// came of the call.
func (q *userCheck) explain(trip Check) {
	found := false
	for _, part := range []struct {
		name  string
		check Check
	}{{"hook_url", q.checkURL()}, {"hook_key", q.checkKey()}} {
		switch part.check.Status {
		case Fail:
			found = true
			q.note(part.name, part.check)
		case Warn: // it is not in the file, or a variable
			if part.name == "hook_key" || !q.callsFerry() {
				q.skip(part.name, part.check)
			}
		case OK, Skip:
		}
	}
	if !found {
		q.note("hook_call", trip)
	}
}

// tripTo returns the result of calling one of ferry's hooks.
func (q *userCheck) tripTo(ctx context.Context, name string) Check {
	if q.trips == nil {
		q.trips = q.roundTrips(ctx)
	}
	for _, check := range q.trips {
		if check.Name == name {
			return check
		}
	}
	return skipped("ferry's hook was not called")
}

// afterLogin checks what Kratos does after a right password. verified reports whether ferry
// then marks an address as verified, because Auth0 has verified it.
func (q *userCheck) afterLogin(ctx context.Context, r kratos.Record, verified bool) {
	has := slices.ContainsFunc(r.Addresses, func(a kratos.Address) bool { return a.Verified })
	if q.config == nil {
		if r.HasPassword && !has {
			q.note("kratos_config", unseen(fixNameConfig, "whether Kratos requires a verified address: the identity has none"))
		}
		return
	}
	if r.HasPassword && q.config.get("selfservice", "methods", "password", "enabled") == false {
		q.note("password_off", fail("set selfservice.methods.password.enabled to true", "password logins are switched off in Kratos"))
	}
	if !has {
		q.unverified(r, verified)
	}
	if q.checkResponse().Status == OK || len(ferrys(q.config.afterLogin())) == 0 {
		return
	}
	trip := q.tripTo(ctx, nameAfterTrip)
	if trip.Status == Skip {
		trip = q.tripTo(ctx, nameTrip) // the after-login hook was not called
	}
	if trip.Status == Fail {
		trip.Detail = "Kratos waits for ferry after every login with a password, and the login fails without it: " + trip.Detail
		q.note("after_login_call", trip)
	}
}

// unverified checks whether the login fails without a verified address.
func (q *userCheck) unverified(r kratos.Record, verifiedAtAuth0 bool) {
	hooks := q.config.afterLogin()
	required := slices.IndexFunc(hooks, func(hook any) bool { return lookup(hook, "hook") == "require_verified_address" })
	if required < 0 {
		return
	}
	const fix = "let the user verify the address at Kratos"
	ferryFirst := len(ferrys(hooks[:required])) > 0
	switch {
	case len(r.Addresses) == 0:
		q.note("address_not_verified", fail("give the schema a trait with \"verification\", or remove require_verified_address from kratos.yml",
			"Kratos requires a verified address (require_verified_address), and the identity has no address that can be verified: the login fails with an error"))
	case r.Pending && verifiedAtAuth0 && ferryFirst:
		q.note("address_not_verified", warn("let the user log in again: the next login works",
			"Kratos requires a verified address (require_verified_address), and the identity has none yet. Auth0 has verified it, and ferry marks it at the first login, which Kratos may still refuse"))
	case r.Pending && verifiedAtAuth0:
		q.note("address_not_verified", fail(fix+"; and put ferry's web_hook before require_verified_address: `ferry kratos-config --merge FILE`",
			"Kratos requires a verified address (require_verified_address), and the identity has none. Auth0 has verified it, but Kratos refuses the login before it calls ferry"))
	default:
		q.note("address_not_verified", fail(fix,
			"Kratos requires a verified address (require_verified_address), and the identity has none: Kratos refuses the login, although the password is right"))
	}
}
