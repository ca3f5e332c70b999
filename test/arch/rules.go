package arch

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// rule is one rule about the whole module. Its check returns a message for each fault, which
// says what to change.
type rule struct {
	name  string
	check func(*module) []string
}

func rules() []rule {
	return []rule{
		{"depguard", checkDepguard},
		{"package comment", checkPackageComments},
		{"package name", checkPackageNames},
		{"file length", checkFileLengths},
		{"forbidden text", checkForbiddenTexts},
		{"script skip", checkScriptSkips},
	}
}

// Check reads the module at fsys and returns the faults by rule. A rule without faults has no
// entry.
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
			faults = append(faults, fmt.Sprintf("package %s has no package comment: say what it does and what it does not do", p.dir))
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
			faults = append(faults, fmt.Sprintf("package %s is called %s, which does not describe it", p.dir, names[i]))
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
			faults = append(faults, fmt.Sprintf("%s has %d lines, more than %d: split it, or give the reason in LongFiles in test/arch/policy.go", f.path, f.lines, m.policy.MaxLines))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unused)) {
		faults = append(faults, fmt.Sprintf("LongFiles in test/arch/policy.go allows %s, which does not exist, is short, or has no reason: remove the entry", name))
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
