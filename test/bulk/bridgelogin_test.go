package bulk

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/test/kratostest"
	"ferry/wiring"
)

// bridgeStack is a tenant, and a Kratos that has it as the provider old.
type bridgeStack struct {
	*testing.T

	sim *auth0sim.Server
	k   *kratostest.Kratos
}

const (
	bridgeClient = "kratos"
	bridgeSecret = "secret-of-kratos-at-auth0"
)

// newBridge starts both, with what ferry writes into kratos.yml.
func newBridge(t *testing.T) *bridgeStack {
	t.Helper()
	b := &bridgeStack{T: t, sim: discoverable(t, auth0sim.Config{Settings: botsSettings(), Tenant: &auth0sim.Tenant{
		DefaultDirectory: "users",
		Connections: []auth0sim.Connection{
			{Name: "users"}, {Name: "email", Strategy: auth0sim.StrategyEmail}, {Name: "corp", Strategy: auth0sim.StrategySAML},
		},
		Users: []auth0sim.User{
			{ID: "auth0|1", Connection: "users", Email: "ann@example.org", EmailVerified: true, Password: "password-of-ann"},
			{ID: "auth0|2", Connection: "users", Email: "bo@example.org", EmailVerified: true, Password: "password-of-bo", MFA: true},
			{ID: "email|3", Connection: "email", Email: "cleo@example.org", EmailVerified: true, Password: "424242"},
			{ID: "samlp|corp|4", Connection: "corp", Email: "di@corp.example"},
			{ID: "auth0|9", Connection: "users", Email: "new@example.org", EmailVerified: true, Password: "password-of-new"},
			{ID: "auth0|8", Connection: "users", Email: "ann@example.org.evil", Password: "password-of-eve"},
		},
	}})}
	fragment := wiring.Fragment(wiring.Options{
		URL:    "http://127.0.0.1:4480",
		Bridge: wiring.Bridge{ID: "old", Issuer: b.sim.URL() + "/", ClientID: bridgeClient, ClientSecret: secret.New(bridgeSecret)},
	})
	var ferrys map[string]any
	if err := yaml.Unmarshal([]byte(fragment), &ferrys); err != nil {
		t.Fatal(err)
	}
	oidc, _ := wiring.Lookup(ferrys, wiring.OIDCKeys()...)
	b.k = newKratos(t, kratostest.Options{Edit: func(config map[string]any) {
		selfservice := config["selfservice"].(map[string]any)
		selfservice["methods"].(map[string]any)["oidc"] = oidc
		flows := selfservice["flows"].(map[string]any)
		registration, _ := flows["registration"].(map[string]any)
		if registration == nil {
			registration = map[string]any{}
			flows["registration"] = registration
		}
		registration["enabled"] = true
		registration["after"] = map[string]any{"oidc": map[string]any{"hooks": []any{map[string]any{"hook": "session"}}}}
	}})
	public := b.k.PublicURL()
	if err := b.sim.AddApp(auth0sim.App{
		ClientID: bridgeClient, ClientSecret: bridgeSecret, GrantTypes: []string{auth0sim.GrantAuthorizationCode},
		AuthMethods: []string{auth0sim.AuthPost, auth0sim.AuthBasic}, Callbacks: []string{wiring.Bridge{ID: "old"}.Callback(public)},
	}); err != nil {
		t.Fatal(err)
	}
	return b
}

// discoverable starts a simulator whose issuer is where it listens: Kratos discovers that it
// takes PKCE only then.
func discoverable(t *testing.T, cfg auth0sim.Config) *auth0sim.Server {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.Issuer = "http://" + address + "/"
	sim, err := auth0sim.New(cfg)
	if err == nil {
		err = sim.Start(address)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return sim
}

// botsSettings make the tenant refuse every password grant.
func botsSettings() *auth0sim.Settings {
	settings := auth0sim.RelaxedSettings()
	settings.BotDetection = true
	return &settings
}

// visit is a user in a browser.
type visit struct {
	*bridgeStack

	client *http.Client
}

func (b *bridgeStack) visit() *visit {
	b.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	transport := &http.Transport{}
	b.Cleanup(transport.CloseIdleConnections)
	return &visit{b, &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// do makes a request. A form is posted as a browser does, unless accept is JSON.
func (v *visit) do(method, address, accept string, form url.Values) (location, body string) {
	v.Helper()
	req, err := http.NewRequestWithContext(v.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		v.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := v.client.Do(req)
	if err != nil {
		v.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.Body.Close() != nil {
		v.Fatal(err)
	}
	return resp.Header.Get("Location"), string(text)
}

// flow begins a flow of Kratos.
func (v *visit) flow(kind string) (action, csrf string) {
	v.Helper()
	f := v.form(kind)
	for _, node := range f.UI.Nodes {
		if node.Attributes.Name == "csrf_token" {
			csrf, _ = node.Attributes.Value.(string)
		}
	}
	return f.UI.Action, csrf
}

// form is what the page of a flow shows.
type form struct {
	UI struct {
		Action string
		Nodes  []struct {
			Attributes struct {
				Name  string
				Value any
			}
			Meta struct{ Label struct{ Text string } }
		}
	}
}

// form begins a flow of Kratos, and returns what its page shows.
func (v *visit) form(kind string) form {
	v.Helper()
	_, text := v.do(http.MethodGet, v.k.PublicURL()+"/self-service/"+kind+"/browser", "application/json", nil)
	var f form
	if err := json.Unmarshal([]byte(text), &f); err != nil || f.UI.Action == "" {
		v.Fatalf("%s: %v, %s", kind, err, text)
	}
	return f
}

// button returns the text of the button for the provider.
func (v *visit) button(kind string) string {
	v.Helper()
	for _, node := range v.form(kind).UI.Nodes {
		if node.Attributes.Value == "old" {
			return node.Meta.Label.Text
		}
	}
	return ""
}

// bridge takes the user to Auth0 with the parameters, through its pages with the answers, and
// back. It returns where Kratos sends the browser then.
func (v *visit) bridge(upstream map[string]string, answers ...url.Values) string {
	v.Helper()
	action, csrf := v.flow("login")
	form := url.Values{"method": {"oidc"}, "provider": {"old"}, "csrf_token": {csrf}}
	for name, value := range upstream {
		form.Set("upstream_parameters."+name, value)
	}
	location, body := v.do(http.MethodPost, action, "text/html", form)
	if !strings.HasPrefix(location, v.sim.URL()+auth0sim.PathAuthorize+"?") {
		v.Fatalf("Kratos sends the browser to %q: %s", location, body)
	}
	location, body = v.do(http.MethodGet, location, "text/html", nil)
	for _, answer := range answers {
		page, err := url.Parse(location)
		if err != nil || page.IsAbs() || location == "" {
			v.Fatalf("there is no page of Auth0 at %q: %s: %v", location, body, v.sim.Authorizations())
		}
		answer.Set("state", page.Query().Get("state"))
		location, body = v.do(http.MethodPost, v.sim.URL()+location, "text/html", answer)
	}
	if !strings.HasPrefix(location, v.k.PublicURL()+"/self-service/methods/oidc/callback/old?") {
		v.Fatalf("Auth0 sends the browser to %q: %s", location, body)
	}
	location, _ = v.do(http.MethodGet, location, "text/html", nil)
	return location
}

// session is whose session the browser has, and how it began.
type session struct {
	Identity struct {
		ID            string
		Traits        map[string]any
		MetadataAdmin any
	}
	Methods []struct{ Method, Provider string } `json:"authentication_methods"`
}

func (v *visit) session() session {
	v.Helper()
	_, text := v.do(http.MethodGet, v.k.PublicURL()+"/sessions/whoami", "application/json", nil)
	var s session
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		v.Fatal(err)
	}
	return s
}

func password(connection, username, password string) url.Values {
	return url.Values{"connection": {connection}, "username": {username}, "password": {password}}
}

// Users whom the hook cannot let in log in over the bridge, to the very identity that was
// imported, set a password in Kratos' settings, and log in with that. Auth0 is asked for no
// password grant. Kratos' buttons have the label.
func TestBridgeLogins(t *testing.T) {
	t.Parallel()
	b := newBridge(t)
	dir := t.TempDir()
	users, results := filepath.Join(dir, "users.ndjson"), filepath.Join(dir, "results.ndjson")
	rows := strings.ReplaceAll(bridgeUsers, `"waad|4"`, `"samlp|corp|4"`)
	rows = strings.ReplaceAll(rows, `"provider":"waad","user_id":"4"`, `"provider":"samlp","user_id":"corp|4"`)
	if err := os.WriteFile(users, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	ferry(t, adminURL(b.k), "import", "--users", users, "--bridge", "old", "--results", results).want(t, 0, "3 created_bridge", "2 created_pending")
	ids := map[string]string{}
	for _, r := range readLines[result](t, results) {
		ids[r.UserID] = r.IdentityID
	}
	for _, c := range []struct {
		user, email string
		answers     []url.Values
	}{
		{"auth0|1", "ann@example.org", []url.Values{password("users", "ann@example.org", "password-of-ann")}},
		{"auth0|2", "bo@example.org", []url.Values{password("users", "bo@example.org", "password-of-bo"), {"code": {auth0sim.OneTimeCode}}}},
		{"email|3", "cleo@example.org", []url.Values{password("email", "cleo@example.org", "424242")}},
		{"samlp|corp|4", "di@corp.example", []url.Values{password("corp", "di@corp.example", "")}},
	} {
		v := b.visit()
		v.bridge(map[string]string{"login_hint": c.email}, c.answers...)
		is := v.session()
		if is.Identity.ID != ids[c.user] || len(is.Methods) != 1 || is.Methods[0].Method != "oidc" || is.Methods[0].Provider != "old" {
			t.Fatalf("%s is %+v, not %s", c.user, is, ids[c.user])
		}
		if pending := strings.Contains(everybody(t, b.k)[is.Identity.ID], `"use_password_migration_hook":true`); pending != (c.user == "auth0|1") {
			t.Errorf("%s is pending: %v", c.user, pending)
		}
		fresh := "A-new-password-of " + c.user
		action, csrf := v.flow("settings")
		v.do(http.MethodPost, action, "application/json", url.Values{"method": {"password"}, "password": {fresh}, "csrf_token": {csrf}})
		login, err := b.k.LoginAPI(t.Context(), c.email, fresh)
		if err != nil || login.Sees() != kratostest.SeesSession || login.IdentityID != ids[c.user] {
			t.Errorf("%s with the new password: %+v, %v", c.user, login, err)
		}
	}
	v := b.visit()
	if login, signUp := v.button("login"), v.button("registration"); login != "Sign in with your previous login" || signUp != "Sign up with your previous login" {
		t.Errorf("the buttons are %q and %q", login, signUp)
	}
	if n := b.sim.Counters().Total(); n != 0 {
		t.Errorf("%d passwords arrived at the token endpoint", n)
	}
	seen := b.sim.Authorizations()[0]
	if seen.Get("login_hint") != "ann@example.org" || seen.Get("code_challenge_method") != "S256" || seen.Get("scope") != "openid email profile" {
		t.Errorf("Kratos asks for %v", seen)
	}
}

// A session at Auth0 lets its user in without a page. Without one, prompt=none leads back to
// the login without a session.
func TestBridgeSilently(t *testing.T) {
	t.Parallel()
	b := newBridge(t)
	v := b.visit()
	none := map[string]string{"prompt": "none", "acr_values": "http://schemas.openid.net/pape/policies/2007/06/multi-factor"}
	if location := v.bridge(none); v.session().Identity.ID != "" || !strings.Contains(location, "flow=") {
		t.Errorf("without a session Kratos sends the browser to %q", location)
	}
	v.bridge(nil, password("users", "new@example.org", "password-of-new"))
	was := v.session()
	again := b.visit()
	public, err := url.Parse(b.sim.URL())
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range v.client.Jar.Cookies(public) {
		if cookie.Name == "auth0" {
			again.client.Jar.SetCookies(public, []*http.Cookie{cookie})
		}
	}
	again.bridge(none)
	if is := again.session(); is.Identity.ID == "" || is.Identity.ID != was.Identity.ID {
		t.Errorf("with a session at Auth0: %+v, not %+v", is, was)
	}
	seen := b.sim.Authorizations()
	last := seen[len(seen)-1]
	if last.Get("prompt") != "none" || last.Has("acr_values") && last.Get("acr_values") != none["acr_values"] { // 1.3.1 leaves it out
		t.Errorf("Kratos asks for %v", last)
	}
}

// A user of the tenant whom Kratos does not have is registered, bound by the subject, with the
// address only where Auth0 verified it. An import then knows the identity as the user's.
func TestBridgeRegisters(t *testing.T) {
	t.Parallel()
	b := newBridge(t)
	v := b.visit()
	v.bridge(nil, password("users", "new@example.org", "password-of-new"))
	is := v.session()
	text := everybody(t, b.k)[is.Identity.ID]
	if is.Identity.Traits["email"] != "new@example.org" || !strings.Contains(text, `"user_id":"auth0|9"`) || !strings.Contains(text, `"verified":true`) ||
		strings.Contains(text, `"use_password_migration_hook":true`) {
		t.Errorf("%+v is %s", is, text)
	}
	stranger := b.visit()
	stranger.bridge(nil, password("users", "ann@example.org.evil", "password-of-eve"))
	is = stranger.session()
	text = everybody(t, b.k)[is.Identity.ID]
	if is.Identity.ID == "" || len(is.Identity.Traits) != 0 || !strings.Contains(text, `"user_id":"auth0|8"`) || strings.Contains(text, "verifiable_addresses") {
		t.Errorf("an address that is not verified: %+v is %s", is, text)
	}
	users := filepath.Join(t.TempDir(), "users.ndjson")
	row := `{"user_id":"auth0|9","email":"new@example.org","email_verified":true,"identities":[{"provider":"auth0","user_id":"9","connection":"users"}]}`
	if err := os.WriteFile(users, []byte(row), 0o600); err != nil {
		t.Fatal(err)
	}
	ferry(t, adminURL(b.k), "import", "--users", users, "--bridge", "old").want(t, 0, "1 exists")
}
