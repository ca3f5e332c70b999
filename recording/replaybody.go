package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"ferry/outcome"
	"ferry/secret"
)

// Login is what a recording has replaced: what the person typed, as far as it is
// known again.
type Login struct {
	Identifier string
	Password   secret.String
	// IdentityID replaces the recorded one where the replay is for another Kratos;
	// empty: as recorded.
	IdentityID string
}

// Reasons for which a call is left out of a replay.
const (
	// SkippedNoPassword: the recording has neither password nor identifier to send.
	SkippedNoPassword = "no password"
	// SkippedOutcome: it is not one of those that were asked for.
	SkippedOutcome = "other outcome"
	// SkippedFailure: it would count as a failed attempt, or nobody can tell.
	SkippedFailure = "might count as a failed attempt"
	// SkippedSize: how long the recorded request was is not known.
	SkippedSize = "size not recorded"
)

const (
	reasonRequestSize = "request_size" // the body was longer than ferry reads
	maxFillerBytes    = 64 << 20
	// reasonPasswordLength is of a password that no Auth0 is asked about; no ferry takes
	// one that is tooLong, however it is set up.
	reasonPasswordLength = "password_length"
	// reasonIdentifierLength is of an identifier that nobody is asked about either.
	reasonIdentifierLength = "identifier_length"
	tooLong                = 4097
)

// content is the body of a call that is sent, and how it is sent.
type content struct {
	body   io.Reader
	length int64
	keyed  bool // with the key
}

// content makes the body anew. Where the call cannot be made as it was, skip says
// why not.
func (c ReplayCall) content(login Login) (made content, skip string, err error) {
	line := c.Record
	switch {
	case c.refusedAtDoor():
		// The key came first: what else was in the request is not known and mattered
		// to nobody.
		return content{body: http.NoBody, keyed: line.Status != http.StatusUnauthorized}, "", nil
	case c.oversizeRequest():
		size, err := strconv.ParseInt(line.Headers["Content-Length"], 10, 64)
		if err != nil || size <= 0 || size > maxFillerBytes {
			return content{}, SkippedSize, nil //nolint:nilerr // a recording without a length is no error
		}
		return content{body: io.LimitReader(filler{}, size), length: size, keyed: true}, "", nil
	}
	body := []byte(line.Body)
	if c.needsLogin() {
		known := login.Identifier != "" && !login.Password.Empty()
		switch {
		case known:
		case line.Reason == reasonPasswordLength:
			// It was too long to be kept as well, and for that it was refused.
			login.Identifier, login.Password = "too-long", secret.New(strings.Repeat("x", tooLong))
		case line.Reason == reasonIdentifierLength:
			login.Identifier, login.Password = strings.Repeat("x", tooLong), secret.New("x")
		default:
			return content{}, SkippedNoPassword, nil
		}
		if body, err = fill(body, login); err != nil {
			return content{}, "", err
		}
	}
	if login.IdentityID != "" {
		if body, err = renameIdentity(body, login.IdentityID); err != nil {
			return content{}, "", err
		}
	}
	return content{body: bytes.NewReader(body), length: int64(len(body)), keyed: true}, "", nil
}

// refusedAtDoor reports whether ferry refused the request before it knew its body.
func (c ReplayCall) refusedAtDoor() bool {
	return c.Record.Outcome == OutcomeCaller && (c.Record.Status == http.StatusUnauthorized || len(c.Record.Body) == 0)
}

func (c ReplayCall) oversizeRequest() bool {
	return c.Record.Outcome == outcome.Oversize.String() && c.Record.Reason == reasonRequestSize
}

// needsLogin reports whether the body has to be filled in. One that was refused for
// its form is not: what Redact leaves of it has that form still.
func (c ReplayCall) needsLogin() bool {
	return c.Recorded() && c.Record.Route == RouteMigration && c.Record.Outcome != OutcomeCaller && !c.oversizeRequest()
}

var errFill = errors.New("the recorded body is no JSON object")

// fill puts back what the person typed. A body that was not recorded had no more.
func fill(body []byte, login Login) ([]byte, error) {
	fields := map[string]json.RawMessage{}
	if len(body) > 0 && (json.Unmarshal(body, &fields) != nil || fields == nil) {
		return nil, errFill
	}
	for key, value := range map[string]string{"identifier": login.Identifier, "password": login.Password.Reveal()} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("make the body anew: %w", err)
		}
		fields[key] = text
	}
	return json.Marshal(fields)
}

// renameIdentity puts another identity's id into a body that names one.
func renameIdentity(body []byte, id string) ([]byte, error) {
	var fields, identity map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return nil, errFill
	}
	if json.Unmarshal(fields["identity"], &identity) != nil || identity["id"] == nil || bytes.Equal(identity["id"], []byte("null")) {
		return body, nil
	}
	text, err := json.Marshal(id)
	if err != nil {
		return nil, fmt.Errorf("make the body anew: %w", err)
	}
	identity["id"] = text
	if fields["identity"], err = json.Marshal(identity); err != nil {
		return nil, fmt.Errorf("make the body anew: %w", err)
	}
	return json.Marshal(fields)
}

// filler is a body of any length: ferry refuses it for that alone.
type filler struct{}

func (filler) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// replayedHeader reports whether a recorded header is sent again as it was.
func replayedHeader(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case headerContentType, headerContentEncoding, headerUserAgent, headerTrigger:
		return true
	}
	return false
}

const (
	headerTrigger = "Ory-Webhook-Trigger-Id"
	headerRequest = "Ory-Webhook-Request-Id"
)

// harmless reports whether making the call again can be no failed attempt: Auth0 had
// found the password right, or no password is sent.
func (c ReplayCall) harmless() bool {
	if c.Record.Route == RouteAfterLogin || c.oversizeRequest() || c.Record.Outcome == OutcomeCaller {
		return true
	}
	switch c.Record.Outcome {
	case outcome.Match.String(), outcome.MFARequired.String(), outcome.Denied.String(),
		outcome.Leaked.String(), outcome.SubjectMismatch.String():
		return true
	}
	return false
}
