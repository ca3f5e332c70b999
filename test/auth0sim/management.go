package auth0sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
)

// Paths of the Management API. A fault or a counter of one user's names the user
// after PathUsers, unescaped: "/api/v2/users/auth0|1".
const (
	PathManagement   = "/api/v2/"
	PathUsers        = "/api/v2/users/"
	PathUsersByEmail = "/api/v2/users-by-email"
	PathConnections  = "/api/v2/connections"
	// PathJobs is before a job's id; PathUsersExports makes a job.
	PathJobs         = "/api/v2/jobs/"
	PathUserBlocks   = "/api/v2/user-blocks/" // and a user's id
	PathUsersExports = "/api/v2/jobs/users-exports"
	// PathMethods follows PathUsers and a user's id.
	PathMethods = "/authentication-methods"
	// pathRedirects is put before the path of a request to the Management API by
	// redirect faults; the result answers like the original path.
	pathRedirects = "/redirected"
)

// managementRoutes serves the part of the Management API that is imitated.
func (s *Server) managementRoutes(mux *http.ServeMux) {
	for path, open := range map[string]func() endpoint{
		PathUsers + "{id}":                s.userEndpoint,
		PathUsers + "{id}" + PathMethods:  s.methodsEndpoint,
		PathUsersByEmail:                  s.managed(http.MethodGet, ScopeReadUsers, s.usersByEmail),
		PathConnections:                   s.managed(http.MethodGet, ScopeReadConnections, s.listConnections),
		PathConnections + "/{id}/clients": s.managed(http.MethodGet, ScopeReadConnections, s.connectionClients),
		PathUsersExports:                  s.managed(http.MethodPost, ScopeReadUsers, s.startExport),
		PathJobs + "{id}":                 s.managed(http.MethodGet, ScopeReadUsers, s.readJob),
		PathUserBlocks + "{id}":           s.managed(http.MethodGet, ScopeReadUsers, s.blocksOfUser),
		PathApplications:                  s.managed(http.MethodGet, ScopeReadClients, s.listClients),
		PathResourceServers:               s.managed(http.MethodGet, ScopeReadResourceServers, s.listResourceServers),
		PathClientGrants:                  s.managed(http.MethodGet, ScopeReadClientGrants, s.listClientGrants),
		PathClients + "{id}":              s.managed(http.MethodGet, ScopeReadClients, s.readClient),
		PathClients + "{id}/credentials":  s.managed(http.MethodGet, ScopeReadClientCredentials, s.clientCredentials),
		PathTenantSettings:                s.managed(http.MethodGet, ScopeReadTenantSettings, s.readTenantSettings),
		PathBruteForce:                    s.managed(http.MethodGet, ScopeReadAttackProtection, s.readBruteForce),
		PathSuspiciousIP:                  s.managed(http.MethodGet, ScopeReadAttackProtection, s.readSuspiciousIP),
	} {
		mux.Handle(path, s.serve(open))
		mux.Handle(pathRedirects+path, s.serve(open))
	}
	mux.Handle(PathManagement, s.serve(fixed(func(*exchange) response { return s.refuse(AnswerManagementNotFound) })))
}

// managed is an endpoint of one method that asks for one scope.
func (s *Server) managed(method, scope string, work func(*exchange) response) func() endpoint {
	return fixed(func(x *exchange) response {
		return s.limited("management", s.Settings().Management, AnswerManagementTooManyRequests, func() response {
			if x.req.Method != method {
				return s.refuse(AnswerManagementNotFound)
			}
			if refusal, ok := s.authorize(x.req, scope); !ok {
				return refusal
			}
			return work(x)
		})
	})
}

// userEndpoint is GET and PATCH /api/v2/users/{id}.
func (s *Server) userEndpoint() endpoint {
	return endpoint{
		identify: func(x *exchange) {
			id := x.req.PathValue("id")
			x.identifiers = []string{id}
			s.journal.managed(x.req.Method, id)
		},
		answer: func(x *exchange) response {
			return s.limited("management", s.Settings().Management, AnswerManagementTooManyRequests, func() response {
				switch x.req.Method {
				case http.MethodGet:
					return s.readUser(x)
				case http.MethodPatch:
					return s.patchAPIUser(x)
				}
				return s.refuse(AnswerManagementNotFound)
			})
		},
	}
}

func (s *Server) readUser(x *exchange) response {
	if refusal, ok := s.authorize(x.req, ScopeReadUsers); !ok {
		return refusal
	}
	user, ok := s.User(x.req.PathValue("id"))
	if !ok {
		return s.refuse(AnswerManagementNoUser)
	}
	return userResponse(user)
}

// patchAPIUser replaces root members, merges metadata at its first level, and
// removes members that are null.
func (s *Server) patchAPIUser(x *exchange) response {
	if refusal, ok := s.authorize(x.req, ScopeUpdateUsers, ScopeUpdateAppMetadata); !ok {
		return refusal
	}
	patch, err := readUserPatch(x)
	if err != nil {
		return s.refuse(AnswerManagementBadBody, "reason", err.Error())
	}
	if !patch.onlyAppMetadata() {
		if refusal, ok := s.authorize(x.req, ScopeUpdateUsers); !ok {
			return refusal
		}
	}
	id := x.req.PathValue("id")
	user, ok := s.User(id)
	if !ok {
		return s.refuse(AnswerManagementNoUser)
	}
	if _, err := patch.apply(user); err != nil {
		return s.refuse(AnswerManagementBadBody, "reason", "wrong type")
	}
	stored, err := s.UpdateUser(id, func(u *User) {
		if changed, err := patch.apply(*u); err == nil { // as it did above
			*u = changed
		}
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return s.refuse(AnswerManagementNoUser)
	case err != nil:
		return s.refuse(AnswerManagementConflict)
	}
	return userResponse(stored)
}

// userPatch is the body of PATCH /api/v2/users/{id}.
type userPatch map[string]json.RawMessage

const (
	memberAppMetadata  = "app_metadata"
	memberUserMetadata = "user_metadata"
)

// readUserPatch refuses what names a member twice, or one that cannot be changed.
func readUserPatch(x *exchange) (userPatch, error) {
	changeable := []string{
		memberAppMetadata, memberUserMetadata, "blocked", "email", "email_verified", "phone_number", "phone_verified",
		"username", "password", "name", "given_name", "family_name", "nickname", "picture",
	}
	if err := checkBody(x, changeable); err != nil {
		return nil, err
	}
	var patch userPatch
	return patch, json.Unmarshal(x.body, &patch)
}

// checkBody refuses anything but a JSON object of known members, each at most once.
func checkBody(x *exchange, known []string) error {
	media, _, err := mime.ParseMediaType(x.req.Header.Get("Content-Type"))
	if err != nil || media != typeJSON {
		return errors.New("expected application/json")
	}
	keys, ok := topKeys(x.body)
	if !ok || !json.Valid(x.body) {
		return errors.New("expected a JSON object")
	}
	for i, key := range keys {
		if slices.Contains(keys[:i], key) || !slices.Contains(known, key) {
			return fmt.Errorf("additional or repeated property: %s", key)
		}
	}
	return nil
}

// onlyAppMetadata reports whether the scope for app_metadata is sufficient.
func (p userPatch) onlyAppMetadata() bool {
	_, ok := p[memberAppMetadata]
	return ok && len(p) == 1
}

// apply returns the user with the patch applied.
func (p userPatch) apply(u User) (User, error) {
	raw, err := json.Marshal(u)
	if err != nil {
		return User{}, fmt.Errorf("encode user: %w", err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return User{}, fmt.Errorf("decode user: %w", err)
	}
	for name, value := range p {
		if name == memberAppMetadata || name == memberUserMetadata {
			if value, err = mergeMetadata(members[name], value); err != nil {
				return User{}, err
			}
		}
		members[name] = value
		if string(value) == "null" {
			delete(members, name)
		}
	}
	if raw, err = json.Marshal(members); err != nil {
		return User{}, fmt.Errorf("encode user: %w", err)
	}
	var changed User
	return changed, decodeStrict(bytes.NewReader(raw), &changed)
}

// mergeMetadata merges the members of patch into old; null removes one, and an empty
// object or null removes all.
func mergeMetadata(old, patch json.RawMessage) (json.RawMessage, error) {
	var changes map[string]json.RawMessage
	if err := json.Unmarshal(patch, &changes); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	merged := map[string]json.RawMessage{}
	if len(changes) > 0 && len(old) > 0 {
		if err := json.Unmarshal(old, &merged); err != nil {
			return nil, fmt.Errorf("metadata: %w", err)
		}
	}
	for name, value := range changes {
		merged[name] = value
		if string(value) == "null" {
			delete(merged, name)
		}
	}
	return json.Marshal(merged)
}
