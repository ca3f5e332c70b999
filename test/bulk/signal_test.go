package bulk

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestHangup: SIGHUP, sent when a terminal closes, ends an import cleanly, and ferry
// prints how to continue.
func TestHangup(t *testing.T) {
	// Under nohup this process ignores SIGHUP, and its children inherit that. Catching
	// the signal resets it for them.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(hangups) })
	arrived := make(chan struct{})
	kratos := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}))
	defer kratos.Close()
	x := newTenant(t, 20, 1)
	results := filepath.Join(t.TempDir(), "results")
	args := []string{"import", "--users", x.path("users.ndjson"), "--schema", x.path("identity.schema.json"), "--results", results}
	p, printed := start(t, []string{"FERRY_KRATOS_ADMIN_URL=" + kratos.URL}, args...)
	<-arrived
	if err := syscall.Kill(p.Pid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	says := printed.String()
	if !strings.Contains(says, "interrupted") || !strings.Contains(says, "hint: to continue where the run stopped, run the same command again: ferry "+strings.Join(args, " ")) || strings.Contains(says, "context canceled") {
		t.Errorf("it ends with %v and says\n%s", p.Err(), says)
	}
}
