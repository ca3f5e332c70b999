package doctor

import (
	"slices"

	"ferry/kratos"
	"ferry/wire"
)

// mode checks whether the mode and the cohort let the user in. That ferry is off is seen from
// its answer, too: then there is a finding about the hook already.
func (q *userCheck) mode(r kratos.Record) {
	const name = "mode"
	switch {
	case slices.ContainsFunc(q.out.Findings, func(f Check) bool { return f.Name == "hook_call" }):
		return
	case q.ModeFault != nil:
		q.note(name, unseen("correct the setting", "whether ferry decides logins of the user: "+q.ModeFault.Error()))
	case q.Mode == wire.ModeObserve:
		q.note(name, fail("set the mode to on (docs/modes.md), if the user is to log in",
			"ferry observes (FERRY_MODE): a login with the right password ends in an outage"))
	case q.Mode == wire.ModeOff:
		q.note(name, warn("set FERRY_MODE, or its file, to on (docs/modes.md)",
			"the mode in the settings is off: a ferry that starts with them makes every login of a pending identity an outage"))
	case q.InCohort != nil && !q.InCohort(q.identifier, r.Identifiers, r.Traits):
		q.note(name, fail("add the user to FERRY_COHORT (docs/modes.md)",
			"the user is not in the cohort (FERRY_COHORT): ferry makes the login an outage, and does not ask Auth0"))
	case q.Mode != "":
		q.note(name, ok("ferry decides logins of the user, if its mode and cohort are those of the settings"))
	}
}
