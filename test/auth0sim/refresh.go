package auth0sim

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// scopeOffline asks for a refresh token (OpenID Connect Core, 11).
const scopeOffline = "offline_access"

// RefreshPolicy is how the refresh tokens of an application live: its refresh_token settings.
type RefreshPolicy struct {
	// Rotation replaces a token at each use. A use of a replaced token then revokes all tokens
	// of its family. Without it, a token stays valid and answers contain no other.
	Rotation bool `json:"rotation,omitempty"`
	// LeewaySeconds is how long the token replaced last can still be used.
	LeewaySeconds int `json:"leeway,omitempty"`
	// LifetimeSeconds count from the login, over all rotations; 0 is unlimited.
	LifetimeSeconds int `json:"token_lifetime,omitempty"`
	// IdleSeconds count from the last use; 0 is unlimited.
	IdleSeconds int `json:"idle_token_lifetime,omitempty"`
}

// RefreshState is whether a refresh token can be used.
type RefreshState string

// The states of refresh tokens.
const (
	RefreshActive  RefreshState = "active"
	RefreshRotated RefreshState = "rotated" // a successor was issued
	RefreshExpired RefreshState = "expired"
	RefreshRevoked RefreshState = "revoked" // also by a reuse
)

// RefreshToken is a refresh token of a user for an application.
type RefreshToken struct {
	Token    string `json:"token,omitempty"` // empty gets a new one
	UserID   string `json:"user_id"`
	ClientID string `json:"client_id"`
	// Scope is what was granted; empty is openid, profile, email and offline_access.
	Scope string `json:"scope,omitempty"`
	// Audience is the identifier of an API; empty is none.
	Audience string `json:"audience,omitempty"`
	// IssuedAt is the time of the login, and UsedAt that of the last use; both are now if not
	// set.
	IssuedAt time.Time `json:"issued_at,omitzero"`
	UsedAt   time.Time `json:"used_at,omitzero"`

	// What follows is set by the simulator. Family is common to a token and its successors,
	// and Redeemed counts how often the token gave other tokens.
	Family   string       `json:"family,omitempty"`
	State    RefreshState `json:"state,omitempty"`
	Redeemed int          `json:"redeemed,omitempty"`
}

// refreshFamily is a login and the refresh tokens that come from it.
type refreshFamily struct {
	id, userID, clientID string
	audience             string
	scopes               []string
	issued, used         time.Time
	revoked, expired     bool
}

// state is that of the family's tokens that are not rotated.
func (f *refreshFamily) state(p RefreshPolicy, now time.Time) RefreshState {
	over := func(since time.Time, life int) bool { return life > 0 && !now.Before(since.Add(seconds(life))) }
	switch {
	case f.revoked:
		return RefreshRevoked
	case f.expired || over(f.issued, p.LifetimeSeconds) || over(f.used, p.IdleSeconds):
		return RefreshExpired
	}
	return RefreshActive
}

// refreshEntry is one refresh token.
type refreshEntry struct {
	family   *refreshFamily
	seq      int       // the order of issue
	replaced time.Time // zero: it is not
	// outdated: a successor was replaced too, so that the leeway is over.
	outdated bool
	parent   *refreshEntry
	redeemed int
}

// refreshStore holds the refresh tokens.
type refreshStore struct {
	mu     sync.Mutex
	tokens map[string]*refreshEntry
	seq    int
	seeded []RefreshToken // of the tenant: they survive a reset
}

func newRefreshStore() *refreshStore { return &refreshStore{tokens: map[string]*refreshEntry{}} }

// seed replaces all tokens.
func (r *refreshStore) seed(tokens []RefreshToken) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seeded = slices.Clone(tokens)
	r.restore()
}

// reset forgets all tokens but the seeded ones, which are as they were.
func (r *refreshStore) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.restore()
}

func (r *refreshStore) restore() {
	r.tokens, r.seq = map[string]*refreshEntry{}, 0
	for _, one := range r.seeded {
		r.add(one)
	}
}

// add stores a complete token. The caller holds the lock.
func (r *refreshStore) add(t RefreshToken) {
	r.put(t.Token, &refreshEntry{family: &refreshFamily{
		id: t.Family, userID: t.UserID, clientID: t.ClientID, audience: t.Audience, scopes: strings.Fields(t.Scope),
		issued: t.IssuedAt, used: t.UsedAt,
	}})
}

func (r *refreshStore) put(token string, entry *refreshEntry) {
	r.seq++
	entry.seq = r.seq
	r.tokens[token] = entry
}

// issue returns the first token of a new family.
func (r *refreshStore) issue(family *refreshFamily) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	family.id = rand.Text()
	token := newRefreshToken()
	r.put(token, &refreshEntry{family: family})
	return token
}

func newRefreshToken() string { return "v1." + rand.Text() + rand.Text() }

// family returns a copy of the family of a token.
func (r *refreshStore) family(token string) (refreshFamily, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	entry, ok := r.tokens[token]
	if !ok {
		return refreshFamily{}, false
	}
	return *entry.family, true
}

// redeem uses a token of the application, and returns its family and, with rotation, its
// successor. It asks admit before it spends the token. A replaced token that is used after the
// leeway revokes its family.
func (r *refreshStore) redeem(token string, app *application, now time.Time, admit func(refreshFamily) bool) (family refreshFamily, successor string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	entry, known := r.tokens[token]
	if !known || entry.family.clientID != app.ClientID {
		return refreshFamily{}, "", false
	}
	policy := app.RefreshTokens
	if entry.family.state(policy, now) != RefreshActive {
		return refreshFamily{}, "", false
	}
	if policy.Rotation && !entry.replaced.IsZero() && (entry.outdated || !now.Before(entry.replaced.Add(seconds(policy.LeewaySeconds)))) {
		entry.family.revoked = true
		return refreshFamily{}, "", false
	}
	if !admit(*entry.family) {
		return refreshFamily{}, "", false
	}
	entry.redeemed++
	entry.family.used = now
	if !policy.Rotation {
		return *entry.family, "", true
	}
	if entry.replaced.IsZero() {
		entry.replaced = now
	}
	if entry.parent != nil {
		entry.parent.outdated = true
	}
	successor = newRefreshToken()
	r.put(successor, &refreshEntry{family: entry.family, parent: entry})
	return *entry.family, successor, true
}

// change changes the family of a token.
func (r *refreshStore) change(token string, change func(*refreshFamily)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	entry, ok := r.tokens[token]
	if ok {
		change(entry.family)
	}
	return ok
}

// list returns all tokens in the order of their issue.
func (r *refreshStore) list(policy func(clientID string) RefreshPolicy, now time.Time) []RefreshToken {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(r.tokens), func(a, b string) int { return cmp.Compare(r.tokens[a].seq, r.tokens[b].seq) })
	list := []RefreshToken{}
	for _, key := range keys {
		entry := r.tokens[key]
		f := entry.family
		one := RefreshToken{
			Token: key, UserID: f.userID, ClientID: f.clientID, Scope: strings.Join(f.scopes, " "), Audience: f.audience,
			IssuedAt: f.issued, UsedAt: f.used, Family: f.id, State: f.state(policy(f.clientID), now), Redeemed: entry.redeemed,
		}
		if one.State == RefreshActive && !entry.replaced.IsZero() {
			one.State = RefreshRotated
		}
		list = append(list, one)
	}
	return list
}

// completeRefreshToken checks a token that is declared and fills in what is empty.
func (s *Server) completeRefreshToken(t RefreshToken) (RefreshToken, error) {
	app, ok := s.dir.app(t.ClientID)
	if !ok {
		return t, fmt.Errorf("refresh token: no such application: %q", t.ClientID)
	}
	if !slices.Contains(app.GrantTypes, GrantRefreshToken) {
		return t, fmt.Errorf("refresh token: application %q lacks the grant %s", t.ClientID, GrantRefreshToken)
	}
	if _, ok := s.User(t.UserID); !ok {
		return t, fmt.Errorf("refresh token: no such user: %q", t.UserID)
	}
	if _, ok := s.dir.api(t.Audience); t.Audience != "" && !ok {
		return t, fmt.Errorf("refresh token: no such API: %q", t.Audience)
	}
	t.Token = orElse(t.Token, newRefreshToken())
	t.Scope = orElse(t.Scope, "openid profile email "+scopeOffline)
	if t.IssuedAt.IsZero() {
		t.IssuedAt = s.Now()
	}
	if t.UsedAt.IsZero() {
		t.UsedAt = s.Now()
	}
	t.Family, t.State, t.Redeemed = rand.Text(), RefreshActive, 0
	return t, nil
}

// seedRefreshTokens replaces all refresh tokens by those of a tenant.
func (s *Server) seedRefreshTokens(tokens []RefreshToken) error {
	complete := make([]RefreshToken, 0, len(tokens))
	for _, one := range tokens {
		one, err := s.completeRefreshToken(one)
		if err != nil {
			return err
		}
		complete = append(complete, one)
	}
	s.refresh.seed(complete)
	return nil
}

// AddRefreshToken adds a refresh token and returns it as stored. A reset forgets it, unlike those
// of the [Tenant].
func (s *Server) AddRefreshToken(t RefreshToken) (RefreshToken, error) {
	t, err := s.completeRefreshToken(t)
	if err != nil {
		return RefreshToken{}, fmt.Errorf("auth0sim: %w", err)
	}
	s.refresh.mu.Lock()
	defer s.refresh.mu.Unlock()
	if _, taken := s.refresh.tokens[t.Token]; taken {
		return RefreshToken{}, fmt.Errorf("auth0sim: refresh token of %q for %q: exists already", t.UserID, t.ClientID)
	}
	s.refresh.add(t)
	return t, nil
}

// RefreshTokens returns all refresh tokens in the order of their issue.
func (s *Server) RefreshTokens() []RefreshToken {
	return s.refresh.list(func(clientID string) RefreshPolicy {
		if app, ok := s.dir.app(clientID); ok {
			return app.RefreshTokens
		}
		return RefreshPolicy{}
	}, s.Now())
}

// RevokeRefreshToken revokes a refresh token and all others of its family.
func (s *Server) RevokeRefreshToken(token string) error {
	return s.changeRefreshToken(token, func(f *refreshFamily) { f.revoked = true })
}

// ExpireRefreshToken ends the lifetime of a refresh token and of all others of its family.
func (s *Server) ExpireRefreshToken(token string) error {
	return s.changeRefreshToken(token, func(f *refreshFamily) { f.expired = true })
}

func (s *Server) changeRefreshToken(token string, change func(*refreshFamily)) error {
	if !s.refresh.change(token, change) {
		return fmt.Errorf("auth0sim: refresh token: %w", ErrNotFound)
	}
	return nil
}
