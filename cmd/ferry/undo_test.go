package main

import (
	"bytes"
	"strings"
	"testing"
)

const runID = "5f0c41c8-7c1b-4b44-8f0e-1c1d1f1a0001"

// TestUndoUsage: undo needs the id of a run, and an id that no identity records is not a
// failure: the run may be undone already.
func TestUndoUsage(t *testing.T) {
	listing(t, oneIdentity(1, pendingConfig, `{"user_id":"auth0|1"}`))
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"no run":       {nil, exitUsage, "name the run of the import: --run ID"},
		"no id":        {[]string{"--run", "results.ndjson"}, exitUsage, "`ferry runs` lists the ids"},
		"an argument":  {[]string{runID}, exitUsage, "unknown command"},
		"unknown run":  {[]string{"--run", runID, "--yes"}, exitOK, "no identity records this run"},
		"as JSON":      {[]string{"--run", runID, "--json"}, exitOK, "dry run"},
		"no directory": {[]string{"--run", runID, "--results", t.TempDir() + "/no/file"}, exitFailed, "open results"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), append([]string{"undo"}, c.args...), &stdout, &stderr)
			if status != c.status || !strings.Contains(stderr.String(), c.says) || (stdout.Len() > 0) != (name == "as JSON") {
				t.Errorf("status %d: %s%s", status, stdout.String(), stderr.String())
			}
		})
	}
}

// TestRuns: the runs are printed for people and for programs, and a Kratos that does not
// answer is a failure.
func TestRuns(t *testing.T) {
	listing(t,
		oneIdentity(1, pendingConfig, `{"user_id":"auth0|1","import":{"run":"`+runID+`","at":"2026-11-21T19:49:00Z","as":"created_pending"}}`),
		oneIdentity(2, pendingConfig, `{"user_id":"auth0|2"}`))
	for _, c := range []struct {
		args []string
		says []string
	}{
		{nil, []string{"2 identities in Kratos, 1 of them record no run", runID, "1 pending"}},
		{[]string{"--json"}, []string{`"others": 1`, `"run": "` + runID + `"`, `"pending": 1`}},
	} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), append([]string{"runs"}, c.args...), &stdout, &stderr); status != exitOK {
			t.Errorf("status %d: %s", status, stderr.String())
		}
		for _, text := range c.says {
			if !strings.Contains(stdout.String(), text) {
				t.Errorf("it does not print %q: %s", text, stdout.String())
			}
		}
	}
	listing(t)
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"runs"}, &stdout, &stderr); status != exitFailed || stdout.Len() > 0 || !strings.Contains(stderr.String(), "FERRY_KRATOS_ADMIN_TOKEN") {
		t.Errorf("status %d: %s", status, stderr.String())
	}
}
