package attack

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"ferry/test/bulktest"
	"ferry/test/ferrytest/built"
	"ferry/test/process"
)

// What bulk commands read and hold. The settings are secrets; the rest is of users.
const (
	adminToken   = "canary-admin-token-5e0a91"
	stateKey     = "canary-state-key-62d1-0123456789abcdef0123"
	logHashKey   = "canary-log-hash-key-9b7c-0123456789abcdef"
	passwordHash = "$2b$10$canarysaltcanarysaltuCanaryDigestCanaryDigestCanaryD0"
	person       = "Canary-Person"
	metadata     = "canary-metadata-31f0"
	lastIP       = "203.0.113.77"
)

// bulkInputs writes a users file and a hash file, with rows that are created, skipped, refused by
// Kratos, invalid and unreadable.
func bulkInputs(t *testing.T, dir string) (users, hashes string) {
	t.Helper()
	private := bulktest.With{"name": person, "app_metadata": map[string]any{"x": metadata}, "last_ip": lastIP}
	hashed := bulktest.With{"password_hash": passwordHash}
	users, hashes = filepath.Join(dir, "users.ndjson"), filepath.Join(dir, "hashes.ndjson")
	bulktest.WriteFile(t, users, strings.Join([]string{
		bulktest.Verified("canary1", "canary.1@example.org", private),
		bulktest.User("canary2", "canary.2@example.org", private, hashed),
		bulktest.Verified("canary3", "canary.3", private, hashed), // no e-mail address
		bulktest.Verified("canary4", kim, private, hashed),        // another user's
		bulktest.Verified("canary5", "canary.5@example.org", private, bulktest.With{"blocked": true}),
		bulktest.Verified("canary6", "canary.6@example.org", private, bulktest.With{"password_hash": "canary-odd-hash"}),
		bulktest.Verified("canary7", "canary.7@example.org", private, bulktest.With{"nickname": strings.Repeat("canary-nickname", 9)}),
		`{"user_id":"auth0|canary8","email":"canary.8@example.org","password_hash":"` + passwordHash + `",,}`,
		`{"user_id":"auth0|canary9","email":"canary.9@example.org","user_id":"auth0|canary10"}`,
	}, "\n")+"\n")
	bulktest.WriteFile(t, hashes, strings.Join([]string{
		bulktest.HashLine("canary1", passwordHash, ""), bulktest.HashLine("canary11", "canary-odd-hash", ""), `{"canary-broken"`,
	}, "\n")+"\n")
	return users, hashes
}

// bulkSettings are settings with secrets for commands.
func bulkSettings(temp, data string) []string {
	return []string{"FERRY_DATA_DIR=" + data, "FERRY_KRATOS_ADMIN_TOKEN=" + adminToken, "FERRY_LOG_HASH_KEY=" + logHashKey, "FERRY_STATE_KEY=" + stateKey, "TMPDIR=" + temp}
}

// allDeciding accepts a users file without the fields that its rows do not need.
const allDeciding = "blocked,multifactor,last_password_reset,identities,connection"

// TestBulkCanaries: what the commands over all users print names no user and has no secret.
// Their files are for the operator alone, and name users as docs/security.md says. Nothing stays
// in the directory for temporary files, not even where ferry is killed.
func TestBulkCanaries(t *testing.T) {
	t.Parallel()
	s := prepare(t)
	in, out, temp, data := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	users, hashes := bulkInputs(t, in)
	file := func(name string) string { return filepath.Join(out, name) }
	input := []string{"--users", users, "--accept-missing", allDeciding}
	imported := append([]string{"import", "--hashes", hashes, "--json"}, input...)
	written := append(slices.Clone(imported), "--results", file("results"), "--retry-file", file("retry"))
	run := "none"
	var printed strings.Builder
	for _, args := range [][]string{
		append(slices.Clone(imported), "--dry-run"), written, written,
		{"status", "--json", "--stragglers", file("stragglers"), "--users", users},
		append([]string{"reconcile", "--findings", file("findings"), "--json", "--fix", "--hook-off"}, input...),
		{"finish", "--hook-off", "--wait", "0s", "--yes", "--json", "--results", file("finish")},
		{"finish", "--hook-off", "--undo", "--yes", "--results", file("unfinish")},
		{"plan", "--json"},
		{"runs", "--json"},
		{"undo", "--run", "RUN", "--yes", "--json", "--results", file("undo")},
		{"rebind", s.kim, "--to", "auth0|canary12", "--reason", "ticket 7"},
		{"config"},
		{"doctor", "--no-grant"},
		{"doctor", "why", "--no-grant", "canary.1@example.org"},
		{"map", "--users", users},
	} {
		for i, arg := range args {
			if arg == "RUN" {
				args[i] = run
			}
		}
		said, _ := s.command(t, bulkSettings(temp, data), args...)
		if args[0] == "runs" {
			_, rest, _ := strings.Cut(said, `"run": "`)
			run, _, _ = strings.Cut(rest, `"`)
		}
		if args[0] != "map" && args[0] != "rebind" { // what an identity becomes; what the operator typed
			printed.WriteString(said)
		}
		search(t, "the output of "+strings.Join(args[:1], " "), said, hookKey, otherKey, clientSecret, mgmtSecret, adminToken, stateKey, logHashKey, passwordHash, "canary-odd-hash")
	}
	printed.WriteString(s.killedImport(t, bulkSettings(temp, data), append(slices.Clone(imported), "--results", file("killed"))))
	search(t, "the output", printed.String(), "canary", "Canary", lastIP)
	if got := bulktest.Files(t, temp); len(got) > 0 {
		t.Errorf("left in the directory for temporary files: %v", got)
	}
	checkBulkFiles(t, out)
	records := bulktest.Files(t, data) // of what was verified
	for _, name := range records {
		search(t, name, bulktest.ReadFile(t, filepath.Join(data, name)), "canary", "Canary", lastIP)
	}
	if len(records) == 0 {
		t.Error("the commands recorded nothing in FERRY_DATA_DIR")
	}
}

// checkBulkFiles searches the files that the commands have written: each names users only by
// what it is for.
func checkBulkFiles(t *testing.T, out string) {
	t.Helper()
	ids := []string{"auth0|canary"}
	allowed := map[string][]string{
		"results": ids, "findings": ids, "finish": ids, "unfinish": ids, "undo": ids, "killed": ids,
		"results.checkpoint": nil, "killed.checkpoint": nil,
		"stragglers": append([]string{"canary.", person}, ids...),
		"retry":      append([]string{"canary.", person, metadata, lastIP, passwordHash, "canary-odd-hash", "canary-nickname", `"canary`}, ids...), // rows as they came
	}
	if text := bulktest.ReadFile(t, filepath.Join(out, "undo")); !strings.Contains(text, "auth0|canary1\"") {
		t.Errorf("undo wrote %q", text)
	}
	for _, name := range bulktest.Files(t, out) {
		words, known := allowed[name]
		path := filepath.Join(out, name)
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || !known {
			t.Errorf("%s: %v, %v, expected %v", name, info.Mode(), err, known)
		}
		text := bulktest.ReadFile(t, path)
		for _, word := range words {
			text = strings.ReplaceAll(text, word, "")
		}
		search(t, name, text, "canary", "Canary", lastIP)
		delete(allowed, name)
	}
	if len(allowed) > 1 { // a killed run may have no results yet
		t.Errorf("not written: %v", allowed)
	}
}

// search fails the test if one of the words, in any form, is in a text.
func search(t *testing.T, place, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		for _, form := range forms(word) {
			if at := strings.Index(text, form); at >= 0 {
				t.Errorf("%q, as %q, is in %s: %.200q", word, form, place, text[max(0, at-100):])
			}
		}
	}
}

// killedImport returns what an import prints that is killed with SIGQUIT while it waits for
// Kratos.
func (s *stack) killedImport(t *testing.T, settings, args []string) string {
	t.Helper()
	var waits atomic.Int64
	release := make(chan struct{})
	hanging := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch { // a batch
			waits.Add(1)
			<-release
			return
		}
		s.answer(w, r)
	})
	s.hostile.Store(&hanging)
	defer s.hostile.Store(nil)
	defer close(release)
	var log process.Log
	p, err := process.Command{Path: built.Ferry(t), Args: args, Env: s.env(append(settings, "GOTRACEBACK=all")...), Output: &log}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.await(t, "a batch", func() bool { return waits.Load() > 0 || p.Exited() })
	if err := syscall.Kill(p.Pid(), syscall.SIGQUIT); err != nil {
		t.Fatalf("%v: %s", err, log.String())
	}
	<-p.Done()
	if !strings.Contains(log.String(), "SIGQUIT: quit") {
		t.Errorf("no stacks: %s", log.String())
	}
	return log.String()
}
