package recording

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"ferry/identifier"
	"ferry/secret"
	"ferry/strictjson"
)

// Logins are the credentials that a replay knows: those sealed in the recording, and those
// of a file.
type Logins struct {
	private *[32]byte
	hash    func(string) string
	byName  map[string]Login
	byHash  map[string]Login
}

// NewLogins returns empty Logins. private, if not nil, opens sealed credentials. hash, if not
// nil, hashes identifiers as the recording does; without it, a file's passwords are used only
// for calls with a sealed identifier.
func NewLogins(private *[32]byte, hash func(string) string) *Logins {
	return &Logins{private: private, hash: hash, byName: map[string]Login{}, byHash: map[string]Login{}}
}

// Read adds passwords: NDJSON with identifier and password. For equal identifiers the last
// line counts. The error names the line and quotes nothing of it.
func (l *Logins) Read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for number := 1; ; number++ {
		text, err := readValue(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read passwords: line %d: %w", number, err)
		}
		if len(bytes.TrimSpace(text)) > 0 {
			if err := l.add(text); err != nil {
				return fmt.Errorf("read passwords: line %d: %w", number, err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
	}
}

var errPasswordLine = errors.New(`not of the form {"identifier":"…","password":"…"}`)

func (l *Logins) add(text []byte) error {
	var login Login
	if strictjson.Unmarshal(text, &login) != nil || login.Password.Empty() {
		return errPasswordLine
	}
	name := identifier.Normalize(login.Identifier)
	if name == "" {
		return errPasswordLine
	}
	l.byName[name] = login
	if l.hash != nil {
		l.byHash[l.hash(name)] = login
	}
	return nil
}

// Restore returns the credentials of a call, or the reason to skip it. It is a
// ReplayOptions.Restore. Sealed credentials come before those of the file, because they are
// what the user typed.
func (l *Logins) Restore(_ context.Context, call ReplayCall) (login Login, skip string, _ error) {
	if !call.needsLogin() {
		return Login{}, "", nil
	}
	known, found := l.byHash[call.Record.Identifier]
	if call.Record.Sealed == "" || l.private == nil {
		return known, "", nil
	}
	typed, password, err := Open(call.Record.Sealed, l.private)
	switch {
	case err != nil && found:
		return known, "", nil //nolint:nilerr // the file has the credentials
	case err != nil:
		return Login{}, skippedSealed, nil //nolint:nilerr // the call is skipped
	case password == "":
		return Login{Identifier: typed, Password: l.byName[identifier.Normalize(typed)].Password}, "", nil
	}
	return Login{Identifier: typed, Password: secret.New(password)}, "", nil
}
