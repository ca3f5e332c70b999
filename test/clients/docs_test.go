package clients

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ferry/clients/importer"
	"ferry/test/ferrytest/built"
	"ferry/test/hydratest"
)

// documentedCommands runs the commands of docs/clients.md, one after the other, against a tenant
// that has the applications that they name.
func documentedCommands(t *testing.T, hydra *hydratest.Hydra) {
	t.Helper()
	dir := t.TempDir()
	x := documented(t, dir)
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(readFile(t, "../../docs/clients.md"), -1)
	if len(blocks) != 3 {
		t.Fatalf("%d blocks of commands", len(blocks))
	}
	script := ""
	for _, block := range blocks {
		script += block[1]
	}
	for written, here := range map[string]string{"build/ferry": built.Ferry(t), "http://127.0.0.1:4445": hydra.AdminURL(), "http://127.0.0.1:4444": hydra.PublicURL()} {
		if !strings.Contains(script, written) {
			t.Fatalf("the page does not say %s", written)
		}
		script = strings.ReplaceAll(script, written, here)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-ec", script)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "FERRY_AUTH0_BASE_URL=" + x.management(t)}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "warning: Auth0 does not hand out the public keys of B4ck") || !strings.Contains(string(out), "2 created") {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(filepath.Join(dir, "applications.json"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	x.secretsIn(t, string(out), readFile(t, filepath.Join(dir, "clients.ndjson")))
	x.completeAll(t, hydra, stored(t, hydra))
}

// documented is the tenant of the page.
func documented(t *testing.T, dir string) *tenant {
	t.Helper()
	x := &tenant{credentials: map[string]any{}, random: randomOf("documented"), dir: dir}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	const id = "B4ckOff1c3B4ckOff1c3B4ckOff1c301"
	x.keyed(t, key, "RS256", map[string]any{"client_id": id})
	if err := os.Rename(filepath.Join(dir, id+".pem"), filepath.Join(dir, "backoffice.pem")); err != nil {
		t.Fatal(err)
	}
	x.add("shop and blog", "regular_web", importer.Created, map[string]any{"callbacks": []string{"https://*.example.com/cb"}}, useCode)
	return x
}

// management starts a Management API with the tenant, and returns its address.
func (x *tenant) management(t *testing.T) string {
	t.Helper()
	apps := []any{}
	for _, e := range x.apps {
		apps = append(apps, e.app)
	}
	answers := map[string]any{
		"/oauth/token":             map[string]any{"access_token": "t", "token_type": "Bearer", "expires_in": 86400},
		"/api/v2/clients":          map[string]any{"total": len(apps), "clients": apps},
		"/api/v2/resource-servers": map[string]any{"total": len(apis()), "resource_servers": apis()},
		"/api/v2/client-grants":    map[string]any{"total": len(x.grants), "client_grants": append([]map[string]any{}, x.grants...)},
	}
	for id, credentials := range x.credentials {
		answers["/api/v2/clients/"+id+"/credentials"] = credentials
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if answers[r.URL.Path] == nil {
			w.WriteHeader(http.StatusNotFound)
		}
		_ = json.NewEncoder(w).Encode(answers[r.URL.Path])
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}
