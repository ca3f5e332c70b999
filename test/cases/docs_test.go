package cases

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"ferry/test/ferrytest/built"
)

// TestDocumentedCommands runs the commands of docs/import-files.md with the inputs of
// cases.
func TestDocumentedCommands(t *testing.T) {
	text, err := os.ReadFile("../../docs/import-files.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, input := range map[string]string{
		"identity.schema.json": "csv-guard/schema.json", "users.csv": "csv-guard/users.csv", "user.json": "not-one-object-a-line/user-pretty.json",
		"users.ndjson": "hashes-array/users.ndjson", "hashes.json": "hashes-array/hashes.json",
		"factors.ndjson": "second-factors/factors.ndjson",
	} {
		content, err := os.ReadFile(filepath.Join(testdata, input))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 4 {
		t.Fatalf("%d blocks of commands", len(blocks))
	}
	for _, block := range blocks {
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-ec", block[1])
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + filepath.Dir(built.Ferry(t))}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s%v\n%s", block[1], err, out)
		}
	}
}
