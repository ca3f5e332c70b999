package status

import (
	"context"
	"hash/maphash"
	"time"

	"ferry/bulk/kind"
	"ferry/bulk/progress"
	"ferry/bulk/scan"
	"ferry/bulk/userfile"
	"ferry/kratos"
	"ferry/mapping"
)

// activeFor is how long ago a user may have logged in at Auth0 to count as active.
const activeFor = 90 * day

// Export counts the users of an export who lose access without Auth0.
type Export struct {
	Users int `json:"users"`
	// NoIdentity is the number of users without an identity who are not blocked at Auth0.
	NoIdentity int `json:"no_identity"`
	// LoseActive is the number of users who have no identity, or are pending or have only the
	// bridge, and logged in at Auth0 in the last 90 days.
	LoseActive int `json:"lose_access_active_90_days"`
}

// subjects say of each Auth0 user that an identity records whether the user needs Auth0. A
// nil subjects notes nothing. It has hashes of 64 bits, so a million users take some 40 MB; two
// users share one with a chance of less than one in ten million.
type subjects struct {
	seed  maphash.Seed
	needs map[uint64]bool
}

func newSubjects(wanted bool) *subjects {
	if !wanted {
		return nil
	}
	return &subjects{maphash.MakeSeed(), map[uint64]bool{}}
}

func (s *subjects) add(record kratos.Record, how kind.Kind) {
	if s == nil {
		return
	}
	for _, subject := range record.Binding.Subjects {
		s.needs[maphash.String(s.seed, subject)] = how == kind.Pending || how == kind.Bridge
	}
}

// count reads the export; without subjects it returns nil.
func (s *subjects) count(ctx context.Context, users *userfile.Source, now time.Time, reporter progress.Reporter) (*Export, error) {
	if s == nil {
		return nil, nil //nolint:nilnil // not wanted
	}
	var counts Export
	for row, err := range scan.Users(ctx, users, reporter, "users") {
		if err != nil {
			return nil, err
		}
		if row.Err != nil {
			continue
		}
		profile, err := mapping.FromUser(row.JSON)
		if err != nil {
			continue
		}
		counts.Users++
		needs, known := s.needs[maphash.String(s.seed, profile.UserID)]
		missing := !known && !profile.Blocked
		if missing {
			counts.NoIdentity++
		}
		at, dated := mapping.Time(profile.Claims["last_login"])
		if (missing || needs) && dated && now.Sub(at) < activeFor {
			counts.LoseActive++
		}
	}
	return &counts, nil
}
