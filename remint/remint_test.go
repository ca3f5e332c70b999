package remint_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/hydra"
	"ferry/mode"
	"ferry/remint"
	"ferry/secret"
)

// TestAnswer: the application gets tokens in Auth0's form, with what Auth0 had granted as far as
// the client may have it at Hydra, and no claim that Auth0 did not make.
func TestAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.auth0.set(func(a *fakeAuth0) { a.claims = map[string]any{"amr": []string{"mfa"}, "acr": "high"} })
	p := w.start(0, false)
	a := p.refresh("old")
	var said map[string]any
	if err := json.Unmarshal(a.Body, &said); err != nil || a.Status != 200 {
		t.Fatalf("%d %s %v %v", a.Status, a.Body, err, p.reasons())
	}
	for _, name := range []string{"access_token", "refresh_token", "id_token"} {
		if text, _ := said[name].(string); text == "" {
			t.Errorf("no %s", name)
		}
		delete(said, name)
	}
	if want := map[string]any{"expires_in": 3599.0, "scope": "openid offline_access", "token_type": "Bearer"}; !reflect.DeepEqual(said, want) {
		t.Errorf("%v", said)
	}
	if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v", a.Header)
	}
	want := map[string]any{
		"subject": identity, "amr": []any{"mfa"}, "grant_scope": []any{"openid", "profile", "email", "offline_access"},
		"grant_access_token_audience": []any{"https://api.example.com"},
		"session": map[string]any{"id_token": map[string]any{
			"email": "alice@example.com", "email_verified": true, "https://example.com/plan": "pro",
		}},
	}
	if !reflect.DeepEqual(w.hydra.granted, want) {
		t.Errorf("granted %v", w.hydra.granted)
	}
	if got := p.reasons(); !slices.Equal(got, []string{"reminted"}) || w.store.uses[clientID] != 1 || p.audit[0].ClientID != clientID || p.audit[0].SubjectHash != "hash" {
		t.Errorf("%v, %v, %+v", got, w.store.uses, p.audit)
	}
}

// TestAtOnce: of those who bring the same token at the same time one asks Auth0, and all get the
// same tokens.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.auth0.set(func(a *fakeAuth0) { a.rotates = true })
	p := w.start(0, false)
	answers := make([]remint.Answer, 20)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = p.refresh("old") })
	}
	all.Wait()
	for _, a := range answers {
		if a.Status != 200 || string(a.Body) != string(answers[0].Body) {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
	if n := w.auth0.times("old"); n != 1 {
		t.Errorf("Auth0 saw the token %d times", n)
	}
}

// TestLater: what a token gets after the first answer.
func TestLater(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rotates, used bool
		after         time.Duration
		want          string
		same          bool // the same tokens
		redeemed      int  // how often Auth0 has seen the old token
	}{
		"a moment later":                      {true, false, time.Second, "200", true, 1},
		"after the grace, tokens not used":    {true, false, 2 * remint.Grace, "200", false, 1},
		"much later, tokens not used":         {true, false, time.Hour, "200", false, 1}, // the successor is redeemed
		"a moment later, tokens used":         {true, true, time.Second, "200", false, 1},
		"after the grace, tokens used":        {true, true, 2 * remint.Grace, "403 invalid_grant", false, 2},
		"after the grace, used, not rotating": {false, true, 2 * remint.Grace, "200", false, 2},
		"much later, not rotating":            {false, false, time.Hour, "200", false, 2},
		"after a month":                       {true, false, 31 * 24 * time.Hour, "403 invalid_grant", false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.auth0.set(func(a *fakeAuth0) { a.rotates = c.rotates })
			p := w.start(0, false)
			first := p.refresh("old")
			if c.used && w.use(p, first) != identity {
				t.Fatalf("%s", first.Body)
			}
			w.later(c.after)
			again := p.refresh("old")
			if got := errorOf(again); got != c.want || (string(first.Body) == string(again.Body)) != c.same {
				t.Errorf("%s, %v", got, p.reasons())
			}
			if n := w.auth0.times("old"); n != c.redeemed {
				t.Errorf("Auth0 saw the token %d times", n)
			}
			if again.Status == 200 && w.use(p, again) != identity {
				t.Error("the chain does not work")
			}
		})
	}
}

// TestNothingIsLeft: once the client has used its new token, nothing is kept.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.start(0, false)
	if w.use(p, p.refresh("old")) != identity || w.store.left() != 1 {
		t.Errorf("%d values", w.store.left())
	}
	if w.later(remint.Grace); w.store.left() != 0 {
		t.Errorf("%d values", w.store.left())
	}
	// Any other token of Hydra has no record.
	p.Used(t.Context(), secret.New("ory_rt_other"))
	if len(p.logs.FilterMessageSnippet("not noted").All()) > 0 {
		t.Errorf("%v", p.logs.All())
	}
}

// TestBlockedMeanwhile: an old answer of Auth0 does not outlive the user's right to it.
func TestBlockedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.auth0.set(func(a *fakeAuth0) { a.rotates = true })
	w.hydra.set(func(h *fakeHydra) { h.fault = onPath("accept", 503) })
	p := w.start(0, false)
	if got := errorOf(p.refresh("old")); got != "503 temporarily_unavailable" {
		t.Fatal(got)
	}
	w.hydra.set(func(h *fakeHydra) { h.fault = nil })
	w.auth0.set(func(a *fakeAuth0) {
		a.answer = func(w http.ResponseWriter, _ *http.Request) {
			sendJSON(w, 403, map[string]string{"error": "invalid_grant", "error_description": "user is blocked"})
		}
	})
	w.later(time.Hour)
	if got := errorOf(p.refresh("old")); got != "403 invalid_grant" || p.reasons()[1] != "rejected user_blocked" || w.store.left() != 0 {
		t.Errorf("%s, %v", got, p.reasons())
	}
}

// onPath makes Hydra answer with a status where the path ends so.
func onPath(suffix string, status int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, suffix) {
			return false
		}
		sendJSON(w, status, map[string]string{"error": "error"})
		return true
	}
}

// TestHydraFails: nothing is spent if it fails before, and nothing is lost if it fails after.
func TestHydraFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault    func(http.ResponseWriter, *http.Request) bool
		redeemed int
	}{
		"client": {onPath("/admin/clients/app", 500), 0},
		"probe":  {onPath("/oauth2/token", 500), 0},
		"step 1": {onPath("/oauth2/auth", 500), 0},
		"step 2": {onPath("login/accept", 500), 1},
		"step 4": {onPath("consent/accept", 500), 1},
		"step 6": {func(w http.ResponseWriter, r *http.Request) bool {
			return r.PostFormValue("code") != "" && onPath("/oauth2/token", 500)(w, r)
		}, 1},
		"no code": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("consent_verifier") == "" {
				return false
			}
			http.Redirect(w, r, "https://app.example.com/cb?error=error", http.StatusSeeOther)
			return true
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.auth0.set(func(a *fakeAuth0) { a.rotates = true })
			w.hydra.set(func(h *fakeHydra) { h.fault = c.fault })
			p := w.start(0, false)
			a := p.refresh("old")
			if got := errorOf(a); got != "503 temporarily_unavailable" || a.Header.Get("Retry-After") == "" || w.auth0.times("old") != c.redeemed {
				t.Fatalf("%s, %v, redeemed %d times, %v", got, a.Header, w.auth0.times("old"), p.reasons())
			}
			w.hydra.set(func(h *fakeHydra) { h.fault = nil })
			if again := p.refresh("old"); w.use(p, again) != identity || w.auth0.times("old") != 1 {
				t.Errorf("%s, redeemed %d times", errorOf(again), w.auth0.times("old"))
			}
		})
	}
}

// TestAuth0Answers: only a refusal logs the user out.
func TestAuth0Answers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`403 {"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}`:                                     "403 rejected refresh_token_invalid",
		`403 {"error":"invalid_grant","error_description":"The refresh_token was generated for a user who doesn't exist anymore."}`: "403 rejected refresh_token_invalid",
		`400 {"error":"invalid_grant"}`: "403 rejected refresh_token_invalid",
		`401 {"error":"access_denied","error_description":"Unknown or invalid refresh token."}`:                  "403 rejected refresh_token_invalid",
		`403 {"error":"invalid_grant","error_description":"user is blocked"}`:                                    "403 rejected user_blocked",
		`401 {"error":"unauthorized","error_description":"user is blocked"}`:                                     "403 rejected user_blocked",
		`403 {"error":"access_denied","error_description":"not today"}`:                                          "403 rejected action",
		`403 {"error":"mfa_required","error_description":"Multifactor authentication required","mfa_token":"x"}`: "403 rejected mfa",
		`401 {"error":"access_denied","error_description":"Unauthorized"}`:                                       "503 misconfigured client_refused",
		`403 {"error":"access_denied","error_description":"Service not found: x"}`:                               "503 misconfigured audience",
		`403 {"error":"unauthorized_client"}`:                                                                    "503 misconfigured client_not_allowed",
		`401 {"error":"invalid_client"}`:                                                                         "503 misconfigured client_refused",
		`429 {"error":"too_many_requests"}`:                                                                      "503 unavailable request_rate",
		`429 {"error":"invalid_grant"}`:                                                                          "503 unavailable request_rate",
		`500 {"error":"access_denied","error_description":"Global limit has been reached"}`:                      "503 unavailable tenant_limit",
		`503 {"error":"invalid_grant"}`:                                                                          "503 unavailable server_fault",
		`403 {"error":"invalid_grant","Error":"x"}`:                                                              "503 unavailable unknown_answer",
		`403 hello`: "503 unavailable unknown_answer",
		`404 {}`:    "503 unavailable unknown_answer",
		`302 {}`:    "503 unavailable redirect",
		`200 hello`: "503 unavailable malformed",
		`200 {}`:    "503 unavailable no_access_token",
		`200 {"access_token":"x","error":"invalid_grant"}`:             "503 unavailable malformed",
		`200 {"access_token":"x","scope":"offline_access"}`:            "403 rejected no_openid",
		`200 {"access_token":"x","id_token":"a.b.c","scope":"openid"}`: "503 unavailable id_token_malformed",
		`200 {"refresh_token":"next","scope":"openid"}`:                "503 unavailable no_access_token",
		`200 {"access_token":"x","scope":"openid email"}`:              "200 reminted", // by /userinfo
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			status, body, _ := strings.Cut(text, " ")
			w.auth0.set(func(a *fakeAuth0) {
				a.answer = func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					var code int
					_, _ = fmt.Sscan(status, &code)
					w.WriteHeader(code)
					_, _ = w.Write([]byte(body))
				}
			})
			p := w.start(0, false)
			a := p.refresh("old")
			if got := fmt.Sprint(a.Status, " ", strings.Join(p.reasons(), ", ")); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			// Auth0 has not looked at the token: a stranger can send any with an assertion of no one's.
			if strings.Contains(want, "misconfigured") && w.store.left() != 0 {
				t.Errorf("%d values are left", w.store.left())
			}
		})
	}
}

// TestOff: in another mode than on nothing is asked, and nothing is refused for good; once the
// migration has ended, everything is.
func TestOff(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*remint.Options){
		"503 paused": func(o *remint.Options) { o.Mode = func() mode.Mode { return mode.Observe } },
		"403 closed": func(o *remint.Options) { o.Closed = true },
	} {
		w := newWorld(t)
		w.options = change
		p := w.start(0, false)
		a := p.refresh("old")
		if got := fmt.Sprint(a.Status, " ", strings.Join(p.reasons(), ", ")); got != want || p.steps > 0 {
			t.Errorf("got %q, want %q, %d steps", got, want, p.steps)
		}
	}
}

// TestStoreFails: without the store nothing is spent.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store.fault = errors.New("down")
	p := w.start(0, false)
	if a := p.refresh("old"); a.Status != 503 || w.auth0.times("old") != 0 {
		t.Errorf("%s, %v", errorOf(a), p.reasons())
	}
}

// TestNoTokenInLogs: neither the log nor an audit record has a token or a claim.
func TestNoTokenInLogs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.auth0.set(func(a *fakeAuth0) { a.family["canary"], a.rotates = "f", true })
	p := w.start(0, false)
	first := p.refresh("canary")
	p.refresh("unknown-canary")
	w.hydra.set(func(h *fakeHydra) { h.fault = onPath("accept", 500) })
	w.later(time.Hour)
	p.refresh("canary")
	text := fmt.Sprintf("%+v %+v", p.logs.All(), p.audit)
	for _, one := range []string{"canary", "alice@example.com", subject, tokenOf(t, first), "ory_"} {
		if strings.Contains(text, one) {
			t.Errorf("%q is in %s", one, text)
		}
	}
	if len(p.audit) != 3 || p.logs.Len() < 3 {
		t.Errorf("%s", text)
	}
}

// TestMetrics: the names of clients in the metrics are those of the settings, or of Hydra.
func TestMetrics(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		clients []string
		want    string
	}{
		"named": {[]string{clientID}, "app/reminted other/not_enabled other/not_enabled "},
		"all":   {[]string{remint.AllClients}, "app/reminted other/misconfigured web/invalid_client "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.options = func(o *remint.Options) { o.Clients = c.clients }
			p := w.start(0, false)
			p.refresh("old")
			for _, id := range []string{"web", "unknown"} {
				p.Refresh(t.Context(), remint.Request{Credentials: hydra.Credentials{ClientID: id, Method: hydra.None}, RefreshToken: secret.New("old")})
			}
			got, uses := p.gathered()
			if want := fmt.Sprintf("ferry_remint_last_use_timestamp_seconds app %d ferry_remint_uses app 1 ", w.time().Unix()); got != c.want || uses != want {
				t.Errorf("%q, %q", got, uses)
			}
		})
	}
}

// gathered returns the counters and the gauges of the metrics.
func (p *process) gathered() (counted, gauges string) {
	p.w.t.Helper()
	families, err := p.metrics.Gather()
	if err != nil {
		p.w.t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if m.GetCounter() == nil {
				gauges += fmt.Sprintf("%s %s %.0f ", family.GetName(), m.GetLabel()[0].GetValue(), m.GetGauge().GetValue())
				continue
			}
			for range int(m.GetCounter().GetValue()) {
				counted += m.GetLabel()[0].GetValue() + "/" + m.GetLabel()[1].GetValue() + " "
			}
		}
	}
	return counted, gauges
}
