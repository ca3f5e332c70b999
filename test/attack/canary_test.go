package attack

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"ferry/test/auth0sim"
)

// forms are the forms in which a text may be found: plain, in JSON, in a URL, in hex, and in
// base64 at each of the three offsets.
func forms(text string) []string {
	inner := strings.Trim(quoted(text), `"`)
	found := []string{text, inner, url.QueryEscape(text), url.PathEscape(text), hex.EncodeToString([]byte(text))}
	for offset := range 3 {
		padded := append(make([]byte, offset), text...)
		encoded := base64.RawStdEncoding.EncodeToString(padded)
		// Without the characters that also hold bits of what stands around the text.
		found = append(found, encoded[(offset*8+5)/6:len(encoded)-1], strings.NewReplacer("+", "-", "/", "_").Replace(encoded[(offset*8+5)/6:len(encoded)-1]))
	}
	return found
}

// TestCanaries: no password, key, client secret, token or identifier is found, in any form, in
// the log, the answers, the metrics, the recordings, or in the stacks that ferry prints when it
// is killed with SIGQUIT while logins are in progress.
func TestCanaries(t *testing.T) {
	dir := t.TempDir()
	s := start(t, "FERRY_RECORD_DIR="+filepath.Join(dir, "recordings"), "FERRY_ENSURE=true", "FERRY_SIGN_UP=true", "GOTRACEBACK=all")
	var answers strings.Builder
	keep := func(got answer) {
		fmt.Fprintf(&answers, "%s\n", got)
	}
	const wrong = "canary-wrong-Passw0rd/+?"
	hooks := s.ferry.HooksURL() + "/hooks/"
	for _, typed := range []string{password, wrong, strings.Repeat(wrong, 5)} {
		keep(post(t, hooks+"password-migration", login(kim, typed)))
		keep(post(t, hooks+"password-migration", login("canary.nobody@example.org", typed)))
		keep(post(t, hooks+"password-migration", login(kim, typed), func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+otherKey[1:]) }))
		keep(post(t, hooks+"password-migration", login(kim, typed)+"}"))
		keep(post(t, s.ferry.GatewayURL()+"/self-service/login?flow=3f6b8f5e-6a0e-4f39-9d3e-1c2d3e4f5a6b", `{"method":"password","identifier":"canary.nobody@example.org","password":`+quoted(typed)+`}`))
	}
	keep(post(t, hooks+"ensure", `{"identifier":"canary.nobody@example.org"}`))
	for _, name := range []auth0sim.FaultName{auth0sim.FaultInternalError, auth0sim.FaultResetAfterRequest, auth0sim.FaultErrorWith200, auth0sim.FaultIDTokenForeignKey, auth0sim.FaultCutJSON} {
		if _, err := s.sim.SetFault(auth0sim.Fault{Name: name}); err != nil {
			t.Fatal(err)
		}
		keep(post(t, hooks+"password-migration", login(kim, wrong+string(name))))
		keep(post(t, hooks+"password-migration", login(kim, password), func(r *http.Request) {
			r.Header.Set("Ory-Webhook-Trigger-Id", fmt.Sprintf("00000000-0000-4000-8000-%012d", len(name)))
		}))
		s.sim.ClearFaults()
	}
	pages := s.pages(t)
	s.dump(t)
	places := map[string]string{"the log and the stacks": s.ferry.Logs(), "the answers": answers.String(), "the pages": pages, "the recordings": recordings(t, dir)}
	for _, secret := range []string{hookKey, otherKey, otherKey[1:], clientSecret, mgmtSecret, kim, "canary.nobody@example.org", password, wrong, subject, "eyJhbGciOi"} {
		for _, form := range forms(secret) {
			for place, text := range places {
				if at := strings.Index(text, form); at >= 0 {
					t.Errorf("%q, as %q, is in %s: %.200q", secret, form, place, text[max(0, at-100):])
				}
			}
		}
	}
}

// pages reads the admin listener.
func (s *stack) pages(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, path := range []string{"/metrics/prometheus", "/version", "/health/ready", "/upstream", "/mode"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.ferry.AdminURL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		client := client()
		defer client.CloseIdleConnections()
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&all, resp.Body); err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	return all.String()
}

// dump kills ferry with SIGQUIT while a login waits for Auth0.
func (s *stack) dump(t *testing.T) {
	t.Helper()
	if _, err := s.sim.SetFault(auth0sim.Fault{Name: auth0sim.FaultHang}); err != nil {
		t.Fatal(err)
	}
	before := s.sim.TokenRequests()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.ferry.HooksURL()+"/hooks/password-migration", strings.NewReader(login(kim, password+" waits")))
		if err != nil {
			return
		}
		req.Header.Set("Authorization", "Bearer "+hookKey)
		req.Header.Set("Content-Type", "application/json")
		client := client()
		defer client.CloseIdleConnections()
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}()
	s.await(t, "the login to reach Auth0", func() bool { return s.sim.TokenRequests() > before })
	if err := syscall.Kill(s.ferry.Pid(), syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	<-s.ferry.Done()
	<-ended
	if !strings.Contains(s.ferry.Logs(), "SIGQUIT: quit") || !strings.Contains(s.ferry.Logs(), "ferry/hook.") {
		t.Error("ferry printed no stacks")
	}
}

// recordings returns what ferry has recorded.
func recordings(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil || !strings.Contains(all.String(), "password-migration") {
		t.Fatalf("%v: %q", err, all.String())
	}
	return all.String()
}

// TestForms: a text is found wherever it stands in base64.
func TestForms(t *testing.T) {
	for _, around := range []string{"", "a", "ab", "abc"} {
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString([]byte(around + password + around))
			found := false
			for _, form := range forms(password) {
				found = found || strings.Contains(text, form)
			}
			if !found {
				t.Errorf("not found in %s", text)
			}
		}
	}
}
