package compose

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ferry/test/await"
	"ferry/test/ferrytest"
	"ferry/test/process"
)

// prometheus is a real Prometheus with the configuration and the rules of the compose file.
type prometheus struct{ url string }

// startPrometheus starts it. In place of the name ferry, which is DNS of the containers, it has
// the addresses of the ferries, and it scrapes and evaluates every half second.
func (i *installation) startPrometheus(t *testing.T, ferries []*ferrytest.Ferry) *prometheus {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy/compose/prometheus.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs(filepath.Join(root, "deploy/prometheus"))
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, ferry := range ferries {
		targets = append(targets, strings.TrimPrefix(ferry.AdminURL(), "http://"))
	}
	config := strings.NewReplacer("_interval: 15s", "_interval: 500ms", "/etc/prometheus/rules", rules).Replace(string(text))
	discovery := regexp.MustCompile(`(?s)\n    dns_sd_configs:.*names: \[ferry\].*port: 4481\n.*`)
	if !discovery.MatchString(config) {
		t.Fatalf("the configuration does not look up ferry:\n%s", config)
	}
	config = discovery.ReplaceAllLiteralString(config, "\n    static_configs: [{targets: ["+strings.Join(targets, ", ")+"]}]\n")
	i.write(t, "prometheus.yaml", config)

	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	log := &process.Log{}
	server, err := process.Command{
		Path: "/usr/bin/env", Env: []string{"PATH=" + os.Getenv("PATH")}, Output: log,
		Args: []string{"prometheus", "--config.file=" + filepath.Join(i.dir, "prometheus.yaml"), "--storage.tsdb.path=" + t.TempDir(), "--web.listen-address=" + address},
	}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(stopWait); err != nil {
			t.Error(err)
		}
	})
	if !await.True(func() bool { return log.Contains("ready to receive web requests") || server.Exited() }) || server.Exited() {
		t.Fatalf("prometheus does not start:\n%s", log)
	}
	return &prometheus{"http://" + address}
}

// get asks the API, and returns its data.
func (p *prometheus) get(t *testing.T, path string, data any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Timeout: stopWait}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v\n%s", path, resp.StatusCode, err, text)
	}
	if err := json.Unmarshal(text, &struct {
		Data any `json:"data"`
	}{data}); err != nil {
		t.Fatal(err)
	}
}

// count returns how many series an expression has.
func (p *prometheus) count(t *testing.T, expression string) int {
	t.Helper()
	var found struct{ Result []json.RawMessage }
	p.get(t, "/api/v1/query?query="+url.QueryEscape(expression), &found)
	return len(found.Result)
}

// checkScraped checks that both ferries are scraped.
func (p *prometheus) checkScraped(t *testing.T) {
	t.Helper()
	if !await.True(func() bool {
		return p.count(t, `up{job="ferry"} == 1`) == 2 && p.count(t, `ferry_mode{job="ferry", mode="on"} == 1`) == 2
	}) {
		t.Error("prometheus does not scrape both ferries")
	}
}

// checkRules checks that the recording rules have the logins that were made, that no rule fails,
// and that no alert is on.
func (p *prometheus) checkRules(t *testing.T) {
	t.Helper()
	if !await.True(func() bool {
		return p.count(t, `job_outcome:ferry_hook_outcomes:rate5m{job="ferry", outcome="match"} > 0`) == 1
	}) {
		t.Error("the recording rule of outcomes has no matches")
	}
	all := p.rules(t)
	if all["FerryDown"] != "inactive ok" || len(all) < 20 {
		t.Errorf("the rules are %v", all)
	}
	for name, is := range all {
		if is != " ok" && is != "inactive ok" {
			t.Errorf("%s is %s", name, is)
		}
	}
}

// checkDown checks that the alert about a ferry that does not answer is on.
func (p *prometheus) checkDown(t *testing.T) {
	t.Helper()
	if !await.True(func() bool { return strings.HasPrefix(p.rules(t)["FerryDown"], "pending ") }) {
		t.Errorf("after a ferry was stopped, the rules are %v", p.rules(t))
	}
}

// rules returns the state of an alert and the health of every rule, by name.
func (p *prometheus) rules(t *testing.T) map[string]string {
	t.Helper()
	var found struct {
		Groups []struct {
			Rules []struct{ Name, State, Health string }
		}
	}
	p.get(t, "/api/v1/rules", &found)
	all := map[string]string{}
	for _, group := range found.Groups {
		for _, rule := range group.Rules {
			all[rule.Name] = rule.State + " " + rule.Health
		}
	}
	return all
}
