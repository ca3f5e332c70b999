package readme

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestOryNetworkPage: the page's ferry command prints a command for a shell. The
// page's other commands are the Ory CLI's; test/wiring applies them.
func TestOryNetworkPage(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/ory-network.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^```sh\n(.*?wire\\.sh\n)^```$").FindStringSubmatch(string(text))
	if block == nil {
		t.Fatal("no block makes wire.sh")
	}
	log := operate(t, "cp \"$OLDPWD/identity.schema.json.example\" identity.schema.json\n"+block[1]+"sh -n wire.sh; grep -c -- '--add' wire.sh", 0)
	if !log.Contains("\n3\n") {
		t.Errorf("it prints %s", log.String())
	}
}

// TestKratosConfigPage runs every shell block of docs/kratos-wiring.md.
func TestKratosConfigPage(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/kratos-wiring.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?ms)^ *```sh\n(.*?)^ *```$").FindAllStringSubmatch(string(text), -1)
	if len(found) < 7 {
		t.Fatalf("only %d shell blocks", len(found))
	}
	const files = "cp \"$OLDPWD/wiring/testdata/nested/values.yaml\" .\n" +
		"printf 'kind: ConfigMap\\ndata:\\n  kratos.yaml: |\\n    dsn: memory\\n' > configmap.yaml\n"
	for _, match := range found {
		block := match[1]
		name, _, _ := strings.Cut(strings.TrimSpace(block), "\n")
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(block, "base64 ") {
				command(t, block)
				return
			}
			log := operate(t, files+block, 0)
			for _, want := range printed(block) {
				if !log.Contains(want) {
					t.Errorf("it does not print %q: %s", want, log.String())
				}
			}
		})
	}
}

// TestSignUpPage runs the commands of docs/sign-up.md: the first adds the hook, and the second,
// without the other settings, finds it.
func TestSignUpPage(t *testing.T) {
	text, err := os.ReadFile(root + "/docs/sign-up.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(found) != 2 {
		t.Fatalf("%d shell blocks", len(found))
	}
	const invalidSettings = 2
	log := operate(t, found[0][1]+"grep -c /hooks/after-registration kratos.yml\nexport FERRY_SIGN_UP=true\n"+found[1][1], invalidSettings)
	if !log.Contains("\n3\n") || !regexp.MustCompile(`(?m)^ok +kratos_config\.sign_up `).MatchString(log.String()) {
		t.Errorf("it prints %s", log.String())
	}
}

// printed returns what a block of docs/kratos-wiring.md prints.
func printed(block string) []string {
	switch {
	case strings.Contains(block, "--client-ip-header"):
		return []string{"migrate_hook:", "/hooks/password-migration", "+"}
	case strings.Contains(block, "sha256sum"):
		return []string{"3eb1bd43\n"}
	case strings.Contains(block, "--hook-key-env"):
		return []string{"HOOKS_0_CONFIG_AUTH_CONFIG_VALUE}"}
	case strings.Contains(block, "--merge kratos.yml\n"):
		return []string{"[hidden, key 3eb1bd43]"}
	default:
		return []string{"migrate_hook:"}
	}
}
