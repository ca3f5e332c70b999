package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"ferry/gateway"
	"ferry/test/proxytest"
)

// TestForwarded: as the outermost proxy the gateway writes who the user is, and drops what a
// user can forge; behind trusted proxies everything passes as it came.
func TestForwarded(t *testing.T) {
	t.Parallel()
	forged := []string{
		"X-Forwarded-For", "198.51.100.7", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example", "Forwarded", "for=198.51.100.7",
		"True-Client-IP", "198.51.100.7", "CF-Connecting-IP", "198.51.100.7", "X-Real-IP", "198.51.100.7",
	}
	for name, path := range map[string]string{"a page": "/self-service/login/browser?refresh=true", "a login": login} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outermost := newRig(t, nil, nil)
			outermost.post(t, path, passwordOf("kim@example.org", right), forged...)
			got := outermost.Requests()[0]
			for header, want := range map[string]string{
				"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": got.Host,
				"Forwarded": "", "True-Client-IP": "", "CF-Connecting-IP": "", "X-Real-IP": "",
			} {
				if values := got.Header.Values(header); strings.Join(values, ",") != want {
					t.Errorf("outermost: %s: %q", header, values)
				}
			}
			behind := newRig(t, nil, func(o *gateway.Options) { o.TrustedProxies = 1 })
			behind.post(t, path, passwordOf("kim@example.org", right), append(forged, "X-Forwarded-For", "203.0.113.9")...)
			got = behind.Requests()[0]
			for i := 2; i < len(forged); i += 2 {
				if values := got.Header.Values(forged[i]); len(values) != 1 || values[0] != forged[i+1] {
					t.Errorf("behind a proxy: %s: %q", forged[i], values)
				}
			}
			if values := got.Header.Values("X-Forwarded-For"); !slices.Equal(values, []string{"198.51.100.7", "203.0.113.9"}) {
				t.Errorf("behind a proxy: %q", values)
			}
		})
	}
}

// TestUnchanged: method, path, query, host, cookies and body reach Kratos as they came, and
// status, cookies, Location and body the user.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Set-Cookie", "csrf_token_1=a b; Path=/; HttpOnly; SameSite=Lax")
		w.Header().Add("Set-Cookie", "ory_kratos_session=MTc=; Path=/; Secure")
		w.Header().Set("Location", "http://127.0.0.1:1/login?flow=1&x=%20")
		w.WriteHeader(http.StatusSeeOther)
		_, _ = io.WriteString(w, "<a href>\n")
	}, nil)
	for _, path := range []string{
		"/", "/self-service/login/browser?return_to=https%3A%2F%2Fexample.org%2F%3Fa%3Db%2Bc&x=;y", "/self-service/%6cogin?flow=" + flow, "//self-service/login?flow=" + flow,
		"/self-service/./login?flow=" + flow, "/self-service%2flogin?flow=" + flow, "/sessions/whoami?", "/a%2Fb/c%20d?%zz",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
			body := ""
			if method == http.MethodPost {
				body = passwordOf("kim@example.org", right) + " \n{}"
			}
			before := len(r.Requests())
			got := raw(t, r, method+" "+path+" HTTP/1.1\r\nHost: auth.example.org\r\nCookie: a=1; b=\"2\"\r\nOrigin: https://example.org\r\nX-Session-Token: t\r\n"+
				"Content-Type: application/json\r\nContent-Length: "+fmt.Sprint(len(body))+"\r\nConnection: close\r\n\r\n"+body)
			seen := r.Requests()[before:]
			if len(seen) != 1 || seen[0].Method != method || seen[0].URI != strings.TrimSuffix(path, "?") && seen[0].URI != path || seen[0].Host != "auth.example.org" || seen[0].Body != body {
				t.Fatalf("%s %s: %+v", method, path, seen)
			}
			header := seen[0].Header
			if header.Get("Cookie") != `a=1; b="2"` || header.Get("Origin") != "https://example.org" || header.Get("X-Session-Token") != "t" || header.Get("User-Agent") != "" || header.Get("Accept-Encoding") != "" {
				t.Errorf("%v", header)
			}
			if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "http://127.0.0.1:1/login?flow=1&x=%20" || len(got.Header.Values("Set-Cookie")) != 2 ||
				got.Header.Values("Set-Cookie")[0] != "csrf_token_1=a b; Path=/; HttpOnly; SameSite=Lax" {
				t.Errorf("%s %s: %v", method, path, got)
			}
		}
	}
}

// raw sends bytes to the gateway, and reads the answer.
func raw(t *testing.T, r *rig, request string) *http.Response {
	t.Helper()
	conn := dial(t, r)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp
}

func dial(t *testing.T, r *rig) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", r.front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestBodies: every form in which a body may come is read, and passes on whole. One over
// 64 KiB passes unread.
func TestBodies(t *testing.T) {
	t.Parallel()
	body := passwordOf("kim@example.org", right)
	long := body + strings.Repeat(" ", 64<<10)
	for name, c := range map[string]struct {
		text  string
		sent  func(text string) io.Reader
		reads bool
	}{
		"with a length":        {body, withLength, true},
		"chunked":              {body, chunked, true},
		"byte by byte":         {body, func(text string) io.Reader { return iotest.OneByteReader(strings.NewReader(text)) }, true},
		"64 KiB":               {long[:64<<10], withLength, true},
		"over 64 KiB":          {long, withLength, false},
		"over 64 KiB, chunked": {long, chunked, false},
		"4 MiB, chunked":       {body + strings.Repeat(" ", 4<<20), chunked, false},
		"nothing":              {"", withLength, false},
		"nothing, chunked":     {"", chunked, false},
	} {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(name+" "+protocol, func(t *testing.T) {
				t.Parallel()
				testBody(t, protocol, c.text, c.sent(c.text), c.reads)
			})
		}
	}
}

func testBody(t *testing.T, protocol, text string, sent io.Reader, reads bool) {
	t.Helper()
	r := newRig(t, nil, nil)
	via, to := http.DefaultTransport, r.front.URL
	if protocol == "HTTP/2.0" {
		via, to = overTLS(t, r)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to+login, sent)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Expect", "100-continue")
	if got := proxytest.Do(t, via, req); got.Status != http.StatusOK || got.Body != "kratos" {
		t.Errorf("%+v", got)
	}
	if all := r.Requests(); len(all) != 1 || all[0].Body != text || all[0].URI != login {
		t.Errorf("Kratos received %d requests", len(all))
	}
	if (len(r.asked) == 1) != reads {
		t.Errorf("asked %d times", len(r.asked))
	}
}

func withLength(text string) io.Reader { return strings.NewReader(text) }

// chunked hides the length.
func chunked(text string) io.Reader { return struct{ io.Reader }{strings.NewReader(text)} }

// deadlines is a ResponseWriter that notes the read deadlines.
type deadlines struct {
	*httptest.ResponseRecorder

	set []time.Time
}

// SetReadDeadline is what http.ResponseController calls.
func (d *deadlines) SetReadDeadline(at time.Time) error {
	d.set = append(d.set, at)
	return nil
}

// TestDeadlines: a submission must arrive within 15 seconds, as at Kratos. Then the deadline
// is lifted, because it would cancel the request while Kratos works, unless more is to come.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		more time.Duration
	}{"short": {"{}", 0}, "over 64 KiB": {strings.Repeat(" ", 65<<10), 30 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil, nil)
			w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
			started := time.Now()
			r.gateway.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, login, strings.NewReader(c.body)))
			if len(w.set) != 2 || w.set[0].Before(started.Add(15*time.Second)) || w.set[0].After(time.Now().Add(15*time.Second)) {
				t.Fatalf("%v", w.set)
			}
			if c.more == 0 && !w.set[1].IsZero() || c.more > 0 && (w.set[1].Before(started.Add(c.more)) || w.set[1].After(time.Now().Add(c.more))) {
				t.Errorf("then %v", w.set[1])
			}
		})
	}
}

// overTLS starts the gateway behind TLS with HTTP/2.
func overTLS(t *testing.T, r *rig) (http.RoundTripper, string) {
	t.Helper()
	front := httptest.NewUnstartedServer(r.gateway)
	front.EnableHTTP2 = true
	front.StartTLS()
	t.Cleanup(front.Close)
	via := front.Client().Transport
	t.Cleanup(front.Client().CloseIdleConnections)
	return via, front.URL
}

// TestTLS: Kratos learns that the user came over TLS, also with HTTP/2.
func TestTLS(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, nil)
	via, to := overTLS(t, r)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to+"/self-service/login/browser", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: "a", Value: "1"})
	req.AddCookie(&http.Cookie{Name: "b", Value: "2"})
	if got := proxytest.Do(t, via, req); got.Status != http.StatusOK {
		t.Errorf("%+v", got)
	}
	got := r.Requests()[0]
	if got.Header.Get("X-Forwarded-Proto") != "https" || got.Header.Get("Cookie") != "a=1; b=2" || got.Proto != "HTTP/1.1" {
		t.Errorf("%+v", got)
	}
}

// TestStreaming: an answer reaches the user as Kratos writes it.
func TestStreaming(t *testing.T) {
	t.Parallel()
	read := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-read:
		case <-req.Context().Done():
		}
		_, _ = io.WriteString(w, "second\n")
	}, nil)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.front.URL+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewReader(resp.Body)
	if line, err := lines.ReadString('\n'); line != "first\n" {
		t.Fatalf("%q, %v", line, err)
	}
	close(read)
	if rest, err := io.ReadAll(lines); string(rest) != "second\n" {
		t.Errorf("%q, %v", rest, err)
	}
}

// TestKratosDown: the answer has the form of Kratos' errors, the log not the flow.
func TestKratosDown(t *testing.T) {
	t.Parallel()
	const refuses = "127.0.0.1:9" // a free port would soon be that of another test
	for name, change := range map[string]func(*gateway.Options){
		"unreachable": func(o *gateway.Options) { o.Kratos = &url.URL{Scheme: "http", Host: refuses} },
		"resets":      nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, change)
			for _, got := range []proxytest.Answer{r.send(t, http.MethodGet, "/sessions/whoami?flow="+flow, ""), r.post(t, login, passwordOf("kim@example.org", right))} {
				if got.Status != http.StatusBadGateway {
					t.Errorf("%+v", got)
				}
				checkJSON(t, got)
			}
			if n := proxytest.Counter(t, r.metrics, "ferry_gateway_faults_total", map[string]string{"reason": "kratos_unreachable"}); n != 2 {
				t.Errorf("counted %v", n)
			}
			for _, line := range r.logs.All() {
				if text := fmt.Sprint(line.ContextMap()["error"]); strings.Contains(text, flow) {
					t.Errorf("the log has the flow: %s", text)
				}
			}
		})
	}
}

// TestIncomplete: a request that does not arrive whole is refused, and Kratos does not see
// it; nor is anybody asked.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, nil)
	conn := dial(t, r)
	_, _ = io.WriteString(conn, "POST "+login+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"method\"")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusBadRequest || len(r.Requests()) != 0 || len(r.asked) != 0 {
		t.Errorf("%s, %d requests", resp.Status, len(r.Requests()))
	}
	if n := proxytest.Counter(t, r.metrics, "ferry_gateway_faults_total", map[string]string{"reason": "incomplete"}); n != 1 {
		t.Errorf("counted %v", n)
	}
}

// TestClientGone: a user who goes away ends the request to Kratos.
func TestClientGone(t *testing.T) {
	t.Parallel()
	arrived, ended := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(_ http.ResponseWriter, req *http.Request) {
		close(arrived)
		<-req.Context().Done()
		close(ended)
	}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.front.URL+login, bytes.NewReader([]byte(passwordOf("kim@example.org", right))))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
		_ = resp.Body.Close()
		t.Error("answered")
	}
	<-ended
}
