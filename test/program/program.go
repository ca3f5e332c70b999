// Package program builds the programs of nested modules that the tests and the demo run, such
// as Kratos: each once, into build/ at the repository's root.
package program

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"ferry/test/process"
)

const (
	buildLimit   = 20 * time.Minute // includes waiting for the builds of other processes
	progressTick = 10 * time.Second
	lockTick     = 250 * time.Millisecond
	stampVersion = "1" // increase it when the build command changes
)

// Program is a program of a nested module.
type Program struct {
	// Name is that of the program, and of its module's folder below test.
	Name string
	// Version is the version that the module requires.
	Version string
	// Package is the path of the program's main package.
	Package string
	// VersionVariable is the Go variable that the program prints as its version.
	VersionVariable string
	// BinaryVariable is the environment variable that chooses another program.
	BinaryVariable string
}

// Binary returns the path of the program to run: that of BinaryVariable if set, else it is
// built from the nested module into build/ at the repository's root. It is rebuilt when go.mod
// or go.sum of the module change. Processes that build wait for one another, whatever they
// build. The build needs go and a C compiler, and takes some minutes on a fresh machine;
// progress, if not nil, receives messages.
func (p Program) Binary(ctx context.Context, progress io.Writer) (string, error) {
	if progress == nil {
		progress = io.Discard
	}
	if path := os.Getenv(p.BinaryVariable); path != "" {
		return p.given(path)
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	b := builder{
		program:  p,
		module:   filepath.Join(root, "test", p.Name),
		target:   filepath.Join(root, "build", p.Name+"-"+p.Version),
		progress: progress,
		compile:  p.compile,
	}
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	return b.binary(ctx)
}

func (p Program) given(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.BinaryVariable, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.BinaryVariable, err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return "", fmt.Errorf("%s: %s is not an executable file", p.BinaryVariable, path)
	}
	return path, nil
}

// builder builds a program and rebuilds it when its module changes.
type builder struct {
	program  Program
	module   string // folder of the nested module
	target   string // the program; target.stamp lies beside it
	progress io.Writer
	compile  func(ctx context.Context, module, output string, progress io.Writer) error
}

func (b builder) binary(ctx context.Context) (string, error) {
	stamp, err := b.stamp()
	if err != nil {
		return "", err
	}
	if b.fresh(stamp) {
		return b.target, nil
	}
	if err := os.MkdirAll(filepath.Dir(b.target), 0o755); err != nil {
		return "", fmt.Errorf("make the build folder: %w", err)
	}
	unlock, err := b.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	if b.fresh(stamp) { // another process built it while this one waited
		return b.target, nil
	}
	if err := b.build(ctx, stamp); err != nil {
		return "", err
	}
	return b.target, nil
}

// lock is one for all programs: two compilers would only compete, and the second program finds
// in the build cache what both compile.
func (b builder) lock(ctx context.Context) (unlock func(), err error) {
	lock := flock.New(filepath.Join(filepath.Dir(b.target), "programs.lock"))
	locked, err := lock.TryLock()
	if err == nil && !locked {
		fmt.Fprintf(b.progress, "%s: another process is building, waiting\n", b.program.Name)
		locked, err = lock.TryLockContext(ctx, lockTick)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", lock.Path(), err), lock.Close())
	}
	if !locked {
		return nil, fmt.Errorf("lock %s: not acquired", lock.Path())
	}
	return func() { _ = lock.Close() }, nil
}

// build compiles to another file and renames it, so that a running program keeps its file.
func (b builder) build(ctx context.Context, stamp string) error {
	if err := os.Remove(b.stampPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the old stamp: %w", err)
	}
	fresh := b.target + ".new"
	defer func() { _ = os.Remove(fresh) }()
	if err := b.compile(ctx, b.module, fresh, b.progress); err != nil {
		return err
	}
	if err := os.Rename(fresh, b.target); err != nil {
		return fmt.Errorf("install the built %s: %w", b.program.Name, err)
	}
	if err := os.WriteFile(b.stampPath(), []byte(stamp), 0o600); err != nil {
		return fmt.Errorf("stamp the built %s: %w", b.program.Name, err)
	}
	return nil
}

func (b builder) fresh(stamp string) bool {
	if _, err := os.Stat(b.target); err != nil {
		return false
	}
	kept, err := os.ReadFile(b.stampPath())
	return err == nil && string(kept) == stamp
}

func (b builder) stampPath() string { return b.target + ".stamp" }

// stamp identifies the state of the module.
func (b builder) stamp() (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, stampVersion)
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(b.module, name))
		if err != nil {
			return "", fmt.Errorf("the module %s is built from: %w", b.program.Name, err)
		}
		fmt.Fprintf(hash, "%s %d\n%s", name, len(text), text)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// compile runs the go command. It sets every flag it depends on and clears the
// caller's settings.
func (p Program) compile(ctx context.Context, module, output string, progress io.Writer) error {
	env := append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=1", "GOOS=", "GOARCH=")
	goTool, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("building %s %s needs go, which is not in the PATH: install it, or set %s to the path of a %[1]s: %[4]w",
			p.Name, p.Version, p.BinaryVariable, err)
	}
	if err := p.findCompiler(ctx, goTool, module, env); err != nil {
		return err
	}
	fmt.Fprintf(progress, "%s: building %s into %s (some minutes the first time)\n", p.Name, p.Version, output)
	started := time.Now()
	stop := p.tick(progress, started)
	var log process.Log
	err = process.Command{
		Path: goTool,
		Args: []string{
			"build", "-C", module, "-mod=readonly", "-buildvcs=false", "-tags", "sqlite",
			"-ldflags", "-X " + p.VersionVariable + "=" + p.Version,
			"-o", output, p.Package,
		},
		Env:    env,
		Output: &log,
	}.Run(ctx)
	stop()
	if err != nil {
		return fmt.Errorf("build %s %s: %w\n%s", p.Name, p.Version, err, log.Tail(20))
	}
	fmt.Fprintf(progress, "%s: built in %s\n", p.Name, time.Since(started).Round(time.Second))
	return nil
}

// findCompiler reports a missing C compiler, which SQLite needs, before the build starts.
func (p Program) findCompiler(ctx context.Context, goTool, module string, env []string) error {
	var out process.Log
	if err := (process.Command{Path: goTool, Args: []string{"env", "-C", module, "CC"}, Env: env, Output: &out}).Run(ctx); err != nil {
		return fmt.Errorf("ask go for the C compiler: %w: %s", err, out.Tail(1))
	}
	fields := strings.Fields(out.String())
	if len(fields) == 0 {
		fields = []string{"gcc"}
	}
	if _, err := exec.LookPath(fields[0]); err != nil {
		return fmt.Errorf("building %s %s needs a C compiler for SQLite, and %s is not in the PATH: install gcc, or set %s to the path of a %[1]s: %[5]w",
			p.Name, p.Version, fields[0], p.BinaryVariable, err)
	}
	return nil
}

// tick prints the elapsed time until the returned function is called.
func (p Program) tick(progress io.Writer, started time.Time) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	ticker := time.NewTicker(progressTick)
	go func() {
		defer close(done)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				fmt.Fprintf(progress, "%s: still building, %s\n", p.Name, time.Since(started).Round(time.Second))
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}
