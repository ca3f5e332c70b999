package faults

import (
	"testing"
	"time"
)

const (
	longHang  = 6 * time.Second // longer than ferry waits for any answer
	shortHang = 500 * time.Millisecond
)

// TestHops breaks each hop in each way, and repairs it.
func TestHops(t *testing.T) {
	s := start(t)
	for _, h := range s.hops() {
		hang := longHang
		if h == s.toFerry {
			hang = shortHang // Kratos waits for half a minute, three times
		}
		for _, f := range hopFaults(hang) {
			t.Run(h.name+": "+f.name, func(t *testing.T) {
				if err := h.breaks(f); err != nil {
					t.Fatal(err)
				}
				// Without Redis a login goes on as if there were none.
				passes := f.passes || h == s.toRedis || h == s.toFerry && f.late
				testFault(t, s, passes, func() {
					if err := h.heals(); err != nil {
						t.Fatal(err)
					}
				})
			})
		}
	}
}

// testFault lets two users log in during a fault, one by the right and one by a wrong
// password, and again after it.
func testFault(t *testing.T, s *stack, passes bool, heals func()) {
	t.Helper()
	ctx := bounded(t)
	right, err := s.person(ctx)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := s.person(ctx)
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error, 2)
	go func() {
		in, err := s.login(ctx, right)
		if err == nil && in != passes {
			t.Errorf("logged in: %t, want %t", in, passes)
		}
		results <- err
	}()
	go func() { results <- s.loginWrong(ctx, wrong) }()
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	heals()
	for _, p := range []*person{right, wrong} {
		if err := s.recovers(ctx, p); err != nil {
			t.Error(err)
		}
	}
}
