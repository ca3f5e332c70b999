package recording_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/nacl/box"

	"ferry/recording"
	"ferry/secret"
)

// sealFor is what a recording has for the owner of a key.
func sealFor(t *testing.T, public *[32]byte, identifier, password string) string {
	t.Helper()
	text := fmt.Sprintf(`{"identifier":%q,"password":%q}`, identifier, password)
	sealed, err := box.SealAnonymous(nil, fmt.Appendf(nil, "%-128s", text), public, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(sealed)
}

func TestLogins(t *testing.T) {
	public, private, err := recording.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := recording.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	const hash = "26a6ce2af8cca0ea" // of ada@example.org under the key below
	key := secret.New("log-hash-key")
	passwords := `{"identifier":" Ada@Example.org","password":"old"}` + "\n\n" +
		`{"identifier":"ada@example.org","password":"canary"}` + "\n" + `{"identifier":"Bob","password":"bobs"}`
	sealed := func(to *[32]byte, identifier, password string) func(*recording.Record) {
		text := sealFor(t, to, identifier, password)
		return func(l *recording.Record) { l.Sealed = text }
	}
	for name, c := range map[string]struct {
		private              *[32]byte
		hashKey              secret.String
		line                 func(*recording.Record)
		identifier, password string
		skip                 string
	}{
		"sealed":                    {private, key, sealed(public, "Ada ", "typed"), "Ada ", "typed", ""},
		"sealed, password proven":   {private, key, sealed(public, "BOB ", ""), "BOB ", "bobs", ""},
		"sealed, not in the file":   {private, key, sealed(public, "eve", ""), "eve", "", ""},
		"sealed for another":        {private, key, sealed(other, "Ada", "typed"), "", "", "sealed for another key"},
		"sealed for another, known": {private, key, func(l *recording.Record) { sealed(other, "Ada", "typed")(l); l.Identifier = hash }, "ada@example.org", "canary", ""},
		"sealed, no private key":    {nil, key, sealed(public, "Ada", "typed"), "", "", ""},
		"by hash":                   {nil, key, func(l *recording.Record) { l.Identifier = hash }, "ada@example.org", "canary", ""},
		"by hash, another key":      {nil, secret.New("other"), func(l *recording.Record) { l.Identifier = hash }, "", "", ""},
		"by hash, no key":           {nil, secret.String{}, func(l *recording.Record) { l.Identifier = hash }, "", "", ""},
		"unknown hash":              {nil, key, func(l *recording.Record) { l.Identifier = "00" }, "", "", ""},
		"not needed":                {nil, key, func(l *recording.Record) { l.Identifier, l.Outcome = hash, "caller" }, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			logins := recording.NewLogins(c.private, c.hashKey)
			if err := logins.Read(strings.NewReader(passwords)); err != nil {
				t.Fatal(err)
			}
			login, skip, err := logins.Restore(t.Context(), line(t, c.line))
			if err != nil || login.Identifier != c.identifier || login.Password.Reveal() != c.password || skip != c.skip {
				t.Errorf("got %q, %q, %q, %v", login.Identifier, login.Password.Reveal(), skip, err)
			}
		})
	}
}

func TestLoginsRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"not JSON": "canary", "no identifier": `{"password":"canary"}`, "blank": `{"identifier":" ","password":"canary"}`,
		"no password": `{"identifier":"canary"}`, "twice": `{"identifier":"canary","password":"a","Password":"b"}`, "a list": `["canary"]`,
	} {
		err := recording.NewLogins(nil, secret.String{}).Read(strings.NewReader(`{"identifier":"a","password":"b"}` + "\n" + text))
		if err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzLogins: no line, however odd, is quoted, and what is read has both parts.
func FuzzLogins(f *testing.F) {
	f.Add(`{"identifier":"a","password":"b"}`)
	f.Add("canary")
	f.Fuzz(func(t *testing.T, text string) {
		err := recording.NewLogins(nil, secret.New("k")).Read(strings.NewReader(text))
		if err != nil && len(err.Error()) > 120 {
			t.Fatalf("a long error may quote: %v", err)
		}
	})
}
