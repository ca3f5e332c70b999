package readme

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"ferry/test/hydratest"
)

// TestHydraPage runs the commands of docs/hydra.md: the real Hydra starts with what the first
// prints, and the second finds nothing.
func TestHydraPage(t *testing.T) {
	found := blocks(t, "docs/hydra.md")
	if len(found) != 2 {
		t.Fatalf("%d shell blocks", len(found))
	}
	kept := filepath.Join(t.TempDir(), "hydra.yml")
	operate(t, found[0]+"cp hydra-auth0.yml "+kept+"\n", 0)
	config, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	hydra := hydratest.Run(t, hydratest.Options{Config: config, Production: true})
	const invalidSettings = 2 // the block sets nothing else
	log := operate(t, "cp "+kept+" .\nexport FERRY_TOKEN_LISTEN=127.0.0.1:1\n"+found[1], invalidSettings,
		"FERRY_HYDRA_ADMIN_URL="+hydra.AdminURL(), "FERRY_HYDRA_PUBLIC_URL="+hydra.PublicURL())
	lines := regexp.MustCompile(`(?m)^(\S+) +hydra\.(\S+) `).FindAllStringSubmatch(log.String(), -1)
	if len(lines) != 13 {
		t.Errorf("%d checks of hydra: %s", len(lines), log.String())
	}
	for _, line := range lines {
		// No application is registered, and no token front runs.
		if line[1] != "ok" && line[2] != "cors" && line[2] != "issuer" {
			t.Errorf("%s: %s", line[0], log.String())
		}
	}
}
