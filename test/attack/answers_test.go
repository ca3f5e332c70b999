package attack

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"ferry/test/auth0sim"
)

// elsewhere is a server of an attacker, to which nothing may come.
func elsewhere(t *testing.T) (url string, visits func() string) {
	t.Helper()
	s := tapped(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"x","id_token":"x","sub":"`+subject+`","keys":[]}`)
	}))
	return s.URL, s.received
}

// bombs are answers that are compressed, deep or broken.
func bombs(t *testing.T) map[string]auth0sim.Fault {
	t.Helper()
	const object = `{"access_token":"at","token_type":"Bearer"}`
	status := func(code int, body string, headers ...string) auth0sim.Fault {
		all := map[string]string{"Content-Type": "application/json"}
		for i := 0; i+1 < len(headers); i += 2 {
			all[headers[i]] = headers[i+1]
		}
		return auth0sim.Fault{Name: auth0sim.FaultAnswer, Status: code, Headers: all, Body: body}
	}
	packed := bomb(t, 192<<20, object)
	deep := func(open, shut string) string {
		n := 900 << 10 / (len(open) + len(shut))
		return `{"access_token":"at","x":` + strings.Repeat(open, n) + "1" + strings.Repeat(shut, n) + "}"
	}
	return map[string]auth0sim.Fault{
		"gzip":                  status(200, packed, "Content-Encoding", "gzip"),
		"gzip, refusal":         status(403, packed, "Content-Encoding", "gzip"),
		"gzip, unnamed":         status(200, packed),
		"deflate":               status(200, packed, "Content-Encoding", "deflate"),
		"br":                    status(200, packed, "Content-Encoding", "br"),
		"deep lists":            status(200, deep("[", "]")),
		"deep objects":          status(200, deep(`{"a":`, "}")),
		"invalid UTF-8":         status(200, "{\"access_token\":\"a\xff\"}"),
		"raw NUL":               status(200, "{\"access_token\":\"a\x00\"}"),
		"half a surrogate":      status(200, `{"access_token":"\ud800"}`),
		"infinite number":       status(200, `{"access_token":"at","error":1e999999}`),
		"8 MiB":                 status(200, `{"access_token":"`+strings.Repeat("x", 8<<20)+`"}`),
		"match of a hook":       status(200, `{"status":"password_match"}`),
		"another media type":    status(200, object, "Content-Type", "text/json"),
		"informational, forged": status(200, object, "Content-Type", "application/json\r\n\r\nHTTP/1.1 200 OK"),
	}
}

// TestHostileAuth0: no answer that is compressed, deep, broken or leads elsewhere becomes a match
// or costs memory, whichever of Auth0's endpoints gives it.
func TestHostileAuth0(t *testing.T) {
	s := start(t)
	away, visits := elsewhere(t)
	cases := bombs(t)
	for _, code := range []auth0sim.FaultName{auth0sim.FaultRedirect301, auth0sim.FaultRedirect302, auth0sim.FaultRedirect303, auth0sim.FaultRedirect307, auth0sim.FaultRedirect308} {
		cases[string(code)] = auth0sim.Fault{Name: code, Value: away + "/oauth/token"}
	}
	for _, path := range []string{auth0sim.PathToken, auth0sim.PathUserinfo} {
		for name, fault := range cases {
			fault.Path = path
			faults := []auth0sim.Fault{fault}
			if path == auth0sim.PathUserinfo {
				faults = append(faults, auth0sim.Fault{Name: auth0sim.FaultMissingIDToken})
			}
			if got := s.ask(t, faults...); got.status != http.StatusFailedDependency {
				t.Errorf("%s, %s: %s", path, name, got)
			}
		}
	}
	// The keys: the token is then unverifiable, and /userinfo decides; it is broken, too.
	for name, fault := range cases {
		fault.Path = auth0sim.PathJWKS
		broken := auth0sim.Fault{Name: auth0sim.FaultUnavailable, Path: auth0sim.PathUserinfo}
		if got := s.ask(t, fault, broken, auth0sim.Fault{Name: auth0sim.FaultIDTokenUnknownKeyID}); got.status != http.StatusFailedDependency {
			t.Errorf("keys, %s: %s", name, got)
		}
	}
	s.checkManagement(t, cases)
	if got := visits(); got != "" {
		t.Errorf("ferry was led elsewhere: %q", got)
	}
	s.checkMemory(t)
	if got := s.ask(t); got.body != `{"status":"password_match"}` {
		t.Errorf("afterwards: %s", got)
	}
}

// ask makes a login that is not a repetition of another, under faults, for which Auth0 is asked
// once.
func (s *stack) ask(t *testing.T, faults ...auth0sim.Fault) answer {
	t.Helper()
	for _, f := range faults {
		if _, err := s.sim.SetFault(f); err != nil {
			t.Fatal(err)
		}
	}
	defer s.sim.ClearFaults()
	before := s.sim.TokenRequests()
	got := post(t, s.ferry.HooksURL()+"/hooks/password-migration", login(kim, password), func(r *http.Request) {
		r.Header.Set("Ory-Webhook-Trigger-Id", fmt.Sprintf("00000000-0000-4000-8000-%012d", before))
	})
	if asked := s.sim.TokenRequests() - before; asked != 1 {
		t.Errorf("Auth0 was asked %d times: %s", asked, got)
	}
	return got
}

// checkManagement gives the answers to a look-up of the gateway about a user whom Kratos does not
// have.
func (s *stack) checkManagement(t *testing.T, cases map[string]auth0sim.Fault) {
	t.Helper()
	n := 0
	for name, fault := range cases {
		fault.Path = auth0sim.PathUsersByEmail
		if _, err := s.sim.SetFault(fault); err != nil {
			t.Fatal(err)
		}
		n++
		body := fmt.Sprintf(`{"method":"code","email":"nobody%d@example.org"}`, n)
		got := post(t, s.ferry.GatewayURL()+"/self-service/recovery?flow=3f6b8f5e-6a0e-4f39-9d3e-1c2d3e4f5a6b", body)
		if got.status != http.StatusBadRequest || len(s.kratos.All()) != 1 {
			t.Errorf("Management API, %s: %s", name, got)
		}
		s.sim.ClearFaults()
	}
}

// TestHostileKratos: no such answer of the admin API makes ferry ask Auth0.
func TestHostileKratos(t *testing.T) {
	s := start(t, "FERRY_GATEWAY_LISTEN=", "FERRY_FORWARD_AUTH_LISTEN=")
	away, visits := elsewhere(t)
	packed := bomb(t, 192<<20, "[]")
	send := func(status int, body string, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for i := 0; i+1 < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	cases := map[string]http.HandlerFunc{
		"gzip":             send(200, packed, "Content-Encoding", "gzip"),
		"gzip, unnamed":    send(200, packed),
		"br":               send(200, packed, "Content-Encoding", "br"),
		"deep":             send(200, strings.Repeat("[", 1<<20)+strings.Repeat("]", 1<<20)),
		"invalid UTF-8":    send(200, "[{\"id\":\"\xff\"}]"),
		"endless":          send(200, "["+strings.Repeat(" ", 32<<20)+"]"),
		"an object":        send(200, `{"id":"`+s.kim+`"}`),
		"the answer twice": send(200, `[] []`),
		"an empty answer":  send(200, ""),
		"unauthorized":     send(401, `{"error":{"code":401}}`),
	}
	for _, code := range []int{301, 302, 303, 307, 308} {
		cases[fmt.Sprint("to another host, ", code)] = send(code, "", "Location", away+"/admin/identities")
		cases[fmt.Sprint("to a file, ", code)] = send(code, "", "Location", "file:///etc/passwd")
		cases[fmt.Sprint("to link-local, ", code)] = send(code, "", "Location", "http://169.254.169.254/latest/meta-data/")
	}
	n := 0
	for name, hostile := range cases {
		s.hostile.Store(&hostile)
		n++
		if got := post(t, s.ferry.HooksURL()+"/hooks/password-migration", login(kim, fmt.Sprint(password, n))); got.status != http.StatusFailedDependency {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := visits(); got != "" || s.sim.TokenRequests() != 0 {
		t.Errorf("ferry was led elsewhere: %q; Auth0 got %d requests", got, s.sim.TokenRequests())
	}
	s.checkMemory(t)
	s.hostile.Store(nil)
	if got := post(t, s.ferry.HooksURL()+"/hooks/password-migration", login(kim, password)); got.body != `{"status":"password_match"}` {
		t.Errorf("afterwards: %s", got)
	}
}

// TestOpenProxy: the gateway passes requests to Kratos, and to no address that a request names.
func TestOpenProxy(t *testing.T) {
	s := start(t)
	away, visits := elsewhere(t)
	host := strings.TrimPrefix(away, "http://")
	for name, request := range map[string]string{
		"absolute URL":       "GET " + away + "/x HTTP/1.1\r\nHost: " + host + "\r\n",
		"CONNECT":            "CONNECT " + host + " HTTP/1.1\r\nHost: " + host + "\r\n",
		"Host":               "GET /x HTTP/1.1\r\nHost: " + host + "\r\n",
		"forwarded host":     "GET /x HTTP/1.1\r\nHost: x\r\nX-Forwarded-Host: " + host + "\r\nForwarded: host=" + host + "\r\nX-Original-URL: " + away + "\r\nX-Rewrite-Url: " + away + "\r\n",
		"two slashes":        "GET //" + host + "/x HTTP/1.1\r\nHost: x\r\n",
		"at sign":            "GET /@" + host + "/x HTTP/1.1\r\nHost: x\r\n",
		"user in the URL":    "GET http://x@" + host + "/x HTTP/1.1\r\nHost: x\r\n",
		"another scheme":     "GET file:///etc/passwd HTTP/1.1\r\nHost: x\r\n",
		"upwards":            "GET /../../admin/identities HTTP/1.1\r\nHost: x\r\n",
		"upwards, encoded":   "GET /%2e%2e/%2e%2e/admin/identities HTTP/1.1\r\nHost: x\r\n",
		"to the hooks":       "POST /hooks/password-migration HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n",
		"to the admin paths": "GET /metrics/prometheus HTTP/1.1\r\nHost: x\r\n",
		"upgrade":            "GET /x HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
	} {
		s.public.received()
		got := raw(t, s.ferry.GatewayURL(), request+"Connection: close\r\n\r\n")
		// Kratos' answer, or one of ferry's own; never a page of ferry's other listeners.
		if !strings.Contains(got, "4000006") && !strings.HasPrefix(got, "HTTP/1.1 4") && !strings.HasPrefix(got, "HTTP/1.1 502 ") {
			t.Errorf("%s: %q", name, got)
		}
		if strings.Contains(got, "ferry_hook") || strings.Contains(got, "root:") {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := visits(); got != "" {
		t.Errorf("passed on: %q", got)
	}
	s.checkForwardAuth(t, host)
	if got := visits(); got != "" {
		t.Errorf("forward auth asked: %q", got)
	}
}

// checkForwardAuth sends odd addresses in the headers that a proxy sets.
func (s *stack) checkForwardAuth(t *testing.T, host string) {
	t.Helper()
	for _, uri := range []string{"http://" + host + "/x", "//" + host + "/self-service/login?flow=x", "", "x", "/\x7f", "/%00", strings.Repeat("/x", 10_000)} {
		got := raw(t, s.ferry.ForwardAuthURL(), "GET /forward-auth HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-Method: POST\r\nX-Forwarded-Uri: "+uri+"\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 200 ") && !strings.HasPrefix(got, "HTTP/1.1 4") {
			t.Errorf("%.60q: %q", uri, got)
		}
	}
}
