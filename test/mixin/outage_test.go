package mixin

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ferry/test/await"
)

// TestOutages: an outage of Auth0, of Kratos' admin API and of Redis each fire their own alert
// and no other. The series are those that a real ferry shows while that part is down.
func TestOutages(t *testing.T) {
	t.Parallel()
	for alert, breaks := range map[string]func(*testing.T, *stack){
		"": func(*testing.T, *stack) {},
		"FerryAuth0Outage": func(t *testing.T, s *stack) {
			t.Helper()
			if err := s.sim.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
		"FerryKratosOutage": func(t *testing.T, s *stack) {
			t.Helper()
			s.admin.CloseClientConnections()
			s.admin.Close()
		},
		"FerryRedisOutage": func(t *testing.T, s *stack) {
			t.Helper()
			if err := s.redis.Stop(); err != nil {
				t.Fatal(err)
			}
			if !await.True(func() bool { return s.scrape(t)[`ferry_state_up{job="ferry", instance="ferry-1"}`].value == 0 }) {
				t.Fatal("ferry does not notice")
			}
		},
	} {
		t.Run("of "+alert, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.settle(t)
			const logins = 8 // a minute
			for range logins {
				if status := s.logIn(t); status != 200 {
					t.Fatalf("%d before the outage\n%s", status, s.ferry.Logs())
				}
			}
			before := s.scrape(t)
			breaks(t, s)
			for range logins {
				s.logIn(t)
			}
			checkAlerts(t, before, s.scrape(t), alert)
		})
	}
}

// checkAlerts has Prometheus' rule engine see ten minutes of the first values, and then twenty
// in each of which the counters grow as they did from the first to the second scrape. Nothing
// may fire before, and only the alert afterwards; none, if it is empty.
func checkAlerts(t *testing.T, before, after map[string]sample, alert string) {
	t.Helper()
	var text strings.Builder
	fmt.Fprintf(&text, "rule_files: [%s, %s]\nevaluation_interval: 1m\ntests:\n- interval: 1m\n  input_series:\n", absolute(t, rulesFile), absolute(t, alertsFile))
	fmt.Fprintf(&text, "  - {series: %s, values: '1x30'}\n", quoted(`up{job="ferry", instance="ferry-1"}`))
	for _, series := range slices.Sorted(maps.Keys(after)) {
		was, is := before[series], after[series]
		quiet, grows := number(was.value)+"x9", is.value-was.value
		if _, found := before[series]; !found {
			quiet = "_x10"
		}
		loud := number(is.value) + "x20"
		if is.counter && grows > 0 {
			loud = number(is.value) + "+" + number(grows) + "x20"
		}
		fmt.Fprintf(&text, "  - {series: %s, values: '%s %s'}\n", quoted(series), quiet, loud)
	}
	const firing = `count by (alertname) (ALERTS{alertstate="firing"})`
	expected := "[]"
	if alert != "" {
		expected = fmt.Sprintf(`[{labels: '{alertname=%q}', value: 1}]`, alert)
	}
	fmt.Fprintf(&text, "  promql_expr_test:\n  - {expr: '%s', eval_time: 9m, exp_samples: []}\n  - {expr: '%s', eval_time: 28m, exp_samples: %s}\n", firing, firing, expected)
	path := filepath.Join(t.TempDir(), "outage.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "", "test", "rules", path); err != nil {
		t.Error(out, err)
	}
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func number(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }

func absolute(t *testing.T, path string) string {
	t.Helper()
	full, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return full
}

// ownMetrics matches what an expression selects of ferry's metrics.
func ownMetrics() *regexp.Regexp { return regexp.MustCompile(`\b(ferry_[a-z0-9_]+)(?:\{([^}]*)\})?`) }

// TestSeriesExistAtOnce: ferry shows every series that a rule reads before the first event of its
// kind, or Prometheus would not see that event; and promtool has nothing against the metrics.
func TestSeriesExistAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.settle(t)
	shown := s.scrape(t)
	for _, r := range slices.Concat(rules(t, "prometheusAlerts"), rules(t, "prometheusRules")) {
		for _, selector := range ownMetrics().FindAllStringSubmatch(regexp.MustCompile(`[a-z_]*:ferry_[a-z0-9_]*:[a-z0-9_]*(\{[^}]*\})?`).ReplaceAllString(r.Expr, ""), -1) {
			name := strings.TrimSuffix(selector[1], "_bucket")
			if name != selector[1] {
				name += "_count"
			}
			if !selects(shown, name, selector[2]) && !lazy(selector[0]) {
				t.Errorf("%s%s: ferry shows no %s", r.Alert, r.Record, selector[0])
			}
		}
	}
	if out, err := promtool(t, s.scrapeText(t), "check", "metrics"); err != nil || strings.TrimSpace(out) != "" {
		t.Error(out, err)
	}
}

// lazy lists what may be missing at first.
func lazy(selector string) bool {
	return strings.HasPrefix(selector, "ferry_auth0_breaker_state") || // of connections that were asked
		strings.HasPrefix(selector, "ferry_hook_caller_faults_total") || // the alert needs more than ten
		strings.HasPrefix(selector, "ferry_mode_file_valid") || // where there is a file
		strings.HasPrefix(selector, "ferry_hook_seconds") || strings.HasPrefix(selector, "ferry_gateway_seconds") ||
		strings.HasPrefix(selector, "ferry_hook_reasons_total") && strings.Contains(selector, "outcome=~")
}

// selects reports whether a selector without regular expressions selects a series. Of a regular
// expression every alternative must be there.
func selects(shown map[string]sample, name, matchers string) bool {
	wanted := []string{name + "{"}
	for _, m := range regexp.MustCompile(`(\w+)(=~|=|!~|!=)"([^"]*)"`).FindAllStringSubmatch(matchers, -1) {
		var more []string
		for _, value := range strings.Split(m[3], "|") {
			if m[2] == "=" || m[2] == "=~" {
				more = append(more, fmt.Sprintf("%s=%q", m[1], value))
			}
		}
		if len(more) == 1 {
			wanted = append(wanted, more[0])
			continue
		}
		for _, one := range more {
			if !has(shown, append(slices.Clone(wanted), one)) {
				return false
			}
		}
	}
	return has(shown, wanted)
}

func has(shown map[string]sample, parts []string) bool {
	for series := range shown {
		if strings.HasPrefix(series, parts[0]) && !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(series, part) }) {
			return true
		}
	}
	return false
}
