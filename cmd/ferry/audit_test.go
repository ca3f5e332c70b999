package main

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/audit"
	"ferry/config"
	"ferry/mode"
	"ferry/test/bulktest"
)

// TestAuditOfCommands: a command that changes identities leaves an audit record, one that only
// looks leaves none.
func TestAuditOfCommands(t *testing.T) {
	kratos := bulktest.NewKratos(t)
	server := httptest.NewServer(kratos)
	t.Cleanup(server.Close)
	id := kratos.Add(bulktest.Pending("auth0|1", "kim@example.org"))
	path := filepath.Join(t.TempDir(), "audit.log")
	t.Setenv("FERRY_KRATOS_ADMIN_URL", server.URL)
	t.Setenv("FERRY_AUDIT_LOG", path)
	rebind := []string{"rebind", id, "--to", "auth0|2", "--reason", "r", "--by", "kim"}
	for _, args := range [][]string{
		{"status"}, {"undo", "--run", runID}, {"undo", "--run", runID, "--yes"}, rebind, rebind,
	} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), args, &stdout, &stderr); status != exitOK {
			t.Fatalf("%v: status %d: %s", args, status, stderr.String())
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	var last audit.Record
	for line := range strings.Lines(string(text)) {
		bulktest.Documented(t, "../../docs/audit.schema.json", line)
		last = audit.Record{}
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Fatal(err)
		}
		commands = append(commands, last.Command)
	}
	if !slices.Equal(commands, []string{"undo", "rebind"}) || last.IdentityID != id || last.Actor != (audit.Actor{Kind: audit.Operator, Name: "kim"}) || last.SubjectHash == "" || bytes.Contains(text, []byte("auth0|2")) {
		t.Errorf("%s", text)
	}

	t.Setenv("FERRY_AUDIT_LOG", t.TempDir())
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{"undo", "--run", runID, "--yes"}, &stdout, &stderr)
	if status != exitOK || !strings.Contains(stderr.String(), "this run is missing from the audit log: audit: open: not a regular file") {
		t.Errorf("status %d: %s", status, stderr.String())
	}
}

// TestHangUp: SIGHUP reads the mode file. One that rotates the audit log does not end what an
// operator has set: a ferry that was switched off stays off.
func TestHangUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "mode")
	if err := os.WriteFile(file, []byte("on\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]mode.Mode{"": mode.On, audit.Stdout: mode.On, filepath.Join(dir, "audit.log"): mode.Off} {
		s := &server{cfg: &config.Config{Mode: "on", ModeFile: file, Cohort: "all", AuditLog: path}, log: zap.NewNop()}
		var err error
		if s.audit, err = newAudit(s.cfg, s.log, prometheus.NewRegistry()); err != nil {
			t.Fatal(err)
		}
		if s.modes, err = newModes(s.cfg, nil, s.log, prometheus.NewRegistry()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.modes.Set(mode.Change{Mode: "off"}); err != nil {
			t.Fatal(err)
		}
		s.hangUp()
		if got := s.modes.Mode(); got != want {
			t.Errorf("audit log %q: the mode is %s, want %s", path, got, want)
		}
	}
}
