package clients

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ferry/clients"
	"ferry/clients/importer"
	"ferry/test/auth0sim"
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
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "FERRY_AUTH0_BASE_URL=" + x.simulate(t).URL()}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "warning: Auth0's API does not return the public keys of B4ck") || !strings.Contains(string(out), fmt.Sprintf("%d created", len(x.apps))) {
		t.Fatalf("%v\n%s", err, out)
	}
	info, err := os.Stat(filepath.Join(dir, "applications.json"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	results, there := readFile(t, filepath.Join(dir, "clients.ndjson")), stored(t, hydra)
	lines := answer{stdout: results}.lines(t)
	for id, reason := range map[string]clients.Reason{"client-id-of-the-machine-application": clients.ReasonNoGrant, "global-client-of-the-tenant": clients.ReasonGlobal} {
		if lines[id].Reason != reason {
			t.Errorf("%+v, want %s", lines[id], reason)
		}
		delete(lines, id)
	}
	x.compare(t, lines, true)
	x.secretsIn(t, string(out), results)
	x.apps[0].kid = kidOf(there[x.apps[0].id()])
	x.completeAll(t, hydra, there)
}

// kidOf returns the id of the client's only key.
func kidOf(client map[string]any) string {
	set, _ := client["jwks"].(map[string]any)
	keys, _ := set["keys"].([]any)
	if len(keys) != 1 {
		return ""
	}
	key, _ := keys[0].(map[string]any)
	id, _ := key["kid"].(string)
	return id
}

// documented is the tenant of the page, with some applications more.
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
	x.machines()
	return x
}

// simulate starts a tenant at the simulator with the applications, and returns it.
func (x *tenant) simulate(t *testing.T) *auth0sim.Server {
	t.Helper()
	tenant := auth0sim.Tenant{
		APIs: []auth0sim.API{{Identifier: orders, Scopes: []string{"read:orders", "write:orders"}}, {Identifier: stock}},
		Apps: []auth0sim.App{{ClientID: "client-id-of-the-machine-application", ClientSecret: "its-client-secret", ManagementScopes: []string{
			auth0sim.ScopeReadClients, auth0sim.ScopeReadClientKeys, auth0sim.ScopeReadClientCredentials, auth0sim.ScopeReadResourceServers, auth0sim.ScopeReadClientGrants,
		}}},
	}
	for _, e := range x.apps {
		app := auth0sim.App{ClientID: e.id(), ClientSecret: e.secret(), Details: e.app}
		switch {
		case e.publicKey != "":
			app.AuthMethods, app.PublicKeys = []string{auth0sim.AuthPrivateKey}, []string{e.publicKey}
			app.Details = maps.Clone(e.app)
			delete(app.Details, "client_authentication_methods") // the simulator has its own credential ids
		case e.secret() == "":
			app.AuthMethods = []string{auth0sim.AuthNone}
		}
		tenant.Apps = append(tenant.Apps, app)
	}
	for _, g := range x.grants {
		id, _ := g["client_id"].(string)
		audience, _ := g["audience"].(string)
		scopes, _ := g["scope"].([]string)
		tenant.ClientGrants = append(tenant.ClientGrants, auth0sim.ClientGrant{ClientID: id, Audience: audience, Scope: scopes})
	}
	return auth0sim.Run(t, auth0sim.Config{Domain: "tenant.eu.auth0.com", Tenant: &tenant})
}
