package hook

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"ferry/outcome"
	"ferry/secret"
	"ferry/upstream"
)

// Recorder records calls. It must not block.
type Recorder interface {
	// Redact returns the part of a body that may be stored. It reveals no password.
	Redact(body []byte) json.RawMessage
	// Record stores a call. It is called after Kratos has got its answer.
	Record(event Event)
}

// Event is one hook call and its answer, as a Recorder gets it.
type Event struct {
	Time  time.Time
	Route string
	Shape string
	// Header is the complete request header, including the key.
	Header http.Header
	// Body is what Redact returned; nil if the body was not read.
	Body json.RawMessage
	// Identifier and Password are as typed. Both are empty after a match, and Password is
	// empty if Auth0 accepted it or may have accepted it.
	Identifier string
	Password   secret.String
	// Status and Answer are ferry's answer. Answer is empty if it holds personal data.
	Status int
	Answer string

	// Outcome and the fields below are those of the log line.
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

// redact notes the part of the body that may be recorded. A panic of the recorder does not
// fail the login.
func (h *Handler) redact(e *entry, body []byte) {
	if h.opts.Recorder == nil {
		return
	}
	defer h.recoverRecorder()
	e.body = h.opts.Recorder.Redact(body)
}

// record records the call after its answer was sent.
func (h *Handler) record(c echo.Context, e *entry, call Event) {
	if h.opts.Recorder == nil {
		return
	}
	defer h.recoverRecorder()
	call.Header, call.Body, call.Shape = c.Request().Header, e.body, e.shape
	call.Reason, call.IdentityID, call.IdentifierHash = e.reason, e.identityID, e.identifier
	call.UpstreamStatus, call.UpstreamCode = e.upstreamStatus, e.upstreamCode
	if e.passwordConfirmed {
		call.UpstreamStatus = http.StatusOK
	}
	call.KratosTook, call.UpstreamTook = e.kratos, e.upstream
	h.opts.Recorder.Record(call)
}

func (h *Handler) recoverRecorder() {
	if fault := recover(); fault != nil {
		logPanic(h.opts.Log, fault)
	}
}

// send sends the answer. If calls are recorded it also flushes it, so that recording does
// not delay the answer.
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

// sealable returns the credentials of a login that may be sealed: none after a match, and
// a password only if Auth0 certainly did not accept it: Auth0 was not asked, did not check
// it, or rejected it.
func (e *entry) sealable(o outcome.Outcome) (identifier string, password secret.String) {
	switch o {
	case outcome.Match:
		return "", secret.String{}
	case outcome.Mismatch, outcome.Throttled, outcome.Locked, outcome.Inactive, outcome.Oversize, outcome.Closed,
		outcome.Suspicious, outcome.Limited:
		return e.request.Identifier, e.request.Password
	case outcome.MFARequired, outcome.Blocked, outcome.Denied, outcome.Leaked, outcome.SubjectMismatch:
	case outcome.NotPending: // the login that was faster may have had the same password
	case outcome.Unbound, outcome.InvalidResponse:
		if !e.asked {
			return e.request.Identifier, e.request.Password
		}
	case outcome.Unavailable, outcome.Misconfigured:
		if !e.asked || e.passwordUnread(o) {
			return e.request.Identifier, e.request.Password
		}
	}
	return e.request.Identifier, secret.String{}
}

// passwordUnread reports whether the password was not sent, or Auth0 refused ferry itself
// before it checked the password.
func (e *entry) passwordUnread(o outcome.Outcome) bool {
	switch e.reason {
	case upstream.ReasonDNS, upstream.ReasonDial, upstream.ReasonTLS, upstream.ReasonClientAssertion, upstream.ReasonBadBaseURL:
		return true
	}
	return o == outcome.Misconfigured && e.upstreamStatus >= http.StatusBadRequest
}
