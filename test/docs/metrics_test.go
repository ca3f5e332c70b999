package docs

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const monitoring = "../../docs/monitoring.md"

// TestMetrics: every metric that a page, a rule or a dashboard names exists in the code.
func TestMetrics(t *testing.T) {
	exists := map[string]bool{}
	for _, m := range metrics(t) {
		exists[m.name] = true
	}
	files := pages(t)
	recorded := regexp.MustCompile(`[a-z_]+:ferry_[a-z0-9_]*:[a-z0-9_]+`)
	records := recorded.FindAllString(read(t, "../../deploy/mixin/rules.libsonnet")+read(t, "../../deploy/prometheus/rules.yaml"), -1)
	named := regexp.MustCompile(`\bferry_[a-z0-9_]*[a-z0-9]`)
	for _, file := range files {
		text := read(t, file)
		for _, name := range recorded.FindAllString(text, -1) {
			if !slices.Contains(records, name) {
				t.Errorf("%s: no rule records %s", file, name)
			}
		}
		for _, name := range named.FindAllString(recorded.ReplaceAllString(text, ""), -1) {
			base := name
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				base = strings.TrimSuffix(base, suffix)
			}
			if !exists[name] && !exists[base] {
				t.Errorf("%s: no code has the metric %s", file, name)
			}
		}
	}
}

// pages returns README.md, and the files in docs and deploy.
func pages(t *testing.T) []string {
	t.Helper()
	files := []string{"../../README.md"}
	for _, dir := range []string{"../../docs", "../../deploy"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestReadmeMetrics: the table of the metrics in docs/monitoring.md is made from the code.
func TestReadmeMetrics(t *testing.T) {
	const begin, end = "<!-- metrics: made by `make readme` -->\n", "<!-- end of metrics -->\n"
	text := read(t, monitoring)
	before, rest, found := strings.Cut(text, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatal("docs/monitoring.md has no marks around the table of the metrics")
	}
	var table strings.Builder
	table.WriteString("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, m := range metrics(t) {
		labels := "–"
		if len(m.labels) > 0 {
			labels = "`" + strings.Join(m.labels, "`, `") + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", m.name, m.kind, labels, m.help)
	}
	want := before + begin + table.String() + end + after
	if *update {
		if err := os.WriteFile(monitoring, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, monitoring) != want {
		t.Error("docs/monitoring.md is not what the code says: run `make readme`")
	}
}

// metric is one of ferry's metrics, as the code declares it.
type metric struct {
	name, kind, help string
	labels           []string
}

// metrics returns the metrics of all packages, sorted by name, and checks their conventions.
func metrics(t *testing.T) []metric {
	t.Helper()
	var all []metric
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "test" || d.Name() == "build"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		more, err := declaredIn(path)
		all = append(all, more...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b metric) int { return cmp.Compare(a.name, b.name) })
	all = slices.CompactFunc(all, func(a, b metric) bool { return a.name == b.name && a.help == b.help })
	for i, m := range all {
		if m.help == "" || !strings.HasSuffix(m.help, ".") || (m.kind == "counter") != strings.HasSuffix(m.name, "_total") || i > 0 && all[i-1].name == m.name {
			t.Errorf("%s: a %s with the text %q", m.name, m.kind, m.help)
		}
	}
	if len(all) < 50 {
		t.Errorf("%d metrics found", len(all))
	}
	return all
}

// declaredIn returns the metrics that a source file declares.
func declaredIn(path string) ([]metric, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []metric
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if m, ok := declared(call); ok {
				all = append(all, m)
			}
		}
		return true
	})
	return all, nil
}

// declared returns the metric that a call declares: by the options of client_golang, with the
// labels as the next argument, or as a description, by its name and help text.
func declared(call *ast.CallExpr) (metric, bool) {
	if len(call.Args) == 0 {
		return metric{}, false
	}
	if name := text(call.Args[0]); strings.HasPrefix(name, "ferry_") && len(call.Args) > 1 {
		m := metric{name: name, kind: "gauge", help: text(call.Args[1])}
		for _, more := range call.Args[2:] {
			m.labels = append(m.labels, texts(more)...)
		}
		return m, m.help != ""
	}
	options, ok := call.Args[0].(*ast.CompositeLit)
	if !ok {
		return metric{}, false
	}
	kind, ok := options.Type.(*ast.SelectorExpr)
	if !ok || !strings.HasSuffix(kind.Sel.Name, "Opts") {
		return metric{}, false
	}
	m := metric{kind: strings.ToLower(strings.TrimSuffix(kind.Sel.Name, "Opts"))}
	for _, element := range options.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		switch field, _ := pair.Key.(*ast.Ident); field.Name {
		case "Name":
			m.name = text(pair.Value)
		case "Help":
			m.help = text(pair.Value)
		case "ConstLabels":
			m.labels = append(m.labels, texts(pair.Value)...)
		}
	}
	if len(call.Args) > 1 {
		m.labels = append(m.labels, texts(call.Args[1])...)
	}
	return m, strings.HasPrefix(m.name, "ferry_")
}

// text returns the value of a string literal, empty for anything else.
func text(e ast.Expr) string {
	literal, ok := e.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	value, err := strconv.Unquote(literal.Value)
	if err != nil {
		return ""
	}
	return value
}

// texts returns the string literals of a list, the keys of a map, or the literal itself.
func texts(e ast.Expr) []string {
	if one := text(e); one != "" {
		return []string{one}
	}
	list, ok := e.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	var all []string
	for _, element := range list.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok {
			element = pair.Key
		}
		if one := text(element); one != "" {
			all = append(all, one)
		}
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
