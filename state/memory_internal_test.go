package state

import (
	"testing"
	"time"
)

// TestMemoryDropsExpired: expired outcomes and claims take no memory.
func TestMemoryDropsExpired(t *testing.T) {
	now := time.Now()
	m := NewMemory(Options{Now: func() time.Time { return now }})
	for i := range 100 {
		key := [32]byte{byte(i)}
		if err := m.Remember(t.Context(), key, []byte("text"), time.Minute); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Claim(t.Context(), key, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(time.Minute)
	m.sweep()
	if len(m.answers.places)+len(m.answers.chunks)+len(m.claims.places)+len(m.claims.chunks) != 0 {
		t.Errorf("%d answers and %d claims are left", len(m.answers.places), len(m.claims.places))
	}
}
