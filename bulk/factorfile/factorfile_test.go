package factorfile_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/bulk/factorfile"
)

func open(t *testing.T, text string) (*factorfile.Index, error) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "factors")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	x, err := factorfile.Open(t.Context(), path, dir)
	if err == nil {
		t.Cleanup(func() {
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if entries, readErr := os.ReadDir(dir); readErr != nil || len(entries) != 1 {
		t.Errorf("%v are left, %v", entries, readErr)
	}
	return x, err
}

func packed(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Each user's methods are found by the user id, in any order, plain and gzipped.
func TestFind(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&text, "{\"user_id\":\"auth0|%d\",\"mfa_factors\":[{\"totp\":{\"secret\":%q}}]}\n", i, strings.Repeat("A", i%7+1))
	}
	text.WriteString("\n \r\n" + `{"user_id":"auth0|last","authentication_methods":[{"type":"passkey"},{"type":"totp","confirmed":false}]}`)
	for name, file := range map[string]string{"plain": text.String(), "gzip": packed(t, text.String())} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, err := open(t, file)
			if err != nil || x.Len() != 3001 || len(x.Digest()) != 64 {
				t.Fatalf("%v, %v", x, err)
			}
			for i := 2999; i >= 0; i -= 7 {
				checkSecret(t, x, fmt.Sprintf("auth0|%d", i), strings.Repeat("A", i%7+1))
			}
			if methods, err := x.Find("auth0|last"); err != nil || len(methods) != 1 || methods[0].Type != "passkey" {
				t.Errorf("%+v, %v", methods, err)
			}
			if methods, err := x.Find("auth0|none"); err != nil || len(methods) > 0 {
				t.Errorf("%+v, %v", methods, err)
			}
		})
	}
}

// checkSecret fails the test unless the user has one method, with the secret.
func checkSecret(t *testing.T, x *factorfile.Index, userID, want string) {
	t.Helper()
	methods, err := x.Find(userID)
	if err != nil || len(methods) != 1 || methods[0].Secret.Reveal() != want {
		t.Fatalf("%s: %+v, %v", userID, methods, err)
	}
}

// A file that cannot be read whole is refused, without a word of what it says.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	const good = `{"user_id":"auth0|1","authentication_methods":[]}` + "\n"
	for name, c := range map[string]struct{ text, says string }{
		"no JSON":         {good + "kim", "line 2: read methods"},
		"no user":         {`{"authentication_methods":[]}`, "user_id is missing"},
		"no user id":      {`{"user_id":"kim","authentication_methods":[]}`, "user_id is missing"},
		"no methods":      {`{"user_id":"auth0|1"}`, "neither authentication_methods nor mfa_factors nor recovery_code"},
		"no list":         {`{"user_id":"auth0|1","authentication_methods":"kim"}`, "is not a list"},
		"an answer":       {`[{"type":"totp"}]`, "user_id is missing"},
		"twice":           {good + `{"user_id":"auth0|2","authentication_methods":[]}` + "\n" + good, "a user has authentication_methods twice"},
		"twice, between":  {good + `{"user_id":"auth0|1","mfa_factors":[]}` + "\n" + good, "a user has authentication_methods twice"},
		"cut":             {packed(t, good)[:30], "line 1"},
		"a key twice":     {`{"user_id":"auth0|1","user_id":"auth0|2","authentication_methods":[]}`, "read methods"},
		"a line too long": {`{"user_id":"auth0|1","authentication_methods":["` + strings.Repeat("x", 1<<20) + `"]}`, "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, c.text)
			if err == nil || !strings.HasPrefix(err.Error(), "read factors file: ") || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "kim") {
				t.Errorf("the error is %v", err)
			}
		})
	}
	if _, err := factorfile.Open(t.Context(), filepath.Join(t.TempDir(), "none"), ""); err == nil {
		t.Error("a missing file is no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(t.TempDir(), "factors")
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := factorfile.Open(ctx, path, t.TempDir()); err == nil {
		t.Error("an interruption is no error")
	}
}

// The keys of a user may be in several lines.
func TestFindInSeveralLines(t *testing.T) {
	t.Parallel()
	x, err := open(t, `{"user_id":"auth0|1","authentication_methods":[{"type":"passkey"}]}
{"user_id":"auth0|2","mfa_factors":[{"totp":{"secret":"A"}}]}
{"user_id":"auth0|1","recovery_code":"K6LGLV3R"}
{"user_id":"auth0|1","mfa_factors":[{"totp":{"secret":"B"}}]}
`)
	if err != nil {
		t.Fatal(err)
	}
	checkSecret(t, x, "auth0|2", "A")
	var types []string
	methods, err := x.Find("auth0|1")
	for _, method := range methods {
		types = append(types, method.Type)
	}
	if got := strings.Join(types, " "); err != nil || got != "passkey recovery-code totp" {
		t.Errorf("%s, %v", got, err)
	}
}
