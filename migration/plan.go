// Package migration decides where a migration stands and what comes next.
//
//	the state follows from the hook in kratos.yml, whether the migration is closed, and the counts of Kratos
//	each state on the way is verified by a command; its record can be missing or stale
//	blockers are the users who would lose access; those that are not accepted keep the plan from the last steps
//	the first step that is missing, stale or blocked is the next one
//
// It is pure: Decide reads nothing. What it is told comes from Kratos, kratos.yml, the settings
// and the records of the commands.
package migration

import (
	"strings"
	"time"

	"ferry/bulk/status"
	"ferry/verification"
)

// State is where a migration stands.
type State string

// The states, in their order.
const (
	// NotWired: Kratos does not call ferry.
	NotWired State = "not_wired"
	// Wired: Kratos calls ferry, and no user has been imported.
	Wired State = "wired"
	// Imported: users have been imported, and no user has migrated.
	Imported State = "imported"
	// Crossing: users migrate when they log in. Name calls it "migrating".
	Crossing State = "crossing"
	// Draining: some users are left, and they have stopped to migrate, or the migration is
	// closed, or something keeps it from the next state.
	Draining State = "draining"
	// ReadyToSwitchOff: no user needs Auth0, and all of that is verified.
	ReadyToSwitchOff State = "ready_to_switch_off"
	// SwitchedOff: Kratos does not call ferry any more.
	SwitchedOff State = "switched_off"
)

// States returns all states in their order.
func States() []State {
	return []State{NotWired, Wired, Imported, Crossing, Draining, ReadyToSwitchOff, SwitchedOff}
}

// Name is the name of a state for people: on the page, in the output of ferry plan and in the
// documentation.
func (s State) Name() string {
	if s == Crossing {
		return "migrating"
	}
	return strings.ReplaceAll(string(s), "_", " ")
}

// Verification says whether something is verified.
type Verification string

// The values of Verification.
const (
	Unverified Verification = "unverified"
	Verified   Verification = "verified"
	// Stale was verified, and something has changed since, or it is too long ago.
	Stale Verification = "stale"
)

// Plan is where a migration stands and what comes next.
type Plan struct {
	At    time.Time `json:"at"`
	State State     `json:"state"`
	// Why says in a sentence why this is the state.
	Why string `json:"why"`
	// GatewayOnly is true if no import is recorded and the gateway creates the identities. The
	// users who have not logged in have none then, and Progress does not count them.
	GatewayOnly bool `json:"gateway_only,omitempty"`
	// NotMoving says why no user migrates although some are pending; empty: they do, or it is
	// too early to say.
	NotMoving string `json:"not_moving,omitempty"`
	// Steps are the states in their order.
	Steps []Step `json:"steps"`
	// Next begins with the step that comes next. It is empty at the end.
	Next     []Action  `json:"next_steps"`
	Progress Progress  `json:"progress"`
	Blockers []Blocker `json:"blockers"`
	IfOff    IfOff     `json:"if_auth0_off"`
	// Remints are the applications that came with refresh tokens of Auth0; none if neither a ferry
	// nor Redis was asked.
	Remints []status.Remint `json:"remints,omitempty"`
}

// Step is a state on the way.
type Step struct {
	State State `json:"state"`
	// Reached is true if the migration is in this state or past it.
	Reached      bool         `json:"reached"`
	Verification Verification `json:"verification"`
	// VerifiedBy is the command that verifies it, and VerifiedAt when that ended; nil: never.
	VerifiedBy string     `json:"verified_by"`
	VerifiedAt *time.Time `json:"verified_at,omitempty"`
	// Why says what was verified, or why it is not.
	Why string `json:"why"`
}

// Action is something to do. It has a Command, Settings, or neither: then Why says what to do,
// or what to wait for.
type Action struct {
	// Command is a command line of ferry, one argument each.
	Command []string `json:"command,omitempty"`
	// Settings are NAME=VALUE lines to set for every ferry serve and for ferry's commands;
	// serve has to be restarted.
	Settings []string `json:"settings,omitempty"`
	// Wait is true if there is nothing to do but to wait. Ask for the plan again later.
	Wait bool   `json:"wait,omitempty"`
	Why  string `json:"why"`
}

// Progress has the numbers of ferry status that say how far the migration is.
type Progress struct {
	// Identities is the number in Kratos, and FromAuth0 that of the active ones that were
	// imported or created from Auth0's users.
	Identities int `json:"identities"`
	FromAuth0  int `json:"from_auth0"`
	// Migrated is the number of users whose password the hook verified, Pending that of those
	// who are left.
	Migrated int        `json:"migrated"`
	Pending  int        `json:"pending"`
	Share    float64    `json:"migrated_share"`
	LastDay  int        `json:"migrated_last_day"`
	LastWeek int        `json:"migrated_last_week"`
	PerDay   float64    `json:"per_day"`
	Done     *time.Time `json:"done,omitempty"`
}

// Blocker is a group of users who cannot log in to Kratos without Auth0, or not at all, or of
// applications that need Auth0.
type Blocker struct {
	Kind BlockerKind `json:"kind"`
	// Known is false if Count is not known. Command then finds out.
	Known bool `json:"known"`
	Count int  `json:"count"`
	// Connections counts the users by Auth0 connection.
	Connections map[string]int `json:"connections,omitempty"`
	// Blocks is true if the plan does not go on to the last steps with them, or because it is not
	// known whether there are any.
	// Accepted is true if FERRY_PLAN_ACCEPT lists the kind: then Blocks is false.
	Blocks   bool `json:"blocks"`
	Accepted bool `json:"accepted"`
	// From is what was counted: Kratos, metrics, Redis, or the command whose record it is, and At
	// when.
	From string     `json:"from,omitempty"`
	At   *time.Time `json:"at,omitempty"`
	// Command helps them, or shows who they are; empty: no command does.
	Command     []string `json:"command,omitempty"`
	Explanation string   `json:"explanation"`
}

// IfOff says what would happen if Auth0 were switched off now.
type IfOff struct {
	// Total is the number of people: active identities from Auth0, and the users of the last
	// reconciliation who have no identity.
	Total int `json:"total"`
	// LoseAccess is the number of them who can log in only while Auth0 answers, or not at all.
	LoseAccess int `json:"lose_access"`
	// ActiveLast90Days is the number of those who logged in at Auth0 in the last 90 days; nil:
	// not known.
	ActiveLast90Days *int `json:"active_last_90_days"`
	// From is where the last logins are from, and At of what time they are.
	From string     `json:"from,omitempty"`
	At   *time.Time `json:"at,omitempty"`
	// MissingKnown is false if it is not known how many users have no identity.
	MissingKnown bool `json:"missing_known"`
	// Applications are those that need Auth0 for their next refresh; nil: no token of Auth0 is
	// re-minted.
	Applications *Applications `json:"applications,omitempty"`
}

// Applications counts the applications that came with a refresh token of Auth0 within Rules.Quiet.
// Without Auth0, their users have to log in again.
type Applications struct {
	Known bool `json:"known"`
	Count int  `json:"count"`
}

// Facts are what a plan is decided by.
type Facts struct {
	Now time.Time
	// Status counts the identities in Kratos.
	Status status.Status
	// HookOn says whether the migration hook is on in the kratos.yml that was read, and
	// KratosConfig is the digest of that; nil and empty: none was read. Then the records tell.
	HookOn       *bool
	KratosConfig string
	// Closed is FERRY_MIGRATION_CLOSED, and Gateway is true if ferry serve creates identities at
	// a login: FERRY_GATEWAY_LISTEN, FERRY_FORWARD_AUTH_LISTEN or FERRY_ENSURE.
	Closed, Gateway bool
	// Remint is true if ferry serve replaces refresh tokens of Auth0 by those of Hydra. Remints are
	// the applications for which it has, and RemintsFrom is what told; nil: nothing was asked.
	Remint      bool
	Remints     []status.Remint
	RemintsFrom string
	// Settings is the digest of the settings.
	Settings string
	// Records are what commands verified. RecordsKept is false if nothing keeps them.
	Records     verification.Records
	RecordsKept bool
	// UsersAt is when the users file was written; nil: there is none. Its users were counted if
	// Status.Export is not nil; otherwise the record of the last reconciliation tells.
	UsersAt *time.Time
	// FilesUnseen is true if the commands run on a machine whose files were not looked at. The
	// records then say how old the export is.
	FilesUnseen bool
	Files       Files
	Rules       Rules
}

// Files are the files named in the commands of a plan.
type Files struct{ KratosConfig, Users string }

// Rules are the settings of the plan.
type Rules struct {
	// ReconcileMaxAge is how old a reconciliation, and its export, may be.
	ReconcileMaxAge time.Duration
	// Quiet is how long no user has migrated until the migration is draining, and no application
	// has used a refresh token of Auth0 until it counts as one that has none.
	Quiet time.Duration
	// Accepted are the blockers that do not block.
	Accepted []BlockerKind
}
