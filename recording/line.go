package recording

import (
	"encoding/json"
	"time"
)

// Version is the form of the lines that this package writes.
const Version = 1

// Line is one recorded call of a hook, one line of NDJSON. Nothing in it tells who
// logged in, except by the keyed hashes and, to whoever has the private key, by
// what is sealed.
type Line struct {
	Version int       `json:"v"`
	Time    time.Time `json:"time"`
	// Route is password-migration or after-login.
	Route string `json:"route"`
	// Shape is that of the body, as the log line says it: fixed or template.
	Shape string `json:"shape,omitempty"`
	// Headers are those of HeaderNames that the call had.
	Headers map[string]string `json:"headers,omitempty"`
	// Body is what Redact leaves of the call's; absent where it was no JSON object.
	Body json.RawMessage `json:"body,omitempty"`
	// Sealed is what Open reads; absent after a match and where there is no key.
	Sealed string `json:"sealed,omitempty"`
	// Status is what ferry answered, and Answer the body of it where it says nothing
	// of the person.
	Status int             `json:"status"`
	Answer json.RawMessage `json:"answer,omitempty"`
	// Outcome is the log line's word; OutcomeCaller for a fault of the caller's.
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	// IdentityID is Kratos' id of the identity.
	IdentityID string `json:"identity_id,omitempty"`
	// Identifier is the log line's keyed hash of the normalised identifier.
	Identifier string `json:"identifier_hash,omitempty"`
	// UpstreamStatus and UpstreamCode are what Auth0 answered, where it was asked.
	UpstreamStatus int    `json:"auth0_status,omitempty"`
	UpstreamCode   string `json:"auth0_error,omitempty"`
	// Took is in milliseconds: total, kratos and auth0, those that happened.
	Took map[string]float64 `json:"took_ms"`
}

// OutcomeCaller is the outcome of a call that the caller has to mend: no key, or a
// body that could not be read.
const OutcomeCaller = "caller"
