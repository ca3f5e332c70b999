package export_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ferry/clients"
	"ferry/clients/export"
	"ferry/secret"
	"ferry/transport"
	"ferry/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// auth0 is a Management API with lists.
type auth0 struct {
	scopes      []string
	lists       map[string][]map[string]any // by path
	credentials map[string][]map[string]any
	// total, if not nil, is what a list says it has.
	total func(path string, count int) int
}

// secretText is the secret of all applications.
const secretText = "a-secret-of-auth0_"

func newAuth0(apps ...map[string]any) *auth0 {
	return &auth0{
		scopes: []string{"read:clients", "read:client_keys", "read:resource_servers", "read:client_grants", "read:client_credentials"},
		lists: map[string][]map[string]any{
			"clients": apps, "resource-servers": {{"identifier": "https://orders.example.com"}}, "client-grants": {{"client_id": "app-0", "audience": "https://orders.example.com", "scope": []string{"a"}}},
		},
		credentials: map[string][]map[string]any{"keyed": {{"id": "cred_1", "kid": "kid-1", "alg": "RS256"}}},
	}
}

// applications returns web applications with secrets.
func applications(n int) []map[string]any {
	var all []map[string]any
	for i := range n {
		all = append(all, map[string]any{"client_id": fmt.Sprintf("app-%d", i), "name": "web", "app_type": "regular_web", "client_secret": secretText, "signing_keys": []any{map[string]any{"cert": "x"}}, "client_metadata": map[string]any{"A": "1", "a": "2"}})
	}
	return all
}

func (a *auth0) has(scope string) bool { return slices.Contains(a.scopes, scope) }

func (a *auth0) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	send := func(status int, body any) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	path := strings.TrimPrefix(r.URL.Path, "/api/v2/")
	needs := map[string]string{"clients": "read:clients", "resource-servers": "read:resource_servers", "client-grants": "read:client_grants"}[path]
	id, isCredentials := strings.CutSuffix(strings.TrimPrefix(path, "clients/"), "/credentials")
	switch {
	case r.URL.Path == "/oauth/token":
		send(http.StatusOK, map[string]any{"access_token": "t", "token_type": "Bearer", "expires_in": 86400})
	case isCredentials && a.has("read:client_credentials"):
		send(http.StatusOK, a.credentials[id])
	case isCredentials || needs == "" || !a.has(needs):
		send(http.StatusForbidden, map[string]any{"statusCode": 403, "error": "Forbidden", "message": "Insufficient scope", "errorCode": "insufficient_scope"})
	default:
		page, errPage := strconv.Atoi(r.URL.Query().Get("page"))
		each, errEach := strconv.Atoi(r.URL.Query().Get("per_page"))
		if errPage != nil || errEach != nil || r.URL.Query().Get("include_totals") != "true" {
			send(http.StatusBadRequest, nil)
			return
		}
		all, total := a.lists[path], len(a.lists[path])
		if a.total != nil {
			total = a.total(path, total)
		}
		found := []map[string]any{}
		for _, one := range all[min(page*each, len(all)):min((page+1)*each, len(all))] {
			if one = copyOf(one); path == "clients" && !a.has("read:client_keys") {
				delete(one, "client_secret")
			}
			found = append(found, one)
		}
		send(http.StatusOK, map[string]any{"start": page * each, "limit": each, "total": total, strings.ReplaceAll(path, "-", "_"): found})
	}
}

func copyOf(object map[string]any) map[string]any {
	all := map[string]any{}
	for name, value := range object {
		all[name] = value
	}
	return all
}

// silent reports nothing.
type silent struct{}

func (silent) Start(string, int64) {}
func (silent) Add(int64)           {}
func (silent) Say(string)          {}
func (silent) Done()               {}

// run exports to a file, whose name it returns.
func run(t *testing.T, api *auth0, change ...func(*export.Options)) (export.Result, string, error) {
	t.Helper()
	srv := httptest.NewServer(api)
	t.Cleanup(srv.Close)
	m, err := upstream.NewManagement(upstream.ManagementOptions{
		BaseURL: srv.URL, Audience: "https://acme.eu.auth0.com/api/v2/", ClientID: "machine", ClientSecret: secret.New("secret"),
		Timeout: 10 * time.Second, Transport: transport.New(transport.Options{}), Now: time.Now, PerSecond: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "applications.json")
	opts := export.Options{Auth0: m, Tenant: "acme.eu.auth0.com", Out: out, Progress: silent{}, Now: time.Now, Check: func() error { return nil }}
	for _, f := range change {
		f(&opts)
	}
	done, err := export.Run(t.Context(), opts)
	return done, out, err
}

func ids(tenant *clients.Tenant) []string {
	var all []string
	for _, app := range tenant.Applications {
		all = append(all, app.ID)
	}
	return all
}

// TestExport: all pages are in one file, which only its owner can read and the import can.
func TestExport(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 20, 41} {
		done, out, err := run(t, newAuth0(applications(n)...))
		if err != nil || done.Applications != n || done.APIs != 1 || done.ClientGrants != 1 || len(done.NoSecret)+len(done.NoKeys) > 0 {
			t.Fatalf("%d: %+v, %v", n, done, err)
		}
		info, err := os.Stat(out)
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		text, err := os.ReadFile(out)
		if err != nil || strings.Contains(string(text), "signing_keys") || strings.Count(string(text), secretText) != n {
			t.Errorf("%v: %s", err, text)
		}
		tenant, err := clients.Read(strings.NewReader(string(text)))
		if err != nil || len(tenant.Applications) != n || tenant.Domain != "acme.eu.auth0.com" || tenant.ExportedAt.IsZero() {
			t.Fatalf("%+v, %v", tenant, err)
		}
		for i, id := range ids(tenant) {
			if id != fmt.Sprintf("app-%d", i) || tenant.Applications[i].Secret.Reveal() != secretText {
				t.Errorf("application %d is %s", i, id)
			}
		}
	}
}

// TestMissing: what Auth0 does not send is named.
func TestMissing(t *testing.T) {
	t.Parallel()
	keyed := map[string]any{"client_id": "keyed", "client_authentication_methods": map[string]any{"private_key_jwt": map[string]any{"credentials": []any{map[string]any{"id": "cred_1"}}}}}
	api := newAuth0(append(applications(2), keyed,
		map[string]any{"client_id": "spa", "app_type": "spa", "token_endpoint_auth_method": "none"}, map[string]any{"client_id": "native", "app_type": "native"}, map[string]any{"client_id": "global", "global": true})...)
	done, out, err := run(t, api)
	if err != nil || len(done.NoSecret) > 0 || !slices.Equal(done.NoKeys, []string{"keyed"}) {
		t.Errorf("%+v, %v", done, err)
	}
	if text, err := os.ReadFile(out); err != nil || !strings.Contains(string(text), `"kid-1"`) {
		t.Errorf("%v: %s", err, text)
	}
	api.scopes = slices.DeleteFunc(api.scopes, func(s string) bool { return s == "read:client_keys" })
	if done, _, err = run(t, api); err != nil || !slices.Equal(done.NoSecret, []string{"app-0", "app-1"}) {
		t.Errorf("%+v, %v", done, err)
	}
}

// TestSome: --client exports some applications, and names those that are not there.
func TestSome(t *testing.T) {
	t.Parallel()
	done, _, err := run(t, newAuth0(applications(30)...), func(o *export.Options) { o.IDs = []string{"app-3", "app-29"} })
	if err != nil || done.Applications != 2 {
		t.Errorf("%+v, %v", done, err)
	}
	_, out, err := run(t, newAuth0(applications(3)...), func(o *export.Options) { o.IDs = []string{"app-1", "nobody"} })
	if _, statErr := os.Stat(out); err == nil || !strings.Contains(err.Error(), "no application nobody") || statErr == nil {
		t.Errorf("%v, %v", err, statErr)
	}
}

// TestFaults: a scope that is missing is named, a list that is not whole is an error, and no file
// is left.
func TestFaults(t *testing.T) {
	t.Parallel()
	keyed := map[string]any{"client_id": "keyed", "client_authentication_methods": map[string]any{"private_key_jwt": map[string]any{}}}
	for _, scope := range []string{"read:clients", "read:resource_servers", "read:client_grants", "read:client_credentials"} {
		api := newAuth0(keyed)
		api.scopes = slices.DeleteFunc(api.scopes, func(s string) bool { return s == scope })
		_, out, err := run(t, api)
		var refusal *upstream.ManagementError
		if _, statErr := os.Stat(out); !errors.As(err, &refusal) || !strings.Contains(err.Error(), "needs the scope "+scope) || statErr == nil {
			t.Errorf("%s: %v, %v", scope, err, statErr)
		}
	}
	for name, c := range map[string]struct {
		change func(*auth0)
		want   string
	}{
		"one was removed between two pages": {func(a *auth0) { a.total = func(_ string, count int) int { return count + 1 } }, "changed_meanwhile"},
		"an application without an id":      {func(a *auth0) { a.lists["clients"] = append(a.lists["clients"], map[string]any{"name": "x"}) }, "without a client_id"},
	} {
		api := newAuth0(applications(2)...)
		c.change(api)
		_, out, err := run(t, api)
		if _, statErr := os.Stat(out); err == nil || !strings.Contains(err.Error(), c.want) || statErr == nil {
			t.Errorf("%s: %v, %v", name, err, statErr)
		}
		if err != nil && strings.Contains(err.Error(), secretText) {
			t.Errorf("%s: a secret is in the error", name)
		}
	}
	_, out, err := run(t, newAuth0(applications(1)...), func(o *export.Options) { o.Check = func() error { return errors.New("it exists now") } })
	if entries, _ := os.ReadDir(filepath.Dir(out)); err == nil || len(entries) > 0 {
		t.Errorf("%v, %v", err, entries)
	}
}
