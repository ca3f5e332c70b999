package page

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ferry/bulk/status"
	"ferry/history"
	"ferry/migration"
	"ferry/outcome"
)

const (
	daysShown     = 30
	hoursShown    = 48
	outcomesShown = 24
	// progressRows are the rows of the table beside the curve of all days.
	progressRows = 14

	notCounted = "Not known without a count of the users."
)

// progressChart shows the users who have migrated from the first day on, those who wait as far
// as the history knows, and the forecast.
func progressChart(f Facts, now time.Time) chart {
	c := chart{ID: "progress", Title: "All days", Head: []string{"Day (UTC)", "Migrated that day", "Migrated in total"}}
	if f.Plan == nil {
		c.Empty = notCounted
		return c
	}
	if len(f.Count.Days) == 0 {
		c.Empty = "No user has migrated at a known time yet."
		return c
	}
	p := f.Plan.Progress
	migrated, rows := accumulated(f.Count.Days, p.Migrated, now)
	c.Rows = rows
	from, to, end := migrated[0].at, now, p.Migrated
	if forecast := p.Done; forecast != nil && p.Pending > 0 {
		to, end = *forecast, p.Migrated+p.Pending
		// A forecast far away would press the days so far into a corner.
		if most := now.Add(max(3*now.Sub(from), 14*day)); to.After(most) {
			share := float64(most.Sub(now)) / float64(to.Sub(now))
			to, end = most, p.Migrated+int(share*float64(p.Pending))
		}
	}
	waiting := waitingPoints(f.History.Counts, from, now, p.Pending)
	most := end
	for _, one := range waiting {
		most = max(most, int(one.value))
	}
	scale, x := c.newScale(most), c.timeAxis(from, to)
	c.Legend = []legendEntry{{"line-migrated", "migrated"}}
	if len(waiting) > 1 {
		c.draw(waiting, "line-waiting", x, scale)
		c.Legend = append(c.Legend, legendEntry{"line-waiting", "waiting"})
	}
	c.draw(migrated, "line-migrated", x, scale)
	c.Says = fmt.Sprintf("%s by %s, %s.", count(p.Migrated, "user has migrated", "users have migrated"), date(now), count(p.Pending, "is waiting", "are waiting"))
	if to.After(now) {
		c.draw([]point{{now, float64(p.Migrated)}, {to, float64(end)}}, "line-forecast", x, scale)
		c.Legend = append(c.Legend, legendEntry{"line-forecast", "forecast"})
		c.Says += " " + forecastSays(*f.Plan)
	}
	return c
}

// accumulated returns how many users had migrated at the end of each day, so that the last is
// all. Users of whom no time is known come before the first day.
func accumulated(days []status.Period, all int, now time.Time) (points []point, rows [][]string) {
	sum := all
	for _, one := range days {
		sum -= one.Migrated
	}
	sum = max(sum, 0)
	points = append(points, point{days[0].Start, float64(sum)})
	for _, one := range days {
		if last := points[len(points)-1]; one.Start.Sub(last.at) > day {
			points = append(points, point{one.Start, last.value}) // nothing happened in between
		}
		sum += one.Migrated
		points = append(points, point{earlier(one.Start.Add(day), now), float64(sum)})
		rows = append(rows, []string{one.Start.Format("2 Jan 2006"), number(one.Migrated), number(sum)})
	}
	points = append(points, point{now, float64(sum)})
	slices.Reverse(rows)
	return points, rows[:min(len(rows), progressRows)]
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func waitingPoints(counts []history.Count, from, now time.Time, pending int) []point {
	var points []point
	for _, one := range counts {
		if !one.At.Before(from) {
			points = append(points, point{one.At, float64(one.Waiting)})
		}
	}
	return append(points, point{now, float64(pending)})
}

// forecastSays says when the last user would migrate.
func forecastSays(p migration.Plan) string {
	if p.Progress.Done == nil {
		return ""
	}
	return fmt.Sprintf("At %s a day, the last would migrate about %s.", rate(p.Progress.PerDay), date(*p.Progress.Done))
}

// periodChart shows how many users migrated in each of the last days or hours.
func periodChart(f Facts, now time.Time, each time.Duration, shown int) chart {
	c := chart{ID: "days", Title: fmt.Sprintf("Last %d days", shown), Head: []string{"Day (UTC)", "Migrated"}}
	format := "2 Jan"
	if each == hour {
		c.ID, c.Title, c.Head[0], format = "hours", fmt.Sprintf("Last %d hours", shown), "Hour (UTC)", "2 Jan 15:04"
	}
	if f.Count == nil {
		c.Empty = notCounted
		return c
	}
	found := map[int64]int{}
	periods := f.Count.Days
	if each == hour {
		periods = f.Count.Hours
	}
	for _, one := range periods {
		found[one.Start.Unix()] = one.Migrated
	}
	last, sum := now.UTC().Truncate(each), 0
	slots := make([]slot, 0, shown)
	for i := range shown {
		at := last.Add(-time.Duration(shown-1-i) * each)
		one := slot{name: at.Format(format), values: []part{{found[at.Unix()], "bar-accent", "migrated"}}}
		if i == 0 || i == shown/2 || i == shown-1 {
			one.label = tick(at, each)
		}
		sum += found[at.Unix()]
		slots = append(slots, one)
	}
	if sum == 0 {
		c.Empty = "No user has migrated in this time."
		return c
	}
	c.Says = fmt.Sprintf("%s in the last %d %ss.", count(sum, "user migrated", "users migrated"), shown, unitName(each))
	c.bars(slots)
	slices.Reverse(c.Rows)
	return c
}

func unitName(each time.Duration) string {
	if each == hour {
		return "hour"
	}
	return "day"
}

func tick(at time.Time, each time.Duration) string {
	if each == hour {
		return at.Format("Mon 15:04")
	}
	return at.Format("2 Jan")
}

// outcomesChart shows what the logins of the last hours came to.
func outcomesChart(f Facts, now time.Time) chart {
	c := chart{ID: "outcomes-chart", Title: fmt.Sprintf("Logins in the last %d hours", outcomesShown), Head: []string{"Hour (UTC)"}}
	for _, r := range results() {
		c.Head = append(c.Head, strings.ToUpper(r.name()[:1])+r.name()[1:])
		c.Legend = append(c.Legend, legendEntry{"bar-" + r.class(), r.name()})
	}
	found := map[int64]map[result]int{}
	for _, one := range f.History.Hours {
		found[one.At.Unix()] = byResult(one.Outcomes)
	}
	last, sum := now.UTC().Truncate(hour), map[result]int{}
	slots := make([]slot, 0, outcomesShown)
	for i := range outcomesShown {
		at := last.Add(-time.Duration(outcomesShown-1-i) * hour)
		one := slot{name: at.Format("2 Jan 15:04")}
		for _, r := range results() {
			n := found[at.Unix()][r]
			one.values = append(one.values, part{n, "bar-" + r.class(), r.name()})
			sum[r] += n
		}
		if i == 0 || i == outcomesShown/2 || i == outcomesShown-1 {
			one.label = tick(at, hour)
		}
		slots = append(slots, one)
	}
	if sum[loggedIn]+sum[refused]+sum[couldNotTell]+sum[heldBack] == 0 {
		c.Empty, c.Legend = "No login reached ferry in this time.", nil
		return c
	}
	c.Says = fmt.Sprintf("%s logged in, %s refused, %s not checked, %s held back.", number(sum[loggedIn]), number(sum[refused]), number(sum[couldNotTell]), number(sum[heldBack]))
	c.bars(slots)
	slices.Reverse(c.Rows)
	return c
}

// byResult sums outcomes up by what the logins came to.
func byResult(outcomes map[string]int) map[result]int {
	sums := map[result]int{}
	for _, o := range outcome.All() {
		r, _ := meaning(o)
		sums[r] += outcomes[o.String()]
	}
	return sums
}
