package undo

import (
	"os"
	"strings"
	"testing"

	"ferry/bulk/results"
)

// TestDocs: docs/undo.md explains every reason.
func TestDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/undo.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range []string{
		reasonMigrated, reasonPasswordSet, reasonSession, reasonFinished, reasonRebound, reasonChanged, reasonOtherRun, reasonUnknown,
		reasonGone, results.ReasonKratos,
	} {
		if !strings.Contains(string(page), "`"+reason+"`") {
			t.Errorf("docs/undo.md does not say what %s is", reason)
		}
	}
}
