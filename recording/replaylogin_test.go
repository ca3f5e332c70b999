package recording

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/nacl/box"
)

// sealFor returns credentials sealed for the owner of a key.
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
	public, private, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	const hash = "<ada@example.org>"
	passwords := `{"identifier":" Ada@Example.org","password":"old"}` + "\n\n" +
		`{"identifier":"ada@example.org","password":"canary"}` + "\n" + `{"identifier":"Bob","password":"bobs"}`
	sealed := func(to *[32]byte, identifier, password string) func(*Record) {
		text := sealFor(t, to, identifier, password)
		return func(l *Record) { l.Sealed = text }
	}
	for name, c := range map[string]struct {
		private              *[32]byte
		hash                 func(string) string
		line                 func(*Record)
		identifier, password string
		skip                 string
	}{
		"sealed":                    {private, hashed, sealed(public, "Ada ", "typed"), "Ada ", "typed", ""},
		"sealed, password proven":   {private, hashed, sealed(public, "BOB ", ""), "BOB ", "bobs", ""},
		"sealed, not in the file":   {private, hashed, sealed(public, "eve", ""), "eve", "", ""},
		"sealed for another":        {private, hashed, sealed(other, "Ada", "typed"), "", "", "sealed for another key"},
		"sealed for another, known": {private, hashed, func(l *Record) { sealed(other, "Ada", "typed")(l); l.Identifier = hash }, "ada@example.org", "canary", ""},
		"sealed, no private key":    {nil, hashed, sealed(public, "Ada", "typed"), "", "", ""},
		"by hash":                   {nil, hashed, func(l *Record) { l.Identifier = hash }, "ada@example.org", "canary", ""},
		"by hash, another key":      {nil, strings.ToUpper, func(l *Record) { l.Identifier = hash }, "", "", ""},
		"by hash, no key":           {nil, nil, func(l *Record) { l.Identifier = hash }, "", "", ""},
		"unknown hash":              {nil, hashed, func(l *Record) { l.Identifier = "00" }, "", "", ""},
		"not needed":                {nil, hashed, func(l *Record) { l.Identifier, l.Outcome = hash, "caller" }, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			logins := NewLogins(c.private, c.hash)
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
		err := NewLogins(nil, nil).Read(strings.NewReader(`{"identifier":"a","password":"b"}` + "\n" + text))
		if err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzLogins: no error quotes a line, and every login has an identifier and a
// password.
func FuzzLogins(f *testing.F) {
	f.Add(`{"identifier":"a","password":"b"}`)
	f.Add("canary")
	f.Fuzz(func(t *testing.T, text string) {
		err := NewLogins(nil, hashed).Read(strings.NewReader(text))
		if err != nil && len(err.Error()) > 120 {
			t.Fatalf("a long error may quote: %v", err)
		}
	})
}
