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

// Memory stores state in the process, unencrypted. Run must be running, or unclaimed
// profiles are never dropped. It is safe for concurrent use. Only Put, Remember and Claim
// return errors, for invalid arguments.
type Memory struct {
	opts  Options
	hash  [32]byte
	began time.Time

	mu       sync.Mutex
	last     uint64 // number of the newest profile or lease
	handoffs map[string]*profile
	answers  *expiring
	claims   *expiring // without texts
}

type profile struct {
	handoff Handoff
	expires time.Time
	gen     string
	lease   string
	leased  time.Time // until
}

// NewMemory returns an empty Memory.
func NewMemory(opts Options) *Memory {
	m := &Memory{opts: opts.withDefaults(), handoffs: map[string]*profile{}, answers: newExpiring(), claims: newExpiring()}
	m.began = m.opts.Now()
	_, _ = rand.Read(m.hash[:]) // it never fails: crypto/rand ends the process first
	return m
}

// HashKey is the key with which callers hash the keys of Remember, Recall and Claim. It is
// random for each process.
func (m *Memory) HashKey() [32]byte { return m.hash }

// Put replaces the profile of h.IdentityID. It copies h.Claims.
func (m *Memory) Put(_ context.Context, h Handoff) error {
	if h.IdentityID == "" {
		return errNoIdentity
	}
	h.Claims = bytes.Clone(h.Claims)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handoffs[h.IdentityID] = &profile{handoff: h, expires: m.opts.Now().Add(m.opts.TTL), gen: m.number()}
	return nil
}

// Lease leases the profile of the identity and the flow. It is false if there is none, or
// if it is on lease.
func (m *Memory) Lease(_ context.Context, identityID, flowID string) (Lease, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.handoffs[identityID]
	if p == nil || !p.handoff.isFor(flowID) {
		return Lease{}, false, nil
	}
	now := m.opts.Now()
	if !now.Before(p.expires) || now.Before(p.leased) {
		return Lease{}, false, nil
	}
	p.lease, p.leased = m.number(), now.Add(LeaseTime)
	return Lease{Handoff: p.handoff, from: m, ticket: ticket{place: identityID, gen: p.gen, lease: p.lease}}, true, nil
}

func (m *Memory) done(_ context.Context, t ticket) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.handoffs[t.place]; p != nil && p.gen == t.gen {
		delete(m.handoffs, t.place)
	}
	return nil
}

func (m *Memory) release(_ context.Context, t ticket) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.handoffs[t.place]; p != nil && p.lease == t.lease {
		p.lease, p.leased = "", time.Time{}
	}
	return nil
}

// Remember stores the answer to a delivery for ttl. The last one wins.
func (m *Memory) Remember(_ context.Context, key [32]byte, text []byte, ttl time.Duration) error {
	if ttl <= 0 {
		return errTime
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers.set(key, text, m.elapsed()+ttl)
	return nil
}

// Recall returns the remembered answer.
func (m *Memory) Recall(_ context.Context, key [32]byte) (text []byte, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, ok = m.answers.get(key, m.elapsed())
	return bytes.Clone(text), ok, nil
}

// Claim is won by the first of those who claim the same key within ttl.
func (m *Memory) Claim(_ context.Context, key [32]byte, ttl time.Duration) (won bool, err error) {
	if ttl <= 0 {
		return false, errTime
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.elapsed()
	if _, ok := m.claims.get(key, now); ok {
		return false, nil
	}
	m.claims.set(key, nil, now+ttl)
	return true, nil
}

// Unclaim ends a claim before its time.
func (m *Memory) Unclaim(_ context.Context, key [32]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.claims.remove(key)
	return nil
}

// Run drops what has expired and reports unclaimed profiles to Options.Expired, until ctx
// ends.
func (m *Memory) Run(ctx context.Context) {
	every(ctx, m.opts.sweepEvery(), func() {
		for _, h := range m.sweep() {
			m.opts.Expired(h.IdentityID, h.Subject)
		}
	})
}

// sweep drops what has expired. A profile on lease may yet be Done.
func (m *Memory) sweep() (lost []Handoff) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.opts.Now()
	m.answers.drop(m.elapsed())
	m.claims.drop(m.elapsed())
	maps.DeleteFunc(m.handoffs, func(_ string, p *profile) bool {
		if now.Before(p.expires) || now.Before(p.leased) {
			return false
		}
		lost = append(lost, p.handoff)
		return true
	})
	return lost
}

// Close reports the remaining profiles to Options.Expired, for they are lost with the
// process. End Run by its context first.
func (m *Memory) Close() error {
	m.mu.Lock()
	left := slices.Collect(maps.Values(m.handoffs))
	clear(m.handoffs)
	m.mu.Unlock()
	for _, p := range left {
		m.opts.Expired(p.handoff.IdentityID, p.handoff.Subject)
	}
	return nil
}

// elapsed is the time since the store began.
func (m *Memory) elapsed() time.Duration { return m.opts.Now().Sub(m.began) }

func (m *Memory) number() string {
	m.last++
	return strconv.FormatUint(m.last, 10)
}
