package mixin

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRules: promtool accepts the rules, and every alert fires alone in one of its cases and
// does not fire in another.
func TestRules(t *testing.T) {
	t.Parallel()
	if out, err := promtool(t, "", "check", "rules", alertsFile, rulesFile); err != nil {
		t.Fatal(out, err)
	}
	if out, err := promtool(t, "", "test", "rules", ruleTests); err != nil {
		t.Error(out, err)
	}
	cases := read(t, ruleTests)
	for _, r := range rules(t, "prometheusAlerts") {
		for _, does := range []string{"fires", "does not fire"} {
			if !regexp.MustCompile(`- name: "` + r.Alert + " " + does + `["?:]`).MatchString(cases) {
				t.Errorf("%s: no case says when it %s", r.Alert, does)
			}
		}
	}
}

// dashboard is the part of Grafana's model of a dashboard (schema version 39) that is checked.
type dashboard struct {
	UID           string
	Title         string
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Type, Query string }
	}
	Panels []panel
}

type panel struct {
	ID          int
	Title, Type string
	Description string
	Datasource  *struct{ Type, UID string }
	GridPos     struct{ X, Y, W, H int }
	FieldConfig json.RawMessage
	Options     json.RawMessage
	Targets     []struct {
		Expr, LegendFormat, RefID string
		Datasource                struct{ Type, UID string }
	}
}

// TestDashboard: the dashboard has the form that Grafana imports, panels do not overlap, every
// panel says what it shows and reads the selected data source, and every expression is PromQL.
func TestDashboard(t *testing.T) {
	t.Parallel()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" || d.Title == "" || d.SchemaVersion < 36 || len(d.Templating.List) == 0 || d.Templating.List[0].Type != "datasource" || d.Templating.List[0].Query != "prometheus" {
		t.Errorf("%q %q %d %v", d.UID, d.Title, d.SchemaVersion, d.Templating)
	}
	ids, titles := map[int]bool{}, map[string]bool{}
	for i, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] || p.Title == "" || titles[p.Title] {
			t.Errorf("panel %d %q: the id and the title must be there, and no other panel's", p.ID, p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
		for _, q := range d.Panels[:i] {
			a, b := p.GridPos, q.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%q overlaps %q: %v %v", p.Title, q.Title, a, b)
			}
		}
		p.check(t)
	}
	checkExpressions(t, &d)
}

func (p *panel) check(t *testing.T) {
	t.Helper()
	at := p.GridPos
	if at.X < 0 || at.W < 1 || at.H < 1 || at.X+at.W > 24 {
		t.Errorf("%q is outside of the grid: %v", p.Title, at)
	}
	switch p.Type {
	case "row":
		return
	case "timeseries", "stat":
	default:
		t.Errorf("%q is a %s", p.Title, p.Type)
	}
	if p.Description == "" || len(p.Targets) == 0 || p.Datasource == nil || p.Datasource.UID != "$datasource" || p.FieldConfig == nil || p.Options == nil {
		t.Errorf("%q lacks a description, targets, the data source, a field configuration or options", p.Title)
	}
	refs := map[string]bool{}
	for _, target := range p.Targets {
		if target.Expr == "" || target.RefID == "" || refs[target.RefID] || target.Datasource.UID != "$datasource" {
			t.Errorf("%q: %+v", p.Title, target)
		}
		refs[target.RefID] = true
	}
}

// checkExpressions has promtool read each expression as that of a recording rule.
func checkExpressions(t *testing.T, d *dashboard) {
	t.Helper()
	var text strings.Builder
	text.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			expr := strings.NewReplacer("$__rate_interval", "5m", "$job", "ferry").Replace(target.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%q has an unknown variable: %s", p.Title, expr)
			}
			fmt.Fprintf(&text, "  - {record: 'panel_%d_%s', expr: %q}\n", p.ID, target.RefID, expr)
		}
	}
	path := filepath.Join(t.TempDir(), "dashboard.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "", "check", "rules", path); err != nil {
		t.Error(out, err)
	}
}

// TestScrapeConfig: the scrape configuration in docs/monitoring.md is one.
func TestScrapeConfig(t *testing.T) {
	t.Parallel()
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(read(t, root+"docs/monitoring.md"), -1) {
		dir := t.TempDir()
		for _, file := range []string{alertsFile, rulesFile} {
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), []byte(read(t, file)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, "prometheus.yml")
		if err := os.WriteFile(path, []byte(block[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := promtool(t, "", "check", "config", path); err != nil {
			t.Error(out, err)
		}
	}
}
