// Package status counts how far the migration is, and lists the stragglers.
//
//	for each identity in Kratos: count its kind; note it if it is pending
//	for each user of the export, if one is given: complete the noted straggler
//	write the stragglers, latest login first
//
// It writes nothing to Kratos.
package status

import (
	"context"
	"io"
	"net/http"
	"time"

	"ferry/bulk/kind"
	"ferry/bulk/progress"
	"ferry/bulk/scan"
	"ferry/bulk/userfile"
	"ferry/kratos"
	"ferry/provenance"
)

// Status says how far the migration is.
type Status struct {
	// At is the time of the reading, which takes seconds for tens of thousands.
	At time.Time `json:"at"`
	// Total is the number of identities in Kratos; Kinds counts them by kind.
	Total int               `json:"total"`
	Kinds map[kind.Kind]int `json:"kinds"`
	// Unbound is the number of identities that record no Auth0 user: they are not from
	// Auth0, or another program imported them.
	Unbound int `json:"unbound"`
	// InactivePending is the number of inactive identities that still need the hook if they
	// are activated: without it, their logins end in an error.
	InactivePending int `json:"inactive_pending"`
	// Share is the share of imported identities with a password that no longer need Auth0;
	// 1: none needs it.
	Share float64 `json:"migrated_share"`
	// LastDay and LastWeek are the numbers of identities that migrated in that time.
	LastDay  int `json:"migrated_last_day"`
	LastWeek int `json:"migrated_last_week"`
	// PerDay is the recent rate. Done is when no identity would be pending at that rate, nil
	// if that is not known. It is optimistic: the last users log in late, or never. Both are
	// zero in the first day after the first migration.
	PerDay float64    `json:"per_day"`
	Done   *time.Time `json:"done,omitempty"`

	// Connections counts the identities by Auth0 connection, see ConnectionOf.
	Connections map[string]Connection `json:"connections"`
	// LastMigratedAt is when the last user migrated of whom that is noted; nil: none.
	LastMigratedAt *time.Time `json:"last_migrated_at,omitempty"`
	// Days and Hours have, in order, each day, and each hour of the last 14 days, in which
	// users migrated of whom that is noted.
	Days  []Period `json:"migrated_by_day"`
	Hours []Period `json:"migrated_by_hour"`

	// Export counts the users of an export; nil: none was to be counted.
	Export *Export `json:"export,omitempty"`

	// Observed is what the running ferries tell; nil if they were not asked.
	Observed *Observed `json:"observed,omitempty"`

	native int // own passwords of identities that record no Auth0 user

	// While identities are read: see settle.
	byConnection map[string]*Connection
	days, hours  map[time.Time]int
}

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// Options say what to read. Kratos, Progress and Now must be set.
type Options struct {
	Kratos *kratos.Client
	// Stragglers receives the pending, active users, as CSV; nil: no list.
	Stragglers io.Writer
	// Users is an export of Auth0's users, for each straggler's last login, locale and name.
	// Nil: no last login, and locale and name from the traits.
	Users *userfile.Source
	// CountUsers asks for Status.Export. It needs Users.
	CountUsers bool
	Progress   progress.Reporter
	Now        func() time.Time
	// Metrics are the URLs of the metrics of running ferries, each of MetricsURL, and Client
	// reads them. Without Metrics there is no Observed.
	Metrics []string
	Client  *http.Client
}

// Read reads every identity in Kratos once.
func Read(ctx context.Context, opts Options) (Status, error) {
	s := Status{
		At: opts.Now().UTC(), Kinds: map[kind.Kind]int{},
		byConnection: map[string]*Connection{}, days: map[time.Time]int{}, hours: map[time.Time]int{},
	}
	if len(opts.Metrics) > 0 {
		var err error
		if s.Observed, err = observe(ctx, opts.Client, opts.Metrics); err != nil {
			return Status{}, err
		}
	}
	list := &stragglers{wanted: opts.Stragglers != nil}
	known := newSubjects(opts.CountUsers)
	var first time.Time
	err := scan.Identities(ctx, opts.Kratos, opts.Progress, func(record kratos.Record) error {
		if at, ok := provenance.MigratedAt(record.MetadataAdmin); ok {
			s.recent(at)
			s.count(at)
			if first.IsZero() || at.Before(first) {
				first = at
			}
		}
		s.add(record, list)
		known.add(record, kind.Of(record))
		return nil
	})
	if err != nil {
		return Status{}, err
	}
	s.forecast(first)
	s.settle()
	if s.Export, err = known.count(ctx, opts.Users, s.At, opts.Progress); err != nil {
		return Status{}, err
	}
	if err := list.complete(ctx, opts.Users, opts.Progress); err != nil {
		return Status{}, err
	}
	return s, list.write(opts.Stragglers)
}

func (s *Status) add(record kratos.Record, list *stragglers) {
	how := kind.Of(record)
	s.Total++
	s.Kinds[how]++
	s.connection(ConnectionOf(record)).add(record, how)
	if record.Binding.Primary() == "" {
		s.Unbound++
		if how == kind.Own {
			s.native++
		}
	}
	switch {
	case how == kind.Pending:
		list.add(record)
	case record.Pending:
		s.InactivePending++
	}
}

func (s *Status) recent(at time.Time) {
	if s.At.Sub(at) < day {
		s.LastDay++
	}
	if s.At.Sub(at) < week {
		s.LastWeek++
	}
}

// forecast computes the rate from the last week, or from the part of it since the first
// migration.
func (s *Status) forecast(first time.Time) {
	pending := s.Kinds[kind.Pending]
	if moved := s.Kinds[kind.Migrated] + s.Kinds[kind.Unnoted] + s.Kinds[kind.Hash] + s.Kinds[kind.Own] - s.native; moved+pending > 0 {
		s.Share = float64(moved) / float64(moved+pending)
	}
	span := min(s.At.Sub(first), week)
	if s.LastWeek == 0 || span < day {
		return
	}
	s.PerDay = float64(s.LastWeek) / (span.Hours() / day.Hours())
	done := s.At.Add(time.Duration(float64(pending) / s.PerDay * float64(day)))
	if left := done.Sub(s.At); left >= 0 && left < 100*365*day {
		s.Done = &done
	}
}
