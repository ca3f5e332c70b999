package clients

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"ferry/clients"
	"ferry/clients/importer"
	"ferry/test/hydratest"
)

// pair is a tenant of one web application, imported into a Hydra.
type pair struct {
	*tenant

	hydra *hydratest.Hydra
	web   *expected
	env   []string
}

// newPair starts nothing: many share one Hydra.
func newPair(t *testing.T, hydra *hydratest.Hydra, seed string) *pair {
	t.Helper()
	x := &tenant{credentials: map[string]any{}, random: randomOf(seed), dir: t.TempDir()}
	web := x.add("web", "regular_web", importer.Created, nil, useCode)
	return &pair{x, hydra, web, envOf(hydra)}
}

// run imports the application as it is now, and returns its line.
func (p *pair) run(t *testing.T, code int, more ...string) importer.Result {
	t.Helper()
	file := p.write(t, "applications.json")
	said := ferry(t, p.env, append([]string{"clients", "import", "--applications", file}, more...)...).want(t, code)
	return said.lines(t)[p.web.id()]
}

// client is what Hydra has.
func (p *pair) client(t *testing.T) map[string]any {
	t.Helper()
	var client map[string]any
	if err := admin(t.Context(), p.hydra, http.MethodGet, "/admin/clients/"+p.web.id(), nil, &client); err != nil {
		t.Fatal(err)
	}
	return client
}

// change changes fields of the client at Hydra, as an operator would.
func (p *pair) change(t *testing.T, fields map[string]any) {
	t.Helper()
	var patch []map[string]any
	for name, value := range fields {
		patch = append(patch, map[string]any{"op": "replace", "path": "/" + name, "value": value})
	}
	if err := admin(t.Context(), p.hydra, http.MethodPatch, "/admin/clients/"+p.web.id(), patch, nil); err != nil {
		t.Fatal(err)
	}
}

// works logs in with the client.
func (p *pair) works(t *testing.T) {
	t.Helper()
	p.completeAll(t, p.hydra, map[string]map[string]any{p.web.id(): p.client(t)})
}

// want checks a line.
func want(t *testing.T, line importer.Result, result importer.Outcome, reason clients.Reason, changed, kept string) {
	t.Helper()
	if line.Result != result || line.Reason != reason || strings.Join(line.Changed, " ") != changed || strings.Join(line.Kept, " ") != kept {
		t.Fatalf("%+v, want %s %s, changed %s, kept %s", line, result, reason, changed, kept)
	}
}

// TestOneClient: a client is updated, or something goes wrong. The cases share one Hydra in memory,
// which takes one request at a time.
func TestOneClient(t *testing.T) {
	t.Parallel()
	hydra := hydratest.Run(t, hydratest.Options{})
	for _, cases := range []map[string]func(*testing.T, *hydratest.Hydra){updates(), faults()} {
		for name, run := range cases {
			t.Run(name, func(t *testing.T) { run(t, hydra) })
		}
	}
}

// updates: what changed at Auth0 is changed at Hydra, with the secret; what someone set at Hydra
// is kept; what changed at both is left alone.
func updates() map[string]func(*testing.T, *hydratest.Hydra) {
	return map[string]func(*testing.T, *hydratest.Hydra){
		"changed at Auth0":        updateChangedAtAuth0,
		"changed at Hydra":        updateChangedAtHydra,
		"another secret":          updateAnotherSecret,
		"not ferry's":             updateNotFerrys,
		"some only":               updateSomeOnly,
		"the documented commands": documentedCommands,
		"the reasons are true":    reasonsAreTrue,
	}
}

func updateChangedAtAuth0(t *testing.T, hydra *hydratest.Hydra) {
	t.Helper()
	p := newPair(t, hydra, "auth0")
	want(t, p.run(t, 0), importer.Created, "", "", "")
	p.web.app["callbacks"] = []string{"https://new.example.com/cb"}
	p.web.app["name"] = "renamed"
	p.web.app["refresh_token"] = nil
	line := p.run(t, 0)
	want(t, line, importer.Updated, "", "authorization_code_grant_refresh_token_lifespan client_name redirect_uris refresh_token_grant_refresh_token_lifespan", "")
	if !line.Verified {
		t.Error("the secret is not verified")
	}
	p.works(t)
	want(t, p.run(t, 0), importer.Unchanged, "", "", "")
	delete(p.web.app, "client_secret") // exported without read:client_keys
	p.web.app["name"] = "renamed again"
	secret := p.run(t, 0)
	if want(t, secret, importer.Updated, "", "client_name", ""); secret.Verified || secret.Detail == "" {
		t.Errorf("%+v", secret)
	}
}

func updateChangedAtHydra(t *testing.T, hydra *hydratest.Hydra) {
	t.Helper()
	p := newPair(t, hydra, "hydra")
	want(t, p.run(t, 0), importer.Created, "", "", "")
	p.change(t, map[string]any{"owner": "team", "contacts": []string{"a@example.com"}, "policy_uri": "https://example.com/p", "redirect_uris": []string{"https://byhand.example.com/cb"}, "metadata/note": "mine"})
	before := p.client(t)
	const kept = "redirect_uris contacts owner policy_uri metadata.note"
	want(t, p.run(t, 0), importer.Unchanged, "", "", kept)
	if !same(before, p.client(t)) {
		t.Error("it was changed")
	}
	p.web.app["name"] = "renamed"
	want(t, p.run(t, 0), importer.Updated, "", "client_name", kept)
	after := p.client(t)
	for _, field := range []string{"owner", "contacts", "policy_uri", "redirect_uris"} {
		if !same(before[field], after[field]) {
			t.Errorf("%s was %v and is %v", field, before[field], after[field])
		}
	}
	p.works(t)

	// Both changed.
	p.web.app["callbacks"] = []string{"https://new.example.com/cb"}
	line := p.run(t, 1)
	want(t, line, importer.Refused, importer.ReasonChanged, "", "contacts owner policy_uri metadata.note")
	if !strings.Contains(line.Detail, "redirect_uris") || !same(after, p.client(t)) {
		t.Errorf("%+v", line)
	}
	want(t, p.run(t, 0, "--overwrite", "--dry-run"), importer.Updated, "", "redirect_uris", "contacts owner policy_uri metadata.note")
	want(t, p.run(t, 0, "--overwrite"), importer.Updated, "", "redirect_uris", "contacts owner policy_uri metadata.note")
	p.works(t)
}

func updateAnotherSecret(t *testing.T, hydra *hydratest.Hydra) {
	t.Helper()
	p := newPair(t, hydra, "secret")
	want(t, p.run(t, 0), importer.Created, "", "", "")
	p.web.app["client_secret"] = "rotated-at-auth0-rotated-at-auth0"
	want(t, p.run(t, 1), importer.Refused, importer.ReasonOtherSecret, "", "")
	want(t, p.run(t, 0, "--overwrite"), importer.Updated, "", "client_secret", "")
	p.works(t)
	// A client that had no secret gets the application's.
	p.web.app["token_endpoint_auth_method"] = "none"
	want(t, p.run(t, 0), importer.Updated, "", "token_endpoint_auth_method", "")
	p.works(t)
	p.web.app["token_endpoint_auth_method"] = "client_secret_basic"
	want(t, p.run(t, 0), importer.Updated, "", "token_endpoint_auth_method client_secret", "")
	p.works(t)
}

func updateNotFerrys(t *testing.T, hydra *hydratest.Hydra) {
	t.Helper()
	p := newPair(t, hydra, "foreign")
	if err := hydra.CreateClient(t.Context(), map[string]any{"client_id": p.web.id(), "client_secret": "of-somebody-else", "redirect_uris": []string{"https://other.example.com/cb"}, "grant_types": []string{"authorization_code"}, "owner": "them"}); err != nil {
		t.Fatal(err)
	}
	before := p.client(t)
	line := p.run(t, 1)
	if line.Result != importer.Refused || line.Reason != importer.ReasonExists || !strings.Contains(line.Detail, "redirect_uris") || !same(before, p.client(t)) {
		t.Errorf("%+v", line)
	}
	secret := p.web.app["client_secret"]
	delete(p.web.app, "client_secret") // then it is unknown whether the client has the application's secret
	if line = p.run(t, 1, "--overwrite"); line.Result != importer.Refused || line.Reason != clients.ReasonNoSecret {
		t.Errorf("%+v", line)
	}
	p.web.app["client_secret"] = secret
	line = p.run(t, 0, "--overwrite")
	if line.Result != importer.Updated || !slices.Contains(line.Changed, "client_secret") || !slices.Equal(line.Kept, []string{"owner"}) {
		t.Errorf("%+v", line)
	}
	p.works(t)
}

func updateSomeOnly(t *testing.T, hydra *hydratest.Hydra) {
	t.Helper()
	p := newPair(t, hydra, "some")
	other := p.add("other", "spa", importer.Created, nil, usePKCE)
	want(t, p.run(t, 0, "--client", p.web.id()), importer.Created, "", "", "")
	if stored(t, hydra)[other.id()] != nil {
		t.Error("the other one is there too")
	}
	file := p.write(t, "applications.json")
	ferry(t, p.env, "clients", "import", "--applications", file, "--client", "nobody").want(t, 1, "has no application nobody")
}
