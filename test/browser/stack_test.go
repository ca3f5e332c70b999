//go:build browser

package browser

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"ferry/bulk/plan"
	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
	"ferry/wiring"
)

func TestMain(m *testing.M) { built.Main(m) }

const (
	hookKey      = "canary-hook-key-5e1d0c2b-0123456789abcdef"
	database     = "Username-Password-Authentication"
	clientID     = "ferry"
	managementID = "ferry-management"
	bridgeID     = "kratos"
	provider     = "old"
)

// stack is the simulator, Kratos with the UI, and ferry with the gateway.
type stack struct {
	sim    *auth0sim.Server
	kratos *kratostest.Kratos
	ferry  *ferrytest.Ferry
	mail   *kratostest.Mailbox
	ui     *ui
}

// start starts the stack.
func start(t *testing.T) *stack {
	t.Helper()
	limits := auth0sim.RelaxedSettings()
	s := &stack{mail: kratostest.NewMailbox(t), sim: auth0sim.Run(t, auth0sim.Config{Settings: &limits, Tenant: &auth0sim.Tenant{
		DefaultDirectory: database,
		Connections:      []auth0sim.Connection{{Name: database}},
		Apps: []auth0sim.App{
			{ClientID: clientID, ClientSecret: clientID + "-secret"},
			{ClientID: managementID, ClientSecret: managementID + "-secret", ManagementScopes: []string{"read:users"}},
		},
	}})}
	hooks, gateway := freeAddress(t), freeAddress(t)
	s.ui = startUI(t, "http://"+gateway)
	s.kratos = kratostest.Run(t, kratostest.Options{
		HookURL:        "http://" + hooks + "/hooks/password-migration",
		AfterLoginURL:  "http://" + hooks + "/hooks/after-login",
		HookKey:        hookKey,
		MigrateJsonnet: wiring.MigrateJsonnet(""),
		UsersURL:       "http://" + gateway,
		Mailbox:        s.mail,
		Edit: func(config map[string]any) {
			s.ui.configure(config)
			s.bridge(t, config)
		},
	})
	if err := s.sim.AddApp(auth0sim.App{
		ClientID: bridgeID, ClientSecret: bridgeID + "-secret", GrantTypes: []string{auth0sim.GrantAuthorizationCode},
		AuthMethods: []string{auth0sim.AuthPost, auth0sim.AuthBasic}, Callbacks: []string{wiring.Bridge{ID: provider}.Callback("http://" + gateway)},
	}); err != nil {
		t.Fatal(err)
	}
	s.startFerry(t, hooks, gateway)
	return s
}

// bridge adds the tenant as a provider, as `ferry kratos-config --bridge` writes it.
func (s *stack) bridge(t *testing.T, config map[string]any) {
	t.Helper()
	fragment := wiring.Fragment(wiring.Options{URL: "http://127.0.0.1:4480", Bridge: wiring.Bridge{
		ID: provider, Issuer: s.sim.URL() + "/", ClientID: bridgeID, ClientSecret: secret.New(bridgeID + "-secret"),
	}})
	var ferrys map[string]any
	if err := yaml.Unmarshal([]byte(fragment), &ferrys); err != nil {
		t.Fatal(err)
	}
	oidc, ok := wiring.Lookup(ferrys, wiring.OIDCKeys()...)
	if !ok {
		t.Fatalf("there is no provider in\n%s", fragment)
	}
	config["selfservice"].(map[string]any)["methods"].(map[string]any)["oidc"] = oidc
}

func (s *stack) startFerry(t *testing.T, hooks, gateway string) {
	t.Helper()
	ferry, err := ferrytest.Start(t.Context(), ferrytest.Options{Binary: built.Ferry(t), Env: []string{
		"FERRY_LISTEN=" + hooks, "FERRY_ADMIN_LISTEN=127.0.0.1:0",
		"FERRY_HOOK_KEYS=" + hookKey,
		"FERRY_AUTH0_DOMAIN=" + s.sim.Domain(), "FERRY_AUTH0_BASE_URL=" + s.sim.URL(),
		"FERRY_AUTH0_CLIENT_ID=" + clientID, "FERRY_AUTH0_CLIENT_SECRET=" + clientID + "-secret",
		"FERRY_AUTH0_MGMT_CLIENT_ID=" + managementID, "FERRY_AUTH0_MGMT_CLIENT_SECRET=" + managementID + "-secret",
		"FERRY_AUTH0_REALMS=" + database,
		"FERRY_KRATOS_ADMIN_URL=" + s.kratos.AdminURL(), "FERRY_KRATOS_PUBLIC_URL=" + s.kratos.PublicURL(),
		"FERRY_GATEWAY_LISTEN=" + gateway, "FERRY_GATEWAY_ERROR_URL=" + s.ui.URL + "/outage",
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.ferry = ferry
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("ferry's log:\n%s", ferry.Logs())
		}
		if err := ferry.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// importBridged imports a users file with logins at the bridge.
func (s *stack) importBridged(t *testing.T, users string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "users.ndjson")
	if err := os.WriteFile(file, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), built.Ferry(t), "import", "--users", file, "--bridge", provider, "--accept-missing", strings.Join(plan.Deciding(), ","))
	cmd.Env = []string{"FERRY_KRATOS_ADMIN_URL=" + s.kratos.AdminURL()}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "1 created_bridge") {
		t.Fatalf("import: %v\n%s", err, out)
	}
}

// freeAddress returns an address on which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	return free.Addr().String()
}
