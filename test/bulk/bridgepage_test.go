package bulk

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ferry/bulk/plan"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
)

// TestBridgePage runs the commands of docs/bridge.md.
func TestBridgePage(t *testing.T) {
	t.Parallel()
	k := newKratos(t, kratostest.Options{})
	page, err := os.ReadFile("../../docs/bridge.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of commands", len(blocks))
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"users.json": bridgeUsers, "kratos.yml": "dsn: memory\n", "client-secret": "canary\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := append(adminURL(k), "FERRY_HOOK_KEYS="+strings.Repeat("k", 32), "FERRY_AUTH0_DOMAIN=tenant.eu.auth0.com")
	for i, says := range [][]string{{"/self-service/methods/oidc/callback/old", "is written"}, {"3 created_bridge", "3 bridge_only"}} {
		script := strings.ReplaceAll(blocks[i][1], "build/ferry", built.Ferry(t))
		script = strings.ReplaceAll(script, "--users", "--accept-missing "+strings.Join(plan.Deciding(), ",")+" --users")
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-ec", script)
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		for _, text := range says {
			if !strings.Contains(string(out), text) {
				t.Errorf("%s does not say %q:\n%s", script, text, out)
			}
		}
	}
}
