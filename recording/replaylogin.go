package recording

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"ferry/identifier"
	"ferry/secret"
	"ferry/strictjson"
)

// Logins are what a replay knows of what people typed: sealed in the recording, or
// in a file of the operator's.
type Logins struct {
	private *[32]byte
	hashKey secret.String
	byName  map[string]Login
	byHash  map[string]Login
}

// NewLogins opens what is sealed with the private key, if it is not nil. hashKey is
// the one under which identifiers were recorded; empty: it is not known.
func NewLogins(private *[32]byte, hashKey secret.String) *Logins {
	return &Logins{private: private, hashKey: hashKey, byName: map[string]Login{}, byHash: map[string]Login{}}
}

// Read adds passwords: NDJSON lines with identifier and password. The later of two
// lines for an identifier holds. The error says which line cannot be read, and
// quotes nothing of it.
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
	var line struct {
		Identifier string        `json:"identifier"`
		Password   secret.String `json:"password"`
	}
	if strictjson.Unmarshal(text, &line) != nil || identifier.Normalize(line.Identifier) == "" || line.Password.Empty() {
		return errPasswordLine
	}
	login := Login{Identifier: line.Identifier, Password: line.Password}
	l.byName[identifier.Normalize(line.Identifier)] = login
	if !l.hashKey.Empty() {
		l.byHash[l.hash(line.Identifier)] = login
	}
	return nil
}

// hash is that of the log line.
func (l *Logins) hash(typed string) string {
	mac := hmac.New(sha256.New, []byte(l.hashKey.Reveal()))
	mac.Write([]byte(identifier.Normalize(typed)))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// Restore is a ReplayOptions.Restore. What is sealed comes before what the file has:
// it is what the person typed at that time.
func (l *Logins) Restore(_ context.Context, call ReplayCall) (login Login, skip string, err error) {
	if !call.needsLogin() {
		return Login{}, "", nil
	}
	if call.Record.Sealed != "" && l.private != nil {
		typed, password, err := Open(call.Record.Sealed, l.private)
		known, ok := l.byHash[call.Record.Identifier]
		switch {
		case err != nil && ok:
			return known, "", nil //nolint:nilerr // the file has it
		case err != nil:
			return Login{}, "sealed for another key", nil //nolint:nilerr // the call is left out, and counted
		}
		login = Login{Identifier: typed, Password: secret.New(password)}
		if password != "" {
			return login, "", nil
		}
		if known, ok := l.byName[identifier.Normalize(typed)]; ok {
			login.Password = known.Password
		}
		return login, "", nil
	}
	return l.byHash[call.Record.Identifier], "", nil
}
