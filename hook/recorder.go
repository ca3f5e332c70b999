package hook

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"ferry/outcome"
	"ferry/secret"
)

// Recorder keeps calls for a later look at them. It must not block.
type Recorder interface {
	// Redact is what may be kept of a body: nothing of it tells a password.
	Redact(body []byte) json.RawMessage
	// Record keeps a call. It is called when Kratos has its answer.
	Record(call Call)
}

// Call is one call as a recorder gets it.
type Call struct {
	Time  time.Time
	Route string
	Shape string
	// Header is the whole of it, with the key.
	Header http.Header
	// Body is what Redact made of it; none where it was not read.
	Body json.RawMessage
	// Identifier and Password are as typed: none after a match, and no password where
	// Auth0 found it right, or might have.
	Identifier string
	Password   secret.String
	// Status and Answer are what Kratos was told; no Answer where it tells of a person.
	Status int
	Answer string

	// Outcome is the log line's word, and what follows are its fields.
	Outcome        string
	Reason         string
	IdentityID     string
	IdentifierHash string
	UpstreamStatus int
	UpstreamCode   string
	Took           time.Duration
	KratosTook     time.Duration
	UpstreamTook   time.Duration
}

// redact notes what may be recorded of the body. A fault of the recorder's is not
// the login's.
func (h *Handler) redact(e *entry, body []byte) {
	if h.opts.Recorder == nil {
		return
	}
	defer h.survive()
	e.body = h.opts.Recorder.Redact(body)
}

// record keeps the call, once its answer has left.
func (h *Handler) record(c echo.Context, e *entry, call Call) {
	if h.opts.Recorder == nil {
		return
	}
	defer h.survive()
	call.Header, call.Body, call.Shape = c.Request().Header, e.body, e.shape
	call.Reason, call.IdentityID, call.IdentifierHash = e.reason, e.identityID, e.identifier
	call.UpstreamStatus, call.UpstreamCode = e.upstreamStatus, e.upstreamCode
	if e.right {
		call.UpstreamStatus = http.StatusOK
	}
	call.KratosTook, call.UpstreamTook = e.kratos, e.upstream
	h.opts.Recorder.Record(call)
}

func (h *Handler) survive() {
	if fault := recover(); fault != nil {
		logPanic(h.opts.Log, fault)
	}
}

// send answers. Where calls are recorded the answer leaves at once: what recording
// costs comes after it.
func (h *Handler) send(c echo.Context, status int, body []byte) error {
	if h.opts.Recorder == nil {
		return c.Blob(status, echo.MIMEApplicationJSON, body)
	}
	c.Response().Header().Set(echo.HeaderContentLength, strconv.Itoa(len(body)))
	if err := c.Blob(status, echo.MIMEApplicationJSON, body); err != nil {
		return err
	}
	return http.NewResponseController(c.Response()).Flush()
}

// typed are the credentials of a login as far as they may be sealed. None after a
// match; and a password only where it is certain that Auth0 did not find it right:
// Auth0 was not asked, did not look, or said that it is wrong.
func (e *entry) typed(o outcome.Outcome) (identifier string, password secret.String) {
	switch o {
	case outcome.Match:
		return "", secret.String{}
	case outcome.Mismatch, outcome.Throttled, outcome.Locked, outcome.Inactive, outcome.Oversize, outcome.Closed,
		outcome.Suspicious, outcome.Limited:
		return e.asked.Identifier, e.asked.Password
	case outcome.MFARequired, outcome.Blocked, outcome.Denied, outcome.Leaked, outcome.SubjectMismatch:
	case outcome.NotPending: // the login that was faster may have had the same password
	case outcome.Unbound, outcome.Garbled:
		if !e.sent {
			return e.asked.Identifier, e.asked.Password
		}
	case outcome.Unavailable, outcome.Misconfigured:
		if !e.sent || e.unheard(o) {
			return e.asked.Identifier, e.asked.Password
		}
	}
	return e.asked.Identifier, secret.String{}
}

// unheard reports whether the password reached nobody, or Auth0 refused ferry before
// it looked.
func (e *entry) unheard(o outcome.Outcome) bool {
	switch e.reason {
	case "dns", "dial", "tls", "client_assertion", "bad_base_url":
		return true
	}
	return o == outcome.Misconfigured && e.upstreamStatus >= http.StatusBadRequest
}
