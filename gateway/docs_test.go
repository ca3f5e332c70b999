package gateway_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestDocs: docs/gateway.md explains every result and every fault.
func TestDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	words := constants(t, ".", regexp.MustCompile(`^(result|fault)[A-Z]`))
	words = append(words, constants(t, "../provision", regexp.MustCompile(`^(Reason(Known|NoUser|Elsewhere|NotByIdentifier|UnverifiedTwin|Refused)$|Ensure)`))...)
	if len(words) < 20 {
		t.Fatalf("only %d words: %q", len(words), words)
	}
	for _, word := range words {
		if !strings.Contains(string(page), "`"+word+"`") {
			t.Errorf("docs/gateway.md does not explain %s", word)
		}
	}
}

// constants returns the texts of the constants of a package whose names match.
func constants(t *testing.T, dir string, names *regexp.Regexp) (texts []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !names.MatchString(spec.Names[0].Name) {
				return true
			}
			if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
				text, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, text)
			}
			return true
		})
	}
	return texts
}
