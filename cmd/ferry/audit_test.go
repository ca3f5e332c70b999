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

	"ferry/audit"
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
