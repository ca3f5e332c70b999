package wiring_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ferry/wiring"
)

// chart is a Helm chart's values.yaml with Kratos' configuration in it.
func chart(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/nested/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const (
	configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kratos}\ndata:\n  # As Kratos reads it.\n  kratos.yaml: |\n" +
		"    dsn: memory # not yet\n\n    selfservice:\n      flows: {}\n  identity.schema.json: |\n    {\"$id\": \"person\"}\n"
	compose = "version: \"3.7\"\nservices:\n  kratos:\n    image: oryd/kratos:v26.2.0\nsecrets:\n  hook-key: {file: ./key}\n"
)

// TestMergeRefusesOtherFiles: what nests Kratos' configuration, or has nothing to do
// with it, is left alone, and the error says where the configuration seems to be.
func TestMergeRefusesOtherFiles(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		at   []string
	}{
		"values of a chart":    {string(chart(t)), []string{"kratos.config"}},
		"values of a subchart": {"global: {}\nkratos:\n  kratos:\n    config:\n      selfservice: {flows: {}}\n", []string{"kratos.kratos.config"}},
		"a chart with courier": {"courier: {enabled: true}\nkratos:\n  config: {dsn: memory, identity: {}}\n", []string{"kratos.config"}},
		"a ConfigMap":          {configMap, []string{"data.kratos.yaml"}},
		"a compose file":       {compose, nil},
		"a Deployment":         {"apiVersion: apps/v1\nkind: Deployment\nsession: x\n", nil},
		"something else":       {"server:\n  port: 80\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			merged, err := wiring.Merge([]byte(c.file), options())
			var other *wiring.NotKratosError
			if !errors.As(err, &other) || !strings.Contains(err.Error(), "not a kratos.yml") || !slices.Equal(other.At, c.at) {
				t.Fatalf("got %v, %+v\n%s", err, other, merged.Text)
			}
			if len(c.at) > 0 && !strings.Contains(other.Hint(), "--at "+c.at[0]) {
				t.Errorf("hint: %s", other.Hint())
			}
			if _, err := wiring.Remove([]byte(c.file), ""); !errors.As(err, &other) {
				t.Errorf("removing: %v", err)
			}
		})
	}
}

// TestMergeTakesKratosFiles: a file with extensions, or with next to nothing, is
// Kratos' all the same; so is one with a key that only a later Kratos knows.
func TestMergeTakesKratosFiles(t *testing.T) {
	for _, file := range []string{
		"x-logging: &logging\n  level: warning\ndsn: memory\nlog: *logging\n",
		"x-only: {}\n",
		"version: v1.3.1\n",
		"log: {level: warning}\n",
		"selfservice: {}\nlater: {than: this}\n",
	} {
		merged, err := wiring.Merge([]byte(file), options())
		if err != nil || !strings.Contains(string(merged.Text), "migrate_hook:") {
			t.Errorf("%q: %v", file, err)
		}
	}
}

// TestMergeAt: the configuration inside another file is merged into and taken out of,
// and nothing around it changes.
func TestMergeAt(t *testing.T) {
	for name, c := range map[string]struct{ file, at string }{
		"values of a chart":                     {string(chart(t)), "kratos.config"},
		"an empty mapping":                      {"kratos:\n  config: {} # later\nimage: x\n", "kratos.config"},
		"a ConfigMap":                           {configMap, "data.kratos.yaml"},
		"a ConfigMap with CRLF, without an end": {strings.TrimSuffix(strings.ReplaceAll("data:\n  kratos.yaml: |-\n    dsn: memory\n", "\n", "\r\n"), "\r\n"), "data.kratos.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.At = c.at
			merged, err := wiring.Merge([]byte(c.file), o)
			if err != nil {
				t.Fatal(err)
			}
			if got := at(inside(t, merged.Text, c.at), "selfservice", "methods", "password", "config", "migrate_hook", "enabled"); got != true {
				t.Errorf("not merged:\n%s", merged.Text)
			}
			if strings.Contains(merged.Diff, testKey) || merged.Diff == "" {
				t.Errorf("diff:\n%s", merged.Diff)
			}
			if again, err := wiring.Merge(merged.Text, o); err != nil || again.Diff != "" {
				t.Errorf("merged twice: %v\n%s", err, again.Diff)
			}
			if left, err := wiring.Remove(merged.Text, c.at); err != nil || string(left.Text) != c.file {
				t.Errorf("taken out again: %v\n%s", err, left.Text)
			}
		})
	}
}

// inside is the configuration at a path, which may be a text.
func inside(t *testing.T, text []byte, path string) any {
	t.Helper()
	if path == "kratos.config" {
		return at(values(t, text), "kratos", "config")
	}
	inner, _ := at(values(t, text), "data", "kratos.yaml").(string)
	return values(t, []byte(inner))
}

// TestMergeAtRefuses: what cannot be edited in place is named, with its line.
func TestMergeAtRefuses(t *testing.T) {
	for name, c := range map[string]struct{ file, at, want string }{
		"nothing there":      {string(chart(t)), "kratos.kratos.config", "has no kratos.kratos.config"},
		"a folded text":      {"data:\n  kratos.yaml: >\n    dsn: memory\n", "data.kratos.yaml", "line 2: data.kratos.yaml is a text that cannot be edited"},
		"a quoted text":      {"data:\n  kratos.yaml: \"dsn: hidden\"\n", "data.kratos.yaml", "line 2: data.kratos.yaml is a text that cannot be edited"},
		"a deeper indent":    {"data:\n  kratos.yaml: |2\n      dsn: memory\n", "data.kratos.yaml", "line 2: data.kratos.yaml is a text that cannot be edited"},
		"a number":           {"kratos: 1\n", "kratos", "kratos is not a mapping"},
		"flow style":         {"kratos: {config: {selfservice: {}}}\n", "kratos.config", "line 1: kratos is written in flow style"},
		"another's values":   {"kratos:\n  image: {tag: hidden}\n", "kratos", "Kratos does not know the key image"},
		"templates of Helm":  {"data:\n  kratos.yaml: |\n    dsn: memory\n    {{ .hidden }}\n", "data.kratos.yaml", "in data.kratos.yaml: read kratos.yml: line"},
		"the wrong key of 2": {"a.b:\n  c: 1\n", "a.c", "has no a.c"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options()
			o.At = c.at
			if _, err := wiring.Merge([]byte(c.file), o); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestMergeAnyText: merging into a text inside another file is merging into the text.
func TestMergeAnyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := writer{t: t, step: rapid.IntRange(1, 4).Draw(t, "step"), ending: "\n"}
		w.list = rapid.SampledFrom([]int{0, w.step}).Draw(t, "list")
		w.line(0, "version: v26.2.0")
		w.mapping(0, []string{"identity", "selfservice", "log"}, "")
		inner := strings.TrimLeft(w.out.String(), "\n")
		column := rapid.IntRange(3, 6).Draw(t, "column")
		wrap := func(text string) string {
			var out strings.Builder
			out.WriteString("data:\n  kratos.yaml: |\n")
			for line := range strings.Lines(text) {
				if strings.TrimSpace(line) != "" {
					line = strings.Repeat(" ", column) + line
				}
				out.WriteString(line)
			}
			return out.String() + "  other: 1\n"
		}
		want, err := wiring.Merge([]byte(inner), options())
		if err != nil {
			t.Fatal(err)
		}
		o := options()
		o.At = "data.kratos.yaml"
		got, err := wiring.Merge([]byte(wrap(inner)), o)
		if err != nil || string(got.Text) != wrap(string(want.Text)) {
			t.Fatalf("%v\n%s", err, got.Text)
		}
	})
}
