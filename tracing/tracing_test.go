package tracing_test

import (
	"errors"
	"testing"

	"ferry/tracing"
)

// TestOffCostsNothing: without a span in the context, no function allocates.
func TestOffCostsNothing(t *testing.T) {
	ctx, err := t.Context(), errors.New("fault")
	allocated := testing.AllocsPerRun(100, func() {
		step, span := tracing.Start(ctx, "step")
		tracing.Ended(span, "match", "reason")
		tracing.User(span, "hash")
		tracing.Failed(span, err)
		tracing.Link(step, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		if traceID, _ := tracing.IDs(step); traceID != "" || tracing.Parent(step) != "" {
			t.Error("there is a trace")
		}
		span.End()
		_, span = tracing.StartRedis(ctx, "claim")
		span.End()
		_, span = tracing.StartLinked(ctx, "later")
		span.End()
	})
	if allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}
