package kratostest

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
	// BinaryVariable names the environment variable that chooses another Kratos.
	BinaryVariable = "KRATOS_BIN"

	// builtVersion is the Kratos that test/kratos/go.mod requires.
	builtVersion = "v1.3.1"

	buildLimit   = 20 * time.Minute
	progressTick = 10 * time.Second
	lockTick     = 250 * time.Millisecond
	stampVersion = "1" // increase it when the build command changes
)

// Binary returns the path of a Kratos to run: KRATOS_BIN if set, else v1.3.1, built from the
// nested module test/kratos into build/ at the repository's root. It is rebuilt when
// test/kratos/go.mod or go.sum change; concurrent processes wait for one another. The build
// needs go and a C compiler, and takes some minutes on a fresh machine; progress, if not
// nil, receives messages.
func Binary(ctx context.Context, progress io.Writer) (string, error) {
	if progress == nil {
		progress = io.Discard
	}
	if path := os.Getenv(BinaryVariable); path != "" {
		return givenBinary(path)
	}
	root, err := repoRoot()
	if err != nil {
		return "", err
	}
	b := builder{
		module:   filepath.Join(root, "test", "kratos"),
		target:   filepath.Join(root, "build", "kratos-"+builtVersion),
		progress: progress,
		compile:  compileKratos,
	}
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	return b.binary(ctx)
}

func givenBinary(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", BinaryVariable, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", BinaryVariable, err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return "", fmt.Errorf("%s: %s is not an executable file", BinaryVariable, path)
	}
	return path, nil
}

// builder builds a program and rebuilds it when its module changes.
type builder struct {
	module   string // folder of the nested module
	target   string // the program; target.lock and target.stamp lie beside it
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

func (b builder) lock(ctx context.Context) (unlock func(), err error) {
	lock := flock.New(b.target + ".lock")
	locked, err := lock.TryLock()
	if err == nil && !locked {
		fmt.Fprintf(b.progress, "kratos: another process is building it, waiting\n")
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

// build compiles to another file and renames it, so that a running Kratos keeps its file.
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
		return fmt.Errorf("install the built kratos: %w", err)
	}
	if err := os.WriteFile(b.stampPath(), []byte(stamp), 0o600); err != nil {
		return fmt.Errorf("stamp the built kratos: %w", err)
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
			return "", fmt.Errorf("the module kratos is built from: %w", err)
		}
		fmt.Fprintf(hash, "%s %d\n%s", name, len(text), text)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// compileKratos runs the go command. It sets every flag it depends on and clears the
// caller's settings.
func compileKratos(ctx context.Context, module, output string, progress io.Writer) error {
	env := append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=1", "GOOS=", "GOARCH=")
	goTool, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("building kratos %s needs go, which is not in the PATH: install it, or set %s to the path of a kratos: %w",
			builtVersion, BinaryVariable, err)
	}
	if err := findCompiler(ctx, goTool, module, env); err != nil {
		return err
	}
	fmt.Fprintf(progress, "kratos: building %s into %s (some minutes the first time)\n", builtVersion, output)
	started := time.Now()
	stop := tick(progress, started)
	var log process.Log
	err = process.Command{
		Path: goTool,
		Args: []string{
			"build", "-C", module, "-mod=readonly", "-buildvcs=false", "-tags", "sqlite",
			"-ldflags", "-X github.com/ory/kratos/driver/config.Version=" + builtVersion,
			"-o", output, "github.com/ory/kratos",
		},
		Env:    env,
		Output: &log,
	}.Run(ctx)
	stop()
	if err != nil {
		return fmt.Errorf("build kratos %s: %w\n%s", builtVersion, err, log.Tail(20))
	}
	fmt.Fprintf(progress, "kratos: built in %s\n", time.Since(started).Round(time.Second))
	return nil
}

// findCompiler reports a missing C compiler, which SQLite needs, before the build starts.
func findCompiler(ctx context.Context, goTool, module string, env []string) error {
	var out process.Log
	if err := (process.Command{Path: goTool, Args: []string{"env", "-C", module, "CC"}, Env: env, Output: &out}).Run(ctx); err != nil {
		return fmt.Errorf("ask go for the C compiler: %w: %s", err, out.Tail(1))
	}
	fields := strings.Fields(out.String())
	if len(fields) == 0 {
		fields = []string{"gcc"}
	}
	if _, err := exec.LookPath(fields[0]); err != nil {
		return fmt.Errorf("building kratos %s needs a C compiler for SQLite, and %s is not in the PATH: install gcc, or set %s to the path of a kratos: %w",
			builtVersion, fields[0], BinaryVariable, err)
	}
	return nil
}

// tick prints the elapsed time until the returned function is called.
func tick(progress io.Writer, started time.Time) (stop func()) {
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
				fmt.Fprintf(progress, "kratos: still building, %s\n", time.Since(started).Round(time.Second))
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}
