package state

import (
	"bytes"
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Memory keeps state in the process, as it is: nothing is encrypted that does not
// leave. Run must be running, or what nobody comes for is never dropped. It is safe
// for concurrent use; no method but Keep, Remember and Claim, given nonsense, ever fails.
type Memory struct {
	opts Options
	hash [32]byte

	mu      sync.Mutex
	last    uint64 // of the numbers that tell profiles and leases
	kept    map[string]*profile
	answers map[[32]byte]answer
	claims  map[[32]byte]time.Time // when it ends
}

type profile struct {
	kept    Kept
	expires time.Time
	gen     string
	lease   string
	leased  time.Time // until
}

type answer struct {
	text    []byte
	expires time.Time
}

// NewMemory makes an empty Memory.
func NewMemory(opts Options) *Memory {
	m := &Memory{
		opts:    opts.withDefaults(),
		kept:    map[string]*profile{},
		answers: map[[32]byte]answer{},
		claims:  map[[32]byte]time.Time{},
	}
	_, _ = rand.Read(m.hash[:]) // it never fails: crypto/rand ends the process first
	return m
}

// HashKey is the key with which callers hash what they Remember, Recall and Claim:
// this process' own, made at random.
func (m *Memory) HashKey() [32]byte { return m.hash }

// Keep replaces what was kept for k.IdentityID. k.Claims are copied.
func (m *Memory) Keep(_ context.Context, k Kept) error {
	if k.IdentityID == "" {
		return errNoIdentity
	}
	k.Claims = bytes.Clone(k.Claims)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept[k.IdentityID] = &profile{kept: k, expires: m.opts.Now().Add(m.opts.TTL), gen: m.number()}
	return nil
}

// Take gives the profile that is kept for the identity and the flow, on lease, where
// there is one and nobody has it.
func (m *Memory) Take(_ context.Context, identityID, flowID string) (Lease, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.kept[identityID]
	if p == nil || !p.kept.isFor(flowID) {
		return Lease{}, false, nil
	}
	now := m.opts.Now()
	if !now.Before(p.expires) || now.Before(p.leased) {
		return Lease{}, false, nil
	}
	p.lease, p.leased = m.number(), now.Add(LeaseTime)
	return Lease{Kept: p.kept, from: m, ticket: ticket{place: identityID, gen: p.gen, lease: p.lease}}, true, nil
}

func (m *Memory) done(_ context.Context, t ticket) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.kept[t.place]; p != nil && p.gen == t.gen {
		delete(m.kept, t.place)
	}
	return nil
}

func (m *Memory) release(_ context.Context, t ticket) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.kept[t.place]; p != nil && p.lease == t.lease {
		p.lease, p.leased = "", time.Time{}
	}
	return nil
}

// Remember keeps the answer to a delivery for ttl. The last one counts.
func (m *Memory) Remember(_ context.Context, key [32]byte, text []byte, ttl time.Duration) error {
	if ttl <= 0 {
		return errTime
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers[key] = answer{bytes.Clone(text), m.opts.Now().Add(ttl)}
	return nil
}

// Recall gives the answer that was remembered.
func (m *Memory) Recall(_ context.Context, key [32]byte) (text []byte, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.answers[key]
	if !ok || !m.opts.Now().Before(a.expires) {
		return nil, false, nil
	}
	return bytes.Clone(a.text), true, nil
}

// Claim is won by the first of those who claim the same key within ttl.
func (m *Memory) Claim(_ context.Context, key [32]byte, ttl time.Duration) (won bool, err error) {
	if ttl <= 0 {
		return false, errTime
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.opts.Now()
	if ends, ok := m.claims[key]; ok && now.Before(ends) {
		return false, nil
	}
	m.claims[key] = now.Add(ttl)
	return true, nil
}

// Unclaim ends a claim before its time.
func (m *Memory) Unclaim(_ context.Context, key [32]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.claims, key)
	return nil
}

// Run drops what has expired, and tells Options.Expired of profiles that nobody came
// for, until ctx ends.
func (m *Memory) Run(ctx context.Context) {
	every(ctx, m.opts.sweepEvery(), func() {
		for _, k := range m.sweep() {
			m.opts.Expired(k.IdentityID, k.Subject)
		}
	})
}

// sweep drops what has expired. A profile on lease may yet be Done.
func (m *Memory) sweep() (lost []Kept) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.opts.Now()
	maps.DeleteFunc(m.answers, func(_ [32]byte, a answer) bool { return !now.Before(a.expires) })
	maps.DeleteFunc(m.claims, func(_ [32]byte, ends time.Time) bool { return !now.Before(ends) })
	maps.DeleteFunc(m.kept, func(_ string, p *profile) bool {
		if now.Before(p.expires) || now.Before(p.leased) {
			return false
		}
		lost = append(lost, p.kept)
		return true
	})
	return lost
}

// Ping is always well.
func (*Memory) Ping(context.Context) error { return nil }

// Close tells Options.Expired of the profiles that are still there, for they end with
// the process. End Run by its context first.
func (m *Memory) Close() error {
	m.mu.Lock()
	left := slices.Collect(maps.Values(m.kept))
	clear(m.kept)
	m.mu.Unlock()
	for _, p := range left {
		m.opts.Expired(p.kept.IdentityID, p.kept.Subject)
	}
	return nil
}

func (m *Memory) number() string {
	m.last++
	return strconv.FormatUint(m.last, 10)
}
