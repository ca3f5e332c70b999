package doctor

import (
	"strings"
	"testing"
)

// TestPrintColumns: details begin in one column, however long a name is.
func TestPrintColumns(t *testing.T) {
	long := "management.id_token_algorithm_and_more"
	report := Report{Checks: []Check{
		{Name: "settings", Status: OK, Detail: "DETAIL"}, {Name: long, Status: Fail, Detail: "DETAIL", Fix: "FIX"},
	}}
	var text strings.Builder
	if err := report.Print(&text); err != nil {
		t.Fatal(err)
	}
	want := len("FAIL  ") + len(long) + len("  ")
	for line := range strings.Lines(text.String()) {
		if at := strings.Index(line, "DETAIL"); at >= 0 && at != want {
			t.Errorf("at %d, not %d: %s", at, want, line)
		}
		if at := strings.Index(line, "-> FIX"); at >= 0 && at != want {
			t.Errorf("at %d, not %d: %s", at, want, line)
		}
	}
}
