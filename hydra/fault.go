package hydra

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"ferry/strictjson"
	"ferry/transport"
)

// Kind says what an Error means for the caller.
type Kind int

const (
	// Garbled is an answer of a form that ferry does not know.
	Garbled Kind = iota
	// Unavailable is no answer, or something that Hydra could not do now. A later try may succeed.
	Unavailable
	// Misconfigured says that ferry, Hydra or the client must be configured in another way.
	Misconfigured
	// Refused says that the client is unknown to Hydra, or its credentials do not hold.
	Refused
)

// String returns the kind as one word for logs.
func (k Kind) String() string {
	switch k {
	case Unavailable:
		return "unavailable"
	case Misconfigured:
		return "misconfigured"
	case Refused:
		return "refused"
	case Garbled:
	}
	return "garbled"
}

// Error is the error of every call. It holds no token and no text of Hydra's but its error code,
// if that is one of OAuth 2.0 or of Hydra.
type Error struct {
	// Operation is what was called, such as "read client".
	Operation string
	Kind      Kind
	// Status is Hydra's HTTP status, 0 without an answer.
	Status int
	// Reason is one word for logs: an error code of OAuth 2.0, or a fault of the connection.
	Reason string
}

// Error names the operation, the kind and what decided it.
func (e *Error) Error() string {
	return fmt.Sprintf("hydra: %s: %s (%s, status %d)", e.Operation, e.Kind, e.Reason, e.Status)
}

var errTooLarge = errors.New("answer too large")

// noAnswer is the error of a request without an answer that could be read and trusted. The text
// of err may quote the other side, and is not used.
func noAnswer(operation string, status int, err error) *Error {
	e := &Error{Operation: operation, Kind: Unavailable, Status: status, Reason: "connection_broken"}
	var netErr net.Error
	var unsent *transport.DialError
	switch {
	case errors.Is(err, context.Canceled):
		e.Reason = "caller_gone"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		e.Reason = "timeout"
	case errors.Is(err, errTooLarge):
		e.Kind, e.Reason = Garbled, "answer_too_large"
	case errors.Is(err, transport.ErrSurplus):
		e.Kind, e.Reason = Garbled, "surplus_answer"
	case errors.Is(err, transport.ErrSwitched):
		e.Kind, e.Reason = Garbled, "protocol_switch"
	case errors.As(err, &unsent):
		e.Reason = "unreachable"
	}
	return e
}

// errorJSON is RFC 6749, 5.2.
type errorJSON struct {
	Error string `json:"error"`
}

// code returns the error code of an answer; empty if it has none that is known.
func (a answer) code() string {
	var said errorJSON
	if !a.isJSON || strictjson.Unmarshal(a.body, &said) != nil {
		return ""
	}
	return known(said.Error)
}

// known returns an error code if it is one that this package knows: no other text is logged.
func known(code string) string {
	switch code {
	case codeInvalidClient, codeInvalidGrant, codeUnauthorizedClient, codeError,
		"invalid_request", "invalid_scope", "invalid_state", "invalid_redirect_uri", "unsupported_grant_type",
		"unsupported_response_type", "access_denied", "login_required", "consent_required", "request_forbidden",
		"server_error", "temporarily_unavailable", "insufficient_entropy", "token_inactive":
		return code
	}
	return ""
}

const (
	codeInvalidClient      = "invalid_client"
	codeInvalidGrant       = "invalid_grant"
	codeUnauthorizedClient = "unauthorized_client"
	// codeError is Hydra's code for a fault of its database, among others.
	codeError = "error"
)

// refusal is the error of an answer that is not what the operation wants.
func refusal(operation string, a answer) *Error {
	e := &Error{Operation: operation, Kind: Garbled, Status: a.status, Reason: a.code()}
	switch {
	case e.Reason == codeInvalidClient:
		e.Kind = Refused
	case a.status == http.StatusTooManyRequests, a.status >= http.StatusInternalServerError, e.Reason == codeError:
		e.Kind = Unavailable
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden, a.status >= 300 && a.status < 400:
		e.Kind = Misconfigured // a proxy in front of Hydra, or not Hydra
	case e.Reason != "":
		e.Kind = Misconfigured
	}
	if e.Reason == "" {
		e.Reason = "unknown_answer"
	}
	return e
}
