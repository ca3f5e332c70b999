package kratostest

import "testing"

// Run starts Kratos for a test and stops it when the test ends. If the test fails, the end
// of Kratos' output is logged.
func Run(tb testing.TB, opts Options) *Kratos {
	tb.Helper()
	if opts.Progress == nil {
		opts.Progress = tb.Output()
	}
	k, err := Start(tb.Context(), opts)
	if err != nil {
		tb.Fatalf("start kratos: %v", err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("end of kratos' output:\n%s", k.logs.Tail(20))
		}
		if err := k.Stop(); err != nil {
			tb.Errorf("stop kratos: %v", err)
		}
	})
	return k
}
