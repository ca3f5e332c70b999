// Package doctor runs ferry's doctor against the Auth0 simulator, the real Kratos and
// the program ferry, in valid set-ups and in ones with every fault that it reports.
package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ferry/doctor"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
	"ferry/upstream"
	"ferry/wiring"
)

const (
	adminKey      = "canary-admin-key-30c4-0123456789abcdef"
	hookKey       = "canary-hook-key-77aa31-0123456789abcdef"
	otherKey      = "canary-other-key-91ab-0123456789abcdef"
	clientSecret  = "canary-client-secret-5e1d0c2b"
	machineSecret = "canary-machine-secret-91ab"
	users         = "Username-Password-Authentication"
	legacy        = "legacy"
	saml          = "saml"
	timeout       = 5 * time.Second
)

func TestMain(m *testing.M) { built.Main(m) }

// stack is the simulator, Kratos and ferry in a valid set-up.
type stack struct {
	sim    *auth0sim.Server
	kratos *kratostest.Kratos
	ferry  *ferrytest.Ferry
	// templates reports whether this Kratos accepts a template for the migration hook
	// (25.4 and later).
	templates bool
}

// allScopes returns the scopes that doctor uses.
func allScopes() []string {
	return []string{
		auth0sim.ScopeReadUsers, auth0sim.ScopeReadConnections, auth0sim.ScopeReadClients, auth0sim.ScopeReadAttackProtection,
		auth0sim.ScopeReadTenantSettings, auth0sim.ScopeUpdateUsers,
	}
}

func start(t *testing.T) *stack {
	t.Helper()
	s := &stack{sim: startAuth0(t)}
	s.kratos = kratostest.Run(t, kratostest.Options{})
	s.templates = takesTemplates(t, s.kratos)
	s.startFerry(t, s.kratos.AdminURL())
	return s
}

func startAuth0(t *testing.T) *auth0sim.Server {
	t.Helper()
	grants := []string{auth0sim.GrantPassword, auth0sim.GrantPasswordRealm}
	return auth0sim.Run(t, auth0sim.Config{Tenant: &auth0sim.Tenant{
		Connections: []auth0sim.Connection{{Name: users}, {Name: legacy}, {Name: saml, Strategy: auth0sim.StrategySAML}},
		Apps: []auth0sim.App{
			{ClientID: "sound", ClientSecret: clientSecret, TrustForwardedFor: true},
			{ClientID: "no-grant", ClientSecret: clientSecret, TrustForwardedFor: true, GrantTypes: []string{"authorization_code"}},
			{ClientID: "third-party", ClientSecret: clientSecret, TrustForwardedFor: true, ThirdParty: true},
			{ClientID: "distrusted", ClientSecret: clientSecret, GrantTypes: grants},
			{ClientID: "hs256", ClientSecret: clientSecret, TrustForwardedFor: true, IDTokenAlg: "HS256"},
			{ClientID: "basic", ClientSecret: clientSecret, TrustForwardedFor: true, AuthMethods: []string{auth0sim.AuthBasic}},
			{ClientID: "narrow", ClientSecret: clientSecret, TrustForwardedFor: true, Connections: []string{legacy}},
			{ClientID: "machine", ClientSecret: machineSecret, ManagementScopes: allScopes()},
			{ClientID: "blind", ClientSecret: machineSecret, ManagementScopes: []string{auth0sim.ScopeReadConnections}},
			{ClientID: "weak", ClientSecret: machineSecret, ManagementScopes: []string{auth0sim.ScopeReadUsers}},
		},
	}})
}

// startFerry starts ferry with this admin API of Kratos.
func (s *stack) startFerry(t *testing.T, adminURL string) {
	t.Helper()
	var err error
	s.ferry, err = ferrytest.Start(t.Context(), ferrytest.Options{Binary: built.Ferry(t), Env: []string{
		"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0", "FERRY_HOOK_KEYS=" + hookKey, "FERRY_ADMIN_KEY=" + adminKey,
		"FERRY_AUTH0_DOMAIN=" + s.sim.Domain(), "FERRY_AUTH0_BASE_URL=" + s.sim.URL(), "FERRY_AUTH0_CLIENT_ID=sound",
		"FERRY_AUTH0_CLIENT_SECRET=" + clientSecret, "FERRY_AUTH0_REALMS=" + users + "," + legacy, "FERRY_KRATOS_ADMIN_URL=" + adminURL,
		"FERRY_AUTH0_BRUTE_FORCE_ATTEMPTS=0", "FERRY_AUTH0_SUSPICIOUS_IP_ATTEMPTS=0", // ferry's own limits come before Auth0's
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.ferry.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// takesTemplates reports whether this Kratos starts with a template.
func takesTemplates(t *testing.T, k *kratostest.Kratos) bool {
	t.Helper()
	version, err := k.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return !strings.HasPrefix(version, "v1.3.")
}

// setup is the operator's settings, which tests break.
type setup struct {
	t *testing.T
	*stack

	opts            doctor.Options
	client, secret  string
	machine         string // client id; empty: none
	realms          []string
	audience, scope string
	baseURL, admin  string
	yml             string
	noConfig        bool
	public          string // FERRY_KRATOS_PUBLIC_URL
}

// sound returns the shipped example of kratos.yml, adapted to this machine and this
// Kratos, with matching settings.
func (s *stack) sound(t *testing.T) *setup {
	t.Helper()
	example, err := os.ReadFile("../../kratos.yml.example")
	if err != nil {
		t.Fatal(err)
	}
	text := string(example)
	for _, change := range [][2]string{
		{"http://127.0.0.1:4480", s.ferry.HooksURL()},
		{"Bearer CHANGE-ME-32-CHARACTERS-OR-MORE", "Bearer " + hookKey},
	} {
		if !strings.Contains(text, change[0]) {
			t.Fatalf("the example has no %q", change[0])
		}
		text = strings.ReplaceAll(text, change[0], change[1])
	}
	u := &setup{
		t: t, stack: s, yml: text, client: "sound", secret: clientSecret, machine: "machine",
		realms: []string{users, legacy}, scope: "openid profile email phone", baseURL: s.sim.URL(), admin: s.kratos.AdminURL(),
		opts: doctor.Options{
			Settings: doctor.Settings{
				Issuer: s.sim.Issuer(), ClientAuth: "client_secret_post", IDTokenAlg: "RS256", WriteBack: true,
				HookKeys: []secret.String{secret.New(otherKey), secret.New(hookKey)}, MaxPasswordBytes: 72, StateInMemory: true,
			},
			Mapper: mapping.Default, Hooks: &http.Transport{DisableKeepAlives: true}, Now: time.Now, ID: uuid.NewString,
		},
	}
	if s.templates {
		u.template()
		return u
	}
	u.opts.Egress = []netip.Addr{netip.MustParseAddr("203.0.113.7")}
	u.allow("203.0.113.7")
	return u
}

// template adds the template and the setting for it, as for a Kratos that accepts one.
func (u *setup) template() {
	u.edit("# body: base64://BASE64-OF-MIGRATE-JSONNET", "body: "+wiring.Base64(wiring.MigrateJsonnet("X-Our-Client")))
	u.opts.Settings.ForwardClientIP = true
}

// withTemplate adds the template whatever Kratos runs. A Kratos that accepts none is
// not asked.
func (u *setup) withTemplate() {
	if !u.templates {
		u.template()
		u.admin, u.opts.Egress = "http://"+closedPort(u.t), nil
		u.allow()
	}
}

// allow sets the tenant's allow lists.
func (u *setup) allow(addresses ...string) {
	u.settings(func(s *auth0sim.Settings) {
		s.SuspiciousIP.Allowlist, s.BruteForce.Allowlist = addresses, addresses
	})
}

// edit changes kratos.yml, which must contain from.
func (u *setup) edit(from, to string) {
	u.t.Helper()
	if !strings.Contains(u.yml, from) {
		u.t.Fatalf("kratos.yml has no %q", from)
	}
	u.yml = strings.ReplaceAll(u.yml, from, to)
}

// passkeys switches passkeys on in kratos.yml, bound to the domain.
func (u *setup) passkeys(domain string) {
	u.t.Helper()
	config := "{}"
	if domain != "" {
		config = "{rp: {id: \"" + domain + "\"}}"
	}
	u.edit("\n  methods:\n", "\n  methods:\n    passkey: {enabled: true, config: "+config+"}\n")
}

// options returns doctor's options for the settings.
func (u *setup) options() doctor.Options {
	u.t.Helper()
	o := u.opts
	o.Settings.BaseURL, o.Settings.ClientID, o.Settings.Realms = u.baseURL, u.client, u.realms
	if !u.noConfig {
		o.KratosConfig = []byte(u.yml)
	}
	transport := upstream.NewTransport()
	admin := &http.Transport{DisableKeepAlives: true}
	u.t.Cleanup(transport.CloseIdleConnections)
	var err error
	must := func(err error) {
		if err != nil {
			u.t.Fatal(err)
		}
	}
	o.Tenant, err = upstream.NewTenant(u.baseURL, transport)
	must(err)
	auth := upstream.SecretPost(u.client, secret.New(u.secret))
	if o.Settings.ClientAuth == "client_secret_basic" {
		auth = upstream.SecretBasic(u.client, secret.New(u.secret))
	}
	o.Auth0, err = upstream.New(upstream.Options{
		Issuer: o.Settings.Issuer, BaseURL: u.baseURL, ClientID: u.client, ClientAuth: auth, Scope: u.scope, Audience: u.audience,
		Timeout: timeout, Transport: transport, Now: time.Now,
	})
	must(err)
	if u.machine != "" {
		o.Management, err = upstream.NewManagement(upstream.ManagementOptions{
			BaseURL: u.baseURL, Audience: u.sim.ManagementAudience(), ClientID: u.machine, ClientSecret: secret.New(machineSecret),
			Timeout: timeout, Transport: transport, Now: time.Now, PerSecond: 100,
		})
		must(err)
	}
	o.Kratos, err = kratos.New(kratos.Options{AdminURL: u.admin, PublicURL: u.public, Timeout: timeout, Transport: admin, RetryPause: time.Millisecond})
	must(err)
	return o
}

// person creates a user at Auth0 with a pending identity, which is deleted after the
// test.
func (s *stack) person(t *testing.T, name string, change func(*auth0sim.User, *kratostest.IdentitySpec)) string {
	t.Helper()
	user := auth0sim.User{ID: "auth0|" + name, Connection: users, Email: name + "@example.org", EmailVerified: true, Password: "canary-password " + name}
	identity := kratostest.IdentitySpec{
		Traits:        map[string]any{"email": user.Email},
		MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": user.ID, "user_ids": []any{user.ID}, "connection": users}},
		Pending:       true,
	}
	if change != nil {
		change(&user, &identity)
	}
	if user.ID != "" {
		if _, err := s.sim.AddUser(user); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.sim.DeleteUser(user.ID) })
	}
	id, err := s.kratos.CreateIdentity(t.Context(), identity)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.kratos.Delete(context.WithoutCancel(t.Context()), id); err != nil {
			t.Error(err)
		}
	})
	return id
}

// printed returns every printed form of a value, to be searched for secrets.
func printed(t *testing.T, value any, words string) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + words + fmt.Sprintf("%+v", value)
}
