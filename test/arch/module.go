// Package arch has the rules about ferry's source that no linter can check: file lengths,
// package names and comments, forbidden texts, and that the linter checks the imports of
// every package. It reads the source only; nothing is built or run. Its test applies the
// rules to the module, and shows with small modules in memory that each of them can fail.
//
// Which packages may import which is configured in .golangci.yml (depguard).
package arch

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// module is the source that the rules check.
type module struct {
	policy   Policy
	packages []goPackage // Go packages of this module, without nested modules and testdata
	texts    []textFile  // every text file of the tree, including nested modules and testdata
}

// goPackage is one directory with Go files, for every platform: build tags are ignored.
type goPackage struct {
	dir   string // relative to the module root, slashes
	files []goFile
}

type goFile struct {
	path      string
	syntax    *ast.File
	lines     int
	test      bool
	generated bool
}

type textFile struct {
	path string
	data []byte
}

const maxText = 1 << 20 // bytes; longer files are recordings or binaries

// load reads the module that has its root at fsys.
func load(fsys fs.FS, policy Policy) (*module, error) {
	m := &module{policy: policy}
	l := loader{fsys: fsys, fset: token.NewFileSet(), goDirs: map[string]*goPackage{}}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return orGone(err)
		}
		return l.visit(m, name, d)
	})
	if err != nil {
		return nil, fmt.Errorf("read the module: %w", err)
	}
	for _, p := range l.goDirs {
		m.packages = append(m.packages, *p)
	}
	slices.SortFunc(m.packages, func(a, b goPackage) int { return strings.Compare(a.dir, b.dir) })
	return m, nil
}

type loader struct {
	fsys   fs.FS
	fset   *token.FileSet
	nested []string // directories that the Go rules ignore
	goDirs map[string]*goPackage
}

func (l *loader) visit(m *module, name string, d fs.DirEntry) error {
	if d.IsDir() {
		return l.enter(name)
	}
	if !d.Type().IsRegular() {
		return nil
	}
	info, err := d.Info()
	if err != nil {
		return orGone(err)
	}
	if info.Size() > maxText {
		return nil
	}
	data, err := fs.ReadFile(l.fsys, name)
	if err != nil {
		return orGone(err)
	}
	if bytes.IndexByte(data, 0) >= 0 {
		return nil
	}
	m.texts = append(m.texts, textFile{path: name, data: data})
	if path.Ext(name) != ".go" || l.inNested(name) {
		return nil
	}
	return l.addGo(name, data)
}

// orGone ignores a file that was removed since its directory was read: other tests run at
// the same time.
func orGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// enter skips a directory, or notes that its Go files are not part of the module.
func (l *loader) enter(dir string) error {
	base := path.Base(dir)
	if dir == ".git" || dir == "build" || base == "node_modules" {
		return fs.SkipDir
	}
	if dir == "." {
		return nil
	}
	_, err := fs.Stat(l.fsys, path.Join(dir, "go.mod"))
	if err == nil || base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		l.nested = append(l.nested, dir+"/")
	}
	return nil
}

func (l *loader) inNested(name string) bool {
	return slices.ContainsFunc(l.nested, func(dir string) bool { return strings.HasPrefix(name, dir) })
}

func (l *loader) addGo(name string, data []byte) error {
	syntax, err := parser.ParseFile(l.fset, name, data, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	f := goFile{
		path:      name,
		syntax:    syntax,
		lines:     bytes.Count(data, []byte("\n")),
		test:      strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(syntax),
	}
	dir := path.Dir(name)
	if l.goDirs[dir] == nil {
		l.goDirs[dir] = &goPackage{dir: dir}
	}
	l.goDirs[dir].files = append(l.goDirs[dir].files, f)
	return nil
}
