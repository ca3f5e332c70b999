package main

import (
	"context"
	"testing"
)

// TestStopWaitsNoLongerThanItMay: what never returns is left behind.
func TestStopWaitsNoLongerThanItMay(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	if !within(ctx, func() {}) {
		t.Error("what returned was left behind")
	}
	hang := make(chan struct{})
	defer close(hang)
	cancel()
	if within(ctx, func() { <-hang }) {
		t.Error("what hangs returned")
	}
}
