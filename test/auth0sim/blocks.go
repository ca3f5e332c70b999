package auth0sim

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// PathUserBlocks is the Management API's list of brute-force blocks; the blocks of one
// user are behind it, with a slash and the user's id.
const PathUserBlocks = "/api/v2/user-blocks"

// paramBruteForce asks for no blocks where brute-force protection does not block.
const paramBruteForce = "consider_brute_force_enablement"

// apiBlock is one brute-force block as the Management API shows it. Without an address
// it is a lock from everywhere (Account Lockout).
type apiBlock struct {
	Identifier string `json:"identifier"`
	IP         string `json:"ip,omitempty"`
	Connection string `json:"connection"`
}

// blockRoutes serves the brute-force blocks.
func (s *Server) blockRoutes(mux *http.ServeMux) {
	for path, methods := range map[string]map[string]func() endpoint{
		PathUserBlocks: {
			http.MethodGet:    s.managed(http.MethodGet, ScopeReadUsers, s.blocksOfIdentifier),
			http.MethodDelete: s.managed(http.MethodDelete, ScopeUpdateUsers, s.unblockIdentifier),
		},
		PathUserBlocks + "/{id}": {
			http.MethodGet:    s.managed(http.MethodGet, ScopeReadUsers, s.blocksOfUser),
			http.MethodDelete: s.managed(http.MethodDelete, ScopeUpdateUsers, s.unblockByID),
		},
	} {
		for method, open := range methods {
			mux.Handle(method+" "+path, s.serve(open))
			mux.Handle(method+" "+pathRedirects+path, s.serve(open))
		}
	}
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
	query, err := blockQuery(x.req.URL.RawQuery, paramBruteForce)
	if err != nil {
		return s.refuse(AnswerManagementBadQuery, "reason", err.Error())
	}
	user, ok := s.User(x.req.PathValue("id"))
	if !ok {
		return s.refuse(AnswerManagementNoUser)
	}
	return s.blocksResponse(query, user.owns)
}

// blocksOfIdentifier is GET /api/v2/user-blocks?identifier=. It lists what is counted
// under the identifier, whether somebody has it or not.
func (s *Server) blocksOfIdentifier(x *exchange) response {
	query, err := blockQuery(x.req.URL.RawQuery, paramBruteForce, paramIdentifier)
	if err != nil {
		return s.refuse(AnswerManagementBadQuery, "reason", err.Error())
	}
	return s.blocksResponse(query, counted(query))
}

func (s *Server) blocksResponse(query url.Values, about func(failureKey) bool) response {
	rule := s.Settings().BruteForce
	if query.Get(paramBruteForce) == "true" && !rule.Enabled {
		about = func(failureKey) bool { return false }
	}
	return managementResponse(map[string]any{"blocked_for": s.limits.blocks(rule, about)})
}

// unblockByID is DELETE /api/v2/user-blocks/{id}. It lifts no administrator's block.
func (s *Server) unblockByID(x *exchange) response {
	if x.req.URL.RawQuery != "" {
		return s.refuse(AnswerManagementBadQuery, "reason", "no parameters expected")
	}
	if s.UnblockUser(x.req.PathValue("id")) != nil {
		return s.refuse(AnswerManagementNoUser)
	}
	return response{status: http.StatusNoContent, header: http.Header{}, outcome: outcomeOK}
}

// unblockIdentifier is DELETE /api/v2/user-blocks?identifier=.
func (s *Server) unblockIdentifier(x *exchange) response {
	query, err := blockQuery(x.req.URL.RawQuery, paramIdentifier)
	if err != nil {
		return s.refuse(AnswerManagementBadQuery, "reason", err.Error())
	}
	s.limits.forget(counted(query))
	return response{status: http.StatusNoContent, header: http.Header{}, outcome: outcomeOK}
}

const paramIdentifier = "identifier"

// counted matches what is counted under the identifier that the query names.
func counted(query url.Values) func(failureKey) bool {
	identifier := query.Get(paramIdentifier)
	return func(key failureKey) bool { return strings.EqualFold(key.identifier, identifier) }
}

// blockQuery reads the parameters, each at most once. An identifier has to be there
// where it may be.
func blockQuery(raw string, known ...string) (url.Values, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("unreadable")
	}
	for name, all := range values {
		if !slices.Contains(known, name) || len(all) > 1 {
			return nil, errors.New("additional or repeated property: " + name)
		}
	}
	if enabled := values.Get(paramBruteForce); values.Has(paramBruteForce) && enabled != "true" && enabled != "false" {
		return nil, errors.New(paramBruteForce + ": expected a boolean")
	}
	if slices.Contains(known, paramIdentifier) && values.Get(paramIdentifier) == "" {
		return nil, errors.New("identifier: expected a text")
	}
	return values, nil
}
