package page

import (
	"time"

	"ferry/bulk/status"
	"ferry/history"
	"ferry/migration"
	"ferry/verification"
)

// Facts are what the page shows. Each may be missing: the page then says so.
type Facts struct {
	// Count is the last count of Kratos' identities by this ferry; nil: there is none yet.
	// CountEvery is the time between two counts; 0: this ferry does not count.
	Count      *status.Status
	CountEvery time.Duration
	// Plan is decided by Count; nil without it.
	Plan *migration.Plan
	// Records are what commands verified. RecordsKept is false if nothing keeps them, and
	// RecordsFault says why some could not be read.
	Records      verification.Records
	RecordsKept  bool
	RecordsFault string
	History      history.Data
	// LastHour and LastQuarter are the logins that this ferry decided in that time.
	LastHour, LastQuarter history.Window
	Auth0                 Auth0
	Kratos                Kratos
	// Redis is nil if the state is in memory.
	Redis *Redis
}

// Auth0 is Auth0 as ferry sees it.
type Auth0 struct {
	// Breakers are the states of the circuit breakers by connection: closed, half-open, open.
	Breakers map[string]string
	// WaitsUntil is when Auth0's rate limit resets; zero if it is not used up.
	WaitsUntil time.Time
}

// Kratos is Kratos' admin API as ferry sees it.
type Kratos struct {
	// Checked is when it was asked last.
	Checked time.Time
	Version string
	// Fault says why it did not answer as it should; empty: it did.
	Fault string
}

// Redis is the Redis of the state as ferry sees it.
type Redis struct {
	Checked time.Time // zero: not yet
	Fault   string
}
