package docs

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTraces: docs/tracing.md names every step that has a span, and every peer of a request.
func TestTraces(t *testing.T) {
	page := read(t, "../../docs/tracing.md")
	made := regexp.MustCompile(`(?:\btracing\.Start(?:Linked)?\([^"\n]*|\bPeer\w+ += )"([^"]+)"`)
	steps := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "../../test/") {
			return err
		}
		for _, step := range made.FindAllStringSubmatch(read(t, path), -1) {
			steps++
			if !strings.Contains(page, "`"+step[1]+"`") {
				t.Errorf("%s: docs/tracing.md does not name %q", path, step[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if steps < 25 {
		t.Errorf("only %d steps were found", steps)
	}
}
