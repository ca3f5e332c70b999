package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSequential: the packages that `make test` does not test with the race detector start no
// goroutines, and neither do their tests.
func TestSequential(t *testing.T) {
	t.Parallel()
	const root = "../../"
	makefile, err := os.ReadFile(root + "Makefile")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^SEQUENTIAL = (.+)$`).FindSubmatch(makefile)
	if line == nil {
		t.Fatal("the Makefile has no line SEQUENTIAL")
	}
	for _, dir := range strings.Fields(string(line[1])) {
		files, err := filepath.Glob(root + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatal(dir, files, err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if what := concurrent(parsed); what != "" {
				t.Errorf("%s has %s: remove %s from SEQUENTIAL in the Makefile", file, what, dir)
			}
		}
	}
}

// concurrent returns what in a file starts goroutines or needs them; "" if nothing does.
func concurrent(file *ast.File) (what string) {
	for _, i := range file.Imports {
		path := strings.Trim(i.Path.Value, `"`)
		if path == "sync" || strings.HasPrefix(path, "sync/") || strings.HasPrefix(path, "golang.org/x/sync/") {
			return "the import " + path
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			what = "a go statement"
		case *ast.SelectorExpr:
			if n.Sel.Name == "Parallel" {
				what = "a parallel test"
			}
		}
		return what == ""
	})
	return what
}

// TestConcurrent: whatever can start a goroutine is found.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"func f() {}":         "",
		"func f() { go f() }": "a go statement",
		"func TestA(t *testing.T) { t.Parallel() }": "a parallel test",
		`import "sync"`:                              "the import sync",
		`import "sync/atomic"`:                       "the import sync/atomic",
		`import "golang.org/x/sync/errgroup"`:        "the import golang.org/x/sync/errgroup",
		"func f() { if true { defer func() {}() } }": "",
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "a.go", "package a\n"+text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := concurrent(file); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
