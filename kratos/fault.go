package kratos

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"unicode/utf8"

	"ferry/outcome"
	"ferry/strictjson"
	"ferry/transport"
)

// Error is the error of a call that got no answer, was refused, or got an answer that
// cannot be relied on. It holds no identifier, except in Said.
type Error struct {
	// Outcome is Unavailable, Misconfigured or InvalidResponse.
	Outcome outcome.Outcome
	// Status is Kratos' HTTP status, 0 without an answer.
	Status int
	// Reason is one word for logs.
	Reason string
	// Said is Kratos' own reason for a refusal, at most 300 bytes of it; empty if it gave
	// none. It may quote the request: show it to the operator who sent it, never log it.
	Said string

	cause error // if Reason is tls
}

// Unwrap returns the TLS error, if that is the cause.
func (e *Error) Unwrap() error { return e.cause }

// Error names the outcome and what decided it.
func (e *Error) Error() string {
	return fmt.Sprintf("kratos: %s (%s, status %d)", e.Outcome, e.Reason, e.Status)
}

// Final reports whether a retry cannot help: Kratos understood the request and refused it.
func (e *Error) Final() bool {
	switch e.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

func invalidResponse(reason string) *Error {
	return &Error{Outcome: outcome.InvalidResponse, Status: http.StatusOK, Reason: reason}
}

// refusal is the error of an answer other than 200.
func refusal(status int, body []byte) *Error {
	e := &Error{Outcome: outcome.InvalidResponse, Status: status, Reason: "unknown_answer", Said: said(body)}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		e.Outcome, e.Reason = outcome.Misconfigured, "ferry_refused"
	case status == http.StatusNotFound, status >= 300 && status < 400:
		// The identity was deleted meanwhile, or this is not Kratos' admin API.
		e.Outcome, e.Reason = outcome.Unavailable, "not_there"
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		e.Outcome, e.Reason = outcome.Unavailable, "server_fault"
	}
	return e
}

// noAnswer is the error of a request without an answer. Its reason is one word for the
// fault: the text of err holds the URL, and with it the identifier.
func noAnswer(err error) *Error {
	e := &Error{Outcome: outcome.Unavailable, Reason: "connection_lost"}
	var (
		urlErr      *url.Error
		netErr      *net.OpError
		size        *http.MaxBytesError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, context.Canceled):
		e.Reason = "caller_gone"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &urlErr) && urlErr.Timeout():
		e.Reason = "timeout"
	case errors.As(err, &netErr) && netErr.Op == "dial":
		e.Reason = "unreachable" // no connection was made
	case errors.As(err, &certificate), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		e.Reason, e.cause = "tls", err // no trusted connection was made
	case errors.As(err, &size):
		e.Outcome, e.Reason = outcome.InvalidResponse, "answer_too_large"
	case errors.Is(err, transport.ErrSurplus):
		e.Outcome, e.Reason = outcome.InvalidResponse, "surplus_answer"
	case errors.Is(err, transport.ErrSwitched):
		e.Outcome, e.Reason = outcome.InvalidResponse, "protocol_switch"
	}
	return e
}

// errorJSON is the format of Kratos' errors.
type errorJSON struct {
	Code    int    `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// text returns the reason, which is more specific, or else the message.
func (e errorJSON) text() string {
	if e.Reason == "" {
		return bounded(e.Message)
	}
	return bounded(e.Reason)
}

func said(body []byte) string {
	var answer struct {
		Error errorJSON `json:"error"`
	}
	if strictjson.Unmarshal(body, &answer) != nil {
		return ""
	}
	return answer.Error.text()
}

const maxSaidBytes = 300

// bounded cuts a text to maxSaidBytes, at a character boundary.
func bounded(text string) string {
	if len(text) <= maxSaidBytes {
		return text
	}
	end := maxSaidBytes
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
