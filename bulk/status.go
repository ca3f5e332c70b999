package bulk

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"ferry/kratos"
)

// Status is how far the migration is.
type Status struct {
	// At is when it was read; reading takes seconds for tens of thousands.
	At time.Time `json:"at"`
	// Total is how many identities Kratos has; Kinds counts them.
	Total int          `json:"total"`
	Kinds map[Kind]int `json:"kinds"`
	// Unbound is how many of them record no Auth0 user: they never were Auth0's, or were
	// imported by something else.
	Unbound int `json:"unbound"`
	// InactivePending is how many of the inactive ones still need the hook, should
	// somebody activate them: without it, their logins end in an error.
	InactivePending int `json:"inactive_pending"`
	// Crossed is the share of those that once were pending or could be, so not of who
	// registered at Kratos: 1 when nobody needs Auth0 any more.
	Crossed float64 `json:"crossed"`
	// LastDay and LastWeek are how many the hook brought across in that time.
	LastDay  int `json:"migrated_last_day"`
	LastWeek int `json:"migrated_last_week"`
	// PerDay is the recent rate; Done when nobody would be pending if it stayed so, and
	// nil where nothing tells. It never stays so: the last ones come late, or never.
	PerDay float64    `json:"per_day"`
	Done   *time.Time `json:"done,omitempty"`

	native int // own passwords of those that record no Auth0 user
}

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// ReadStatus reads every identity of Kratos' once. The stragglers, who are pending and
// active, go to the CSV file as they are found, if there is one.
func ReadStatus(ctx context.Context, identities *kratos.Client, stragglers io.Writer, progress Progress, now func() time.Time) (Status, error) {
	s := Status{At: now().UTC(), Kinds: map[Kind]int{}}
	list, err := newStragglers(stragglers)
	if err != nil {
		return Status{}, err
	}
	var first time.Time
	progress.Start("identities in Kratos", 0)
	defer progress.Done()
	err = identities.Walk(ctx, func(record kratos.Record) error {
		progress.Add(1)
		if at, ok := record.MigratedAt(); ok {
			s.recent(at)
			if first.IsZero() || at.Before(first) {
				first = at
			}
		}
		return s.add(record, list)
	})
	if err != nil {
		return Status{}, fmt.Errorf("read the identities in Kratos: %w", walkFault(ctx, err))
	}
	s.forecast(first)
	return s, list.flush()
}

func (s *Status) add(record kratos.Record, list *stragglers) error {
	kind := kindOf(record)
	s.Total++
	s.Kinds[kind]++
	if primary(record) == "" {
		s.Unbound++
		if kind == KindOwn {
			s.native++
		}
	}
	switch {
	case kind == KindPending:
		return list.add(record)
	case record.Pending:
		s.InactivePending++
	}
	return nil
}

func (s *Status) recent(at time.Time) {
	if s.At.Sub(at) < day {
		s.LastDay++
	}
	if s.At.Sub(at) < week {
		s.LastWeek++
	}
}

// forecast takes the last week for the recent rate, or what there is of it.
func (s *Status) forecast(first time.Time) {
	pending := s.Kinds[KindPending]
	if crossed := s.Kinds[KindMigrated] + s.Kinds[KindHash] + s.Kinds[KindOwn] - s.native; crossed+pending > 0 {
		s.Crossed = float64(crossed) / float64(crossed+pending)
	}
	if s.LastWeek == 0 {
		return
	}
	span := max(min(s.At.Sub(first), week), time.Hour)
	s.PerDay = float64(s.LastWeek) / (span.Hours() / day.Hours())
	done := s.At.Add(time.Duration(float64(pending) / s.PerDay * float64(day)))
	if left := done.Sub(s.At); left >= 0 && left < 100*365*day {
		s.Done = &done
	}
}

// stragglers writes who is still pending, for a mail campaign.
type stragglers struct{ out *csv.Writer }

func newStragglers(to io.Writer) (*stragglers, error) {
	if to == nil {
		return &stragglers{}, nil
	}
	s := &stragglers{csv.NewWriter(to)}
	return s, s.out.Write([]string{"address", "verified", "identity_id", "user_id", "connection", "imported_at"})
}

func (s *stragglers) add(record kratos.Record) error {
	if s.out == nil {
		return nil
	}
	address, verified := reach(record)
	imported := ""
	if at := originOf(record).At; !at.IsZero() {
		imported = at.UTC().Format(time.RFC3339)
	}
	row := []string{address, fmt.Sprint(verified), record.ID, primary(record), record.Binding.Connection, imported}
	for i := range row {
		row[i] = harmless(row[i])
	}
	return s.out.Write(row)
}

// plainNumber is a phone number, which a spreadsheet takes for no more than a number.
var plainNumber = regexp.MustCompile(`^\+[0-9 ]+$`)

// harmless puts a quote before a cell that a spreadsheet would compute: people choose
// their names and addresses themselves, and operators open such a file.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) && !plainNumber.MatchString(cell) {
		return "'" + cell
	}
	return cell
}

func (s *stragglers) flush() error {
	if s.out == nil {
		return nil
	}
	s.out.Flush()
	return s.out.Error()
}

// reach is where the person can be written to: an address that is verified before one
// that is not, e-mail before anything else, and the identifier where there is neither.
func reach(record kratos.Record) (address string, verified bool) {
	all := slices.Clone(record.Addresses)
	slices.SortStableFunc(all, func(a, b kratos.Address) int { return rankAddress(b) - rankAddress(a) })
	if len(all) > 0 {
		return all[0].Value, all[0].Verified
	}
	if len(record.Identifiers) > 0 {
		return record.Identifiers[0], false
	}
	return "", false
}

func rankAddress(a kratos.Address) int {
	rank := 0
	if a.Verified {
		rank += 2
	}
	if a.Via == "email" {
		rank++
	}
	return rank
}
