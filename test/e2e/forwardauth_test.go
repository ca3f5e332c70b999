package e2e

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
)

// asking is a proxy in front of Kratos that asks ferry about each request, in the way of
// Traefik's forwardAuth with forwardBody, or of Envoy's ext_authz with with_request_body.
type asking struct {
	envoy bool
	srv   *httptest.Server

	mu     sync.Mutex
	ferry  string
	kratos *httputil.ReverseProxy
}

func startAsking(t *testing.T, envoy bool) *asking {
	t.Helper()
	a := &asking{envoy: envoy}
	a.srv = httptest.NewServer(a)
	t.Cleanup(a.srv.Close)
	return a
}

// between sets whom to ask, and where Kratos is.
func (a *asking) between(t *testing.T, s *stack) {
	t.Helper()
	target, err := url.Parse(s.kratos.PublicURL())
	if err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ferry = s.ferry.ForwardAuthURL()
	a.kratos = &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Host = p.In.Host
	}}
}

func (a *asking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	ferry, kratos := a.ferry, a.kratos
	a.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	ask := a.asTraefik
	if a.envoy {
		ask = a.asEnvoy
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(ask(r, ferry, body))
	if err != nil {
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	switch {
	case answer.StatusCode == http.StatusOK:
		kratos.ServeHTTP(w, r)
	case a.envoy && answer.StatusCode >= http.StatusInternalServerError:
		w.WriteHeader(http.StatusServiceUnavailable) // status_on_error, without the answer
	default:
		maps.Copy(w.Header(), answer.Header)
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body)
	}
}

// asTraefik is a GET with the headers and the body of the request.
func (*asking) asTraefik(r *http.Request, ferry string, body []byte) *http.Request {
	ask := httptest.NewRequestWithContext(r.Context(), http.MethodGet, ferry+"/forward-auth", bytes.NewReader(body))
	ask.RequestURI, ask.Header = "", r.Header.Clone()
	ask.Header.Set("X-Forwarded-Method", r.Method)
	ask.Header.Set("X-Forwarded-Uri", r.URL.RequestURI())
	ask.Header.Set("X-Forwarded-Host", r.Host)
	ask.Header.Set("X-Forwarded-Proto", "http")
	ask.Header.Set("X-Forwarded-For", "203.0.113.7")
	return ask
}

// asEnvoy is the request with a prefix, and with the headers that are allowed.
func (*asking) asEnvoy(r *http.Request, ferry string, body []byte) *http.Request {
	ask := httptest.NewRequestWithContext(r.Context(), r.Method, ferry+"/ext-authz"+r.URL.RequestURI(), bytes.NewReader(body))
	ask.RequestURI, ask.Host = "", r.Host
	for _, name := range []string{"Content-Type", "Accept", "Authorization"} {
		if values := r.Header.Values(name); len(values) > 0 {
			ask.Header[name] = values
		}
	}
	ask.Header.Set("X-Forwarded-For", "203.0.113.7")
	ask.Header.Set("X-Envoy-Auth-Partial-Body", "false")
	return ask
}

// TestForwardAuth: behind a proxy that asks ferry, unknown users log in by one attempt, and an
// outage is one, whatever the client.
func TestForwardAuth(t *testing.T) {
	for name, envoy := range map[string]bool{"traefik": false, "envoy": true} {
		t.Run(name, func(t *testing.T) {
			proxy := startAsking(t, envoy)
			errors := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
			t.Cleanup(errors.Close)
			s := startOn(t, func(k *kratostest.Options) {
				k.UsersURL, k.PublicBaseURL = proxy.srv.URL, proxy.srv.URL+"/"
			}, "FERRY_FORWARD_AUTH_LISTEN=127.0.0.1:0", "FERRY_GATEWAY_ERROR_URL="+errors.URL+"/unavailable")
			proxy.between(t, s)
			known := s.unknown(t, nil)
			s.await(t, "Kratos to be walked", func() bool {
				got, err := s.kratos.LoginAPI(t.Context(), known.email, "wrong")
				return err == nil && got.Sees() == kratostest.SeesInvalidCredentials
			})
			for client, by := range s.clients() {
				known = s.unknown(t, nil)
				known.logsInOnce(t, client, by)
			}
			s.fault(t, auth0sim.Fault{Name: auth0sim.FaultUnavailable})
			s.unknown(t, nil).isRefused(t, envoy)
			if got, err := s.kratos.LoginAPI(t.Context(), known.email, known.password); err != nil || got.Sees() != kratostest.SeesSession {
				t.Errorf("a known user in an outage: %q, %v", got.Sees(), err)
			}
			s.checkSilence(t)
		})
	}
}

// clients are the kinds of clients that log in.
func (s *stack) clients() map[string]login {
	return map[string]login{"API": s.kratos.LoginAPI, "SPA": s.kratos.LoginSPA, "form": s.kratos.LoginBrowser}
}

// logsInOnce logs in with a wrong password, with the right one, and again, and expects one
// attempt at Auth0 for each of the first two.
func (u *unknown) logsInOnce(t *testing.T, client string, by login) {
	t.Helper()
	for _, step := range []struct {
		password string
		sees     string
		attempts int
	}{{u.password + "x", kratostest.SeesInvalidCredentials, 1}, {u.password, kratostest.SeesSession, 1}, {u.password, kratostest.SeesSession, 0}} {
		attempts := u.stack.attempts()
		got, err := by(t.Context(), u.email, step.password)
		if n := u.stack.attempts() - attempts; err != nil || got.Sees() != step.sees || n != step.attempts {
			t.Fatalf("%s: %q, %v, %d attempts\n%s", client, got.Sees(), err, n, u.stack.ferry.Logs())
		}
	}
}

// isRefused expects every client of a user with the right password to see an outage.
func (u *unknown) isRefused(t *testing.T, envoy bool) {
	t.Helper()
	for client, by := range u.stack.clients() {
		got, err := by(t.Context(), u.email, u.password)
		refused := got.ErrorCode == http.StatusServiceUnavailable
		switch {
		case client == "form": // sent to the error page, which is not Kratos'
			refused = got.Status == http.StatusSeeOther
		case envoy: // without a body
			refused = got.Status == http.StatusServiceUnavailable || err != nil
		}
		if !refused || got.Sees() == kratostest.SeesInvalidCredentials || got.SessionID != "" {
			t.Errorf("%s in an outage: %q, %d, %v", client, got.Sees(), got.Status, err)
		}
	}
}

// TestForwardAuthCalls: what is no form, or cannot be read, is let through, and nobody is
// created for it. What is not a call of a proxy is not there.
func TestForwardAuthCalls(t *testing.T) {
	s := start(t, "FERRY_FORWARD_AUTH_LISTEN=127.0.0.1:0")
	const login = "/self-service/login?flow=6a1b1f6e-3c1f-4a3e-9d5c-0a6f6d2f4c11"
	u := s.unknown(t, nil)
	form := url.Values{"method": {"password"}, "identifier": {u.email}, "password": {u.password}}.Encode()
	ask := func(method, path, body string, headers ...string) int {
		req, err := http.NewRequestWithContext(t.Context(), method, s.ferry.ForwardAuthURL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Forwarded-For", "203.0.113.7")
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	attempts := s.attempts()
	for _, call := range []struct {
		name, method, path, body string
		headers                  []string
		want                     int
	}{
		{"traefik, GET", "GET", "/forward-auth", form, []string{"X-Forwarded-Method", "GET", "X-Forwarded-Uri", login}, 200},
		{"traefik, another path", "GET", "/forward-auth", form, []string{"X-Forwarded-Method", "POST", "X-Forwarded-Uri", "/self-service/settings?flow=x"}, 200},
		{"traefik, no flow", "GET", "/forward-auth", form, []string{"X-Forwarded-Method", "POST", "X-Forwarded-Uri", "/self-service/login"}, 200},
		{"traefik, no body", "GET", "/forward-auth", "", []string{"X-Forwarded-Method", "POST", "X-Forwarded-Uri", login}, 200},
		{"traefik, no method", "GET", "/forward-auth", form, []string{"X-Forwarded-Uri", login}, 404},
		{"traefik, no URI", "GET", "/forward-auth", form, []string{"X-Forwarded-Method", "POST"}, 404},
		{"envoy, GET", "GET", "/ext-authz" + login, form, nil, 200},
		{"envoy, part of the body", "POST", "/ext-authz" + login, form, []string{"X-Envoy-Auth-Partial-Body", "true"}, 200},
		{"envoy, long body", "POST", "/ext-authz" + login, form + "&x=" + strings.Repeat("x", 70_000), nil, 200},
		{"envoy, another type", "POST", "/ext-authz" + login, form, []string{"Content-Type", "text/plain"}, 200},
		{"envoy, without the prefix", "POST", login, form, nil, 404},
		{"neither", "POST", "/", form, nil, 404},
	} {
		if got := ask(call.method, call.path, call.body, call.headers...); got != call.want {
			t.Errorf("%s: %d", call.name, got)
		}
	}
	if n := s.attempts() - attempts; n != 0 {
		t.Errorf("%d attempts for nothing", n)
	}
	if logs := s.ferry.Logs(); strings.Count(logs, "without its body") != 1 {
		t.Errorf("the missing body is not noticed once: %s", logs)
	}
	s.await(t, "Kratos to be walked", func() bool { return ask(http.MethodPost, "/ext-authz"+login, form) == http.StatusOK })
	if n := s.attempts() - attempts; n != 1 {
		t.Errorf("%d attempts for a login", n)
	}
	if err := s.kratos.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := ask(http.MethodPost, "/ext-authz"+login, form, "Accept", "application/json"); got != http.StatusServiceUnavailable {
		t.Errorf("without Kratos' admin API: %d", got)
	}
}
