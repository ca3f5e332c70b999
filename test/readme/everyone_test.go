package readme

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
	"ferry/test/process"
)

// everyone follows docs/import.md with one of two users in the hash file.
func everyone(t *testing.T, block string) {
	t.Helper()
	dir, log := moved(t, block)
	for _, text := range []string{
		"verdict: 2 of Auth0's 2 users (100.0 %) can log in to Kratos today: 1 with the imported hash, 1 only while Auth0 answers (pending)",
		"1 pending",
	} {
		if !log.Contains(text) {
			t.Errorf("it does not say %q: %s", text, log.String())
		}
	}
	list, err := os.ReadFile(filepath.Join(dir, "mail.csv"))
	if err != nil || !strings.Contains(string(list), "kim@example.org,true,") {
		t.Errorf("the stragglers are %q (%v)", list, err)
	}
}

// pending follows the README's import, which has no hashes.
func pending(t *testing.T, block string) {
	t.Helper()
	dir, _ := moved(t, block)
	results, err := os.ReadFile(filepath.Join(dir, "results.ndjson"))
	if err != nil || strings.Count(string(results), `"created_pending"`) != 2 {
		t.Errorf("the results are %q (%v)", results, err)
	}
}

// fixed follows docs/import.md after an import.
func fixed(t *testing.T, block string) {
	t.Helper()
	_, log := moved(t, "build/ferry export --out users.ndjson.gz\nbuild/ferry import --users users.ndjson.gz\n"+block)
	if !log.Contains("verdict: 2 of Auth0's 2 users (100.0 %) can log in to Kratos today") {
		t.Errorf("it prints %s", log.String())
	}
}

// status asks a Kratos with one pending identity.
func status(t *testing.T, block string) {
	t.Helper()
	kratos := kratostest.Run(t, kratostest.Options{})
	_, err := kratos.CreateIdentity(t.Context(), kratostest.IdentitySpec{
		Traits: map[string]any{"email": "kim@example.org"}, Pending: true,
		MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": "auth0|kim"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if log := operate(t, block, 0, "FERRY_KRATOS_ADMIN_URL="+kratos.AdminURL()); !log.Contains("1 pending") {
		t.Errorf("it prints %s", log.String())
	}
}

// moved runs a block with two users at the simulator, a hash file for one of them, and
// its own Kratos. It returns the block's directory and its output.
func moved(t *testing.T, block string) (string, *process.Log) {
	t.Helper()
	dir := t.TempDir()
	sim := auth0sim.Run(t, auth0sim.Config{Tenant: &auth0sim.Tenant{
		DefaultDirectory: "main",
		Connections:      []auth0sim.Connection{{Name: "main"}},
		Apps:             []auth0sim.App{{ClientID: "machine", ClientSecret: "machine-secret", ManagementScopes: []string{auth0sim.ScopeReadUsers}}},
		Users: []auth0sim.User{
			{ID: "auth0|ada", Connection: "main", Email: "ada@example.org", EmailVerified: true, Password: "x"},
			{ID: "auth0|kim", Connection: "main", Email: "kim@example.org", EmailVerified: true, Password: "y"},
		},
	}})
	kratos := kratostest.Run(t, kratostest.Options{})
	tenant, _, _ := strings.Cut(sim.Domain(), ".")
	pack(t, filepath.Join(dir, "hashes.ndjson.gz"), `{"_id":{"$oid":"ada"},"passwordHash":"$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy","tenant":"`+tenant+`"}`+"\n")
	script := "go build -o " + dir + "/ferry ./cmd/ferry\ncd " + dir + "\n" + strings.ReplaceAll(block, "build/ferry", "./ferry")
	p, log := run(t, script, "FERRY_KRATOS_ADMIN_URL="+kratos.AdminURL(),
		"FERRY_AUTH0_DOMAIN="+sim.Domain(), "FERRY_AUTH0_BASE_URL="+sim.URL(),
		"FERRY_AUTH0_MGMT_CLIENT_ID=machine", "FERRY_AUTH0_MGMT_CLIENT_SECRET=machine-secret")
	await(t, p)
	if p.Err() != nil {
		t.Fatalf("%v: %s", p.Err(), log.String())
	}
	return dir, log
}

func pack(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	zip := gzip.NewWriter(file)
	if _, err := zip.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}
