package remint_test

import (
	"context"
	"sync"
	"time"

	"ferry/state"
)

// memory is a store without a disk. It outlives the processes.
type memory struct {
	now func() time.Time

	mu     sync.Mutex
	values map[[32]byte]value
	uses   map[string]int
	fault  error // of every call
}

type value struct {
	text []byte
	ends time.Time
}

func (m *memory) Get(_ context.Context, key [32]byte) (text []byte, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[key]
	return v.text, ok && m.now().Before(v.ends), m.fault
}

func (m *memory) Put(_ context.Context, key [32]byte, text []byte, keep time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault == nil {
		m.values[key] = value{text, m.now().Add(keep)}
	}
	return m.fault
}

func (m *memory) Delete(_ context.Context, key [32]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.values, key)
	return m.fault
}

func (m *memory) CountUse(_ context.Context, id string, _ time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uses[id]++
	return m.fault
}

func (m *memory) Uses(context.Context) (map[string]state.RemintUse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	uses := map[string]state.RemintUse{}
	for id, n := range m.uses {
		uses[id] = state.RemintUse{Count: int64(n), Last: m.now()}
	}
	return uses, m.fault
}

// left returns how many values there are.
func (m *memory) left() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.values {
		if m.now().Before(v.ends) {
			n++
		}
	}
	return n
}
