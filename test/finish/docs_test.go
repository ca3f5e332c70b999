package finish

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
)

// TestDocs runs every command of docs/plan.md and then of docs/finish.md, in order.
func TestDocs(t *testing.T) {
	s := start(t)
	for _, name := range []string{"ada", "bob"} {
		if _, err := s.sim.AddUser(auth0sim.User{ID: "auth0|" + name, Connection: directory, Email: name + "@example.org", EmailVerified: true, Password: "Passw0rd of " + name}); err != nil {
			t.Fatal(err)
		}
	}
	plan := s.page(t, "plan.md")
	if len(plan) != 6 {
		t.Fatalf("%d blocks of commands in the plan", len(plan))
	}
	for _, block := range plan {
		s.shell(t, block)
	}
	s.sees(t, "ada@example.org", "Passw0rd of ada", kratostest.SeesSession)
	s.restart(t, closedEnv)
	end := s.page(t, "finish.md")
	if len(end) != 5 {
		t.Fatalf("%d blocks of commands in the end", len(end))
	}
	count, finish, undo, check, remove := end[0], end[1], end[2], end[3], end[4]
	s.shell(t, count, "1 pending")
	s.shell(t, finish, "dry run", "1 finished", "0 pending afterwards")
	s.sees(t, "bob@example.org", "Passw0rd of bob", kratostest.SeesInvalidCredentials)
	s.shell(t, undo, "dry run", "1 restored", "1 pending afterwards")
	s.shell(t, finish, "0 pending afterwards")
	s.shell(t, check, "0 pending", "no one is pending")
	s.shell(t, remove, "migrate_hook")
	text, err := os.ReadFile(filepath.Join(s.dir, "kratos.yml"))
	if err != nil || strings.Contains(string(text), "/hooks/") {
		t.Errorf("a hook is left: %v", err)
	}
}

// page returns the command blocks of a page.
func (*stack) page(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, match := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, match[1])
	}
	for _, match := range regexp.MustCompile(`\]\(([^):#]+)\)`).FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat("../../docs/" + match[1]); err != nil {
			t.Errorf("%s links to %s: %v", name, match[1], err)
		}
	}
	return blocks
}

// shell runs a block with only the program's path, ferry's address and the wait
// replaced. It ignores doctor's findings about the simulator.
func (s *stack) shell(t *testing.T, block string, texts ...string) {
	t.Helper()
	script := strings.NewReplacer(
		"build/ferry finish --yes", built.Ferry(t)+" finish --yes --wait 0s --hook-url "+s.front.url,
		"build/ferry finish --undo --yes", built.Ferry(t)+" finish --undo --yes --hook-url "+s.front.url,
		"build/ferry kratos-config --merge kratos.yml", built.Ferry(t)+" kratos-config --merge kratos.yml --url "+s.front.url,
		"build/ferry doctor --kratos-config kratos.yml", built.Ferry(t)+" doctor --kratos-config kratos.yml || test $? = 1",
		"build/ferry", built.Ferry(t),
	).Replace(block)
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-ec", script)
	cmd.Dir, cmd.Env = s.dir, append(s.env(), "PATH="+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", block, err, out)
	}
	for _, text := range texts {
		if !strings.Contains(string(out), text) {
			t.Errorf("%s does not say %q:\n%s", block, text, out)
		}
	}
}
