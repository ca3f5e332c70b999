// Package wiring_test runs the real Kratos with the files that package wiring writes.
package wiring_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ferry/secret"
	"ferry/wire"
	"ferry/wiring"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	key      = "0123456789abcdef0123456789abcdef"
	password = "right-at-Auth0"
	callWait = 20 * time.Second
)

// hooks answers as ferry does and reports the identities of the logins.
type hooks struct {
	*httptest.Server
	logins   chan string // identity ids
	template atomic.Bool // the migration hook must get the identity id
}

func startHooks(t *testing.T) *hooks {
	t.Helper()
	h := &hooks{logins: make(chan string, 8)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+wire.MigrationPath, func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Password string
			Identity struct{ ID string }
		}
		switch err := json.NewDecoder(r.Body).Decode(&asked); {
		case h.template.Load() && asked.Identity.ID == "":
			t.Error("migration hook: the template is not used")
		case err != nil || r.Header.Get("Authorization") != "Bearer "+key:
			t.Errorf("migration hook: %v, authorized by %q", err, r.Header.Get("Authorization"))
			w.WriteHeader(http.StatusUnauthorized)
		case asked.Password != password:
			w.WriteHeader(http.StatusForbidden)
		default:
			_, _ = io.WriteString(w, `{"status":"password_match"}`)
		}
	})
	mux.HandleFunc("POST "+wire.AfterLoginPath, func(_ http.ResponseWriter, r *http.Request) {
		var told struct{ Identity struct{ ID string } }
		if err := json.NewDecoder(r.Body).Decode(&told); err != nil || r.Header.Get("Authorization") != "Bearer "+key {
			t.Errorf("after-login hook: %v, authorized by %q", err, r.Header.Get("Authorization"))
		}
		h.logins <- told.Identity.ID
	})
	h.Server = httptest.NewServer(mux)
	t.Cleanup(h.Close)
	return h
}

// told waits for the next call of the after-login hook and returns its identity id.
func (h *hooks) told(t *testing.T) string {
	t.Helper()
	select {
	case id := <-h.logins:
		return id
	case <-time.After(callWait):
		t.Fatal("the after-login hook is not called")
		return ""
	}
}

// operators returns the operator's file, with the schema that ferry ships.
func operators(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "kratos.yml"))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := filepath.Abs(filepath.Join("..", "..", "identity.schema.json.example"))
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.ReplaceAll(string(text), "SCHEMA", schema))
}

func merge(t *testing.T, h *hooks, version string) []byte {
	t.Helper()
	return mergeWith(t, wiring.Options{URL: h.URL, Key: secret.New(key), KratosVersion: version})
}

func mergeWith(t *testing.T, o wiring.Options) []byte {
	t.Helper()
	merged, err := wiring.Merge(operators(t), o)
	if err != nil {
		t.Fatal(err)
	}
	return merged.Text
}

// startMerged starts Kratos on the merged and edited file, with the template if this
// Kratos accepts one.
func startMerged(t *testing.T, h *hooks, edit func(text string) string) *kratos {
	t.Helper()
	h.template.Store(true)
	k, err := startKratos(t, []byte(edit(string(merge(t, h, "25.4")))))
	if errors.Is(err, errTemplate) {
		h.template.Store(false)
		k, err = startKratos(t, []byte(edit(string(merge(t, h, "1.3.1")))))
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestMergedKratosLogsIn: the real Kratos starts on the merged file, users are
// migrated, and require_verified_address, which was under login.after.hooks, is still
// in force.
func TestMergedKratosLogsIn(t *testing.T) {
	h := startHooks(t)
	k := startMerged(t, h, func(text string) string { return text })
	verified := k.pending("verified@example.org", true)
	unverified := k.pending("unverified@example.org", false)

	if got := k.login("verified@example.org", "wrong"); got.status != http.StatusBadRequest || got.Token != "" {
		t.Errorf("a wrong password: %+v", got)
	}
	if got := k.login("unverified@example.org", password); !got.unverified() {
		t.Errorf("an address that is not verified: %+v", got)
	}
	// The password was right, so ferry is called before Kratos refuses the login.
	if id := h.told(t); id != unverified {
		t.Errorf("the after-login hook was told of another identity than %s: %s", unverified, id)
	}
	if got := k.login("verified@example.org", password); got.status != http.StatusOK || got.Token == "" {
		t.Errorf("a verified address: %+v", got)
	}
	if id := h.told(t); id != verified {
		t.Errorf("the after-login hook was told of another identity than %s: %s", verified, id)
	}
}

// TestKeyFromEnvironment: Kratos reads the key of both hooks from its environment,
// including that of the hook in a list, and the list's other hooks stay in force.
func TestKeyFromEnvironment(t *testing.T) {
	h := startHooks(t)
	var env []string
	for _, name := range (wiring.Options{}).KeyVariables() {
		env = append(env, name+"=Bearer "+key)
	}
	o := wiring.Options{URL: h.URL, Key: secret.New(key), KeyFromEnvironment: true}
	text := mergeWith(t, o)
	if strings.Contains(string(text), "Bearer "+key) {
		t.Fatalf("the key is in the file:\n%s", text)
	}
	k, err := startKratos(t, text, env...)
	if err != nil {
		t.Fatal(err)
	}
	verified := k.pending("verified@example.org", true)
	unverified := k.pending("unverified@example.org", false)
	if got := k.login("verified@example.org", password); got.status != http.StatusOK {
		t.Errorf("a verified address: %+v", got)
	}
	if id := h.told(t); id != verified {
		t.Errorf("told of %s, not of %s", id, verified)
	}
	if got := k.login("unverified@example.org", password); !got.unverified() {
		t.Errorf("require_verified_address is not in force: %+v", got)
	}
	if id := h.told(t); id != unverified {
		t.Errorf("told of %s, not of %s", id, unverified)
	}
}

// TestRemovedKratosRuns: removing ferry's hooks restores the original file, and Kratos
// starts with it.
func TestRemovedKratosRuns(t *testing.T) {
	h := startHooks(t)
	left, err := wiring.Remove(merge(t, h, "25.4"), "")
	if err != nil {
		t.Fatal(err)
	}
	if string(left.Text) != string(operators(t)) {
		t.Errorf("another file than before: %s", left.Diff)
	}
	k, err := startKratos(t, left.Text)
	if err != nil {
		t.Fatal(err)
	}
	k.pending("pending@example.org", true)
	if got := k.login("pending@example.org", password); got.status != http.StatusInternalServerError {
		t.Errorf("the note about an error 500 is wrong: %+v", got)
	}
}

// TestHooksAreShadowed: without the copy that the merge makes, Kratos would let in
// users whom require_verified_address refuses.
func TestHooksAreShadowed(t *testing.T) {
	h := startHooks(t)
	const copied = "          - hook: require_verified_address\n"
	k := startMerged(t, h, func(text string) string {
		if strings.Count(text, copied) != 1 {
			t.Fatalf("the merged file has no copy of the hook:\n%s", text)
		}
		return strings.Replace(text, copied, "", 1)
	})
	k.pending("unverified@example.org", false)
	if got := k.login("unverified@example.org", password); got.Token == "" {
		t.Errorf("Kratos runs login.after.hooks too, and needs no copy: %+v", got)
	}
	h.told(t)
}
