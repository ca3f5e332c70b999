package readme

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// linked returns the pages whose links are checked: README, CONTRIBUTING and docs.
func linked(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(root + "/docs/*.md")
	if err != nil || len(found) < 10 {
		t.Fatalf("found %d pages (%v)", len(found), err)
	}
	names := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"}
	for _, path := range found {
		names = append(names, "docs/"+filepath.Base(path))
	}
	return names
}

// TestLinks: every relative link names a file that exists, and a heading in it.
func TestLinks(t *testing.T) {
	for _, page := range linked(t) {
		for _, match := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(prose(read(t, page)), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(match[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s: %v", page, match[1], err)
				continue
			}
			if anchor != "" && !anchors(read(t, target))[anchor] {
				t.Errorf("%s links to %s: no such heading", page, match[1])
			}
		}
	}
}

// TestDesignNamesTests: the tests that docs/design.md and docs/security.md name exist.
func TestDesignNamesTests(t *testing.T) {
	for _, page := range []string{"docs/design.md", "docs/security.md"} {
		t.Run(page, func(t *testing.T) { namesTests(t, page) })
	}
}

// namesTests checks that the tests which a page names exist.
func namesTests(t *testing.T, page string) {
	t.Helper()
	names := regexp.MustCompile("`(\\w+)\\.(Test\\w+)`").FindAllStringSubmatch(read(t, page), -1)
	if len(names) < 15 {
		t.Fatalf("it names only %d tests", len(names))
	}
	for _, name := range names {
		var text strings.Builder
		for _, dir := range []string{name[1], "admin/" + name[1], "bulk/" + name[1], "gateway/" + name[1], "tracing/" + name[1], "test/" + name[1]} {
			files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				source, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				text.Write(source)
			}
		}
		if !strings.Contains(text.String(), "func "+name[2]+"(") {
			t.Errorf("there is no %s.%s", name[1], name[2])
		}
	}
}

// anchors returns the anchors that GitHub gives to the headings of a page.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^#+ +(.*)$`).FindAllStringSubmatch(prose(text), -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(strings.ToLower(match[1]), "")
		found[strings.ReplaceAll(name, " ", "-")] = true
	}
	return found
}

// prose returns a page without its code blocks.
func prose(text string) string {
	return regexp.MustCompile("(?ms)^ *```.*?^ *```$").ReplaceAllString(text, "")
}
