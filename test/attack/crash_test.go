package attack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ferry/test/ferrytest/built"
)

// The identifiers of logins that panic in crashingFerry.
const (
	panics  = "canary.panics@example.org"
	crashes = "canary.crashes@example.org"
)

// crashingFerry builds ferry with a fault: the login of one identifier panics where ferry
// recovers, and that of another in a goroutine of its own. Both panic with all that is secret in
// a login.
func crashingFerry(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source, err := filepath.Abs("../../hook/decide.go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	const start = "\tarrived := h.opts.Now()\n"
	edited := strings.Replace(string(text), start, start+fmt.Sprintf(`	switch req.Identifier {
	case %q:
		panic(fmt.Errorf("%%v %%+v %%#v %%q", req.Password, req.Password, h.opts, req.Password))
	case %q:
		ended := make(chan struct{})
		go func() { defer close(ended); panic(fmt.Errorf("%%v %%+v %%#v", req.Password, req.Password, h.opts.Keys)) }()
		<-ended
	}
`, panics, crashes), 1)
	edited = strings.Replace(edited, "\t\"errors\"\n", "\t\"errors\"\n\t\"fmt\"\n", 1)
	if edited == string(text) || !strings.Contains(edited, panics) {
		t.Fatal("hook/decide.go has changed: the fault does not fit in")
	}
	faulty, overlay, binary := filepath.Join(dir, "decide.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "ferry")
	replaced, err := json.Marshal(map[string]any{"Replace": map[string]string{source: faulty}})
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{faulty: edited, overlay: string(replaced)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-overlay", overlay, "-o", binary, "ferry/cmd/ferry").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// TestCrash: a panic of a handler is answered as an outage, and one that ends ferry prints stacks;
// neither shows anything of the login, nor a key.
func TestCrash(t *testing.T) {
	t.Parallel()
	_ = built.Ferry(t) // compiles what both have in common
	s := prepare(t)
	s.binary = crashingFerry(t)
	s.run(t, "GOTRACEBACK=system")
	hook := s.ferry.HooksURL() + "/hooks/password-migration"
	if got := post(t, hook, login(panics, password)); got.status != http.StatusFailedDependency || got.body != `{"status":"unavailable"}` {
		t.Errorf("a panic: %s", got)
	}
	if got := post(t, hook, login(kim, password)); got.body != `{"status":"password_match"}` {
		t.Errorf("afterwards: %s", got)
	}
	before := s.ferry.Logs()
	if !strings.Contains(before, `"msg":"panic"`) {
		t.Errorf("the log has no panic: %s", before)
	}
	crash(t, hook)
	<-s.ferry.Done()
	logs := s.ferry.Logs()
	if !strings.Contains(logs, "panic: ") || !strings.Contains(logs, "goroutine ") || !strings.Contains(logs, "[redacted]") {
		t.Errorf("no crash: %s", logs)
	}
	search(t, "the log and the stacks", logs, hookKey, otherKey, clientSecret, mgmtSecret, password, panics, crashes, kim, subject)
}

// crash sends the login that ends ferry.
func crash(t *testing.T, hook string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, hook, strings.NewReader(login(crashes, password)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+hookKey)
	req.Header.Set("Content-Type", "application/json")
	client := client()
	defer client.CloseIdleConnections()
	if resp, err := client.Do(req); err == nil {
		_ = resp.Body.Close()
		t.Errorf("ferry answered %s", resp.Status)
	}
}
