package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestMetrics: every metric that a page names exists in the code, and every alert of the
// runbook has its section.
func TestMetrics(t *testing.T) {
	code := metrics(t)
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	named := regexp.MustCompile(`\bferry_[a-z0-9_]*[a-z0-9]`)
	for _, page := range append(pages, "../../README.md") {
		for _, name := range named.FindAllString(read(t, page), -1) {
			base := name
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				base = strings.TrimSuffix(base, suffix)
			}
			if !code[name] && !code[base] && !code[strings.TrimSuffix(name, "_total")] {
				t.Errorf("%s: no code has the metric %s", filepath.Base(page), name)
			}
		}
	}
	runbook := read(t, "../../docs/operations.md")
	for _, alert := range regexp.MustCompile(`(?m)^\| \[([^]]+)\]\(#`).FindAllStringSubmatch(runbook, -1) {
		if !strings.Contains(strings.ToLower(runbook), "\n### "+strings.ToLower(alert[1])+"\n") {
			t.Errorf("operations.md: no section %s", alert[1])
		}
	}
}

// metrics are the texts in the code that begin with ferry_.
func metrics(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	literal := regexp.MustCompile(`"(ferry_[a-z0-9_]+)"`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "test" || d.Name() == "build"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		for _, m := range literal.FindAllStringSubmatch(read(t, path), -1) {
			found[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
