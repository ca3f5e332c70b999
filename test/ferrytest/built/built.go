// Package built gives the tests of a package the program ferry, built once from the
// sources under test.
package built

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// variable holds the path at which Ferry builds the program.
const variable = "FERRYTEST_BUILT"

// raceVariable, if set, makes Ferry build the program with the race detector.
const raceVariable = "FERRY_TEST_RACE"

// Main is for the TestMain of a package whose tests use Ferry. It ends the process,
// and fails if the tests leave goroutines behind, unless opts except them.
func Main(m *testing.M, opts ...goleak.Option) {
	dir, err := os.MkdirTemp("", "ferry-built-")
	if err == nil {
		err = os.Setenv(variable, filepath.Join(dir, "ferry"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:revive // it stands for TestMain
	}
	goleak.VerifyTestMain(m, append(opts, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code) //nolint:revive // goleak asks for it
	}))...)
}

var build = sync.OnceValue(func() error { //nolint:gochecknoglobals // one build for all the tests of the process
	args := []string{"build", "-o", os.Getenv(variable)}
	if os.Getenv(raceVariable) != "" {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(context.Background(), "go", append(args, "ferry/cmd/ferry")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build ferry: %w\n%s", err, out)
	}
	return nil
})

// Ferry returns the program's path. The first call builds it.
func Ferry(tb testing.TB) string {
	tb.Helper()
	if err := build(); err != nil {
		tb.Fatal(err)
	}
	return os.Getenv(variable)
}
