package importer

import (
	"strings"
	"time"

	"ferry/bulk/results"
	"ferry/kratos"
)

// Summary says what an import did, in all parts of a resumed run together.
type Summary struct {
	// DryRun says that nothing was written.
	DryRun bool `json:"dry_run"`
	// Rows is the number of rows of this shard that have a result.
	Rows int `json:"rows"`
	// Outcomes and Reasons count rows, by outcome and by "outcome: reason".
	Outcomes map[results.Outcome]int `json:"outcomes"`
	Reasons  map[string]int          `json:"reasons"`
	// MFADropped is the number of users who had a second factor at Auth0 and got an identity
	// without one.
	MFADropped int `json:"mfa_dropped"`
	// MFAKept is the number of users whose second factor was imported.
	MFAKept int `json:"mfa_kept"`
	// SocialLeftOut is the number of linked social accounts that were left out, because the
	// primary e-mail address is not verified or the provider is not named.
	SocialLeftOut int `json:"social_left_out"`
	// BridgeLeftOut is the number of users who get no login at the bridge, because Auth0 did not
	// verify an address of theirs, or because Kratos could send a user with a second factor a
	// code.
	BridgeLeftOut int `json:"bridge_left_out"`
	// PhonesLeftOut is the number of optional, unverified phone numbers that were left out
	// because Kratos would refuse them.
	PhonesLeftOut int `json:"phones_left_out"`
	// FieldsLeftOut counts, by field, the identities that were created without a field that
	// Kratos does not have.
	FieldsLeftOut map[kratos.Field]int `json:"fields_left_out,omitempty"`
	// Unverified is the number of users with a password who got an identity although Auth0
	// verified none of their addresses.
	Unverified int `json:"unverified"`
	// NoVerifiedAddress is the number of identities with a password and without a verified
	// address, which Kratos' require_verified_address does not let log in.
	NoVerifiedAddress int `json:"no_verified_address"`
	// WithoutConnection is the number of users with a password and an identity for whom the
	// file does not have the connection.
	WithoutConnection int `json:"without_connection"`
	// Shared is the number of rows that fail because another row has the same identifier or
	// address.
	Shared int `json:"identifiers_shared"`
	// SeveralAccounts is the number of people in the whole file who have several accounts with
	// one verified address. PeopleMerged of them get one identity for all accounts, and
	// PeopleLeftOut get none for any.
	SeveralAccounts int `json:"people_with_several_accounts"`
	PeopleMerged    int `json:"people_merged"`
	PeopleLeftOut   int `json:"people_left_out"`
	// Folding is the number of identifiers of several users that the next Kratos would take
	// for one; FoldingLines are the lines of the first of them.
	Folding      int     `json:"identifiers_folding"`
	FoldingLines [][]int `json:"identifiers_folding_lines,omitempty"`
	// HashesUsed is the number of users that a hash was found for; HashesTotal the number of
	// hashes in the file.
	HashesUsed  int `json:"hashes_used"`
	HashesTotal int `json:"hashes_total"`
	// Resumed is the number of rows that an earlier part of the run did.
	Resumed int `json:"resumed"`
	// Gone is the number of identities that an earlier part of the run created, and that are no
	// longer in Kratos.
	Gone int `json:"gone"`
	// Seconds is the duration of this part; Rate is its rows per second.
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"rows_per_second"`
}

func (s *Summary) count(r results.Result) { s.add(r, 1) }

// uncount takes back the count of a result that an earlier part of the run wrote.
func (s *Summary) uncount(r results.Result) {
	s.add(r, -1)
	s.Resumed--
}

func (s *Summary) add(r results.Result, n int) {
	if s.Outcomes == nil {
		s.Outcomes, s.Reasons = map[results.Outcome]int{}, map[string]int{}
	}
	s.Rows += n
	s.Outcomes[r.Outcome] += n
	if r.Reason != "" {
		word, _, _ := strings.Cut(r.Reason, ":") // results of earlier releases have the detail behind it
		s.Reasons[string(r.Outcome)+": "+word] += n
	}
}

func (s *Summary) took(d time.Duration) {
	s.Seconds = d.Seconds()
	if fresh := s.Rows - s.Resumed; s.Seconds > 0 {
		s.Rate = float64(fresh) / s.Seconds
	}
}

// Created returns the number of identities that the run created.
func (s Summary) Created() int {
	created := 0
	for outcome, n := range s.Outcomes {
		if outcome.Created() {
			created += n
		}
	}
	return created
}

// Failed returns the number of rows that should have become an identity and did not.
func (s Summary) Failed() int { return s.Outcomes[results.Failed] }
