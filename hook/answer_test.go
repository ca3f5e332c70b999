package hook_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"ferry/hook"
	"ferry/outcome"
	"ferry/upstream"
	"ferry/wire"
)

// kratosClient is the HTTP client with which Kratos calls its hooks: three attempts,
// one and two seconds apart. The pauses are shortened here.
func kratosClient() *retryablehttp.Client {
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
	c.RetryMax = 2
	c.RetryWaitMin, c.RetryWaitMax = time.Millisecond, 2*time.Millisecond
	c.Logger = nil
	return c
}

// TestAnswerTable: for every outcome, Kratos' own client gets the answer of the table
// and does not repeat the call.
func TestAnswerTable(t *testing.T) {
	noMatches := []outcome.Outcome{
		outcome.Mismatch, outcome.MFARequired, outcome.Blocked, outcome.Denied, outcome.Leaked, outcome.Throttled, outcome.Locked,
		outcome.SubjectMismatch, outcome.Unbound, outcome.Inactive, outcome.Oversize,
	}
	outages := []outcome.Outcome{outcome.NotPending, outcome.Observed, outcome.Suspicious, outcome.Limited, outcome.Unavailable, outcome.Misconfigured, outcome.InvalidResponse, 0, 200}
	want := map[outcome.Outcome]answer{}
	for _, o := range noMatches {
		want[o] = answer{status: 403, body: noMatch}
	}
	want[outcome.Closed] = answer{status: 403, body: `{"status":"closed"}`}
	want[outcome.Paused] = answer{status: 424, body: `{"status":"paused"}`}
	for _, o := range outages {
		want[o] = answer{status: 424, body: unavailable}
	}
	for _, o := range outcome.All() {
		if _, known := want[o]; !known && o != outcome.Match {
			t.Errorf("%s has no row in this test", o)
		}
	}
	client := kratosClient()
	defer client.HTTPClient.CloseIdleConnections()
	for o, want := range want {
		t.Run(o.String(), func(t *testing.T) {
			f := alice()
			f.askErr = &upstream.LoginError{Outcome: o}
			h := start(t, f)
			req, err := retryablehttp.NewRequestWithContext(t.Context(), http.MethodPost, h.url+wire.MigrationPath, strings.NewReader(login()))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer "+key)
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != want.status || string(body) != want.body {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
			if len(f.sentCredentials) != 1 {
				t.Errorf("Auth0 was asked %d times", len(f.sentCredentials))
			}
			h.checkSilence(t, answer{body: string(body)})
		})
	}
}

// TestPanic: a panic is answered as an outage, without a repeated call, and the log
// does not contain the request.
func TestPanic(t *testing.T) {
	fault := func() { panic("while working on " + canary) }
	for place, sabotage := range map[string]func(*fakes){
		"attempt.(*Attempts)": func(f *fakes) { f.ask = fault },
		"hook.(*Handler)":     func(f *fakes) { f.find = fault },
	} {
		f := alice()
		sabotage(f)
		h := start(t, f)
		got := h.post(t, login())
		if got.status != http.StatusFailedDependency || got.body != unavailable {
			t.Fatalf("%+v", got)
		}
		if !strings.Contains(h.log.String(), `"reason":"panic"`) || !strings.Contains(h.log.String(), place) {
			t.Errorf("the log: %s", h.log)
		}
		h.checkSilence(t, got)
	}
}

func TestMetricsCountOutcomes(t *testing.T) {
	h := start(t, alice())
	h.post(t, login())
	h.post(t, "{}")
	families, err := h.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			found[name] = m.GetCounter().GetValue()
		}
	}
	if found["ferry_hook_outcomes_total match password-migration"] != 1 || found["ferry_hook_caller_faults_total password-migration 400"] != 1 {
		t.Errorf("counted %v", found)
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	if _, err := hook.New(hook.Options{}); err == nil || !strings.Contains(err.Error(), "keys") {
		t.Errorf("err = %v", err)
	}
}
