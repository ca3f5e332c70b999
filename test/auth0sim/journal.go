package auth0sim

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Request is a request to the token endpoint and its result. It contains no secret: only
// the SHA-256 hash of the password is kept.
type Request struct {
	// Seq counts token requests from 1, since the start or the last reset.
	Seq    int       `json:"seq"`
	At     time.Time `json:"at"` // by the tenant's clock
	Method string    `json:"method"`
	Path   string    `json:"path"`
	// ContentType is the unchanged header.
	ContentType string `json:"content_type"`
	// Parameters are the names of all parameters, sorted.
	Parameters []string `json:"parameters"`
	GrantType  string   `json:"grant_type"`
	Realm      string   `json:"realm,omitempty"`
	Username   string   `json:"username"`
	Scope      string   `json:"scope,omitempty"`
	Audience   string   `json:"audience,omitempty"`
	ClientID   string   `json:"client_id"`
	// ClientAuth is how the client tried to authenticate: one of the Auth
	// constants, or two joined by "+".
	ClientAuth string `json:"client_auth"`
	// Header is everything but credentials: Authorization keeps its scheme.
	Header http.Header `json:"header"`
	// ForwardedFor is the unchanged auth0-forwarded-for header.
	ForwardedFor string `json:"forwarded_for,omitempty"`
	// EffectiveIP is the address that failures were counted against.
	EffectiveIP string `json:"effective_ip,omitempty"`
	// PasswordSHA256 is the hash of the password's bytes, in hex; empty when
	// there was none.
	PasswordSHA256 string `json:"password_sha256,omitempty"`
	// RefreshTokenSHA256 is the same of the refresh token.
	RefreshTokenSHA256 string `json:"refresh_token_sha256,omitempty"`
	// UserID is the user with this username or refresh token; empty if not found.
	UserID string `json:"user_id,omitempty"`
	// Status and Outcome are the answer: Outcome is "success", the name of an
	// answer, or that of the fault that replaced it. Empty until answered.
	Status  int    `json:"status,omitempty"`
	Outcome string `json:"outcome,omitempty"`
	// Faults are those that held for the request.
	Faults []FaultName `json:"faults,omitempty"`
}

// PasswordIs reports whether the password has exactly these bytes.
func (r Request) PasswordIs(password string) bool {
	return r.PasswordSHA256 != "" &&
		subtle.ConstantTimeCompare([]byte(r.PasswordSHA256), []byte(hashPassword(password))) == 1
}

// RefreshTokenIs reports whether the request redeemed this refresh token.
func (r Request) RefreshTokenIs(token string) bool {
	return r.RefreshTokenSHA256 != "" && r.RefreshTokenSHA256 == hashPassword(token)
}

func hashPassword(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}

// Counters count events since the start or the last reset.
type Counters struct {
	// TokenRequests counts what arrived at the token endpoint.
	TokenRequests int `json:"token_requests"`
	// Grants counts them by grant type.
	Grants map[string]int `json:"grants"`
	// Paths counts all requests by path.
	Paths map[string]int `json:"paths"`
	// Attempts counts passwords that arrived, by user id, right or wrong.
	Attempts map[string]int `json:"attempts"`
	// UnknownAttempts counts passwords that arrived for an unknown username.
	UnknownAttempts map[string]int `json:"unknown_attempts"`
	// UserWrites counts the PATCH requests that arrived at the Management API, by user
	// id, whatever the answer was.
	UserWrites map[string]int `json:"user_writes"`
}

// Total is the number of passwords that arrived.
func (c Counters) Total() int {
	total := 0
	for _, n := range c.Attempts {
		total += n
	}
	for _, n := range c.UnknownAttempts {
		total += n
	}
	return total
}

// journalSize is how many requests [Server.Requests] keeps.
const journalSize = 10000

// journal keeps the latest requests and all counters.
type journal struct {
	mu       sync.Mutex
	requests []*Request
	counters Counters
	arrived  chan struct{} // closed and replaced when a request arrives
}

func newJournal() *journal {
	j := &journal{arrived: make(chan struct{})}
	j.reset()
	return j
}

func (j *journal) reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.requests = nil
	j.counters = Counters{
		Paths: map[string]int{}, Attempts: map[string]int{}, UnknownAttempts: map[string]int{},
		UserWrites: map[string]int{}, Grants: map[string]int{},
	}
}

// visit counts a request on a path.
func (j *journal) visit(path string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.counters.Paths[path]++
}

// managed counts a request to the Management API.
func (j *journal) managed(method, userID string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if method == http.MethodPatch {
		j.counters.UserWrites[userID]++
	}
}

// arrive records a token request and counts its password, if it brought one.
func (j *journal) arrive(r *Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.counters.TokenRequests++
	j.counters.Grants[r.GrantType]++
	r.Seq = j.counters.TokenRequests
	switch {
	case r.PasswordSHA256 == "":
	case r.UserID != "":
		j.counters.Attempts[r.UserID]++
	default:
		j.counters.UnknownAttempts[r.Username]++
	}
	if len(j.requests) >= journalSize {
		j.requests = slices.Delete(j.requests, 0, 1)
	}
	j.requests = append(j.requests, r)
	close(j.arrived)
	j.arrived = make(chan struct{})
}

// update changes a recorded request.
func (j *journal) update(r *Request, change func(*Request)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(r)
}

func (j *journal) list() []Request {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := make([]Request, 0, len(j.requests))
	for _, r := range j.requests {
		entry := *r
		entry.Header = r.Header.Clone()
		entry.Parameters = slices.Clone(r.Parameters)
		entry.Faults = slices.Clone(r.Faults)
		list = append(list, entry)
	}
	return list
}

func (j *journal) count() Counters {
	j.mu.Lock()
	defer j.mu.Unlock()
	return Counters{
		TokenRequests:   j.counters.TokenRequests,
		Grants:          maps.Clone(j.counters.Grants),
		Paths:           maps.Clone(j.counters.Paths),
		Attempts:        maps.Clone(j.counters.Attempts),
		UnknownAttempts: maps.Clone(j.counters.UnknownAttempts),
		UserWrites:      maps.Clone(j.counters.UserWrites),
	}
}

// Requests returns the latest token requests, the oldest first.
func (s *Server) Requests() []Request { return s.journal.list() }

// Counters returns all counters.
func (s *Server) Counters() Counters { return s.journal.count() }

// Attempts is how many passwords arrived for a user id.
func (s *Server) Attempts(userID string) int { return s.journal.count().Attempts[userID] }

// TokenRequests is how many requests arrived at the token endpoint.
func (s *Server) TokenRequests() int { return s.journal.count().TokenRequests }

// GrantRequests is how many requests of a grant type arrived at the token endpoint.
func (s *Server) GrantRequests(grant string) int { return s.journal.count().Grants[grant] }

// PathRequests is how many requests arrived on a path.
func (s *Server) PathRequests(path string) int { return s.journal.count().Paths[path] }

// UserWrites is how many PATCH requests arrived at the Management API for a user.
func (s *Server) UserWrites(userID string) int { return s.journal.count().UserWrites[userID] }

// WaitForRequests returns once n token requests have arrived in all, answered
// or not, or with ctx's error.
func (s *Server) WaitForRequests(ctx context.Context, n int) error {
	for {
		s.journal.mu.Lock()
		have, arrived := s.journal.counters.TokenRequests, s.journal.arrived
		s.journal.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return fmt.Errorf("auth0sim: wait for request %d, have %d: %w", n, have, ctx.Err())
		}
	}
}
