package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
	"ferry/wiring"
)

// hijack is an address that an attacker registered at Auth0 before its owner came, without
// verifying it.
type hijack struct {
	*stack

	google   *provider
	mail     *kratostest.Mailbox
	config   string // kratos.yml, for doctor
	address  string
	password string // the attacker's
	attacker string // Auth0 user id
}

// TestPreHijacking: what an attacker gets who signed up at Auth0 with the address of somebody
// else, and who gets in when the owner comes.
func TestPreHijacking(t *testing.T) {
	google, mail := startProvider(t), kratostest.NewMailbox(t)
	config := filepath.Join(t.TempDir(), "kratos.yml")
	s := startOn(t, func(k *kratostest.Options) {
		k.Mailbox = mail
		k.Edit = func(parsed map[string]any) {
			methods := at(parsed, "selfservice", "methods")
			at(methods, "password", "config")["haveibeenpwned_enabled"] = false
			methods["oidc"] = map[string]any{"enabled": true, "config": map[string]any{"providers": []any{google.config(wiring.Base64(documentedMapper(t)))}}}
			at(parsed, "selfservice", "flows", "registration")["after"] = map[string]any{"oidc": map[string]any{"hooks": []any{map[string]any{"hook": "session"}}}}
			at(parsed, "selfservice", "flows", "recovery")["after"] = map[string]any{"hooks": []any{map[string]any{"hook": "revoke_active_sessions"}}}
			text, err := json.Marshal(parsed)
			if err == nil {
				err = os.WriteFile(config, text, 0o600)
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	for i, c := range []struct {
		name string
		run  func(*testing.T, *hijack)
	}{
		{"pending", testHijackPending}, {"pending, the owner has a social login", testHijackSocial}, {"skip", testHijackSkipped}, {"classic and federated", testHijackTwins},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &hijack{
				stack: s, google: google, mail: mail, config: config,
				address: fmt.Sprintf("canary-owner%d@example.org", i), password: fmt.Sprintf("canary-Passw0rd of the attacker %d", i), attacker: fmt.Sprintf("auth0|attacker%d", i),
			}
			if _, err := s.sim.AddUser(auth0sim.User{ID: h.attacker, Connection: users, Email: h.address, Password: h.password}); err != nil {
				t.Fatal(err)
			}
			c.run(t, h)
		})
	}
}

// attackerRow is the attacker in a users file.
func (h *hijack) attackerRow() string {
	_, id, _ := strings.Cut(h.attacker, "|")
	return fmt.Sprintf(`{"user_id":%q,"email":%q,"email_verified":false,"blocked":false,"multifactor":[],"last_password_reset":null,"identities":[{"provider":"auth0","user_id":%q,"connection":%q}]}`, h.attacker, h.address, id, users)
}

// ownerRow is the owner in a users file, who uses a social login and has the address verified.
func (h *hijack) ownerRow() string {
	sub := "google-" + h.address
	return fmt.Sprintf(`{"user_id":"google-oauth2|%[1]s","email":%[2]q,"email_verified":true,"blocked":false,"multifactor":[],"last_password_reset":null,"identities":[{"provider":"google-oauth2","user_id":%[1]q,"connection":"google-oauth2","isSocial":true}]}`, sub, h.address)
}

// summary is what an import prints.
type summary struct {
	Outcomes, Reasons map[string]int
	Unverified        int
}

// imports imports rows, trusting the addresses of some connections, and fails the test unless
// the dry run has told the same before.
func (h *hijack) imports(t *testing.T, trusted string, rows []string, flags ...string) summary {
	t.Helper()
	file := filepath.Join(t.TempDir(), "users.ndjson")
	if err := os.WriteFile(file, []byte(strings.Join(rows, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var told [2]summary
	for i, dry := range []string{"--dry-run=true", "--dry-run=false"} {
		out, _ := h.run(t, []string{h.publicURL(), "FERRY_VERIFIED_CONNECTIONS=" + trusted}, append([]string{"import", "--users", file, "--json", "--results", filepath.Join(t.TempDir(), "results"), dry, "--provider", "google-oauth2=google"}, flags...)...)
		from, to := strings.Index(out, "{"), strings.LastIndex(out, "}")
		if from < 0 || json.Unmarshal([]byte(out[from:to+1]), &told[i]) != nil {
			t.Fatalf("import: %s", out)
		}
	}
	if fmt.Sprint(told[0]) != fmt.Sprint(told[1]) {
		t.Errorf("the dry run told %v, the import %v", told[0], told[1])
	}
	return told[1]
}

// attacks logs in as the attacker.
func (h *hijack) attacks(t *testing.T, want string) kratostest.Login {
	t.Helper()
	got, err := h.kratos.LoginAPI(t.Context(), h.address, h.password)
	if err != nil || got.Sees() != want {
		t.Errorf("the attacker sees %q, %v; want %q", got.Sees(), err, want)
	}
	return got
}

// attempts returns how often Auth0 was asked about the attacker.
func (h *hijack) attempts() int { return h.sim.Attempts(h.attacker) }

// owner logs in at the social provider, whose user has the address.
func (h *hijack) owner(t *testing.T) kratostest.Login {
	t.Helper()
	h.google.user(map[string]any{"sub": "google-" + h.address, "email": h.address, "email_verified": true})
	browser, err := h.kratos.NewSocial()
	if err != nil {
		t.Fatal(err)
	}
	got, err := browser.Login(t.Context(), "google")
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// testHijackPending: the attacker gets in by the default, with an unverified address. The owner
// recovers the account and sets a password: the attacker's no longer works, nor the session.
func testHijackPending(t *testing.T, h *hijack) {
	t.Helper()
	if got := h.imports(t, users, []string{h.attackerRow()}); got.Unverified != 1 || got.Outcomes["created_pending"] != 1 {
		t.Errorf("%+v", got)
	}
	h.checkDoctor(t)
	session := h.attacks(t, kratostest.SeesSession)
	identity, err := h.kratos.Get(t.Context(), session.IdentityID)
	if err != nil || verified(identity, h.address) {
		t.Errorf("the address is verified: %+v, %v", identity, err)
	}
	if !h.active(t, session) {
		t.Error("the attacker has no session")
	}
	if err := h.kratos.RecoverByMail(t.Context(), h.mail, h.address, "the owner's Passw0rd"); err != nil {
		t.Fatal(err)
	}
	if h.active(t, session) {
		t.Error("the attacker's session goes on")
	}
	before := h.attempts()
	h.attacks(t, kratostest.SeesInvalidCredentials)
	if h.attempts() != before {
		t.Error("Auth0 was asked about the attacker")
	}
	if got, err := h.kratos.LoginAPI(t.Context(), h.address, "the owner's Passw0rd"); err != nil || got.Sees() != kratostest.SeesSession || got.IdentityID != session.IdentityID {
		t.Errorf("the owner sees %q, %v", got.Sees(), err)
	}
}

// active reports whether a session is active.
func (h *hijack) active(t *testing.T, login kratostest.Login) bool {
	t.Helper()
	var session struct {
		Active bool `json:"active"`
	}
	h.readAdmin(t, "/admin/sessions/"+login.SessionID, &session)
	return session.Active
}

// checkDoctor: doctor counts identities without a verified address, and warns where a setting of
// Kratos gives them to their owners with the attacker's password.
func (h *hijack) checkDoctor(t *testing.T) {
	t.Helper()
	dangerous := filepath.Join(t.TempDir(), "kratos.yml")
	text, err := os.ReadFile(h.config)
	if err == nil {
		err = os.WriteFile(dangerous, []byte(strings.Replace(string(text), `"id":"google"`, `"id":"google","account_linking_mode":"automatic"`, 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{h.config: "ok    kratos.unverified", dangerous: "warn  kratos.unverified"} {
		out, _ := h.run(t, h.settings(nil), "doctor", "--no-grant", "--kratos-config", file)
		line := ""
		for one := range strings.Lines(out) {
			if strings.Contains(one, "kratos.unverified") {
				line = one
			}
		}
		if !strings.HasPrefix(line, want) || !strings.Contains(line, "1 of 1 identity imported from Auth0 have no verified address") {
			t.Errorf("doctor says %q, want %s", line, want)
		}
	}
}

// testHijackSocial: the owner's social login does not get the attacker's identity, whose password
// would stay: Kratos asks for that first.
func testHijackSocial(t *testing.T, h *hijack) {
	t.Helper()
	h.imports(t, users, []string{h.attackerRow()})
	if got := h.owner(t); got.Sees() != kratostest.SeesLink {
		t.Errorf("the owner sees %q", got.Sees())
	}
	if h.attempts() != 0 {
		t.Error("Auth0 was asked")
	}
}

// testHijackSkipped: the attacker has no identity, and Auth0 is not asked. The owner signs up.
func testHijackSkipped(t *testing.T, h *hijack) {
	t.Helper()
	if got := h.imports(t, users, []string{h.attackerRow()}, "--unverified", "skip"); got.Unverified != 0 || got.Reasons["skipped: unverified"] != 1 {
		t.Errorf("%+v", got)
	}
	h.attacks(t, kratostest.SeesInvalidCredentials)
	if got := h.owner(t); got.Sees() != kratostest.SeesSession {
		t.Errorf("the owner sees %q", got.Sees())
	}
	h.attacks(t, kratostest.SeesInvalidCredentials)
	if h.attempts() != 0 {
		t.Error("Auth0 was asked about the attacker")
	}
}

// testHijackTwins: of an unverified account with a password and a verified social one, the latter
// gets the identity if its connection is trusted to verify addresses, with --merge-verified too,
// and neither gets it otherwise. The attacker's password opens nothing.
func testHijackTwins(t *testing.T, h *hijack) {
	t.Helper()
	rows := []string{h.attackerRow(), h.ownerRow()}
	for _, flags := range [][]string{nil, {"--merge-verified"}} {
		if got := h.imports(t, users, rows, flags...); got.Reasons["failed: identifier_twice"] != 2 {
			t.Errorf("not trusted, %v: %+v", flags, got)
		}
		got := h.imports(t, users+",google-oauth2", rows, flags...)
		if got.Outcomes["created_social"] != 1 || got.Reasons["failed: identifier_twice"] != 1 {
			t.Errorf("trusted, %v: %+v", flags, got)
		}
		h.attacks(t, kratostest.SeesInvalidCredentials)
		login := h.owner(t)
		if login.Sees() != kratostest.SeesSession {
			t.Errorf("%v: the owner sees %q", flags, login.Sees())
		}
		h.attacks(t, kratostest.SeesInvalidCredentials)
		if h.attempts() != 0 {
			t.Error("Auth0 was asked about the attacker")
		}
		if err := h.kratos.Delete(t.Context(), login.IdentityID); err != nil {
			t.Fatal(err)
		}
	}
}
