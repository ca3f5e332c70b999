package gen

// Outcome is the result of importing a line.
type Outcome string

// The outcomes.
const (
	CreatedHash    Outcome = "created_hash"
	CreatedPending Outcome = "created_pending"
	CreatedSocial  Outcome = "created_social"
	Skipped        Outcome = "skipped"
	Failed         Outcome = "failed"
)

// Outcomes lists every outcome.
func Outcomes() []Outcome {
	return []Outcome{CreatedHash, CreatedPending, CreatedSocial, Skipped, Failed}
}

// Reason explains an outcome.
type Reason string

// The reasons, in the order of the rules.
const (
	Unreadable      Reason = "unreadable"
	DuplicateUser   Reason = "duplicate_user"
	MFA             Reason = "mfa"
	NoLoginMethod   Reason = "no_login_method"
	Invalid         Reason = "invalid"
	NoIdentifier    Reason = "no_identifier"
	IdentifierTwice Reason = "identifier_twice"
	NoHash          Reason = "no_hash"
	StaleHash       Reason = "stale_hash"
	UnusableHash    Reason = "unusable_hash"
)

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{
		Unreadable, DuplicateUser, MFA, NoLoginMethod, Invalid, NoIdentifier, IdentifierTwice, NoHash, StaleHash, UnusableHash,
	}
}

// Expected is one line of expected.ndjson: the expected result for a line of users.ndjson.
type Expected struct {
	// Line is the physical line of users.ndjson, from 1; blank lines count.
	Line int `json:"line"`
	// CSVLine is the line of users.csv, and Element the element of users.json, both
	// from 1; 0 if that file is not written or cannot contain such a line.
	CSVLine int `json:"csv_line,omitempty"`
	Element int `json:"element,omitempty"`
	// UserID is empty if the line has none.
	UserID  string  `json:"user_id"`
	Outcome Outcome `json:"outcome"`
	Reason  Reason  `json:"reason,omitempty"`
	// Identifier and Password are those of the login that the user has in the tenant,
	// for every outcome; empty without a database.
	Identifier string `json:"identifier,omitempty"`
	Password   string `json:"password,omitempty"`
	// Connection is that of this login as the line tells it; it may be empty though
	// there is a password: then it is [Database].
	Connection string `json:"connection,omitempty"`
	Blocked    bool   `json:"blocked,omitempty"`
	// Kind is the sort of line: one of [Kinds].
	Kind string `json:"kind"`
}
