package doctor

import (
	"encoding/base64"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/await"
	"ferry/test/kratostest"
	"ferry/wire"
	"ferry/wiring"
)

// wired is the simulator, Kratos and ferry, with Kratos calling ferry as its
// kratos.yml says. Kratos can be restarted with another kratos.yml.
type wired struct {
	*stack

	admin atomic.Pointer[url.URL] // the Kratos that ferry asks now
	dir   string                  // where its kratos.yml is
}

func startWired(t *testing.T) *wired {
	t.Helper()
	w := &wired{stack: &stack{sim: startAuth0(t)}}
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(w.admin.Load())
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(front.Close)
	w.admin.Store(&url.URL{Scheme: "http", Host: closedPort(t)}) // no Kratos yet
	w.startFerry(t, front.URL)
	return w
}

// boot starts a Kratos that calls the running ferry, unless edit changes that.
func (w *wired) boot(t *testing.T, edit func(t *testing.T, config map[string]any)) {
	t.Helper()
	w.dir = t.TempDir()
	w.kratos = kratostest.Run(t, kratostest.Options{
		Dir: w.dir, HookURL: w.ferry.HooksURL() + wire.MigrationPath, AfterLoginURL: w.ferry.HooksURL() + wire.AfterLoginPath,
		HookKey: hookKey, MigrateJsonnet: wiring.MigrateJsonnet(""),
		Edit: func(config map[string]any) {
			schemas, _ := at(config, "identity")["schemas"].([]any)
			at(config, "identity")["schemas"] = append(schemas, map[string]any{"id": "code", "url": "base64://" + base64.StdEncoding.EncodeToString([]byte(codeSchema))})
			if edit != nil {
				edit(t, config)
			}
		},
	})
	admin, err := url.Parse(w.kratos.AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	w.admin.Store(admin)
}

// at returns an object in a configuration.
func at(config map[string]any, path ...string) map[string]any {
	for _, step := range path {
		config, _ = config[step].(map[string]any)
	}
	return config
}

// config returns doctor's input: matching settings, and the kratos.yml that Kratos
// runs with.
func (w *wired) config(t *testing.T) *setup {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "kratos.yml"))
	if err != nil {
		t.Fatal(err)
	}
	u := w.sound(t)
	u.yml, u.admin = string(text), w.kratos.AdminURL()
	return u
}

// login logs in as an app does and returns what the user sees.
func (w *wired) login(t *testing.T, identifier, password string) (kratostest.Login, string) {
	t.Helper()
	login, err := w.kratos.LoginAPI(t.Context(), identifier, password)
	if err != nil {
		t.Fatal(err)
	}
	return login, login.Sees()
}

// app changes ferry's application at Auth0 until the test ends.
func (w *wired) app(t *testing.T, change func(*auth0sim.App)) {
	t.Helper()
	was := auth0sim.App{ClientID: "sound", ClientSecret: clientSecret, TrustForwardedFor: true}
	now := was
	change(&now)
	if err := w.sim.AddApp(now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.sim.AddApp(was); err != nil {
			t.Error(err)
		}
	})
}

// cross logs the user in for the first time and waits until ferry has recorded it.
func (w *wired) cross(t *testing.T, id string) kratostest.Login {
	t.Helper()
	login, sees := w.login(t, kim, password)
	if sees != sees200 {
		t.Fatalf("the first login: %s", sees)
	}
	w.eventually(t, func() bool {
		identity, err := w.kratos.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		admin, _ := identity.MetadataAdmin.(map[string]any)
		noted, _ := admin["auth0"].(map[string]any)
		return noted["migrated_at"] != nil
	})
	return login
}

// verified reports whether Kratos has a verified address of the identity.
func (w *wired) verified(t *testing.T, id string) bool {
	t.Helper()
	identity, err := w.kratos.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(identity.VerifiableAddresses, func(a kratostest.Address) bool { return a.Verified })
}

// eventually waits for what ferry does after a login.
func (w *wired) eventually(t *testing.T, done func() bool) {
	t.Helper()
	if !await.True(done) {
		t.Fatal("ferry did not write the profile")
	}
}

// configure changes the tenant's settings until the test ends.
func (w *wired) configure(t *testing.T, change func(*auth0sim.Settings)) {
	t.Helper()
	(&setup{t: t, stack: w.stack}).settings(change)
}
