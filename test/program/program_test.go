package program

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ferry/test/process"
)

// newBuilder is a builder whose compiler writes "program 1", "program 2", ...
func newBuilder(t *testing.T) (builder, *atomic.Int32) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		write(t, filepath.Join(dir, name), name)
	}
	var calls atomic.Int32
	return builder{
		program:  Kratos(),
		module:   dir,
		target:   filepath.Join(dir, "build", "kratos"),
		progress: io.Discard,
		compile: func(_ context.Context, _, output string, _ io.Writer) error {
			text := "program " + string(rune('0'+calls.Add(1)))
			return os.WriteFile(output, []byte(text), 0o600)
		},
	}, &calls
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustBuild(t *testing.T, b builder, want string) {
	t.Helper()
	path, err := b.binary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBuildsAgainOnlyWhenTheModuleChanged(t *testing.T) {
	t.Parallel()
	b, calls := newBuilder(t)
	mustBuild(t, b, "program 1")
	mustBuild(t, b, "program 1")
	write(t, filepath.Join(b.module, "go.sum"), "changed")
	mustBuild(t, b, "program 2")
	write(t, filepath.Join(b.module, "go.mod"), "changed too")
	mustBuild(t, b, "program 3")
	if err := os.Remove(b.target); err != nil {
		t.Fatal(err)
	}
	mustBuild(t, b, "program 4")
	if calls.Load() != 4 {
		t.Errorf("compiled %d times", calls.Load())
	}
}

func TestBuildsOnceForAll(t *testing.T) {
	t.Parallel()
	b, calls := newBuilder(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := b.binary(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if calls.Load() != 1 {
		t.Errorf("compiled %d times", calls.Load())
	}
}

func TestFailedBuildIsForgotten(t *testing.T) {
	t.Parallel()
	b, _ := newBuilder(t)
	works := b.compile
	broken := errors.New("broken")
	b.compile = func(context.Context, string, string, io.Writer) error { return broken }
	if _, err := b.binary(t.Context()); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	b.compile = works
	mustBuild(t, b, "program 1")
}

func TestBuildSaysWhatIsMissing(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(root, "test", "kratos")
	refuses := func(t *testing.T, want string) {
		t.Helper()
		err := Kratos().compile(t.Context(), module, filepath.Join(t.TempDir(), "kratos"), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	t.Run("go", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		refuses(t, "needs go, which is not in the PATH: install it, or set KRATOS_BIN to the path of a kratos")
	})
	t.Run("C compiler", func(t *testing.T) {
		t.Setenv("CC", "no-such-compiler -x")
		refuses(t, "needs a C compiler for SQLite, and no-such-compiler is not in the PATH: install gcc, or set KRATOS_BIN to the path of a kratos")
	})
}

func TestGivenBinary(t *testing.T) {
	dir := t.TempDir()
	plain, program := filepath.Join(dir, "plain"), filepath.Join(dir, "program")
	write(t, plain, "")
	write(t, program, "")
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ given, want string }{
		"a program":  {program, ""},
		"no file":    {filepath.Join(dir, "none"), "KRATOS_BIN: stat "},
		"not to run": {plain, "is not an executable file"},
		"a folder":   {dir, "is not an executable file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(Kratos().BinaryVariable, c.given)
			path, err := Kratos().Binary(t.Context(), nil)
			switch {
			case c.want == "" && (err != nil || path != c.given):
				t.Errorf("got %q, %v", path, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestBuiltVersionIsTheModules(t *testing.T) {
	t.Parallel()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kratos", "hydra"} {
		p, ok := Find(name)
		if !ok {
			t.Fatalf("there is no program %s", name)
		}
		gomod, err := os.ReadFile(filepath.Join(root, "test", name, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(gomod), "\t"+p.Package+" "+p.Version+" ") {
			t.Errorf("test/%s/go.mod does not require %s %s", name, p.Package, p.Version)
		}
	}
}

// TestSQLiteIsBuiltOnce: both modules have the same SQLite, the longest step of the build.
func TestSQLiteIsBuiltOnce(t *testing.T) {
	t.Parallel()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kratos", "hydra"} {
		gomod, err := os.ReadFile(filepath.Join(root, "test", name, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(gomod), "github.com/mattn/go-sqlite3 v1.14.22") {
			t.Errorf("test/%s/go.mod has another SQLite", name)
		}
	}
}

// TestTick runs in a bubble, where time passes as soon as everybody waits.
func TestTick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log process.Log
		stop := Kratos().tick(&log, time.Now())
		<-time.After(2*progressTick + time.Second)
		stop()
		<-time.After(progressTick)
		if want := "kratos: still building, 10s\nkratos: still building, 20s\n"; log.String() != want {
			t.Errorf("printed %q, want %q", log.String(), want)
		}
	})
}
