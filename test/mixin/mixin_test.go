// Package mixin renders the monitoring mixin in deploy/mixin, and checks what comes out with
// promtool and against the metrics of a real ferry.
package mixin

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-jsonnet"
	"github.com/google/go-jsonnet/formatter"

	"ferry/test/ferrytest/built"
)

var update = flag.Bool("update", false, "write the rendered files and the table of the alerts anew")

func TestMain(m *testing.M) { built.Main(m) }

const (
	root     = "../../"
	mixinDir = root + "deploy/mixin/"
	runbook  = root + "docs/operations.md"

	alertsFile    = root + "deploy/prometheus/alerts.yaml"
	rulesFile     = root + "deploy/prometheus/rules.yaml"
	ruleTests     = root + "deploy/prometheus/alerts_test.yaml"
	dashboardFile = root + "deploy/grafana/ferry.json"
	// A chart reads files in its own directory only.
	chartFiles = root + "deploy/helm/ferry/files/"
)

// rendered are the files that `make mixin` writes, and the Jsonnet that makes each.
func rendered() map[string]string {
	const mixin = "local mixin = import 'mixin.libsonnet'; "
	const head = "'# Made from deploy/mixin by `make mixin`; do not edit.\\n' + "
	alerts := mixin + head + "std.manifestYamlDoc(mixin.prometheusAlerts, indent_array_in_object=true, quote_keys=false) + '\\n'"
	rules := mixin + head + "std.manifestYamlDoc(mixin.prometheusRules, indent_array_in_object=true, quote_keys=false) + '\\n'"
	dashboard := mixin + "std.manifestJsonEx(mixin.grafanaDashboards['ferry.json'], '  ') + '\\n'"
	return map[string]string{
		alertsFile: alerts, chartFiles + filepath.Base(alertsFile): alerts,
		rulesFile: rules, chartFiles + filepath.Base(rulesFile): rules,
		dashboardFile: dashboard, chartFiles + filepath.Base(dashboardFile): dashboard,
	}
}

// evaluate evaluates Jsonnet that can import the mixin.
func evaluate(t *testing.T, source string) string {
	t.Helper()
	vm := jsonnet.MakeVM()
	vm.StringOutput = true
	vm.Importer(&jsonnet.FileImporter{JPaths: []string{mixinDir}})
	text, err := vm.EvaluateAnonymousSnippet("mixin", source)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// rule is an alert or a recording rule.
type rule struct {
	Alert       string
	Record      string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

// rules returns the rules of a root of the mixin, prometheusAlerts or prometheusRules.
func rules(t *testing.T, root string) []rule {
	t.Helper()
	var all struct{ Groups []struct{ Rules []rule } }
	source := fmt.Sprintf("std.manifestJsonEx((import 'mixin.libsonnet').%s, '')", root)
	if err := json.Unmarshal([]byte(evaluate(t, source)), &all); err != nil {
		t.Fatal(err)
	}
	var list []rule
	for _, group := range all.Groups {
		list = append(list, group.Rules...)
	}
	return list
}

// TestRendered: the files in deploy/prometheus and deploy/grafana are what the mixin says.
func TestRendered(t *testing.T) {
	for path, source := range rendered() {
		compare(t, path, evaluate(t, source))
	}
}

// compare compares a file with what it must be. With -update it writes the file.
func compare(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, path) != want {
		t.Errorf("%s is not what deploy/mixin says: run `make mixin`", path)
	}
}

// TestFormatted: the sources have the form of jsonnetfmt.
func TestFormatted(t *testing.T) {
	sources, err := filepath.Glob(mixinDir + "*.libsonnet")
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	for _, path := range sources {
		want, err := formatter.Format(path, read(t, path), formatter.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if read(t, path) != want {
			t.Errorf("%s does not have the form of jsonnetfmt: run `make mixin`", path)
		}
	}
}

// urgency says in docs/operations.md what a severity means.
func urgency() map[string]string {
	return map[string]string{"critical": "now", "warning": "today", "info": "this week"}
}

// TestRunbook: the table of the alerts in docs/operations.md is made from the rules, and each
// alert has its section there.
func TestRunbook(t *testing.T) {
	const begin, end = "<!-- alerts: made by `make mixin` -->\n", "<!-- end of alerts -->\n"
	page := read(t, runbook)
	before, rest, found := strings.Cut(page, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatal("docs/operations.md has no marks around the table of the alerts")
	}
	var table strings.Builder
	table.WriteString("| alert | expression | for | severity | how urgent |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range rules(t, "prometheusAlerts") {
		_, section, _ := strings.Cut(r.Annotations["runbook_url"], "#")
		if !sections(page)[section] {
			t.Errorf("%s: docs/operations.md has no section #%s", r.Alert, section)
		}
		severity := r.Labels["severity"]
		if urgency()[severity] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s: severity %q, %v", r.Alert, severity, r.Annotations)
		}
		fmt.Fprintf(&table, "| [%s](#%s) | `%s` | %s | %s | %s |\n", r.Alert, section, strings.ReplaceAll(r.Expr, "|", `\|`), r.For, severity, urgency()[severity])
	}
	compare(t, runbook, before+begin+table.String()+end+after)
}

// TestDocumentedJsonnet: what docs/monitoring.md shows for a repository with other mixins renders
// the alerts with the changed configuration.
func TestDocumentedJsonnet(t *testing.T) {
	t.Parallel()
	block := regexp.MustCompile("(?s)```jsonnet\n(.*?)```").FindStringSubmatch(read(t, root+"docs/monitoring.md"))
	if block == nil {
		t.Fatal("docs/monitoring.md shows no Jsonnet")
	}
	text := evaluate(t, strings.Replace(block[1], "'ferry/deploy/mixin/", "'", 1))
	if !strings.Contains(text, `https://wiki.example.org/ferry/operations#auth0-outage`) || strings.Contains(text, `job=\"ferry\"`) || !strings.Contains(text, `job=\"auth/ferry\"`) {
		t.Error(text)
	}
}

// TestPageSections: the sections of the runbook that the page names are there.
func TestPageSections(t *testing.T) {
	t.Parallel()
	there := sections(read(t, runbook))
	named := regexp.MustCompile(`(?m)(?:, |return )"([a-z0-9-]+)"(?:\}|$)`).FindAllStringSubmatch(read(t, root+"admin/page/problems.go"), -1)
	if len(named) < 10 {
		t.Errorf("only %d sections are found", len(named))
	}
	for _, one := range named {
		if !there[one[1]] {
			t.Errorf("admin/page/problems.go: docs/operations.md has no section %s", one[1])
		}
	}
}

// sections returns the anchors of the headings of a page.
func sections(page string) map[string]bool {
	all := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		anchor := strings.ReplaceAll(strings.ToLower(heading[1]), " ", "-")
		all[regexp.MustCompile(`[^a-z0-9-]`).ReplaceAllString(anchor, "")] = true
	}
	return all
}

// promtool runs promtool, and returns what it printed.
func promtool(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
