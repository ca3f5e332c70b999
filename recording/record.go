package recording

import (
	"encoding/json"
	"time"
)

// Version is the version of the record format.
const Version = 1

// Record is one recorded hook call, one line of NDJSON. It identifies the user only by
// keyed hashes and, for the owner of the private key, by the sealed credentials.
type Record struct {
	Version int       `json:"v"`
	Time    time.Time `json:"time"`
	// Route is password-migration or after-login.
	Route string `json:"route"`
	// Shape is the shape of the body, as in the log: fixed or template.
	Shape string `json:"shape,omitempty"`
	// Headers are the call's headers among headerNames.
	Headers map[string]string `json:"headers,omitempty"`
	// Body is the redacted body. It is absent if the body was not a JSON object.
	Body json.RawMessage `json:"body,omitempty"`
	// Sealed holds the credentials, for Open. It is absent after a match and without a key.
	Sealed string `json:"sealed,omitempty"`
	// Status and Answer are ferry's answer. Answer is absent if it holds personal data.
	Status int             `json:"status"`
	Answer json.RawMessage `json:"answer,omitempty"`
	// Outcome is the outcome as in the log, or OutcomeCaller for an error of the caller.
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	// IdentityID is Kratos' id of the identity.
	IdentityID string `json:"identity_id,omitempty"`
	// Identifier is the keyed hash of the normalized identifier, as in the log.
	Identifier string `json:"identifier_hash,omitempty"`
	// UpstreamStatus and UpstreamCode are Auth0's answer, if it was asked.
	UpstreamStatus int    `json:"auth0_status,omitempty"`
	UpstreamCode   string `json:"auth0_error,omitempty"`
	// Took holds durations in milliseconds: total, kratos and auth0.
	Took map[string]float64 `json:"took_ms"`
}

// OutcomeCaller is the outcome of a call with an error of the caller: a missing key,
// or a body that could not be read.
const OutcomeCaller = "caller"
