package kratostest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

const (
	testKey     = "key-of-the-test-0123456789abcdef"
	right       = "the-right-Passw0rd"
	wrong       = "the-wrong-Passw0rd"
	unavailable = "the-Passw0rd-when-auth0-is-down"
)

// migrationHook stands in for ferry: it answers by the password alone.
type migrationHook struct {
	*httptest.Server

	mu    sync.Mutex
	calls []hookCall
}

type hookCall struct {
	authorization string
	body          struct{ Identifier, Password string }
	fields        map[string]any
}

func newMigrationHook(t *testing.T) *migrationHook {
	t.Helper()
	h := &migrationHook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := hookCall{authorization: r.Header.Get("Authorization")}
		if err := json.NewDecoder(r.Body).Decode(&call.fields); err != nil {
			t.Errorf("hook body: %v", err)
		}
		call.body.Identifier, _ = call.fields["identifier"].(string)
		call.body.Password, _ = call.fields["password"].(string)
		h.mu.Lock()
		h.calls = append(h.calls, call)
		h.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch call.body.Password {
		case right:
			_, _ = w.Write([]byte(`{"status":"password_match"}`))
		case wrong:
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"status":"no_match"}`))
		default:
			w.WriteHeader(http.StatusFailedDependency)
			_, _ = w.Write([]byte(`{"status":"unavailable"}`))
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// callsFor are the calls that named this identifier.
func (h *migrationHook) callsFor(identifier string) []hookCall {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []hookCall
	for _, call := range h.calls {
		if call.body.Identifier == identifier {
			found = append(found, call)
		}
	}
	return found
}

func mustCreate(t *testing.T, k *Kratos, n IdentitySpec) string {
	t.Helper()
	id, err := k.CreateIdentity(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func mustGet(t *testing.T, k *Kratos, id string) Identity {
	t.Helper()
	identity, err := k.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// TestKratos takes people across the real Kratos, with a hook that knows them
// by their password.
func TestKratos(t *testing.T) {
	t.Parallel()
	hook := newMigrationHook(t)
	k := Run(t, Options{
		HookURL: hook.URL + "/hooks/password-migration",
		HookKey: testKey,
		MigrateJsonnet: `function(ctx) {
			identifier: ctx.identifier, password: ctx.password, identity: { id: ctx.identity.id },
		}`,
	})

	t.Run("version", func(t *testing.T) {
		version, err := k.Version(t.Context())
		if err != nil || version == "" {
			t.Errorf("version %q, %v", version, err)
		}
	})
	for name, login := range clients(k) {
		t.Run("migrates by "+name, func(t *testing.T) { testMigrates(t, k, hook, name, login) })
	}
	t.Run("keeps what it is given", func(t *testing.T) { testKeeps(t, k) })
	t.Run("passwords and hashes", func(t *testing.T) { testPasswords(t, k, hook) })
	t.Run("inactive", func(t *testing.T) { testInactive(t, k) })
	t.Run("errors say what kratos said", func(t *testing.T) { testErrors(t, k) })
	t.Run("logs", func(t *testing.T) {
		logs := k.Logs()
		if !strings.Contains(logs, "/self-service/login") {
			t.Error("the logs show no login")
		}
		for _, secret := range []string{right, wrong, unavailable, testKey} {
			if strings.Contains(logs, secret) {
				t.Errorf("%q is in the logs", secret)
			}
		}
	})
}

type loginFunc func(t *testing.T, identifier, password string) Login

func clients(k *Kratos) map[string]loginFunc {
	must := func(t *testing.T, login Login, err error) Login {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if login.Duration <= 0 || login.Status == 0 {
			t.Errorf("took %s, status %d", login.Duration, login.Status)
		}
		return login
	}
	return map[string]loginFunc{
		"app": func(t *testing.T, identifier, password string) Login {
			t.Helper()
			login, err := k.LoginAPI(t.Context(), identifier, password, WithHeader("User-Agent", "an app"))
			return must(t, login, err)
		},
		"browser": func(t *testing.T, identifier, password string) Login {
			t.Helper()
			login, err := k.LoginBrowser(t.Context(), identifier, password)
			return must(t, login, err)
		},
		"page": func(t *testing.T, identifier, password string) Login {
			t.Helper()
			login, err := k.LoginSPA(t.Context(), identifier, password)
			return must(t, login, err)
		},
	}
}

func testMigrates(t *testing.T, k *Kratos, hook *migrationHook, name string, login loginFunc) {
	t.Helper()
	email := name + "@example.org"
	id := mustCreate(t, k, IdentitySpec{Traits: map[string]any{"email": email}, Pending: true})
	before := mustGet(t, k, id)
	if !before.Pending || before.HashedPassword != "" || before.State != "active" {
		t.Errorf("before: %+v", before)
	}

	sees := func(identifier, password, want string) Login {
		t.Helper()
		got := login(t, identifier, password)
		if got.Sees() != want {
			t.Errorf("%s with %s sees %q, want %q: %+v", identifier, password, got.Sees(), want, got)
		}
		return got
	}
	sees("nobody-"+email, right, SeesInvalidCredentials)
	sees(email, wrong, SeesInvalidCredentials)
	if down := sees(email, unavailable, SeesUnavailable); down.ErrorReason == "" || down.ErrorCode != http.StatusBadGateway {
		t.Errorf("unavailable: %+v", down)
	}
	if !mustGet(t, k, id).Pending {
		t.Fatal("no longer pending before any match")
	}
	if in := sees(email, right, SeesSession); in.IdentityID != id {
		t.Errorf("session of %q, want %q", in.IdentityID, id)
	}
	after := mustGet(t, k, id)
	if after.Pending || !strings.HasPrefix(after.HashedPassword, "$2a$04$") || !after.PasswordUpdatedAt.After(before.PasswordUpdatedAt) {
		t.Errorf("after: %+v", after)
	}
	sees(email, right, SeesSession)
	sees(email, wrong, SeesInvalidCredentials)

	calls := hook.callsFor(email)
	if len(calls) != 3 {
		t.Errorf("the hook was called %d times for %s, want 3", len(calls), email)
	}
	for _, call := range calls {
		if call.authorization != "Bearer "+testKey {
			t.Errorf("authorization %q", call.authorization)
		}
		// Only a Kratos that knows templates sends the third.
		if identity, ok := call.fields["identity"].(map[string]any); ok && identity["id"] != id {
			t.Errorf("identity %v, want %s", identity, id)
		}
	}
}

func testKeeps(t *testing.T, k *Kratos) {
	t.Helper()
	id := mustCreate(t, k, IdentitySpec{
		SchemaID:            "person",
		Traits:              map[string]any{"email": "Keeps@Example.org", "username": "Keeper", "phone": "+4915112345678", "name": "K. Eeper"},
		MetadataAdmin:       map[string]any{"auth0": map[string]any{"user_id": "auth0|1"}},
		MetadataPublic:      map[string]any{"seen": true},
		State:               "active",
		Pending:             true,
		VerifiableAddresses: []Address{{Value: "keeps@example.org", Via: "email", Verified: true}},
	})
	got := mustGet(t, k, id)
	if got.ID != id || got.SchemaID != "person" || !got.Pending || got.Traits["name"] != "K. Eeper" {
		t.Errorf("got %+v", got)
	}
	admin, _ := got.MetadataAdmin.(map[string]any)
	if bound, _ := admin["auth0"].(map[string]any); bound["user_id"] != "auth0|1" {
		t.Errorf("metadata_admin %v", got.MetadataAdmin)
	}
	if len(got.Identifiers) != 3 || !strings.Contains(strings.Join(got.Identifiers, " "), "keeps@example.org") {
		t.Errorf("identifiers %v", got.Identifiers)
	}
	var verified bool
	for _, a := range got.VerifiableAddresses {
		verified = verified || (a == Address{Value: "keeps@example.org", Via: "email", Verified: true})
	}
	if !verified {
		t.Errorf("addresses %+v", got.VerifiableAddresses)
	}
	if err := k.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Get(t.Context(), id); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("after delete: %v", err)
	}
}

func testPasswords(t *testing.T, k *Kratos, hook *migrationHook) {
	t.Helper()
	mustCreate(t, k, IdentitySpec{Traits: map[string]any{"email": "clear@example.org"}, Password: "a-Passw0rd-in-clear"})
	hash, err := bcrypt.GenerateFromPassword([]byte("a-Passw0rd-of-before"), lowestBcryptCost)
	if err != nil {
		t.Fatal(err)
	}
	mustCreate(t, k, IdentitySpec{
		Traits:         map[string]any{"email": "hash@example.org"},
		HashedPassword: string(hash),
	})
	mustCreate(t, k, IdentitySpec{Traits: map[string]any{"email": "none@example.org"}})
	for email, c := range map[string]struct{ password, want string }{
		"clear@example.org": {"a-Passw0rd-in-clear", SeesSession},
		"hash@example.org":  {"a-Passw0rd-of-before", SeesSession},
		"none@example.org":  {"anything", SeesInvalidCredentials},
	} {
		login, err := k.LoginAPI(t.Context(), email, c.password)
		if err != nil || login.Sees() != c.want {
			t.Errorf("%s sees %q (%v), want %q", email, login.Sees(), err, c.want)
		}
		if calls := hook.callsFor(email); len(calls) != 0 {
			t.Errorf("the hook was asked about %s", email)
		}
	}
}

func testInactive(t *testing.T, k *Kratos) {
	t.Helper()
	id := mustCreate(t, k, IdentitySpec{Traits: map[string]any{"email": "inactive@example.org"}, Password: right})
	if err := k.SetState(t.Context(), id, "inactive"); err != nil {
		t.Fatal(err)
	}
	if got := mustGet(t, k, id); got.State != "inactive" {
		t.Errorf("state %q", got.State)
	}
	for name, login := range clients(k) {
		if got := login(t, "inactive@example.org", right); got.Sees() != "other: error 401 This account was disabled." {
			t.Errorf("%s sees %q: %+v", name, got.Sees(), got)
		}
	}
}

func testErrors(t *testing.T, k *Kratos) {
	t.Helper()
	person := IdentitySpec{Traits: map[string]any{"email": "twice@example.org"}, Pending: true}
	mustCreate(t, k, person)
	if _, err := k.CreateIdentity(t.Context(), person); err == nil || !strings.Contains(err.Error(), "409") {
		t.Errorf("created twice: %v", err)
	}
	_, err := k.CreateIdentity(t.Context(), IdentitySpec{Traits: map[string]any{"shoe": 44}})
	if err == nil || !strings.Contains(err.Error(), "shoe") {
		t.Errorf("unknown trait: %v", err)
	}
}
