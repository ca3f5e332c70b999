package page

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ferry/history"
	"ferry/migration"
	"ferry/mode"
	"ferry/outcome"
	"ferry/verification"
)

// problem is something that is wrong.
type problem struct {
	// Now is true if logins fail, or could go wrong, at this moment.
	Now         bool
	Title, Says string
	// Do says what to do, and Section is the section about it in docs/operations.md.
	Do, Section string
}

// minUnchecked is how many logins that could not be checked make an outage, and unchecked the
// share of all.
const (
	minUnchecked = 3
	unchecked    = 0.2
)

// problems returns what is wrong, the urgent first.
func problems(f Facts, m mode.Status, now time.Time) []problem {
	all := slices.Concat(modeProblems(m), loginProblems(f), serviceProblems(f, now), migrationProblems(f), keepingProblems(f, now))
	slices.SortStableFunc(all, func(a, b problem) int {
		switch {
		case a.Now == b.Now:
			return 0
		case a.Now:
			return -1
		}
		return 1
	})
	return all
}

func modeProblems(m mode.Status) []problem {
	switch m.Mode {
	case mode.Off.String():
		return []problem{{true, "ferry is off", "Users who are waiting see an outage. " + changedBy(m), "Switch ferry on below once the reason is gone.", "mode"}}
	case mode.Observe.String():
		return []problem{{true, "ferry only observes", "Users who are waiting see an outage. " + changedBy(m), "Switch ferry on below when the rehearsal is over.", "mode"}}
	}
	return nil
}

// changedBy says who changed the mode last.
func changedBy(m mode.Status) string {
	at := moment(m.Since)
	switch {
	case m.By == mode.ByStart:
		return "That was set at ferry's start on " + at + "."
	case m.Who != "":
		return "Changed by " + m.Who + " on " + at + "."
	case m.By == mode.ByAdmin:
		return "Changed over the admin listener, without a name, on " + at + "."
	}
	return "Changed by the mode file on " + at + "."
}

// loginProblems are what the logins of the last minutes tell.
func loginProblems(f Facts) []problem {
	var all []problem
	w := f.LastQuarter
	if n := reasons(f.LastHour, "id_token_untrusted"); n > 0 {
		all = append(all, problem{true, "Untrusted ID tokens", count(n, "ID token", "ID tokens") + " in the last hour had a signature that is not your tenant's.", "Switch ferry off below, and find out what answers in Auth0's place.", "untrusted-token"})
	}
	if n := w.Sum(outcome.Misconfigured.String()); n > 0 {
		all = append(all, problem{true, "Auth0 or Kratos refuses ferry", count(n, "login", "logins") + " in the last 15 minutes failed because of this" + mostReasons(w, outcome.Misconfigured) + ".", "Run ferry doctor: it says what to change.", "misconfigured"})
	}
	if n, of := w.Sum(outcome.Unavailable.String(), outcome.InvalidResponse.String()), w.Sum(); n >= minUnchecked && float64(n) > unchecked*float64(of) {
		all = append(all, problem{true, "Logins cannot be checked", fmt.Sprintf("%s of %s in the last 15 minutes%s. Their users saw an outage.", number(n), count(of, "login", "logins"), mostReasons(w, outcome.Unavailable, outcome.InvalidResponse)), "Look at Auth0's status, and at the network between ferry, Auth0 and Kratos.", outageSection(w)})
	}
	if n := w.Sum(outcome.Limited.String(), outcome.Suspicious.String()); n > 0 {
		all = append(all, problem{true, "Auth0 limits ferry", count(n, "login", "logins") + " in the last 15 minutes could not be checked because of this.", "Spread the requests, or put ferry's address on the allow-list.", "limited-by-auth0"})
	}
	if n := f.LastHour.Sum(outcome.Unbound.String(), outcome.SubjectMismatch.String()); n > 0 {
		all = append(all, problem{false, "Users who cannot log in until you act", count(n, "login", "logins") + " in the last hour had the right password for an identity that does not record this Auth0 user.", "Find them in the log by the outcomes unbound and subject_mismatch, and run ferry rebind.", ""})
	}
	return all
}

// outageSection is the section about the outage behind most logins that could not be checked.
func outageSection(w history.Window) string {
	all, kratos := 0, 0
	for one, n := range w.Reasons {
		if one.Outcome != outcome.Unavailable.String() && one.Outcome != outcome.InvalidResponse.String() {
			continue
		}
		all += n
		if strings.HasPrefix(one.Reason, "kratos_") {
			kratos += n
		}
	}
	if 2*kratos > all {
		return "kratos-outage"
	}
	return "auth0-outage"
}

// reasons counts logins by their reason.
func reasons(w history.Window, reason string) (n int) {
	for one, times := range w.Reasons {
		if one.Reason == reason {
			n += times
		}
	}
	return n
}

// mostReasons names the most frequent reasons of outcomes.
func mostReasons(w history.Window, outcomes ...outcome.Outcome) string {
	found := map[string]int{}
	for one, n := range w.Reasons {
		if slices.ContainsFunc(outcomes, func(o outcome.Outcome) bool { return o.String() == one.Outcome }) {
			found[one.Reason] += n
		}
	}
	names := slices.SortedFunc(maps.Keys(found), func(a, b string) int {
		if found[a] != found[b] {
			return found[b] - found[a]
		}
		return strings.Compare(a, b)
	})
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names[:min(len(names), 3)], ", ") + ")"
}

// serviceProblems are Auth0, Kratos and Redis.
func serviceProblems(f Facts, now time.Time) []problem {
	var all []problem
	for _, name := range slices.Sorted(maps.Keys(f.Auth0.Breakers)) {
		switch f.Auth0.Breakers[name] {
		case "open":
			all = append(all, problem{true, "Auth0 is not asked about " + name, "Logins of several users in a row got no answer, so the circuit breaker is open.", "It closes by itself once Auth0 answers. Look at Auth0's status and the network.", "auth0-outage"})
		case "half-open":
			all = append(all, problem{true, "Auth0 is asked about " + name + " one login at a time", "The circuit breaker is half-open: it closes with the next answer.", "Wait a moment.", "auth0-outage"})
		}
	}
	if until := f.Auth0.WaitsUntil; until.After(now) {
		all = append(all, problem{true, "Auth0's rate limit is used up", "ferry does not ask Auth0 until " + moment(until) + "; logins until then see an outage.", "Lower FERRY_AUTH0_REQUESTS_PER_SECOND, or ask Auth0 for a higher limit.", "limited-by-auth0"})
	}
	if f.Kratos.Fault != "" {
		all = append(all, problem{true, "Kratos' admin API does not answer", sentence(f.Kratos.Fault), "Start Kratos, or repair the network between it and ferry.", "kratos-outage"})
	}
	if f.Redis != nil && f.Redis.Fault != "" {
		all = append(all, problem{false, "Redis does not answer", "Logins go on. Profiles of logins in this time are lost, and a repeated login may ask Auth0 twice.", "Start Redis; run ferry reconcile --fix afterwards.", "redis"})
	}
	return all
}

// migrationProblems are what the plan says.
func migrationProblems(f Facts) []problem {
	if f.Plan == nil {
		return nil
	}
	var all []problem
	if f.Plan.State == migration.NotWired && f.Plan.Progress.Pending > 0 {
		all = append(all, problem{true, "Kratos does not call ferry", sentence(f.Plan.Why), "Run the next command.", ""})
	}
	if f.Plan.NotMoving != "" && (f.Plan.State == migration.Crossing || f.Plan.State == migration.Draining) {
		all = append(all, problem{false, "No user is migrating", sentence(f.Plan.NotMoving), "", ""})
	}
	if doctor, found := f.Records[verification.Doctor]; found && !doctor.OK {
		all = append(all, problem{false, "The last ferry doctor found something wrong", count(doctor.Counts["fail"], "check fails", "checks fail") + ".", "Run it again, and read the lines with FAIL.", ""})
	}
	return all
}

// keepingProblems are about what the page itself knows.
func keepingProblems(f Facts, now time.Time) []problem {
	var all []problem
	switch late := 2*f.CountEvery + hour; {
	case f.CountEvery == 0 || f.Count == nil:
	case now.Sub(f.Count.At) > late:
		all = append(all, problem{false, "The count is old", "The users were last counted " + ago(f.Count.At, now) + ", although ferry counts every " + span(f.CountEvery) + ".", "Look in the log for \"identities not counted\".", "count-fails"})
	}
	if f.History.Fault != "" {
		remedy := "Move history.db in FERRY_DATA_DIR away, or give each ferry a directory of its own, and restart ferry."
		if f.Redis != nil {
			remedy = "Start Redis."
		}
		all = append(all, problem{false, "The history is not kept", sentence(f.History.Fault) + " It goes on in memory, and logins are not affected.", remedy, ""})
	}
	if f.RecordsFault != "" {
		all = append(all, problem{false, "Records of commands cannot be read", sentence(f.RecordsFault), "Run the command again.", ""})
	}
	return all
}
