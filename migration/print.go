package migration

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Print prints the plan in human-readable form. quote returns the command line of a command.
func (p Plan) Print(w io.Writer, quote func(command []string) string) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	line("state\t%s: %s", p.State.Name(), p.Why)
	line("left\t%s", p.left())
	for i, action := range p.Next {
		label := "next"
		if i > 0 {
			label = "then"
		}
		what, why := action.what(quote)
		line("%s\t%s", label, what)
		if why != "" {
			line("\t  %s", why)
		}
	}
	if len(p.Next) == 0 {
		line("next\tnothing: remove ferry's applications at Auth0, and stop ferry unless its token front is in use (docs/finish.md)")
	}
	if p.NotMoving != "" {
		line("why\t%s", p.NotMoving)
	}
	line("Auth0\t%s", p.IfOff.sentence())
	for _, one := range p.Remints {
		line("tokens\t%s", one.Text())
	}
	if _, err := io.WriteString(tab, text.String()); err != nil {
		return err
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	if err := p.printSteps(tab); err != nil {
		return err
	}
	return p.printBlockers(w, tab, quote)
}

// what returns what to do, and why.
func (a Action) what(quote func([]string) string) (what, why string) {
	switch {
	case len(a.Command) > 0:
		return quote(a.Command), a.Why
	case len(a.Settings) > 0:
		return "set for every ferry, and restart ferry serve: " + strings.Join(a.Settings, " "), a.Why
	case a.Wait:
		return "wait: " + a.Why, ""
	}
	return a.Why, ""
}

// left says how many users are left, and when they would have migrated.
func (p Plan) left() string {
	q := p.Progress
	if p.GatewayOnly {
		return fmt.Sprintf("%d migrated through the gateway, %d pending; users who have not logged in through it have no identity and are not counted here", q.Migrated, q.Pending)
	}
	text := fmt.Sprintf("%d pending of %d people, %d migrated (%.1f %% no longer need Auth0)", q.Pending, q.FromAuth0, q.Migrated, 100*q.Share)
	switch {
	case q.Pending == 0:
	case q.Done != nil:
		text += fmt.Sprintf("; %.1f a day, the last on %s at that rate", q.PerDay, q.Done.Format(time.DateOnly))
	default:
		text += fmt.Sprintf("; %d in the last day", q.LastDay)
	}
	return text
}

// sentence says what would happen.
func (o IfOff) sentence() string {
	text := fmt.Sprintf("if it were switched off now, %d of %d people would lose access", o.LoseAccess, o.Total)
	switch {
	case o.LoseAccess == 0:
	case o.ActiveLast90Days == nil:
		text += "; it is not known how many of them logged in during the last 90 days: give an export with --users FILE, or run ferry reconcile"
	default:
		text += fmt.Sprintf(", of whom %d logged in during the last 90 days (%s%s)", *o.ActiveLast90Days, o.From, on(o.At))
	}
	if !o.MissingKnown {
		text += "; users without an identity are not counted: run ferry reconcile"
	}
	switch apps := o.Applications; {
	case apps == nil:
	case !apps.Known:
		text += "; it is not known how many applications still use Auth0 refresh tokens"
	case apps.Count > 0:
		text += "; the users of " + plural(apps.Count, "application", "applications") + " that still use Auth0 refresh tokens would have to log in again"
	}
	return text
}

// on formats a time after what it is the time of.
func on(at *time.Time) string {
	if at == nil {
		return ""
	}
	return " of " + at.UTC().Format("2006-01-02 15:04 MST")
}

func (p Plan) printSteps(tab *tabwriter.Writer) error {
	var text strings.Builder
	text.WriteString("\n")
	for _, step := range p.Steps {
		mark, verified := " ", ""
		switch {
		case step.State == p.State:
			mark = ">"
		case step.Reached:
			mark = "x"
		}
		if step.Reached || step.Verification == Stale {
			verified = string(step.Verification)
		}
		by := ""
		if step.VerifiedAt != nil {
			by = step.VerifiedBy + step.VerifiedAt.UTC().Format(", 2006-01-02 15:04")
		}
		fmt.Fprintf(&text, "%s %s\t%s\t%s\t%s\n", mark, step.State.Name(), verified, by, step.Why)
	}
	if _, err := io.WriteString(tab, text.String()); err != nil {
		return err
	}
	return tab.Flush()
}

// printBlockers prints those that are not 0, and in one line those that are not known.
func (p Plan) printBlockers(w io.Writer, tab *tabwriter.Writer, quote func([]string) string) error {
	var text strings.Builder
	for _, b := range p.Blockers {
		if b.Count == 0 {
			continue
		}
		effect := ""
		switch {
		case b.Blocks:
			effect = "blocks"
		case b.Accepted:
			effect = "accepted"
		}
		fmt.Fprintf(&text, "%d\t%s\t%s\t%s\n", b.Count, b.Kind, effect, counts(b.Connections))
		fmt.Fprintf(&text, "\t\t\t%s\n", b.Explanation)
		if len(b.Command) > 0 {
			fmt.Fprintf(&text, "\t\t\t%s\n", quote(b.Command))
		}
	}
	if text.Len() > 0 {
		if _, err := io.WriteString(tab, "\n"+text.String()); err != nil {
			return err
		}
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	return p.printUnknown(w, quote)
}

// printUnknown prints the blockers that are not known, a line for each command that finds out.
func (p Plan) printUnknown(w io.Writer, quote func([]string) string) error {
	var commands []string
	kinds, why := map[string][]string{}, map[string][]string{}
	for _, b := range p.Blockers {
		if b.Known {
			continue
		}
		command := quote(b.Command)
		if kinds[command] == nil {
			commands = append(commands, command)
		}
		kinds[command] = append(kinds[command], string(b.Kind))
		if reason := strings.TrimPrefix(b.Explanation, unknown); !slices.Contains(why[command], reason) {
			why[command] = append(why[command], reason)
		}
	}
	var text strings.Builder
	for _, command := range commands {
		fmt.Fprintf(&text, "\n%s%s\n  run %s\n  %s\n", unknown, strings.Join(kinds[command], ", "), command, strings.Join(why[command], "\n  "))
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// counts prints the numbers of connections, the largest first.
func counts(connections map[string]int) string {
	names := slices.SortedFunc(maps.Keys(connections), func(a, b string) int {
		if connections[a] != connections[b] {
			return connections[b] - connections[a]
		}
		return strings.Compare(a, b)
	})
	const most = 5
	var parts []string
	for i, name := range names {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more connections", len(names)-most))
			break
		}
		parts = append(parts, fmt.Sprintf("%s %d", name, connections[name]))
	}
	return strings.Join(parts, ", ")
}
