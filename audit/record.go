// Package audit writes one record for each decision of ferry: who asked for what, when, and what
// became of it.
//
//	a record waits in a bounded queue; no login waits for it
//	one line of JSON, one Write
//	a Write failed: the same line again every second, until it succeeds
//	the queue is full: the record is dropped and counted
//
// A record holds no user data beyond Kratos' identity id and keyed hashes. The log explains what
// ferry does, to people, and changes with each release; a recording has what is needed to repeat
// a call. An audit record has a documented schema (docs/audit.schema.json), and none is left out
// by a log level.
package audit

import (
	"net/http"
	"time"
)

// Version is the version of the record format.
const Version = 1

// Action is what was decided or done.
type Action string

// The actions.
const (
	// Start and Stop are those of `ferry serve`.
	Start Action = "start"
	Stop  Action = "stop"
	// Login is a decision about a password for Kratos' migration hook.
	Login Action = "login"
	// GatewaySubmit is a decision of the gateway about a form of a user whom Kratos does not have.
	GatewaySubmit Action = "gateway_submit"
	// SignUp and Ensure are decisions of those hooks.
	SignUp Action = "sign_up"
	Ensure Action = "ensure"
	// Remint is a decision about a refresh token of Auth0.
	Remint Action = "remint"
	// IdentityCreated is an identity that ferry created for a user who was at the door.
	IdentityCreated Action = "identity_created"
	// Migrated is a user for whom Kratos has stored the password.
	Migrated Action = "migrated"
	// ProfileWrite is a profile that was written into an identity after the login, or was not.
	ProfileWrite Action = "profile_write"
	// ModeChange is a change of the mode or the cohort.
	ModeChange Action = "mode_change"
	// AuthenticationFailure is a call of a hook, or of the admin listener, without a valid key.
	AuthenticationFailure Action = "authentication_failure"
	// Command is a command that changes identities, when it ends.
	Command Action = "command"
)

// Actions returns every action.
func Actions() []Action {
	return []Action{
		Start, Stop, Login, GatewaySubmit, SignUp, Ensure, Remint, IdentityCreated, Migrated, ProfileWrite, ModeChange, AuthenticationFailure, Command,
	}
}

// ActorKind says who brought an action about.
type ActorKind string

// The kinds.
const (
	// Caller called a hook with a valid key: Kratos.
	Caller ActorKind = "caller"
	// User submitted a form to the gateway.
	User ActorKind = "user"
	// Client is an OAuth 2.0 client of the token front. It need not have shown its credentials.
	Client ActorKind = "client"
	// Operator used the admin listener, a file, a signal or a command.
	Operator ActorKind = "operator"
	// Ferry acted by itself.
	Ferry ActorKind = "ferry"
	// Unknown presented no valid key.
	Unknown ActorKind = "unknown"
)

// ActorKinds returns every kind.
func ActorKinds() []ActorKind { return []ActorKind{Caller, User, Client, Operator, Ferry, Unknown} }

// Actor is who brought an action about.
type Actor struct {
	Kind ActorKind `json:"kind"`
	// KeyID tells the keys of FERRY_HOOK_KEYS apart: a keyed hash.
	KeyID string `json:"key_id,omitempty"`
	// Name is the name that an operator gave, and From the operator's address.
	Name string `json:"name,omitempty"`
	From string `json:"from,omitempty"`
}

// Record is one line. The Writer sets the first four fields and Ferry.
type Record struct {
	Version int       `json:"v"`
	Time    time.Time `json:"time"`
	// Instance is random for each start, and Seq counts its records from 1: a missing number is
	// a record that was dropped.
	Instance string `json:"instance"`
	Seq      uint64 `json:"seq"`
	// Ferry is ferry's version.
	Ferry string `json:"ferry"`

	Action Action `json:"action"`
	Actor  Actor  `json:"actor"`
	// Outcome and Reason are those of the log line, one word each.
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	// Mode is the mode of that moment. Cohort, ModeWas and CohortWas are set for Start and
	// ModeChange.
	Mode      string `json:"mode,omitempty"`
	Cohort    string `json:"cohort,omitempty"`
	ModeWas   string `json:"mode_was,omitempty"`
	CohortWas string `json:"cohort_was,omitempty"`

	// Route is the hook, or the form that was submitted to the gateway. Status is the HTTP status
	// of the answer.
	Route  string `json:"route,omitempty"`
	Status int    `json:"status,omitempty"`
	// IdentityID is Kratos'. The hashes are keyed, as in the log.
	IdentityID     string `json:"identity_id,omitempty"`
	IdentifierHash string `json:"identifier_hash,omitempty"`
	SubjectHash    string `json:"subject_hash,omitempty"`
	// Realm is the Auth0 connection that was, or would have been, asked.
	Realm string `json:"realm,omitempty"`
	// Auth0Asked is true if Auth0 was asked for this call.
	Auth0Asked bool `json:"auth0_asked,omitempty"`

	// ClientID is that of the application, for Remint.
	ClientID string `json:"client_id,omitempty"`

	FlowID    string `json:"flow_id,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	TriggerID string `json:"trigger_id,omitempty"`
	TraceID   string `json:"trace_id,omitempty"`
	SpanID    string `json:"span_id,omitempty"`

	// Keys are the key ids of FERRY_HOOK_KEYS, in that order; for Start.
	Keys []string `json:"keys,omitempty"`
	// Command is the name of a command, and Counts are how many rows or identities had which
	// result.
	Command string         `json:"command,omitempty"`
	Counts  map[string]int `json:"counts,omitempty"`
}

// Refused is the record of a call of the admin listener without a valid key, from an address.
func Refused(route, from string) Record {
	return Record{
		Action: AuthenticationFailure, Actor: Actor{Kind: Unknown, From: from}, Outcome: "refused", Route: route, Status: http.StatusUnauthorized,
	}
}
