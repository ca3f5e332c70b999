package recording_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"ferry/recording"
	"ferry/secret"
)

func keys(tb testing.TB) (public, private *[32]byte) {
	tb.Helper()
	public, private, err := recording.GenerateKey()
	if err != nil {
		tb.Fatal(err)
	}
	return public, private
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	public, private := keys(t)
	text := recording.FormatKey(private)
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"alone":          {text, true},
		"with a newline": {text + "\n", true},
		"with comments":  {"# one\n\n  # two " + text + "\r\n" + text + "\r\n", true},
		"nothing":        {"", false},
		"only a comment": {"# " + text, false},
		"two":            {text + "\n" + text, false},
		"short":          {base64.StdEncoding.EncodeToString(private[:31]), false},
		"long":           {base64.StdEncoding.EncodeToString(append(private[:], 1)), false},
		"not base64":     {strings.Repeat("-", len(text)), false},
		"url base64":     {base64.RawURLEncoding.EncodeToString(private[:]), false},
	} {
		got, err := recording.ParseKey(c.text)
		switch {
		case c.ok && (err != nil || *got != *private):
			t.Errorf("%s: %v", name, err)
		case !c.ok && !errors.Is(err, recording.ErrKey):
			t.Errorf("%s: err = %v", name, err)
		}
	}
	if got, err := recording.PublicKey(private); err != nil || *got != *public {
		t.Errorf("public key: %v", err)
	}
}

// TestNewRejectsLowOrderKeys: texts sealed for such a key could be opened by anyone.
func TestNewRejectsLowOrderKeys(t *testing.T) {
	t.Parallel()
	for name, key := range map[string][32]byte{"zero": {}, "one": {1}} {
		_, err := recording.New(options(t, t.TempDir(), func(o *recording.Options) { o.Key = &key }))
		if !errors.Is(err, recording.ErrKey) {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}

// seal returns the Sealed field of the record of a failed login.
func seal(t *testing.T, public *[32]byte, identifier, password string) string {
	t.Helper()
	lines := record(t, options(t, t.TempDir(), func(o *recording.Options) { o.Key = public }), recording.Event{
		Outcome: "mismatch", Identifier: identifier, Password: secret.New(password), Time: time.Now(),
	})
	return lines[0].Sealed
}

func TestOpen(t *testing.T) {
	t.Parallel()
	public, private := keys(t)
	_, other := keys(t)
	const identifier, password = "  Alice@Example.ORG ", "pass\"wörd\x00🔑 "
	sealed := seal(t, public, identifier, password)
	if i, p, err := recording.Open(sealed, private); err != nil || i != identifier || p != password {
		t.Errorf("%q, %q, %v", i, p, err)
	}
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] ^= 1
	for name, c := range map[string]struct {
		text    string
		private *[32]byte
	}{
		"another key": {sealed, other}, "changed": {base64.StdEncoding.EncodeToString(raw), private},
		"nothing": {"", private}, "not base64": {"%", private}, "truncated": {sealed[:64], private},
	} {
		i, p, err := recording.Open(c.text, c.private)
		if !errors.Is(err, recording.ErrSealed) || i+p != "" {
			t.Errorf("%s: %q, %q, %v", name, i, p, err)
		}
	}
}

// TestSealedSize: a sealed text does not reveal the length of the password, and
// sealing the same password twice gives different texts.
func TestSealedSize(t *testing.T) {
	t.Parallel()
	public, _ := keys(t)
	short, long := seal(t, public, "alice@example.org", "x"), seal(t, public, "alice@example.org", strings.Repeat("x", 60))
	if len(short) != len(long) || short == seal(t, public, "alice@example.org", "x") {
		t.Errorf("%d and %d characters", len(short), len(long))
	}
	const overhead = 48 // bytes that a sealed box adds
	for n := 1; n < 300; n += 37 {
		raw, err := base64.StdEncoding.DecodeString(seal(t, public, "a", strings.Repeat("x", n)))
		if err != nil || (len(raw)-overhead)%128 != 0 || len(raw) == overhead {
			t.Errorf("a password of %d: %d bytes, %v", n, len(raw), err)
		}
	}
	if got := seal(t, public, "a", strings.Repeat("x", 5000)); got != "" {
		t.Error("a password above the limit is sealed")
	}
}

func FuzzOpen(f *testing.F) {
	_, private := keys(f)
	f.Add("")
	f.Add(base64.StdEncoding.EncodeToString(make([]byte, 200)))
	f.Fuzz(func(t *testing.T, text string) {
		if i, p, err := recording.Open(text, private); err == nil || i+p != "" {
			t.Fatalf("opened %q", text)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add("# comment\n" + strings.Repeat("A", 43) + "=\n")
	f.Fuzz(func(t *testing.T, text string) {
		key, err := recording.ParseKey(text)
		if err != nil {
			return
		}
		if again, err := recording.ParseKey(recording.FormatKey(key)); err != nil || *again != *key {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
