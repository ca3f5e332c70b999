package page

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ferry/bulk/status"
	"ferry/history"
	"ferry/migration"
	"ferry/outcome"
	"ferry/verification"
)

// connectionsShown is how many connections have a row.
const connectionsShown = 20

// connections are the Auth0 connections, the largest first.
func connections(f Facts) (rows []connectionRow, more int) {
	type one struct {
		name              string
		migrated, waiting int
	}
	var all []one
	for name, counts := range f.Count.Connections {
		c := one{name: name}
		for kind, n := range counts.Kinds {
			migrated, waiting := waits(kind)
			if migrated {
				c.migrated += n
			}
			if waiting {
				c.waiting += n
			}
		}
		if c.migrated+c.waiting > 0 {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b one) int {
		return cmp.Or(cmp.Compare(b.migrated+b.waiting, a.migrated+a.waiting), strings.Compare(a.name, b.name))
	})
	for _, c := range all[:min(len(all), connectionsShown)] {
		s := shareOf(c.migrated, c.migrated+c.waiting)
		rows = append(rows, connectionRow{connectionName(c.name), number(c.migrated), number(c.waiting), s.Text, s.Width})
	}
	return rows, len(all) - len(rows)
}

// connectionName is the name of a connection on the page.
func connectionName(name string) string {
	switch name {
	case status.NotFromAuth0:
		return "(no Auth0 user recorded)"
	case status.OtherConnections:
		return "(other connections)"
	}
	return short(name, 60)
}

// groups are the users who cannot migrate by themselves.
func (v *view) groups(f Facts, now time.Time) {
	if f.Plan == nil {
		return
	}
	for _, b := range f.Plan.Blockers {
		if b.Kind == migration.Pending {
			continue // they can
		}
		if !b.Known {
			v.unknown(lowered(blockerName(b.Kind)), commandLine(b.Command))
			continue
		}
		if b.Count == 0 {
			continue
		}
		g := group{
			Name: blockerName(b.Kind), Count: number(b.Count), Says: planSentence(b.Explanation), Command: commandLine(b.Command),
			Connections: named(b.Connections), Blocks: b.Blocks, Accepted: b.Accepted,
		}
		if b.At != nil {
			g.At = timeOf(*b.At, now)
		}
		v.Groups = append(v.Groups, g)
	}
}

// unknown adds a group whose number is not known, to those that the same command finds out.
func (v *view) unknown(name, command string) {
	at := slices.IndexFunc(v.Unknown, func(u unknown) bool { return u.Command == command })
	if at < 0 {
		at, v.Unknown = len(v.Unknown), append(v.Unknown, unknown{Command: command})
	}
	v.Unknown[at].Names = append(v.Unknown[at].Names, name)
}

// named lists connections with their numbers, the largest first.
func named(connections map[string]int) string {
	const most = 5
	names := slices.SortedFunc(maps.Keys(connections), func(a, b string) int {
		return cmp.Or(cmp.Compare(connections[b], connections[a]), strings.Compare(a, b))
	})
	var parts []string
	for i, name := range names {
		if i == most {
			parts = append(parts, count(len(names)-most, "more connection", "more connections"))
			break
		}
		parts = append(parts, connectionName(name)+": "+number(connections[name]))
	}
	return strings.Join(parts, "; ")
}

// outcomesView is what logins came to.
type outcomesView struct {
	Says  string
	Rows  []outcomeRow
	Chart chart
}

// outcomeRow is an outcome of the last hour.
type outcomeRow struct{ Name, Says, Class, Result, Quarter, Hour string }

func outcomesOf(f Facts, now time.Time) outcomesView {
	v := outcomesView{Chart: outcomesChart(f, now)}
	window := f.LastHour
	since := "in the last hour"
	if now.Sub(window.Since) < history.RecentTime-2*time.Minute {
		since = "since ferry's start, " + ago(window.Since, now)
	}
	v.Says = fmt.Sprintf("This ferry decided %s %s.", count(window.Sum(), "login", "logins"), since)
	if f.History.Kept == history.InRedis {
		v.Says += " The chart has those of all ferries."
	}
	all := outcome.All()
	slices.SortStableFunc(all, func(a, b outcome.Outcome) int {
		return cmp.Compare(window.Outcomes[b.String()], window.Outcomes[a.String()])
	})
	for _, o := range all {
		if n := window.Outcomes[o.String()]; n > 0 {
			r, says := meaning(o)
			v.Rows = append(v.Rows, outcomeRow{o.String(), says, r.class(), r.name(), number(f.LastQuarter.Outcomes[o.String()]), number(n)})
		}
	}
	return v
}

// service is Auth0, Kratos or Redis.
type service struct {
	Name, State, Class, Says string
}

func services(f Facts, now time.Time) []service {
	return []service{auth0(f, now), kratosService(f.Kratos, now), redisService(f.Redis, now)}
}

func auth0(f Facts, now time.Time) service {
	names := slices.Sorted(maps.Keys(f.Auth0.Breakers))
	var notClosed []string
	for _, name := range names {
		if is := f.Auth0.Breakers[name]; is != "closed" {
			notClosed = append(notClosed, name+" ("+is+")")
		}
	}
	switch {
	case f.Auth0.WaitsUntil.After(now):
		return service{"Auth0", "rate limit used up", "bad", "Not asked until " + moment(f.Auth0.WaitsUntil) + "."}
	case len(notClosed) > 0:
		return service{"Auth0", "not asked as usual", "bad", "Circuit breakers that are not closed: " + strings.Join(notClosed, ", ") + "."}
	case len(names) == 0:
		return service{"Auth0", "not asked yet", "plain", "No login has been checked there since ferry started."}
	}
	return service{"Auth0", "asked as usual", "good", "The circuit breakers are closed: " + strings.Join(names, ", ") + "."}
}

func kratosService(k Kratos, now time.Time) service {
	switch {
	case k.Checked.IsZero():
		return service{"Kratos", "not checked yet", "plain", ""}
	case k.Fault != "":
		return service{"Kratos", "does not answer", "bad", "Checked " + ago(k.Checked, now) + ": " + sentence(k.Fault)}
	}
	return service{"Kratos", "answers", "good", "Admin API of version " + short(k.Version, 40) + ", checked " + ago(k.Checked, now) + "."}
}

func redisService(r *Redis, now time.Time) service {
	switch {
	case r == nil:
		return service{"Redis", "not used", "plain", "The state is in memory, for one ferry."}
	case r.Checked.IsZero():
		return service{"Redis", "not checked yet", "plain", ""}
	case r.Fault != "":
		return service{"Redis", "does not answer", "bad", "Checked " + ago(r.Checked, now) + ": " + sentence(r.Fault)}
	}
	return service{"Redis", "answers", "good", "Checked " + ago(r.Checked, now) + "."}
}

// checkRow is the last run of a command.
type checkRow struct {
	Command, Result, Class, Says string
	At                           *when
}

// step is a state of the plan.
type step struct {
	Name, Says, Verification, Class string
	Reached, Current                bool
	At                              *when
}

// checks are the last runs of commands, and the states of the plan with what verified them.
func (v *view) checks(f Facts, now time.Time) {
	if !f.RecordsKept {
		v.ChecksNote = "ferry keeps no record of its commands: set FERRY_DATA_DIR for them and for ferry serve, or Redis."
	}
	for _, command := range []verification.Command{verification.Doctor, verification.Reconcile, verification.Import, verification.Finish} {
		row := checkRow{Command: "ferry " + string(command), Result: "not recorded", Class: "plain"}
		if record, found := f.Records[command]; found {
			row.Result, row.Class, row.At, row.Says = "ok", "good", timeOf(record.Ended, now), recordSays(record)
			if !record.OK {
				row.Result, row.Class = "found something", "bad"
			}
		}
		v.Checks = append(v.Checks, row)
	}
	if f.Plan == nil {
		return
	}
	for _, one := range f.Plan.Steps {
		s := step{
			Name: stateName(one.State), Says: planSentence(one.Why), Verification: string(one.Verification),
			Reached: one.Reached, Current: one.State == f.Plan.State, Class: "plain",
		}
		if !one.Reached {
			s.Says, s.Verification = stateMeaning(one.State), "not reached"
			v.Steps = append(v.Steps, s)
			continue
		}
		switch one.Verification {
		case migration.Verified:
			s.Class = "good"
		case migration.Stale:
			s.Class = "warn"
		case migration.Unverified:
		}
		if one.VerifiedAt != nil {
			s.At = timeOf(*one.VerifiedAt, now)
		}
		v.Steps = append(v.Steps, s)
	}
}

// recordSays is what a command found, in a few numbers.
func recordSays(r verification.Record) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r.Counts)) {
		if r.Counts[name] > 0 && len(parts) < 6 {
			parts = append(parts, countName(name)+": "+number(r.Counts[name]))
		}
	}
	return strings.Join(parts, ", ")
}
