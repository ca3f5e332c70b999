package migration

import (
	"fmt"
	"time"

	"ferry/verification"
)

// check is what the record of a command verifies.
type check struct {
	is  Verification
	by  string
	at  *time.Time
	why string
}

// recorded returns the record of a command, or the check that says that there is none.
func (f Facts) recorded(command verification.Command) (record verification.Record, c check, found bool) {
	record, found = f.Records[command]
	c = check{is: Unverified, by: "ferry " + string(command)}
	switch {
	case found:
		c.at = &record.Ended
	case !f.RecordsKept:
		c.why = "not known: ferry keeps no record of its commands; set FERRY_DATA_DIR, or FERRY_STATE_URL with Redis"
	default:
		c.why = "not known: " + c.by + " has not run"
	}
	return record, c, found
}

// checkDoctor says whether doctor verified the settings and the kratos.yml that are in use.
func (f Facts) checkDoctor() check {
	record, c, found := f.recorded(verification.Doctor)
	switch {
	case !found:
	case !record.OK:
		c.why = fmt.Sprintf("the last ferry doctor found %d failures", record.Counts["fail"])
	case record.Settings != f.Settings:
		c.is, c.why = Stale, "the settings have changed since the last ferry doctor"
	case record.KratosConfig == "":
		c.why = "the last ferry doctor ran without --kratos-config"
	case f.KratosConfig != "" && record.KratosConfig != f.KratosConfig:
		c.is, c.why = Stale, "kratos.yml has changed since the last ferry doctor"
	default:
		c.is, c.why = Verified, "ferry doctor found no failure"
	}
	return c
}

// checkReconcile says whether a reconciliation is recent enough to go by. What it found is in
// the blockers.
func (f Facts) checkReconcile() check {
	record, c, found := f.recorded(verification.Reconcile)
	if !found {
		return c
	}
	old, input := f.Now.Sub(record.Ended), f.Now.Sub(record.Ended)
	if record.InputAt != nil {
		input = f.Now.Sub(*record.InputAt)
	}
	switch {
	case old > f.Rules.ReconcileMaxAge:
		c.is, c.why = Stale, fmt.Sprintf("the last ferry reconcile was %s ago, more than %s", age(old), age(f.Rules.ReconcileMaxAge))
	case input > f.Rules.ReconcileMaxAge:
		c.is, c.why = Stale, fmt.Sprintf("the export of the last ferry reconcile is %s old, more than %s", age(input), age(f.Rules.ReconcileMaxAge))
	case f.Records[verification.Import].Ended.After(record.Started):
		c.is, c.why = Stale, "users were imported after the last ferry reconcile began"
	case f.Records[verification.Finish].Ended.After(record.Started):
		c.is, c.why = Stale, "ferry finish ran after the last ferry reconcile began"
	case f.Records[verification.Undo].Ended.After(record.Started):
		c.is, c.why = Stale, "an import was undone after the last ferry reconcile began"
	case f.Status.Total-f.Status.Unbound < record.Counts[CountFromAuth0]:
		c.is, c.why = Stale, fmt.Sprintf("Kratos had %d identities of Auth0's users at the last ferry reconcile, and has %d now", record.Counts[CountFromAuth0], f.Status.Total-f.Status.Unbound)
	case isPart(record.Counts["users"], f.Records[verification.Import].Counts["rows"]):
		c.why = fmt.Sprintf("the last ferry reconcile read %d users, and the last import %d: it did not read all", record.Counts["users"], f.Records[verification.Import].Counts["rows"])
	default:
		c.is, c.why = Verified, "ferry reconcile compared "+plural(record.Counts["users"], "user", "users")
	}
	return c
}

// isPart reports whether a file with this many users cannot be of the whole tenant, because an
// import has read more. Some users may have been deleted at Auth0 since.
func isPart(users, imported int) bool {
	const whole = 0.9
	return float64(users) < whole*float64(imported)
}

// plural is a number with its noun.
func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// age formats a duration in the largest fitting unit.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	}
	return fmt.Sprintf("%d seconds", max(d, 0)/time.Second)
}
