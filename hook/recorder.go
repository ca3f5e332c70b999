package hook

import (
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"ferry/outcome"
	"ferry/recording"
	"ferry/secret"
	"ferry/upstream"
)

// Recorder records calls. It must not block.
type Recorder interface {
	// Redact returns the part of a body that may be stored. It reveals no password.
	Redact(body []byte) json.RawMessage
	// Record stores a call. It is called after Kratos has got its answer.
	Record(event recording.Event)
}

// redact notes the part of the body that may be recorded. A panic of the recorder does not
// fail the login.
func (h *Handler) redact(e *call, body []byte) {
	if h.opts.Recorder == nil {
		return
	}
	defer h.recoverRecorder()
	e.Body = h.opts.Recorder.Redact(body)
}

// record records the call after its answer was sent.
func (h *Handler) record(c echo.Context, e *call) {
	if h.opts.Recorder == nil {
		return
	}
	defer h.recoverRecorder()
	e.Header = c.Request().Header
	if e.passwordConfirmed {
		e.UpstreamStatus = http.StatusOK
	}
	h.opts.Recorder.Record(e.Event)
}

func (h *Handler) recoverRecorder() {
	if fault := recover(); fault != nil {
		logPanic(h.opts.Log, fault)
	}
}

// sealable returns the credentials of a login that may be sealed: none after a
// match, given or not, and
// a password only if Auth0 certainly did not accept it: Auth0 was not asked, did not check
// it, or rejected it.
func (e *call) sealable(o outcome.Outcome) (identifier string, password secret.String) {
	switch o {
	case outcome.Match, outcome.Observed:
		return "", secret.String{}
	case outcome.Mismatch, outcome.Throttled, outcome.Locked, outcome.Inactive, outcome.Oversize, outcome.Closed,
		outcome.Suspicious, outcome.Limited:
		return e.request.Identifier, e.request.Password
	case outcome.MFARequired, outcome.Blocked, outcome.Denied, outcome.Leaked, outcome.SubjectMismatch:
	case outcome.NotPending: // the login that was faster may have had the same password
	case outcome.Unbound, outcome.InvalidResponse, outcome.Paused:
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
func (e *call) passwordUnread(o outcome.Outcome) bool {
	return upstream.Unsent(e.Reason) || o == outcome.Misconfigured && e.UpstreamStatus >= http.StatusBadRequest
}
