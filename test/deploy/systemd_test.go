package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// unit returns ferry's unit with the path of a program that exists.
func unit(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(root + "/deploy/systemd/ferry.service")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(text), "/usr/local/bin/ferry", path, 1)
}

// analyze runs systemd-analyze over a unit. systemd need not run.
func analyze(t *testing.T, text string, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ferry.service")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", append(args, file)...).CombinedOutput()
	return string(out), err
}

// TestUnit: systemd understands every line of the unit, and finds it confined.
func TestUnit(t *testing.T) {
	t.Parallel()
	text := unit(t)
	if out, err := analyze(t, text, "verify", "--man=no"); err != nil || strings.TrimSpace(out) != "" {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	// The scale is from 0 to 100; 92 is a unit without any restriction.
	if out, err := analyze(t, text, "security", "--offline=true", "--threshold=15"); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
	for name, broken := range map[string]string{
		"an unknown key": strings.Replace(text, "ProtectHome=", "ProtectHouse=", 1),
		"another value":  strings.Replace(text, "Restart=always", "Restart=often", 1),
		"no program":     strings.Replace(text, "ExecStart=", "ExecStart=/nowhere", 1),
	} {
		if out, err := analyze(t, broken, "verify", "--man=no"); err == nil && strings.TrimSpace(out) == "" {
			t.Errorf("systemd-analyze verify accepts %s", name)
		}
	}
}

// TestUnitsSettings: the real ferry accepts the settings of the unit, with the credentials
// and the directory that systemd makes.
func TestUnitsSettings(t *testing.T) {
	t.Parallel()
	text := unit(t)
	example, err := os.ReadFile(root + "/deploy/systemd/ferry.env.example")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	env := regexp.MustCompile(`(?m)^FERRY_.*$`).FindAllString(string(example), -1)
	for _, match := range regexp.MustCompile(`(?m)^Environment=(.*)$`).FindAllStringSubmatch(text, -1) {
		env = append(env, strings.NewReplacer("%d", dir, "%S", dir).Replace(match[1]))
	}
	for _, match := range regexp.MustCompile(`(?m)^LoadCredential=([^:]+):/etc/ferry/secrets/(.*)$`).FindAllStringSubmatch(text, -1) {
		if match[1] != match[2] {
			t.Errorf("%s is at %s", match[1], match[2])
		}
		if err := os.WriteFile(filepath.Join(dir, match[1]), []byte(strings.Repeat("k", 32)+"\n"), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "ferry"), 0o700); err != nil {
		t.Fatal(err)
	}
	if status, out := ferry(t, env, "config"); status != 0 {
		t.Errorf("ferry config ends with %d:\n%s", status, out)
	}
}
