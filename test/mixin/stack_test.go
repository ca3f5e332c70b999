package mixin

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"ferry/test/auth0sim"
	"ferry/test/await"
	"ferry/test/bulktest"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/redistest"
)

const (
	hookKey    = "hook-key-0123456789abcdef0123456789abcdef"
	connection = "Username-Password-Authentication"
)

// stack is a real ferry with the simulator, a fake of Kratos' admin API, and a real Redis.
// The test calls the hooks in place of Kratos.
type stack struct {
	sim    *auth0sim.Server
	fake   *bulktest.Kratos
	admin  *httptest.Server
	public *httptest.Server // has the identity schema only
	redis  *redistest.Server
	ferry  *ferrytest.Ferry
	client *http.Client
	users  int
}

func start(t *testing.T) *stack {
	t.Helper()
	limits := auth0sim.RelaxedSettings()
	s := &stack{
		fake: bulktest.NewKratos(t), redis: redistest.Run(t, redistest.Options{}),
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		sim: auth0sim.Run(t, auth0sim.Config{Settings: &limits, Tenant: &auth0sim.Tenant{
			DefaultDirectory: connection,
			Connections:      []auth0sim.Connection{{Name: connection}},
			Apps:             []auth0sim.App{{ClientID: "ferry", ClientSecret: "secret"}},
		}}),
	}
	s.admin = httptest.NewServer(s.fake)
	t.Cleanup(s.admin.Close)
	public := http.NewServeMux()
	public.Handle("GET /schemas", answer(`[{"id":"person"}]`))
	public.Handle("GET /schemas/person", answer(bulktest.PersonSchema))
	s.public = httptest.NewServer(public)
	t.Cleanup(s.public.Close)
	var err error
	s.ferry, err = ferrytest.Start(t.Context(), ferrytest.Options{Binary: built.Ferry(t), Env: []string{
		"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0", "FERRY_GATEWAY_LISTEN=127.0.0.1:0", "FERRY_HOOK_KEYS=" + hookKey,
		"FERRY_AUTH0_DOMAIN=" + s.sim.Domain(), "FERRY_AUTH0_BASE_URL=" + s.sim.URL(), "FERRY_AUTH0_REALMS=" + connection,
		"FERRY_AUTH0_CLIENT_ID=ferry", "FERRY_AUTH0_CLIENT_SECRET=secret", "FERRY_AUTH0_TIMEOUT=2s",
		"FERRY_KRATOS_ADMIN_URL=" + s.admin.URL, "FERRY_KRATOS_PUBLIC_URL=" + s.public.URL,
		"FERRY_STATE_URL=" + s.redis.URL(), "FERRY_STATE_KEY=" + strings.Repeat("k", 32), "FERRY_COUNT_EVERY=1m",
		"FERRY_RECORD_DIR=" + t.TempDir(), "FERRY_AUDIT_LOG=" + filepath.Join(t.TempDir(), "audit.jsonl"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.ferry.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// answer answers with JSON.
func answer(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	})
}

// settle waits until ferry has counted the identities and filled the users register.
func (s *stack) settle(t *testing.T) {
	t.Helper()
	for _, line := range []string{"identities counted", "the users register is complete"} {
		if !await.True(func() bool { return strings.Contains(s.ferry.Logs(), line) }) {
			t.Fatalf("no %q:\n%s", line, s.ferry.Logs())
		}
	}
}

// user creates a user at the simulator, with a pending identity.
func (s *stack) user(t *testing.T) (email, identity string) {
	t.Helper()
	s.users++
	id, email := fmt.Sprint("auth0|", s.users), fmt.Sprintf("user%d@example.org", s.users)
	if _, err := s.sim.AddUser(auth0sim.User{ID: id, Connection: connection, Email: email, EmailVerified: true, Password: "Passw0rd-" + email}); err != nil {
		t.Fatal(err)
	}
	return email, s.fake.Add(bulktest.Pending(id, email))
}

// logIn calls the migration hook for a new user, and after a match the other hook, as Kratos
// does. It returns the status of the first.
func (s *stack) logIn(t *testing.T) int {
	t.Helper()
	email, identity := s.user(t)
	status := s.call(t, "/hooks/password-migration", fmt.Sprintf(`{"identifier":%q,"password":%q}`, email, "Passw0rd-"+email))
	if status == http.StatusOK {
		s.fake.Mu.Lock()
		s.fake.People[identity].Hook, s.fake.People[identity].Hash = false, bulktest.BcryptHash
		s.fake.Mu.Unlock()
		s.call(t, "/hooks/after-login", fmt.Sprintf(`{"identity":{"id":%q}}`, identity))
	}
	return status
}

func (s *stack) call(t *testing.T, path, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.ferry.HooksURL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+hookKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// scrapeText returns the metrics as Prometheus reads them.
func (s *stack) scrapeText(t *testing.T) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.ferry.AdminURL()+"/metrics/prometheus", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.StatusCode, err)
	}
	return string(text)
}

// sample is the value of a series.
type sample struct {
	value   float64
	counter bool // it only grows
}

// scrape returns the values of all series, by their name with labels. Histograms are left out
// but for their counts and sums.
func (s *stack) scrape(t *testing.T) map[string]sample {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(s.scrapeText(t)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]sample{}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			switch family.GetType() {
			case dto.MetricType_COUNTER:
				all[seriesName(name, m)] = sample{m.GetCounter().GetValue(), true}
			case dto.MetricType_GAUGE:
				all[seriesName(name, m)] = sample{m.GetGauge().GetValue(), false}
			case dto.MetricType_HISTOGRAM:
				all[seriesName(name+"_count", m)] = sample{float64(m.GetHistogram().GetSampleCount()), true}
				all[seriesName(name+"_sum", m)] = sample{m.GetHistogram().GetSampleSum(), true}
			default: // the process has a summary, which no rule uses
			}
		}
	}
	return all
}

// seriesName returns a series as Prometheus writes it, with the labels that it adds.
func seriesName(name string, m *dto.Metric) string {
	labels := []string{`job="ferry"`, `instance="ferry-1"`}
	for _, l := range m.GetLabel() {
		labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
	}
	return name + "{" + strings.Join(labels, ", ") + "}"
}
