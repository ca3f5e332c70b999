package bulk

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
)

// TestUndoPage runs the commands of docs/undo.md, with the id of the run replaced.
func TestUndoPage(t *testing.T) {
	k := newKratos(t, kratostest.Options{})
	ferry(t, adminURL(k), "import", "--users", plainUsers(t, 3)).want(t, 0)
	run := listRuns(t, adminURL(k))[0].Run
	page, err := os.ReadFile("../../docs/undo.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of commands", len(blocks))
	}
	dir := t.TempDir()
	for i, says := range [][]string{{run, "3 pending"}, {"dry run", "3 deleted", "the run is undone"}} {
		script := strings.ReplaceAll(blocks[i][1], "build/ferry", built.Ferry(t))
		script = regexp.MustCompile(`--run \S+`).ReplaceAllString(script, "--run "+run)
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-ec", script)
		cmd.Dir, cmd.Env = dir, adminURL(k)
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
	if n := len(everybody(t, k)); n != 0 {
		t.Errorf("%d identities are left", n)
	}
}
