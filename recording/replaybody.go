package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"ferry/outcome"
	"ferry/secret"
	"ferry/wire"
)

// Login is the credentials of a recorded call, as far as they are known.
type Login struct {
	Identifier string        `json:"identifier"`
	Password   secret.String `json:"password"`
	// IdentityID, if set, replaces the recorded id of the identity, for another Kratos.
	IdentityID string `json:"-"`
}

// Reasons to skip a call.
const (
	skippedNoPassword = "no password"                     // the credentials are not known
	skippedOutcome    = "other outcome"                   // not one of the requested outcomes
	skippedFailure    = "might count as a failed attempt" // or it is unknown whether it would
	skippedSize       = "size not recorded"               // the size of the request is unknown
	skippedSealed     = "sealed for another key"          // the credentials cannot be opened
)

const (
	reasonRequestSize = "request_size" // the body was longer than ferry reads
	maxFillerBytes    = 64 << 20
	// Logins with these reasons reach neither Kratos nor Auth0. No ferry accepts a password
	// or an identifier of tooLong bytes.
	reasonPasswordLength   = "password_length"
	reasonIdentifierLength = "identifier_length"
	tooLong                = 4097
)

// content is the content of a request.
type content struct {
	body   io.Reader
	length int64
	keyed  bool // with the key
}

var errBody = errors.New("the recorded body is not a JSON object")

// content returns the content of the call, or the reason to skip it.
func (c ReplayCall) content(login Login) (req content, skip string, err error) {
	record := c.Record
	switch {
	case c.refusedUnread():
		// ferry checks the key first, so the rest of the request did not matter.
		return content{body: http.NoBody, keyed: record.Status != http.StatusUnauthorized}, "", nil
	case c.oversizeRequest():
		size, err := strconv.ParseInt(record.Headers[headerContentLength], 10, 64)
		if err != nil || size <= 0 || size > maxFillerBytes {
			return content{}, skippedSize, nil //nolint:nilerr // a recording without a length is valid
		}
		return content{body: io.LimitReader(filler{}, size), length: size, keyed: true}, "", nil
	}
	needed := c.needsLogin()
	if needed {
		switch {
		case login.Identifier != "" && !login.Password.Empty():
		case record.Reason == reasonPasswordLength: // too long to be recorded
			login.Identifier, login.Password = "too-long", secret.New(strings.Repeat("x", tooLong))
		case record.Reason == reasonIdentifierLength:
			login.Identifier, login.Password = strings.Repeat("x", tooLong), secret.New("x")
		default:
			return content{}, skippedNoPassword, nil
		}
	}
	body := []byte(record.Body)
	if needed || login.IdentityID != "" {
		if body, err = fill(body, login, needed); err != nil {
			return content{}, "", err
		}
	}
	return content{body: bytes.NewReader(body), length: int64(len(body)), keyed: true}, "", nil
}

// refusedUnread reports whether ferry refused the request before it read the body.
func (c ReplayCall) refusedUnread() bool {
	return c.Record.Outcome == OutcomeCaller && (c.Record.Status == http.StatusUnauthorized || len(c.Record.Body) == 0)
}

func (c ReplayCall) oversizeRequest() bool {
	return c.Record.Outcome == outcome.Oversize.String() && c.Record.Reason == reasonRequestSize
}

// needsLogin reports whether the body needs the credentials. A body that was refused for its
// form does not: its redacted form would be refused too.
func (c ReplayCall) needsLogin() bool {
	return c.Recorded() && c.Record.Route == wire.RouteMigration && c.Record.Outcome != OutcomeCaller && !c.oversizeRequest()
}

// fill returns the body with the credentials, if they are needed, and with the identity's id.
// A body that needs credentials and was not recorded had nothing else.
func fill(body []byte, login Login, needed bool) ([]byte, error) {
	if needed && len(body) == 0 {
		body = []byte("{}")
	}
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if decoder.Decode(&fields) != nil || fields == nil {
		return nil, errBody
	}
	if needed {
		fields["identifier"], fields["password"] = login.Identifier, login.Password.Reveal()
	}
	if identity, ok := fields["identity"].(map[string]any); ok && identity["id"] != nil && login.IdentityID != "" {
		identity["id"] = login.IdentityID
	}
	return json.Marshal(fields)
}

// filler is an endless body of spaces.
type filler struct{}

func (filler) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// isReplayed reports whether a recorded header is sent again.
func isReplayed(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case headerContentType, headerContentEncoding, headerUserAgent, wire.HeaderTriggerID:
		return true
	}
	return false
}

// mayCountAsFailure reports whether the call might count as a failed attempt at Auth0: it
// sends a password, and Auth0 had not accepted it.
func (c ReplayCall) mayCountAsFailure() bool {
	if c.Record.Route == wire.RouteAfterLogin || c.oversizeRequest() || c.Record.Outcome == OutcomeCaller {
		return false
	}
	switch c.Record.Outcome {
	case outcome.Match.String(), outcome.Observed.String(), outcome.MFARequired.String(), outcome.Denied.String(),
		outcome.Leaked.String(), outcome.SubjectMismatch.String():
		return false
	}
	return true
}
