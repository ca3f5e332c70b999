package auth0sim

import (
	"maps"
	"slices"
	"strings"
)

// paramBruteForce, if true, excludes blocks while brute-force protection is off.
const paramBruteForce = "consider_brute_force_enablement"

// apiBlock is one brute-force block as the Management API shows it. Without an address
// it is a lock from everywhere (Account Lockout).
type apiBlock struct {
	Identifier string `json:"identifier"`
	IP         string `json:"ip,omitempty"`
	Connection string `json:"connection"`
}

// blocks are the keys whose failures block now, in a stable order.
func (l *limits) blocks(rule BruteForce, about func(failureKey) bool) []apiBlock {
	l.mu.Lock()
	defer l.mu.Unlock()
	blocks := []apiBlock{}
	for key, f := range maps.All(l.failures) {
		if !about(key) || f.count < rule.MaxAttempts || l.now().Sub(f.last) >= blockLife {
			continue
		}
		block := apiBlock{Identifier: key.identifier, Connection: key.connection}
		if key.ip.IsValid() {
			block.IP = key.ip.String()
		}
		blocks = append(blocks, block)
	}
	slices.SortFunc(blocks, func(a, b apiBlock) int {
		return strings.Compare(a.Connection+" "+a.Identifier+" "+a.IP, b.Connection+" "+b.Identifier+" "+b.IP)
	})
	return blocks
}

// forget lifts the blocks, and begins the counts anew.
func (l *limits) forget(about func(failureKey) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.failures, func(key failureKey, _ *failureCount) bool { return about(key) })
}

// blocksOfUser is GET /api/v2/user-blocks/{id}.
func (s *Server) blocksOfUser(x *exchange) response {
	query, err := readQuery(x.req.URL.RawQuery, paramBruteForce)
	if err != nil {
		return s.refuse(AnswerManagementBadQuery, "reason", err.Error())
	}
	enabled := query.Get(paramBruteForce)
	if query.Has(paramBruteForce) && enabled != "true" && enabled != "false" {
		return s.refuse(AnswerManagementBadQuery, "reason", paramBruteForce+": expected a boolean")
	}
	user, ok := s.User(x.req.PathValue("id"))
	if !ok {
		return s.refuse(AnswerManagementNoUser)
	}
	blocks, rule := []apiBlock{}, s.Settings().BruteForce
	if enabled != "true" || rule.Enabled {
		blocks = s.limits.blocks(rule, user.owns)
	}
	return managementResponse(map[string]any{"blocked_for": blocks})
}
