package e2e

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"

	"ferry/test/ferrytest/built"
	"ferry/test/process"
)

// TestLogReaderGone: the reader of the log may exit before ferry. ferry still answers
// logins and stops cleanly.
func TestLogReaderGone(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ferry, err := process.Command{Path: built.Ferry(t), Args: []string{"serve"}, Output: write, Env: []string{
		"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0", "FERRY_HOOK_KEYS=" + hookKey,
		"FERRY_AUTH0_DOMAIN=tenant.example", "FERRY_AUTH0_BASE_URL=http://127.0.0.1:9",
		"FERRY_AUTH0_CLIENT_ID=c", "FERRY_AUTH0_CLIENT_SECRET=s", "FERRY_KRATOS_ADMIN_URL=http://127.0.0.1:9",
	}}.Start(t.Context())
	_ = write.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := ferry.Stop(30 * time.Second); err != nil {
			t.Error(err)
		}
		if err := ferry.Err(); err != nil {
			t.Errorf("ferry ended with %v", err)
		}
	}()
	var said struct{ Hooks string }
	for line := bufio.NewScanner(read); said.Hooks == "" && line.Scan(); {
		_ = json.Unmarshal(line.Bytes(), &said)
	}
	if err := read.Close(); err != nil || said.Hooks == "" {
		t.Fatalf("%v: ferry does not listen", err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 2 { // each writes a log line
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+said.Hooks+"/hooks/password-migration", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("answered %s", resp.Status)
		}
	}
}
