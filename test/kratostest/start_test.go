package kratostest

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"ferry/test/process"
)

// TestStopLeavesNothing: no process, no folder, no open port, however often.
func TestStopLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	k, err := Start(t.Context(), Options{Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 2 {
		if err := k.Stop(); err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(began); took >= stopGrace {
		t.Errorf("stopping took %s: it had to be killed", took)
	}
	<-k.Done()
	if err := syscall.Kill(k.proc.Pid(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process is still there: %v", err)
	}
	if _, err := k.Version(t.Context()); err == nil {
		t.Error("it still answers")
	}
	mustBeEmpty(t, temp)
}

func mustBeEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Errorf("left behind: %s", entry.Name())
	}
}

func TestStopTellsOfACrash(t *testing.T) {
	t.Parallel()
	k, err := Start(t.Context(), Options{Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(k.proc.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-k.Done()
	for range 2 {
		if err := k.Stop(); err == nil || !strings.Contains(err.Error(), "kratos ended by itself: signal: killed") {
			t.Errorf("got %v", err)
		}
	}
}

// TestBrokenSetup: what Kratos says about it is in the error, and nothing stays.
func TestBrokenSetup(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	_, err := Start(t.Context(), Options{
		Progress: t.Output(),
		Edit: func(config map[string]any) {
			if err := replace(config, "selfservice.methods.password.config.migrate_hook.config.method", "PUT"); err != nil {
				t.Error(err)
			}
		},
	})
	if err == nil || !strings.Contains(err.Error(), "value must be") {
		t.Errorf("got %v", err)
	}
	mustBeEmpty(t, temp)
}

// TestStartsAgain keeps its folder, and finds its identities there.
func TestStartsAgain(t *testing.T) {
	t.Parallel()
	opts := Options{Dir: t.TempDir(), Progress: t.Output()}
	var id string
	for round := range 2 {
		k, err := Start(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			id = mustCreate(t, k, IdentitySpec{Traits: map[string]any{"email": "stays@example.org"}, Pending: true})
		} else if got := mustGet(t, k, id); !got.Pending {
			t.Errorf("got %+v", got)
		}
		if err := k.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// TestTakenPort: another program on a chosen port is noticed, even one that
// answers as a ready Kratos does.
func TestTakenPort(t *testing.T) {
	t.Parallel()
	other := Run(t, Options{})
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	free, err := freePorts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]ports{
		"by a stranger":     {public: free.public, admin: portOf(t, listener.Addr().String())},
		"by another kratos": {public: portOf(t, strings.TrimPrefix(other.PublicURL(), "http://")), admin: free.admin},
		"by its admin port": {public: free.public, admin: portOf(t, strings.TrimPrefix(other.AdminURL(), "http://"))},
	} {
		t.Run(name, func(t *testing.T) {
			b := boot{opts: Options{Dir: t.TempDir()}, logs: &process.Log{}}
			if err := b.prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := b.writeConfig(p); err != nil {
				t.Fatal(err)
			}
			if err := b.command("migrate", "sql", "-e", "--yes", "-c", b.file("kratos.yml")).Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := b.serve(t.Context(), p); !errors.Is(err, errPortTaken) {
				t.Errorf("got %v\n%s", err, b.logs.Tail(5))
			}
		})
	}
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return resolved.Port
}
