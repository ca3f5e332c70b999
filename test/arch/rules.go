package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// rule is one thing that holds for the whole module. Its check returns a
// sentence for each fault, which says what to change.
type rule struct {
	name  string
	check func(*module) []string
}

func rules() []rule {
	return []rule{
		{"arrows", checkArrows},
		{"program", checkProgram},
		{"depguard", checkDepguard},
		{"package comment", checkPackageComments},
		{"package name", checkPackageNames},
		{"file length", checkFileLengths},
		{"forbidden text", checkForbiddenTexts},
		{"skip", checkSkips},
		{"script skip", checkScriptSkips},
		{"sleep", checkSleeps},
	}
}

// Check reads the module at fsys and returns the faults by rule; a rule that
// holds has no entry.
func Check(fsys fs.FS, policy Policy) (map[string][]string, error) {
	m, err := load(fsys, policy)
	if err != nil {
		return nil, err
	}
	faults := map[string][]string{}
	for _, r := range rules() {
		if found := r.check(m); len(found) > 0 {
			faults[r.name] = found
		}
	}
	return faults, nil
}

func checkPackageComments(m *module) []string {
	var faults []string
	for _, p := range m.packages {
		if !slices.ContainsFunc(p.files, func(f goFile) bool {
			return f.syntax.Doc != nil && strings.TrimSpace(f.syntax.Doc.Text()) != ""
		}) {
			faults = append(faults, fmt.Sprintf("package %s has no package comment: say above the package clause of one file what it promises and what it does not do", p.dir))
		}
	}
	return faults
}

func checkPackageNames(m *module) []string {
	var faults []string
	for _, p := range m.packages {
		names := []string{path.Base(p.dir)}
		for _, f := range p.files {
			names = append(names, strings.TrimSuffix(f.syntax.Name.Name, "_test"))
		}
		if i := slices.IndexFunc(names, func(name string) bool { return slices.Contains(m.policy.BadNames, name) }); i >= 0 {
			faults = append(faults, fmt.Sprintf("package %s is called %s, which says nothing: name it after the one thing it knows", p.dir, names[i]))
		}
	}
	return faults
}

func checkFileLengths(m *module) []string {
	unused := maps.Clone(m.policy.LongFiles)
	var faults []string
	for _, p := range m.packages {
		for _, f := range p.files {
			if f.test || f.generated || f.lines <= m.policy.MaxLines {
				continue
			}
			if m.policy.LongFiles[f.path] != "" {
				delete(unused, f.path)
				continue
			}
			faults = append(faults, fmt.Sprintf("%s has %d lines, more than %d: split it by noun, or give the reason in LongFiles in test/arch/policy.go", f.path, f.lines, m.policy.MaxLines))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unused)) {
		faults = append(faults, fmt.Sprintf("LongFiles in test/arch/policy.go allows %s, which is gone, short, or has no reason there: remove the entry", name))
	}
	return faults
}

func checkForbiddenTexts(m *module) []string {
	var faults []string
	for _, f := range m.texts {
		for _, text := range slices.Sorted(maps.Keys(m.policy.Forbidden)) {
			if before, _, found := bytes.Cut(f.data, []byte(text)); found {
				line := bytes.Count(before, []byte("\n")) + 1
				faults = append(faults, fmt.Sprintf("%s:%d mentions %q: %s", f.path, line, text, m.policy.Forbidden[text]))
			}
		}
	}
	return faults
}

// checkSkips looks for Skip, Skipf and SkipNow on anything that the file
// declares as a *testing.T, B or F or a testing.TB.
func checkSkips(m *module) []string {
	var faults []string
	for _, f := range m.files() {
		names := testingNames(f.syntax)
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if ok && strings.HasPrefix(call.Sel.Name, "Skip") && slices.Contains(names, lastName(call.X)) {
				faults = append(faults, fmt.Sprintf("%s calls %s.%s: a skipped test proves nothing; install what it needs in scripts/prereqs.sh, or remove it", f.path, lastName(call.X), call.Sel.Name))
			}
			return true
		})
	}
	return faults
}

// testingNames lists the parameters and fields of a file that hold a test.
func testingNames(file *ast.File) []string {
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		field, ok := n.(*ast.Field)
		if !ok {
			return true
		}
		kind := field.Type
		if star, ok := kind.(*ast.StarExpr); ok {
			kind = star.X
		}
		if sel, ok := kind.(*ast.SelectorExpr); ok && lastName(sel.X) == importName(file, "testing") {
			for _, id := range field.Names {
				names = append(names, id.Name)
			}
		}
		return true
	})
	return names
}

func checkScriptSkips(m *module) []string {
	skip := regexp.MustCompile(`(?m)^[ \t]*(\[[^\]\n]*\][ \t]*)*skip([ \t]|$)`)
	var faults []string
	for _, f := range m.texts {
		script := path.Ext(f.path) == ".txtar" || path.Ext(f.path) == ".txt" && strings.Contains(f.path, "testdata/")
		if script && skip.Match(f.data) {
			faults = append(faults, fmt.Sprintf("%s has a skip command: a skipped script proves nothing; install what it needs in scripts/prereqs.sh, or remove it", f.path))
		}
	}
	return faults
}

func checkSleeps(m *module) []string {
	var faults []string
	for _, f := range m.files() {
		name := importName(f.syntax, "time")
		if !f.test || name == "" {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if ok && call.Sel.Name == "Sleep" && lastName(call.X) == name {
				faults = append(faults, fmt.Sprintf("%s calls time.Sleep: wait for the thing itself (a channel, a request that arrived, an injected clock), bounded by the test's context", f.path))
			}
			return true
		})
	}
	return faults
}

func (m *module) files() []goFile {
	var files []goFile
	for _, p := range m.packages {
		files = append(files, p.files...)
	}
	return files
}

// importName is what a file calls the package at importPath, "" where it does
// not import it.
func importName(file *ast.File, importPath string) string {
	for _, spec := range file.Imports {
		if spec.Path.Value != `"`+importPath+`"` {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}

// lastName is the last identifier of x, y.x or z.y.x.
func lastName(expr ast.Expr) string {
	switch e := expr.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	default:
		return ""
	}
}
