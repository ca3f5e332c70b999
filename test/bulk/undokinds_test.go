package bulk

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"ferry/test/kratostest"
)

// TestUndoKinds: of whatever kind the identities are that an import creates, they are as it
// left them until someone uses them.
func TestUndoKinds(t *testing.T) {
	passwordless := filepath.Join(t.TempDir(), "users.ndjson")
	if err := os.WriteFile(passwordless, []byte(codeUsers), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		users   string
		options kratostest.Options
	}{
		"hashes of every form": {hashedUsers(t, append(hashedRows(), unusableRows()...)), kratostest.Options{}},
		"passwordless, social": {passwordless, kratostest.Options{Schema: []byte(codeSchema)}},
	} {
		t.Run(name, func(t *testing.T) {
			k := kratostest.Run(t, c.options)
			ferry(t, adminURL(k), "import", "--users", c.users, "--provider", "github=github")
			all := len(everybody(t, k))
			runs := listRuns(t, adminURL(k))
			if all < 4 || len(runs) != 1 || runs[0].Identities != all {
				t.Fatalf("%d identities, of the runs %+v", all, runs)
			}
			ferry(t, adminURL(k), "undo", "--run", runs[0].Run, "--yes").want(t, 0, fmt.Sprintf("%d deleted", all), "the run is undone")
			if left := everybody(t, k); len(left) != 0 {
				t.Errorf("these are left: %v", left)
			}
		})
	}
}
