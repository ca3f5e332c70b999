package arch

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestFerryKeepsItsRules(t *testing.T) {
	t.Parallel()
	root := os.DirFS("../..")
	m, err := load(root, Ferry())
	if err != nil {
		t.Fatal(err)
	}
	// Rules over nothing would all hold.
	if len(m.packages) < 5 || len(m.texts) < 20 {
		t.Fatalf("found %d packages and %d files: this is not ferry's root", len(m.packages), len(m.texts))
	}
	faults, err := Check(root, Ferry())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		for _, fault := range faults[name] {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

// fixture is a module that breaks one rule, and what is said about it.
type fixture struct {
	name   string
	rule   string
	change func(fstest.MapFS, *Policy)
	want   []string // parts of the one fault
}

// put replaces one file of the sound module.
func put(path string, lines ...string) func(fstest.MapFS, *Policy) {
	return func(fsys fstest.MapFS, _ *Policy) {
		fsys[path] = &fstest.MapFile{Data: []byte(strings.Join(lines, "\n") + "\n")}
	}
}

func fixtures() []fixture {
	long := strings.Repeat("// line\n", 401)
	return []fixture{
		{
			"a room reads settings", "arrows",
			put("hook/hook.go", "// Package hook.", "package hook", `import "ferry/config"`),
			[]string{"hook/hook.go imports ferry/config", "only cmd reads settings"},
		},
		{
			"a test reads settings", "arrows",
			put("test/e2e/e2e_test.go", "// Package e2e.", "package e2e", `import "ferry/config"`),
			[]string{"test/e2e/e2e_test.go imports ferry/config", "only cmd reads settings"},
		},
		{
			"config imports a room", "arrows",
			put("config/config.go", "// Package config.", "package config", `import "ferry/kratos"`),
			[]string{"config/config.go imports ferry/kratos", "config may import only identifier, jsonpatch, outcome, provenance, secret, strictjson"},
		},
		{
			"a leaf imports a leaf", "arrows",
			put("secret/secret.go", "// Package secret.", "package secret", `import "ferry/outcome"`),
			[]string{"secret/secret.go imports ferry/outcome", "secret imports no room"},
		},
		{
			"a leaf imports a room", "arrows",
			put("outcome/outcome.go", "// Package outcome.", "package outcome", `import "ferry/hook/wire"`),
			[]string{"outcome imports no room at all"},
		},
		{
			"upstream knows kratos", "arrows",
			put("upstream/deep/x.go", "// Package deep.", "package deep", `import k "ferry/kratos"`),
			[]string{"upstream/deep/x.go imports ferry/kratos", "small interface"},
		},
		{
			"kratos knows hook, in a test", "arrows",
			put("kratos/kratos_test.go", "package kratos_test", `import _ "ferry/hook"`),
			[]string{"kratos/kratos_test.go imports ferry/hook"},
		},
		{
			"an arrow of the tests, outside of them", "arrows",
			put("hook/hook.go", "// Package hook.", "package hook", `import "ferry/wiring"`),
			[]string{"hook/hook.go imports ferry/wiring, but hook may import only identifier, jsonpatch, outcome, provenance, secret, strictjson, transport, edit, kratos, mapping, recording, state, upstream:"},
		},
		{
			"mapping imports test code", "arrows",
			put("mapping/mapping.go", "// Package mapping.", "package mapping", `import _ "ferry/test/auth0sim"`),
			[]string{"mapping/mapping.go imports ferry/test/auth0sim"},
		},
		{
			"a room nobody announced", "arrows",
			put("attic/attic.go", "// Package attic.", "package attic"),
			[]string{`package attic is in no room of the table: add "attic"`},
		},
		{
			"a package at the root", "arrows",
			put("root.go", "// Package ferry.", "package ferry"),
			[]string{"package . is in no room of the table"},
		},
		{
			"the program imports test code", "program",
			put("cmd/ferry/main.go", "// Command ferry.", "package main", `import "ferry/test/auth0sim"`),
			[]string{"cmd/ferry → test/auth0sim", "must not ship"},
		},
		{
			"the program reaches test code", "program",
			put("hook/hook.go", "// Package hook.", "package hook", `import "ferry/test/auth0sim"`),
			[]string{"cmd/ferry → hook → test/auth0sim"},
		},
		{
			"the linter has no copy", "depguard",
			func(fsys fstest.MapFS, _ *Policy) { delete(fsys, linterConfig) },
			[]string{".golangci.yml is gone"},
		},
		{
			"the linter's copy is no YAML", "depguard",
			put(linterConfig, "linters: ["),
			[]string{".golangci.yml is no YAML"},
		},
		{
			"a room was given an arrow here only", "depguard",
			func(_ fstest.MapFS, p *Policy) { p.Rooms["state"] = []string{"mapping"} },
			[]string{"depguard's rule state", "${base-path}/state/**", "ferry/strictjson, ferry/transport, ferry/mapping]"},
		},
		{
			"no package comment", "package comment",
			put("state/state.go", "//go:build linux", "", "package state"),
			[]string{"package state has no package comment"},
		},
		{
			"a util package", "package name",
			put("hook/util/util.go", "// Package util.", "package util"),
			[]string{"package hook/util is called util"},
		},
		{
			"a common package in an honest directory", "package name",
			put("hook/wire/wire_test.go", "// Package common.", "package common_test"),
			[]string{"package hook/wire is called common"},
		},
		{
			"a long file", "file length",
			put("hook/long.go", "package hook", long),
			[]string{"hook/long.go has 403 lines, more than 400"},
		},
		{
			"a long file, excused without a reason", "file length",
			func(fsys fstest.MapFS, p *Policy) {
				put("hook/long_gen.go", "// Code generated by x. DO NOT EDIT.", "package hook", long)(fsys, p)
				p.LongFiles = map[string]string{"hook/long_gen.go": "generated"}
			},
			[]string{"allows hook/long_gen.go", "remove the entry"},
		},
		{
			"another tree", "forbidden text",
			put(".ci/run", "one", "cat .."+"/shared/x"),
			[]string{".ci/run:2 mentions", "a clone has no such directory"},
		},
		{
			"another tree, in a nested module's testdata", "forbidden text",
			put("tools/testdata/x.json", `"..`+`/shared/design.md"`),
			[]string{"tools/testdata/x.json:1"},
		},
		{
			"a skip", "skip",
			put("hook/a_test.go", "package hook", `import "testing"`, "func TestA(tt *testing.T) { tt.Skipf(``) }"),
			[]string{"hook/a_test.go calls tt.Skipf"},
		},
		{
			"a skip in a helper", "skip",
			put("test/kratostest/h.go", "package kratostest", `import ts "testing"`, "type h struct{ tb ts.TB }", "func (x h) f() { x.tb.SkipNow() }"),
			[]string{"test/kratostest/h.go calls tb.SkipNow"},
		},
		{
			"a skip in a script", "script skip",
			put("cmd/ferry/testdata/a.txtar", "exec ferry", "[!exec:redis-server] skip 'no Redis'"),
			[]string{"cmd/ferry/testdata/a.txtar has a skip command"},
		},
		{
			"a sleep", "sleep",
			put("hook/b_test.go", "package hook", `import clock "time"`, "var pause = clock.Sleep"),
			[]string{"hook/b_test.go calls time.Sleep"},
		},
	}
}

func TestEveryRuleCanFail(t *testing.T) {
	t.Parallel()
	tried := map[string]bool{}
	for _, f := range fixtures() {
		tried[f.rule] = true
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			policy := Ferry()
			fsys := soundModule(policy)
			f.change(fsys, &policy)
			faults := check(t, fsys, policy)
			if len(faults[f.rule]) != 1 {
				t.Fatalf("want one fault under %q, got %q", f.rule, faults)
			}
			for _, part := range f.want {
				if !strings.Contains(faults[f.rule][0], part) {
					t.Errorf("%q lacks %q", faults[f.rule][0], part)
				}
			}
		})
	}
	for _, r := range rules() {
		if !tried[r.name] {
			t.Errorf("no fixture breaks the rule %q", r.name)
		}
	}
}

// What the rules allow is in the sound module: arrows along the table, tests
// that use the simulator, long tests, rapid's Skip, a sleep outside of tests.
func TestSoundModule(t *testing.T) {
	t.Parallel()
	if faults := check(t, soundModule(Ferry()), Ferry()); len(faults) > 0 {
		t.Errorf("a sound module has faults: %q", faults)
	}
}

func TestLongFileWithReason(t *testing.T) {
	t.Parallel()
	policy := Ferry()
	policy.LongFiles = map[string]string{"hook/long.go": "one table, one file"}
	fsys := soundModule(policy)
	put("hook/long.go", "package hook", strings.Repeat("\n", 400))(fsys, &policy)
	if faults := check(t, fsys, policy); len(faults) > 0 {
		t.Errorf("an excused file has faults: %q", faults)
	}
}

func TestBrokenSource(t *testing.T) {
	t.Parallel()
	policy := Ferry()
	fsys := soundModule(policy)
	put("hook/broken.go", "packag hook")(fsys, &policy)
	if _, err := Check(fsys, policy); err == nil {
		t.Error("source that does not parse was checked")
	}
}

func check(t *testing.T, fsys fs.FS, policy Policy) map[string][]string {
	t.Helper()
	faults, err := Check(fsys, policy)
	if err != nil {
		t.Fatal(err)
	}
	return faults
}

// soundModule keeps every rule of the policy.
func soundModule(policy Policy) fstest.MapFS {
	fsys := fstest.MapFS{}
	files := map[string]string{
		"go.mod":                    "module ferry\n",
		"README.md":                 "# ferry\n",
		"cmd/ferry/main.go":         "// Command ferry.\npackage main\nimport (_ \"ferry/config\"; _ \"ferry/hook\")\n",
		"cmd/ferry/main_test.go":    "package main\nimport _ \"ferry/test/auth0sim\"\n",
		"cmd/demo/main.go":          "// Command demo.\npackage main\nimport _ \"ferry/test/auth0sim\"\n",
		"config/config.go":          "// Package config.\npackage config\nimport _ \"ferry/secret\"\n",
		"hook/hook.go":              "// Package hook.\npackage hook\nimport (\"time\"; _ \"ferry/upstream\"; _ \"ferry/hook/wire\"; _ \"github.com/x/config\")\nfunc f() { time.Sleep(1) }\n",
		"hook/wire/wire.go":         "// Package wire.\npackage wire\n",
		"hook/hook_test.go":         "package hook_test\nimport (\"testing\"; \"pgregory.net/rapid\"; _ \"ferry/test/auth0sim\"; _ \"ferry/wiring\")\nfunc TestX(t *testing.T) { rapid.Check(t, func(rt *rapid.T) { rt.Skip() }) }\n" + strings.Repeat("\n", 500),
		"kratos/gen.go":             "// Code generated by x. DO NOT EDIT.\n\n// Package kratos.\npackage kratos\n" + strings.Repeat("\n", 500),
		"upstream/upstream.go":      "// Package upstream.\npackage upstream\nimport _ \"ferry/outcome\"\n",
		"test/auth0sim/sim.go":      "// Package auth0sim.\npackage auth0sim\nimport _ \"ferry/upstream\"\n",
		"test/kratos/go.mod":        "module ferry/test/kratos\n",
		"test/kratos/util/any.go":   "package util\nimport _ \"ferry/config\"\n",
		"hook/testdata/bad.go":      "not Go\n",
		"hook/testdata/words.txt":   "exec ferry\nskipped\n",
		"hook/testdata/script.txt":  "! exec ferry replay\nstderr 'skip'\n",
		"build/generated/x/util.go": "package util\n",
	}
	for path, data := range files {
		fsys[path] = &fstest.MapFile{Data: []byte(data)}
	}
	fsys["hook/testdata/binary"] = &fstest.MapFile{Data: []byte("\x00.." + "/shared")}
	fsys[linterConfig] = &fstest.MapFile{Data: []byte(depguardYAML(policy))}
	return fsys
}

func depguardYAML(policy Policy) string {
	var b strings.Builder
	b.WriteString("linters:\n  settings:\n    depguard:\n      rules:\n")
	for _, name := range slices.Concat(policy.Leaves, slices.Sorted(maps.Keys(policy.Rooms))) {
		fmt.Fprintf(&b, "        %s:\n          files: [%q]\n          allow: [%s]\n", name, depguardFiles(name), strings.Join(policy.depguardAllows(name), ", "))
	}
	return b.String()
}
