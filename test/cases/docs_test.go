package cases

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/ferrytest/built"
)

// TestDocumentedCommands runs the commands of docs/import-files.md with files that have all
// fields that decide what becomes of a user, and with other inputs of cases.
func TestDocumentedCommands(t *testing.T) {
	text, err := os.ReadFile("../../docs/import-files.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, input := range map[string]string{
		"users.csv": "documented/users.csv", "users.ndjson": "documented/users.ndjson",
		"identity.schema.json": testdata + "/csv-guard/schema.json", "user.json": testdata + "/not-one-object-a-line/user-pretty.json",
		"hashes.json": testdata + "/hashes-array/hashes.json",
	} {
		content, err := os.ReadFile(filepath.FromSlash(input))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	env := append(exporting(t, filepath.Join(dir, "users.ndjson")), "PATH="+filepath.Dir(built.Ferry(t)))
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 5 {
		t.Fatalf("%d blocks of commands", len(blocks))
	}
	for _, block := range blocks {
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-ec", block[1])
		cmd.Dir, cmd.Env = dir, env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s%v\n%s", block[1], err, out)
		}
	}
}

// exporting starts a tenant with the users of the file, and returns the settings for it.
func exporting(t *testing.T, users string) []string {
	t.Helper()
	text, err := os.ReadFile(users)
	if err != nil {
		t.Fatal(err)
	}
	tenant := auth0sim.Tenant{
		DefaultDirectory: "main", Connections: []auth0sim.Connection{{Name: "main"}},
		Apps: []auth0sim.App{{ClientID: "machine", ClientSecret: "machine-secret", ManagementScopes: []string{auth0sim.ScopeReadAuthenticationMethods}}},
	}
	for _, match := range regexp.MustCompile(`"user_id":\s*"(auth0\|[^"]+)"`).FindAllSubmatch(text, -1) {
		tenant.Users = append(tenant.Users, auth0sim.User{
			ID: string(match[1]), AuthenticationMethods: []auth0sim.AuthenticationMethod{{ID: "totp|dev_1", Type: "totp"}},
		})
	}
	sim := auth0sim.Run(t, auth0sim.Config{Tenant: &tenant})
	return []string{
		"FERRY_AUTH0_DOMAIN=" + sim.Domain(), "FERRY_AUTH0_BASE_URL=" + sim.URL(),
		"FERRY_AUTH0_MGMT_CLIENT_ID=machine", "FERRY_AUTH0_MGMT_CLIENT_SECRET=machine-secret",
	}
}
