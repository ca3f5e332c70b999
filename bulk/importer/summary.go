package importer

import (
	"strings"
	"time"

	"ferry/bulk/results"
)

// Summary is what an import has done, all parts of a resumed run together.
type Summary struct {
	// DryRun: nothing was written.
	DryRun bool `json:"dry_run"`
	// Rows are the rows of this shard that have a result.
	Rows int `json:"rows"`
	// Outcomes and Reasons count rows, by outcome and by outcome and the reason's word.
	Outcomes map[results.Outcome]int `json:"outcomes"`
	Reasons  map[string]int          `json:"reasons"`
	// MFADropped are users who had a second factor at Auth0, and got an identity without.
	MFADropped int `json:"mfa_dropped"`
	// SocialLeftOut are linked social accounts that were not taken over, because the
	// primary e-mail address is not verified or nobody named the provider.
	SocialLeftOut int `json:"social_left_out"`
	// PhonesLeftOut are optional, unverified phone numbers that Kratos would refuse.
	PhonesLeftOut int `json:"phones_left_out"`
	// Unverified are users with a password who got an identity, and of whose addresses
	// Auth0 verified none.
	Unverified int `json:"unverified"`
	// NoVerifiedAddress are identities with a password and without a verified address:
	// Kratos' require_verified_address keeps them out.
	NoVerifiedAddress int `json:"no_verified_address"`
	// Shared is how many rows fail because another row has the same identifier or address.
	Shared int `json:"identifiers_shared"`
	// Folding are identifiers that the next Kratos would take for one and the same,
	// though they are of several users; FoldingLines are the lines of the first of them.
	Folding      int     `json:"identifiers_folding"`
	FoldingLines [][]int `json:"identifiers_folding_lines,omitempty"`
	// HashesUsed is how many users of the file a hash was found for; HashesTotal how
	// many the hash file has.
	HashesUsed  int `json:"hashes_used"`
	HashesTotal int `json:"hashes_total"`
	// Resumed is how many of the rows an earlier part of the run had done.
	Resumed int `json:"resumed"`
	// Seconds is how long this part took; Rate is its rows for each second.
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"rows_per_second"`
}

func (s *Summary) count(r results.Result) {
	if s.Outcomes == nil {
		s.Outcomes, s.Reasons = map[results.Outcome]int{}, map[string]int{}
	}
	s.Rows++
	s.Outcomes[r.Outcome]++
	if r.Reason != "" {
		word, _, _ := strings.Cut(r.Reason, ":") // results of earlier releases have the detail behind it
		s.Reasons[string(r.Outcome)+": "+word]++
	}
}

func (s *Summary) took(d time.Duration) {
	s.Seconds = d.Seconds()
	if fresh := s.Rows - s.Resumed; s.Seconds > 0 {
		s.Rate = float64(fresh) / s.Seconds
	}
}

// Created is how many identities the run made.
func (s Summary) Created() int {
	return s.Outcomes[results.CreatedHash] + s.Outcomes[results.CreatedPending] + s.Outcomes[results.CreatedSocial]
}

// Failed is how many rows should have become an identity and have not.
func (s Summary) Failed() int { return s.Outcomes[results.Failed] }
