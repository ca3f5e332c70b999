package finish_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"ferry/bulk/finish"
	"ferry/secret"
)

// The migration counts as closed where every replica says so, and only then.
func TestHookProbe(t *testing.T) {
	t.Parallel()
	const closed, open = `{"status":"closed"}`, `{"status":"unavailable"}`
	for name, c := range map[string]struct {
		answer        func(n int64) (int, string)
		closed, alive string // what the errors say; empty: none
	}{
		"closed":                 {func(int64) (int, string) { return 403, closed }, "", ""},
		"open":                   {func(int64) (int, string) { return 424, open }, "the migration is open", ""},
		"one replica is open":    {func(n int64) (int, string) { return map[bool]int{true: 424, false: 403}[n == 7], closed }, "the migration is open", ""},
		"a wrong password":       {func(int64) (int, string) { return 403, `{"status":"no_match"}` }, "FERRY_MIGRATION_CLOSED=true", ""},
		"a match":                {func(int64) (int, string) { return 200, closed }, "the migration is open", ""},
		"another key":            {func(int64) (int, string) { return 401, `{"title":"Unauthorized"}` }, "refuses the key", "refuses the key"},
		"a proxy":                {func(int64) (int, string) { return 403, "<html>" }, "not one of ferry's hook", "not one of ferry's hook"},
		"another program's JSON": {func(int64) (int, string) { return 403, `{}` }, "not one of ferry's hook", "not one of ferry's hook"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Header.Get("Authorization") != "Bearer key" || !strings.Contains(string(body), `.invalid"`) || r.Method != http.MethodPost {
					t.Errorf("%s %s", r.Header, body)
				}
				status, text := c.answer(calls.Add(1))
				w.WriteHeader(status)
				_, _ = io.WriteString(w, text)
			}))
			defer srv.Close()
			probe := finish.HookProbe{URL: srv.URL, Key: secret.New("key"), Transport: &http.Transport{DisableKeepAlives: true}}
			errorSays(t, probe.Closed(t.Context()), c.closed)
			if c.closed == "" && calls.Load() < 10 {
				t.Errorf("%d calls", calls.Load())
			}
			calls.Store(0)
			errorSays(t, probe.Answers(t.Context()), c.alive)
		})
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	probe := finish.HookProbe{URL: gone.URL, Key: secret.New("key"), Transport: &http.Transport{}}
	errorSays(t, probe.Closed(t.Context()), "does `ferry serve` run there?")
	probe.URL = ":"
	errorSays(t, probe.Closed(t.Context()), "the URL is not valid")
}

// errorSays fails the test unless the error has the text; empty: there must be no error.
func errorSays(t *testing.T, err error, text string) {
	t.Helper()
	if (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
		t.Errorf("the error is %v, want %q", err, text)
	}
}
