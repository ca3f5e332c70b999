package attack

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"ferry/test/auth0sim"
	"ferry/test/bulktest"
	"ferry/test/ferrytest/built"
	"ferry/test/redistest"
)

const adminKey = "canary-admin-key-17cd-0123456789abcdef0123"

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

// TestCanaries: no password, key, client secret, token, identifier or client address is found, in
// any form, in the log, the answers, the metrics, the recordings, in Redis or FERRY_DATA_DIR, or
// in the stacks that ferry prints when it is killed with SIGQUIT while logins are in progress.
func TestCanaries(t *testing.T) {
	t.Run("Redis, sealed recordings", func(t *testing.T) {
		t.Parallel()
		redis := redistest.Run(t, redistest.Options{User: "ferry", Password: "canary-redis-password"})
		testCanaries(t, "FERRY_STATE_URL="+redis.URL(), "FERRY_STATE_KEY="+stateKey, "FERRY_RECORD_KEY="+recordKey(t))
	})
	t.Run("files", func(t *testing.T) {
		t.Parallel()
		testCanaries(t, "FERRY_DATA_DIR="+t.TempDir())
	})
}

func testCanaries(t *testing.T, settings ...string) {
	t.Helper()
	dir := t.TempDir()
	s := start(t, append(settings, "FERRY_RECORD_DIR="+filepath.Join(dir, "recordings"), "FERRY_ENSURE=true", "FERRY_SIGN_UP=true", "GOTRACEBACK=all",
		"FERRY_LOG_HASH_KEY="+logHashKey, "FERRY_ADMIN_KEY="+adminKey, "FERRY_COUNT_EVERY=1m", "FERRY_AUTH0_SUSPICIOUS_IP_ATTEMPTS=100", "FERRY_AUTH0_BRUTE_FORCE_ATTEMPTS=10", "FERRY_ATTEMPTS_PER_USER=50")...)
	var answers strings.Builder
	keep := func(got answer) {
		fmt.Fprintf(&answers, "%s\n", got)
	}
	const wrong = "canary-wrong-Passw0rd/+?"
	hooks := s.ferry.HooksURL() + "/hooks/"
	for _, typed := range []string{password, wrong, strings.Repeat(wrong, 5)} {
		keep(post(t, hooks+"password-migration", login(kim, typed)))
		keep(post(t, hooks+"password-migration", login("canary.nobody@example.org", typed)))
		keep(post(t, hooks+"password-migration", strings.TrimSuffix(login(kim, typed+"?"), "}")+`,"client":{"ip":"`+lastIP+`","user_agent":"canary-agent"}}`))
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
	places := map[string]string{"the answers": answers.String(), "the pages": s.pages(t), "the state": s.stored(t, settings)}
	s.dump(t)
	places["the log and the stacks"], places["the recordings"] = s.ferry.Logs(), recordings(t, dir)
	for place, text := range places {
		search(t, place, text, hookKey, otherKey, otherKey[1:], clientSecret, mgmtSecret, stateKey, logHashKey, adminKey, "canary-redis-password",
			kim, "canary.nobody@example.org", password, wrong, subject, lastIP, "canary-agent", "eyJhbGciOi")
	}
}

// recordKey makes a key pair for sealed recordings and returns the public key.
func recordKey(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), built.Ferry(t), "record", "keygen", filepath.Join(t.TempDir(), "private.key")).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// stored returns what ferry keeps outside of its memory: all keys and values of Redis, or the
// files in FERRY_DATA_DIR. There must be something.
func (s *stack) stored(t *testing.T, settings []string) string {
	t.Helper()
	var all strings.Builder
	for _, setting := range settings {
		if dir, ok := strings.CutPrefix(setting, "FERRY_DATA_DIR="); ok {
			s.await(t, "the count of failed logins in a file", func() bool { return len(bulktest.Files(t, dir)) > 1 })
			for _, name := range bulktest.Files(t, dir) {
				all.WriteString(bulktest.ReadFile(t, filepath.Join(dir, name)))
			}
		}
		if url, ok := strings.CutPrefix(setting, "FERRY_STATE_URL="); ok {
			all.WriteString(dumpRedis(t, url))
		}
	}
	if all.Len() < 50 {
		t.Errorf("ferry has stored %q", all.String())
	}
	return all.String()
}

// dumpRedis returns all keys and values of a Redis.
func dumpRedis(t *testing.T, url string) string {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opts)
	defer func() { _ = client.Close() }()
	if err := client.ConfigSet(t.Context(), "rdbcompression", "no").Err(); err != nil {
		t.Fatal(err)
	}
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	var all strings.Builder
	for _, key := range keys {
		value, err := client.Dump(t.Context(), key).Result()
		if err != nil && !errors.Is(err, redis.Nil) { // it may expire
			t.Fatal(err)
		}
		all.WriteString(key + "\n" + value + "\n")
		kinds[strings.Split(key, ":")[2]] = true
	}
	for _, kind := range []string{"claim", "answer", "kept", "limit", "users"} {
		if !kinds[kind] {
			t.Errorf("Redis has no %s: %v", kind, keys)
		}
	}
	return all.String()
}

// pages reads the admin listener.
func (s *stack) pages(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, path := range []string{"/metrics/prometheus", "/version", "/health/ready", "/upstream", "/mode", "/"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.ferry.AdminURL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("operator", adminKey)
		client := client()
		defer client.CloseIdleConnections()
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, resp.Status)
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
