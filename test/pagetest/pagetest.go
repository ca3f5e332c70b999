// Package pagetest has situations of a migration for tests of the page on the admin listener:
// what ferry would know in each. The plans are those of package migration.
package pagetest

import (
	"fmt"
	"math"
	"time"

	"ferry/admin/page"
	"ferry/bulk/kind"
	"ferry/bulk/status"
	"ferry/history"
	"ferry/migration"
	"ferry/verification"
)

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

// Situation is what ferry knows.
type Situation struct {
	Name  string
	Facts page.Facts
	// Mode is the mode that ferry is in.
	Mode string
}

// Now is the time of all situations.
func Now() time.Time { return time.Date(2026, 11, 29, 10, 40, 0, 0, time.UTC) }

// All returns the situations.
func All() []Situation {
	return []Situation{Empty(), Counting(), One(), Middle(), TenMillion(), Broken(), Done()}
}

// Empty is a ferry that was just started, with defaults: it counts nothing and keeps nothing.
func Empty() Situation {
	return Situation{"empty", page.Facts{
		History:  history.Data{Kept: history.InMemory},
		LastHour: window(nil, Now().Add(-3*time.Minute)), LastQuarter: window(nil, Now().Add(-3*time.Minute)),
		Kratos: page.Kratos{Checked: Now(), Version: "v1.3.1"},
	}, "on"}
}

// Counting is a ferry that has not ended its first count. Its history has an earlier one.
func Counting() Situation {
	f := Empty().Facts
	f.CountEvery, f.RecordsKept = hour, true
	f.History = history.Data{Kept: history.InFile, Counts: []history.Count{{At: Now().Add(-5 * hour), Total: 12000, Migrated: 7000, Waiting: 5000}}}
	return Situation{"counting", f, "on"}
}

// One is a tenant with a single user, who is waiting.
func One() Situation {
	s := counted(map[string]map[kind.Kind]int{"Username-Password-Authentication": {kind.Pending: 1}})
	return Situation{"one", facts(s, records(1, nil), history.InFile), "on"}
}

// Middle is a migration that goes well: forty days, ten thousand users, three connections.
func Middle() Situation {
	s := counted(map[string]map[kind.Kind]int{
		"Username-Password-Authentication": {kind.Migrated: 5210, kind.Unnoted: 12, kind.Pending: 2410},
		"customers-eu":                     {kind.Migrated: 1180, kind.Pending: 1160, kind.Own: 40},
		"legacy-shop":                      {kind.Pending: 18, kind.Bridge: 7},
		"google-oauth2":                    {kind.Social: 430},
	})
	s.Connections["legacy-shop"].Obstacles[status.NoAddress] = 4
	over(&s, 6402, 40, 0.03)
	f := facts(s, records(10467, map[migration.BlockerKind]int{migration.SecondFactor: 93, migration.Hindered: 3}), history.InFile)
	f.History.Counts = waitingOver(s, 40)
	f.History.Hours = logins(24, func(i int) map[string]int {
		return map[string]int{"match": 6 + i%5, "mismatch": 1 + i%3, "mfa_required": i % 2}
	})
	f.LastHour = window(map[string]int{"match": 9, "mismatch": 2, "mfa_required": 1}, Now().Add(-hour))
	f.LastQuarter = window(map[string]int{"match": 2, "mismatch": 1}, Now().Add(-15*time.Minute))
	f.Auth0.Breakers = map[string]string{"Username-Password-Authentication": "closed", "customers-eu": "closed"}
	return Situation{"middle", f, "on"}
}

// TenMillion is a large tenant on several replicas.
func TenMillion() Situation {
	kinds := map[string]map[kind.Kind]int{
		"Username-Password-Authentication":                                        {kind.Migrated: 5_480_311, kind.Pending: 3_219_688},
		"a-connection-with-a-name-that-is-as-long-as-auth0-lets-it-be-0123456789": {kind.Migrated: 300_001, kind.Pending: 1_000_000},
	}
	for i := range 60 {
		kinds[fmt.Sprintf("tenant-%02d", i)] = map[kind.Kind]int{kind.Migrated: 10 * i, kind.Pending: 5 * (60 - i)}
	}
	s := counted(kinds)
	over(&s, 5_780_312+17_700, 400, 0.004)
	f := facts(s, records(10_000_000, map[migration.BlockerKind]int{
		migration.Missing: 12_345, migration.SecondFactor: 240_120, migration.SocialWithoutProvider: 1_204_551, migration.NotImportable: 17, migration.Hindered: 88_102,
	}), history.InRedis)
	f.History.Counts = waitingOver(s, 400)
	f.History.Hours = logins(24, func(i int) map[string]int {
		return map[string]int{"match": 900 + 60*i, "mismatch": 210 + 10*i, "limited": 3 * (i % 4), "unavailable": 20 * (i % 2)}
	})
	f.LastHour = window(map[string]int{"match": 2204, "mismatch": 440, "unavailable": 12, "not_pending": 3, "oversize": 1}, Now().Add(-hour))
	f.LastQuarter = window(map[string]int{"match": 501, "mismatch": 100, "unavailable": 2}, Now().Add(-15*time.Minute))
	f.Auth0.Breakers = map[string]string{"Username-Password-Authentication": "closed"}
	f.Redis = &page.Redis{Checked: Now()}
	return Situation{"ten-million", f, "on"}
}

// Broken is everything at once.
func Broken() Situation {
	f := Middle().Facts
	f.Count.At = Now().Add(-9 * hour)
	failed := f.Records[verification.Doctor]
	failed.OK, failed.Counts = false, map[string]int{"fail": 3, "warn": 2}
	f.Records[verification.Doctor] = failed
	old := f.Records[verification.Reconcile]
	old.Ended = Now().Add(-40 * day)
	old.OK = false
	f.Records[verification.Reconcile] = old
	f.Plan = decide(*f.Count, f.Records, false)
	f.Plan.NotMoving = "no pending user has logged in for 9 days: write to the 3,588 who are left"
	f.RecordsFault = "read the record of import: unexpected end of JSON input"
	f.LastHour = window(map[string]int{"unavailable": 40, "garbled": 4, "misconfigured": 2, "limited": 3, "match": 1, "unbound": 2, "paused": 30}, Now().Add(-hour))
	f.LastQuarter = f.LastHour
	f.LastQuarter.Reasons = map[history.Reason]int{
		{Outcome: "unavailable", Reason: "timeout"}: 30, {Outcome: "garbled", Reason: "id_token_untrusted"}: 4,
		{Outcome: "unavailable", Reason: "kratos_unreachable"}: 10, {Outcome: "misconfigured", Reason: "invalid_client"}: 2,
	}
	f.LastHour.Reasons = f.LastQuarter.Reasons
	f.History.Hours = logins(24, func(i int) map[string]int {
		return map[string]int{"match": max(0, 12-i), "unavailable": 3 * max(0, i-10), "paused": max(0, i-18)}
	})
	f.History.Kept, f.History.Fault = history.InMemory, "state: read the history: redis does not answer, and is not asked again for a moment"
	f.Auth0 = page.Auth0{Breakers: map[string]string{"Username-Password-Authentication": "open", "customers-eu": "half-open"}, WaitsUntil: Now().Add(5 * time.Minute)}
	f.Kratos = page.Kratos{Checked: Now().Add(-time.Minute), Fault: "admin API: connection refused"}
	f.Redis = &page.Redis{Checked: Now(), Fault: "state: ping: dial tcp 127.0.0.1:6379: connect: connection refused"}
	return Situation{"broken", f, "off"}
}

// Done is the end: no user needs Auth0.
func Done() Situation {
	s := counted(map[string]map[kind.Kind]int{
		"Username-Password-Authentication": {kind.Migrated: 9120, kind.Unnoted: 12, kind.Finished: 800},
		"customers-eu":                     {kind.Migrated: 2300, kind.Own: 41},
	})
	over(&s, 11420, 120, 0.02)
	f := facts(s, records(12273, nil), history.InFile)
	f.History.Counts = waitingOver(s, 120)
	f.Auth0.Breakers = map[string]string{"Username-Password-Authentication": "closed"}
	return Situation{"done", f, "on"}
}

// facts are those of a ferry that counts and keeps records.
func facts(s status.Status, r verification.Records, kept string) page.Facts {
	return page.Facts{
		Count: &s, CountEvery: hour, Plan: decide(s, r, s.Kinds[kind.Finished] > 0), Records: r, RecordsKept: true,
		History:  history.Data{Kept: kept},
		LastHour: window(nil, Now().Add(-hour)), LastQuarter: window(nil, Now().Add(-15*time.Minute)),
		Kratos: page.Kratos{Checked: Now(), Version: "v26.2.0"},
	}
}

func decide(s status.Status, r verification.Records, closed bool) *migration.Plan {
	exported := Now().Add(-2 * day)
	p := migration.Decide(migration.Facts{
		Now: Now(), Status: s, Closed: closed, Settings: "s", Records: r, RecordsKept: true, UsersAt: &exported,
		Files: migration.Files{KratosConfig: "kratos.yml", Users: "users.ndjson.gz"},
		Rules: migration.Rules{ReconcileMaxAge: 7 * day, Quiet: 14 * day},
	})
	return &p
}

// records are those of doctor, import and reconcile, which found blockers.
func records(users int, blockers map[migration.BlockerKind]int) verification.Records {
	on, exported := true, Now().Add(-2*day)
	all := verification.Records{}
	for command, ago := range map[verification.Command]time.Duration{verification.Doctor: 3 * hour, verification.Import: 40 * day, verification.Reconcile: 26 * hour} {
		all[command] = verification.Record{
			Command: command, Started: Now().Add(-ago - time.Minute), Ended: Now().Add(-ago), Version: "v1", OK: true,
			Settings: "s", KratosConfig: "k", HookOn: &on, InputAt: &exported, Counts: map[string]int{},
		}
	}
	all[verification.Doctor].Counts["ok"] = 31
	all[verification.Import].Counts["created"] = users
	all[verification.Reconcile].Counts["users"] = users
	all[verification.Reconcile].Counts[migration.CountLoseActive] = users / 5
	for kind, n := range blockers {
		all[verification.Reconcile].Counts[string(kind)] = n
		if kind != migration.Hindered {
			all[verification.Reconcile].Counts[migration.CountNoIdentity] += n
		}
	}
	return all
}

// counted returns a status with these kinds by connection.
func counted(connections map[string]map[kind.Kind]int) status.Status {
	s := status.Status{At: Now().Add(-20 * time.Minute), Kinds: map[kind.Kind]int{}, Connections: map[string]status.Connection{}}
	for name, kinds := range connections {
		one := status.Connection{Kinds: kinds, Obstacles: map[status.Obstacle]int{}}
		for k, n := range kinds {
			one.Total += n
			s.Kinds[k] += n
		}
		s.Total += one.Total
		s.Connections[name] = one
	}
	if moved := s.Kinds[kind.Migrated] + s.Kinds[kind.Unnoted]; moved > 0 {
		s.Share = float64(moved) / float64(moved+s.Kinds[kind.Pending])
	}
	return s
}

// over spreads migrations over the last days, more of them at the beginning, and over the
// hours of the day.
func over(s *status.Status, migrated, days int, fall float64) {
	weights, sum := make([]float64, days), 0.0
	for i := range days {
		weights[i] = math.Exp(-fall*float64(i)) * (1 + 0.3*math.Sin(float64(i)*2*math.Pi/7))
		sum += weights[i]
	}
	today, left := Now().Truncate(day), migrated
	for i, weight := range weights {
		n := int(float64(migrated) * weight / sum)
		if i == days-1 {
			n = left
		}
		left -= n
		start := today.Add(-time.Duration(days-1-i) * day)
		s.Days = append(s.Days, status.Period{Start: start, Migrated: n})
		if days-1-i < 14 {
			s.Hours = append(s.Hours, hoursOf(start, n)...)
		}
		if days-1-i < 7 {
			s.LastWeek += n
		}
		if i == days-1 {
			s.LastDay = n
		}
	}
	last := Now().Add(-11 * time.Minute)
	s.LastMigratedAt, s.PerDay = &last, float64(s.LastWeek)/7
	if s.PerDay > 0 {
		done := s.At.Add(time.Duration(float64(s.Kinds[kind.Pending]) / s.PerDay * float64(day)))
		s.Done = &done
	}
}

func hoursOf(start time.Time, n int) (hours []status.Period) {
	for h := range 24 {
		at := start.Add(time.Duration(h) * hour)
		if at.After(Now()) {
			break
		}
		if share := n * (1 + int(6*math.Sin(float64(h)*math.Pi/24))) / 100; share > 0 {
			hours = append(hours, status.Period{Start: at, Migrated: share})
		}
	}
	return hours
}

// waitingOver returns a count for each day.
func waitingOver(s status.Status, days int) (counts []history.Count) {
	migrated, waiting := s.Kinds[kind.Migrated]+s.Kinds[kind.Unnoted], s.Kinds[kind.Pending]
	for i := len(s.Days) - 1; i >= max(0, len(s.Days)-days); i-- {
		counts = append([]history.Count{{At: s.Days[i].Start.Add(10 * hour), Total: s.Total, Migrated: migrated, Waiting: waiting}}, counts...)
		migrated, waiting = migrated-s.Days[i].Migrated, waiting+s.Days[i].Migrated
	}
	return counts
}

func logins(hours int, of func(i int) map[string]int) (all []history.Hour) {
	for i := range hours {
		all = append(all, history.Hour{At: Now().Truncate(hour).Add(-time.Duration(hours-1-i) * hour), Outcomes: of(i)})
	}
	return all
}

func window(outcomes map[string]int, since time.Time) history.Window {
	return history.Window{Since: since, Outcomes: outcomes, Reasons: map[history.Reason]int{}}
}
