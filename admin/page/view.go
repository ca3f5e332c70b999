package page

import (
	"fmt"
	"strings"
	"time"

	"ferry/history"
	"ferry/migration"
	"ferry/mode"
)

// view is the page in words, numbers and drawings, in the order of the page.
type view struct {
	Title    string
	Version  string
	Now      *when
	State    string // the name of the state; empty: not known
	Sentence string
	Why      string
	Share    *share
	Verdict  verdict
	Tiles    []tile
	Problems []problem
	Next     []action
	Charts   []chart
	// Connections are the largest, and More the number of the others.
	Connections []connectionRow
	More        int
	Groups      []group
	Unknown     []unknown
	Outcomes    outcomesView
	Services    []service
	Checks      []checkRow
	ChecksNote  string
	Steps       []step
	Mode        modeView
	Counted     string // when and how the users were counted
	Kept        string // where the history is
	Access      string // who sees this page
	Digest      string
}

// share is how far the migration is, drawn as a bar of 100 units.
type share struct{ Width, Text string }

// verdict says whether something is wrong.
type verdict struct{ Class, Mark, Text string }

func verdictOf(all []problem) verdict {
	now := 0
	for _, one := range all {
		if one.Now {
			now++
		}
	}
	switch later := len(all) - now; {
	case now > 0 && later > 0:
		return verdict{"bad", "problems", fmt.Sprintf("%s attention now, and %s later.", count(now, "problem needs", "problems need"), count(later, "other does", "others do"))}
	case now > 0:
		return verdict{"bad", "problems", count(now, "problem needs", "problems need") + " attention now."}
	case later > 0:
		return verdict{"warn", "problems", "Logins work. " + count(later, "problem needs", "problems need") + " attention soon."}
	}
	return verdict{"good", "all well", "Nothing is wrong that ferry can see."}
}

// tile is a large number.
type tile struct{ ID, Label, Value, Note string }

// action is something to do next.
type action struct {
	Command  string
	Settings []string
	Wait     bool
	Why      string
}

// connectionRow is an Auth0 connection.
type connectionRow struct{ Name, Migrated, Waiting, Percent, Width string }

// group is a group of users who cannot migrate by themselves.
type group struct {
	Name, Count, Says, Command string
	Connections                string
	Blocks, Accepted           bool
	At                         *when
}

// unknown are groups of users whose number is not known, and the command that finds it out.
type unknown struct {
	Names   []string
	Command string
}

// view makes the view.
func (p *Page) view(f Facts, now time.Time) view {
	m := p.opts.Modes.Status()
	v := view{
		Version: p.opts.Version, Now: timeOf(now, now),
		Problems: problems(f, m, now), Outcomes: outcomesOf(f, now), Services: services(f, now),
		Mode: modeOf(m, now, !p.opts.Key.Empty()), Kept: kept(f.History), Access: p.access(),
	}
	v.Verdict = verdictOf(v.Problems)
	v.lead(f, now)
	v.progress(f, now)
	v.groups(f, now)
	v.checks(f, now)
	v.Charts = []chart{progressChart(f, now), periodChart(f, now, day, daysShown), periodChart(f, now, hour, hoursShown)}
	v.Title = v.Sentence
	if n := len(v.Problems); n > 0 {
		v.Title = fmt.Sprintf("(%d) %s", n, v.Title)
	}
	return v
}

// access says who sees the page.
func (p *Page) access() string {
	switch {
	case p.opts.Loopback && p.opts.Key.Empty():
		return "This page is shown to anyone on this machine, without a key, and to no one else."
	case p.opts.Loopback:
		return "This page is shown to anyone on this machine, without a key. Others, and changes of the mode, need the admin key."
	}
	return "This page needs the admin key."
}

// lead says where the migration stands, and what comes next.
func (v *view) lead(f Facts, now time.Time) {
	switch {
	case f.Plan != nil:
		v.State, v.Sentence, v.Why = stateName(f.Plan.State), headline(*f.Plan), planSentence(f.Plan.Why)
		if len(v.Problems) > 0 && v.Problems[0].Now {
			v.Next = append(v.Next, action{Why: "First solve the problems that need attention now: logins fail until then."})
		}
		for _, one := range f.Plan.Next {
			v.Next = append(v.Next, action{commandLine(one.Command), one.Settings, one.Wait, planSentence(one.Why)})
		}
	case f.CountEvery > 0:
		v.Sentence = "ferry is counting the users for the first time since it started."
		v.Why = "The numbers and the plan appear when it has read all identities in Kratos. That takes about a minute for 100,000."
		v.Next = []action{{Wait: true, Why: "The page says more once the users are counted."}}
	default:
		v.Sentence = "This ferry does not count the users."
		v.Why = "Without a count, the page does not know how far the migration is."
		v.Next = []action{
			{Settings: []string{"FERRY_COUNT_EVERY=1h"}, Why: "Set it for one ferry, and restart that one: it reads all identities in Kratos, slowly, once an hour."},
			{Command: "ferry plan", Why: "Counts once, and says where the migration stands and what comes next."},
		}
	}
	switch {
	case f.Count != nil && f.CountEvery > 0:
		v.Counted = fmt.Sprintf("Counted %s (%s), every %s.", moment(f.Count.At), ago(f.Count.At, now), span(f.CountEvery))
	case f.Count != nil:
		v.Counted = fmt.Sprintf("Counted %s (%s).", moment(f.Count.At), ago(f.Count.At, now))
	default:
		if last, found := lastCount(f.History); found {
			v.Counted = fmt.Sprintf("The numbers are of %s (%s), from the history.", moment(last.At), ago(last.At, now))
		}
	}
}

// headline is the state of the migration in a sentence.
func headline(p migration.Plan) string {
	left := count(p.Progress.Pending, "user is", "users are") + " still waiting"
	switch p.State {
	case migration.NotWired:
		return "The migration has not begun: Kratos does not call ferry."
	case migration.Wired:
		if p.GatewayOnly {
			return "Kratos calls ferry. Users migrate at their first login through the gateway."
		}
		return "Kratos calls ferry. Next, import the users."
	case migration.Imported:
		return "The users are imported, and no one has migrated yet: " + left + "."
	case migration.Crossing:
		if p.GatewayOnly {
			return "Users are migrating through the gateway: " + number(p.Progress.Migrated) + " have so far."
		}
		return "Users are migrating: " + left + "."
	case migration.Draining:
		if p.Progress.Pending == 0 {
			return "No user is waiting, but Auth0 cannot be switched off yet."
		}
		return "The migration is near its end: " + left + "."
	case migration.ReadyToSwitchOff:
		return "Auth0 can be switched off: no user is waiting."
	case migration.SwitchedOff:
		return "The migration is complete."
	}
	return stateMeaning(p.State)
}

func lastCount(d history.Data) (last history.Count, found bool) {
	if len(d.Counts) == 0 {
		return last, false
	}
	return d.Counts[len(d.Counts)-1], true
}

// progress is the large numbers.
func (v *view) progress(f Facts, now time.Time) {
	if f.Plan == nil {
		last, found := lastCount(f.History)
		migrated, waiting := "?", "?"
		if found {
			migrated, waiting = number(last.Migrated), number(last.Waiting)
			v.Share = shareOf(last.Migrated, last.Migrated+last.Waiting)
		}
		v.Tiles = []tile{
			{"migrated", "Migrated", migrated, ""},
			{"waiting", "Waiting", waiting, ""},
			{"forecast", "Forecast", "?", "Not known without a count"},
			{"without-auth0", "If Auth0 were switched off now", "?", "Not known without a count"},
		}
		return
	}
	p := f.Plan.Progress
	if !f.Plan.GatewayOnly {
		v.Share = shareOf(p.Migrated, p.Migrated+p.Pending)
	}
	migrated := fmt.Sprintf("%s in the last day, %s in the last 7 days", number(p.LastDay), number(p.LastWeek))
	v.Tiles = []tile{
		{"migrated", "Migrated", number(p.Migrated), migrated},
		{"waiting", "Waiting", number(p.Pending), waitingNote(*f.Plan)},
		forecastTile(*f.Plan, now), ifOffTile(f.Plan.IfOff),
	}
	v.Connections, v.More = connections(f)
}

func waitingNote(p migration.Plan) string {
	switch {
	case p.GatewayOnly && !p.IfOff.MissingKnown:
		return "Users who have not come through the gateway are not counted: run ferry reconcile"
	case p.Progress.Pending == 0 && p.IfOff.LoseAccess > 0:
		return "Others have no identity yet, or log in at Auth0 itself"
	case p.Progress.Pending == 0:
		return "No one needs Auth0 for a login"
	}
	return "Need Auth0 for their next login"
}

// shareOf draws the share of a number.
func shareOf(part, whole int) *share {
	if whole == 0 {
		return nil
	}
	return &share{unit(100 * float64(part) / float64(whole)), percent(part, whole)}
}

// forecastTile says when the last user would migrate.
func forecastTile(plan migration.Plan, now time.Time) tile {
	t, p := tile{ID: "forecast", Label: "Last user migrates about"}, plan.Progress
	switch {
	case plan.GatewayOnly && plan.State == migration.Crossing:
		t.Value, t.Note = "Not known", "Without an import, Kratos does not know who is left"
	case p.Pending == 0 && p.Migrated == 0:
		t.Value, t.Note = "–", "No user has been imported yet"
	case p.Pending == 0:
		t.Value, t.Note = "Done", "No user is waiting"
	case p.Done != nil && p.Done.Sub(now) > 10*365*day:
		t.Value, t.Note = "Not within 10 years", "At "+rate(p.PerDay)+" a day: write to the users who are waiting"
	case p.Done != nil:
		t.Value = p.Done.UTC().Format("2 Jan 2006")
		t.Note = fmt.Sprintf("In %s, at %s a day. The last users log in late, or never", count(int(p.Done.Sub(now)/day)+1, "day", "days"), rate(p.PerDay))
	case p.LastWeek > 0:
		t.Value, t.Note = "Too early to say", "The first user migrated less than a day ago"
	default:
		t.Value, t.Note = "Not known", "No user migrated in the last 7 days"
	}
	return t
}

// ifOffTile says who would lose access without Auth0.
func ifOffTile(off migration.IfOff) tile {
	t := tile{ID: "without-auth0", Label: "If Auth0 were switched off now", Value: number(off.LoseAccess)}
	of := "of " + number(off.Total) + " people lose access"
	switch {
	case off.LoseAccess == 0 && off.MissingKnown:
		of = "No one of " + number(off.Total) + " people loses access"
	case off.LoseAccess == 0:
		of = "No one in Kratos loses access"
	case off.ActiveLast90Days != nil:
		of += "; " + number(*off.ActiveLast90Days) + " of them logged in during the last 90 days"
	}
	if !off.MissingKnown {
		of += ". Users without an identity are not known: run ferry reconcile"
	}
	switch apps := off.Applications; {
	case apps == nil:
	case !apps.Known:
		of += ". Applications that use Auth0 refresh tokens are not known"
	case apps.Count > 0:
		of += ". The users of " + count(apps.Count, "application", "applications") + " with Auth0 refresh tokens would have to log in again"
	}
	t.Note = of
	return t
}

// kept says where the history is.
func kept(d history.Data) string {
	switch d.Kept {
	case history.InFile:
		return "The history is kept in FERRY_DATA_DIR."
	case history.InRedis:
		return "The history is kept in Redis, for all ferries."
	}
	return "The history is in memory and ends with this process. FERRY_DATA_DIR or Redis keep it."
}

// modeView is the mode and the form that changes it.
type modeView struct {
	Name, Says, Cohort, ChangedBy, AtRestart string
	HasKey                                   bool
	Choices                                  []choice
}

// choice is a mode to choose.
type choice struct {
	Name, Says string
	Current    bool
}

func modeOf(m mode.Status, now time.Time, hasKey bool) modeView {
	v := modeView{Name: m.Mode, ChangedBy: strings.TrimSuffix(changedBy(m), ".") + " (" + ago(m.Since, now) + ").", HasKey: hasKey}
	if m.Cohort != "all" {
		v.Cohort = m.Cohort
	}
	if m.AtRestart.Mode != m.Mode {
		v.AtRestart = m.AtRestart.Mode
	}
	for _, one := range mode.All() {
		if one.String() == m.Mode {
			v.Says = modeMeaning(one)
		}
		v.Choices = append(v.Choices, choice{one.String(), modeMeaning(one), one.String() == m.Mode})
	}
	return v
}
