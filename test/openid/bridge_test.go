//go:build openid

// Package openid takes the bridge through an OpenID provider that ferry's authors did not
// write: npm's oidc-provider.
package openid

import (
	"bytes"
	"encoding/json"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"ferry/secret"
	"ferry/test/await"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
	"ferry/test/process"
	"ferry/wiring"
)

func TestMain(m *testing.M) { built.Main(m) }

const (
	bridge       = "old"
	clientID     = "kratos"
	clientSecret = "secret-of-kratos-at-the-provider"
)

// users are as ferry exports them. Kratos gets the first two.
const users = `{"user_id":"auth0|1","email":"ann@example.org","email_verified":true,"multifactor":["guardian"],"identities":[{"provider":"auth0","user_id":"1","connection":"users"}]}
{"user_id":"email|2","email":"bo@example.org","email_verified":true,"identities":[{"provider":"email","user_id":"2","connection":"email"}]}
`

// accounts are the users of the provider, by their subject.
func accounts() map[string]map[string]any {
	account := func(email string, verified bool) map[string]any {
		return map[string]any{"email": email, "email_verified": verified, "name": "A user"}
	}
	return map[string]map[string]any{
		"auth0|1": account("ann@example.org", true),
		"email|2": account("bo@example.org", true),
		"auth0|3": account("ann@example.org", true), // another account, with the same address
		"auth0|4": account("new@example.org", true),
		"auth0|5": account("unverified@example.org", false),
	}
}

// TestBridge: users log in at the provider, and are the identities that ferry imported.
func TestBridge(t *testing.T) {
	port := freePort(t)
	k := startKratos(t, "http://127.0.0.1:"+strconv.Itoa(port)+"/")
	startProvider(t, port, wiring.Bridge{ID: bridge}.Callback(k.PublicURL()))
	imported := importUsers(t, k)
	login := func(subject string) kratostest.Login {
		t.Helper()
		got, err := k.LoginProvider(t.Context(), bridge, url.Values{"account": {subject}})
		if err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
		return got
	}
	for _, subject := range []string{"auth0|1", "email|2", "auth0|1"} {
		if got := login(subject); got.Sees() != kratostest.SeesSession || got.IdentityID != imported[subject] {
			t.Errorf("%s: %s, identity %s, want %s", subject, got.Sees(), got.IdentityID, imported[subject])
		}
	}
	if got := login("auth0|3"); got.Sees() == kratostest.SeesSession {
		t.Errorf("another account with the address of a user is logged in as %s", got.IdentityID)
	}
	if got := login("auth0|nobody"); got.Sees() == kratostest.SeesSession {
		t.Error("the provider refused this login, and there is a session")
	}
	for subject, verified := range map[string]bool{"auth0|4": true, "auth0|5": false} {
		got := login(subject)
		if got.Sees() != kratostest.SeesSession {
			t.Errorf("%s: %s", subject, got.Sees())
			continue
		}
		identity, err := k.Get(t.Context(), got.IdentityID)
		if err != nil {
			t.Fatal(err)
		}
		// The mapper leaves out an address that the provider has not verified.
		if slices.ContainsFunc(identity.VerifiableAddresses, func(a kratostest.Address) bool { return a.Verified }) != verified {
			t.Errorf("%s: addresses %+v", subject, identity.VerifiableAddresses)
		}
		if again := login(subject); again.IdentityID != got.IdentityID {
			t.Errorf("%s: identity %s, then %s", subject, got.IdentityID, again.IdentityID)
		}
	}
}

// startKratos starts a Kratos that has the bridge as ferry writes it.
func startKratos(t *testing.T, issuer string) *kratostest.Kratos {
	t.Helper()
	fragment := wiring.Fragment(wiring.Options{
		URL:    "http://127.0.0.1:4480",
		Bridge: wiring.Bridge{ID: bridge, Issuer: issuer, ClientID: clientID, ClientSecret: secret.New(clientSecret)},
	})
	var ferrys map[string]any
	if err := yaml.Unmarshal([]byte(fragment), &ferrys); err != nil {
		t.Fatal(err)
	}
	oidc, _ := wiring.Lookup(ferrys, wiring.OIDCKeys()...)
	return kratostest.Run(t, kratostest.Options{Edit: func(config map[string]any) {
		selfservice := config["selfservice"].(map[string]any)
		selfservice["methods"].(map[string]any)["oidc"] = oidc
		flows := selfservice["flows"].(map[string]any)
		flows["registration"] = map[string]any{
			"enabled": true, "after": map[string]any{"oidc": map[string]any{"hooks": []any{map[string]any{"hook": "session"}}}},
		}
	}})
}

// startProvider starts the provider and returns once it listens.
func startProvider(t *testing.T, port int, callback string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{
		"port": port, "accounts": accounts(),
		"client": map[string]any{
			"client_id": clientID, "client_secret": clientSecret, "redirect_uris": []string{callback},
			"grant_types": []string{"authorization_code"}, "response_types": []string{"code"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	log := &process.Log{}
	provider, err := process.Command{Path: node, Args: []string{"server.mjs", string(config)}, Output: log}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := provider.Stop(10 * time.Second); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	if !await.True(func() bool { return log.Contains("listening") || provider.Exited() }) || provider.Exited() {
		t.Fatalf("the provider does not listen:\n%s", log.String())
	}
}

// importUsers imports the users, and returns their identities.
func importUsers(t *testing.T, k *kratostest.Kratos) map[string]string {
	t.Helper()
	dir := t.TempDir()
	file, results := filepath.Join(dir, "users.ndjson"), filepath.Join(dir, "results.ndjson")
	if err := os.WriteFile(file, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), built.Ferry(t), "import", "--users", file, "--bridge", bridge,
		"--accept-missing", "blocked,last_password_reset", "--results", results)
	cmd.Env = []string{"FERRY_KRATOS_ADMIN_URL=" + k.AdminURL()}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	identities := map[string]string{}
	for line := range bytes.Lines(text) {
		var r struct {
			UserID     string `json:"user_id"`
			IdentityID string `json:"identity_id"`
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		identities[r.UserID] = r.IdentityID
	}
	return identities
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
