package kratostest

import "testing"

// Run boots Kratos for a test and stops it with the test. When the test fails,
// the end of what Kratos printed is in its log.
func Run(tb testing.TB, opts Options) *Kratos {
	tb.Helper()
	if opts.Progress == nil {
		opts.Progress = tb.Output()
	}
	k, err := Start(tb.Context(), opts)
	if err != nil {
		tb.Fatalf("boot kratos: %v", err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("kratos printed at last:\n%s", k.logs.Tail(20))
		}
		if err := k.Stop(); err != nil {
			tb.Errorf("stop kratos: %v", err)
		}
	})
	return k
}
