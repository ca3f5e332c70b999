package auth0sim

import (
	"cmp"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// Paths of the Management API that list what the tenant has.
const (
	PathApplications    = "/api/v2/clients"
	PathResourceServers = "/api/v2/resource-servers"
	PathClientGrants    = "/api/v2/client-grants"
)

// The scopes that those need; ScopeReadClientKeys shows secrets.
const (
	ScopeReadClientKeys        = "read:client_keys"
	ScopeReadClientCredentials = "read:client_credentials"
	ScopeReadResourceServers   = "read:resource_servers"
	ScopeReadClientGrants      = "read:client_grants"
)

// globalClientID is the application "All Applications" that every tenant has.
const globalClientID = "global-client-of-the-tenant"

// ClientGrant allows an application to get tokens of its own for an API.
type ClientGrant struct {
	ClientID string   `json:"client_id"`
	Audience string   `json:"audience"`
	Scope    []string `json:"scope"`
}

// applications returns all applications by their ids.
func (d *directory) applications() []*application {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.SortedFunc(maps.Values(d.apps), func(a, b *application) int { return cmp.Compare(a.ClientID, b.ClientID) })
}

// listClients is GET /api/v2/clients. The global application is the last.
func (s *Server) listClients(x *exchange) response {
	var all []map[string]any
	keys := s.showsKeys(x.req)
	for _, app := range s.dir.applications() {
		all = append(all, s.clientMembers(app, keys))
	}
	global := map[string]any{"client_id": globalClientID, "name": "All Applications", "global": true, "is_first_party": true, "callbacks": []string{}}
	if keys {
		global["client_secret"] = "secret-of-the-global-client"
	}
	return s.pageOf(x, "clients", append(all, global), "is_global", "is_first_party", "app_type")
}

// showsKeys reports whether the token of a request may see client secrets.
func (s *Server) showsKeys(r *http.Request) bool {
	grant, _ := s.tokens.lookup(bearer(r), s.Now())
	return slices.Contains(grant.scopes, ScopeReadClientKeys)
}

// listResourceServers is GET /api/v2/resource-servers. The Management API is the first.
func (s *Server) listResourceServers(x *exchange) response {
	all := []map[string]any{{
		"id": idOf("rs", s.ManagementAudience()), "identifier": s.ManagementAudience(), "name": "Auth0 Management API", "is_system": true,
		"signing_alg": algRS256, "allow_offline_access": false, "token_lifetime": 86400, "scopes": scopeMembers([]string{ScopeReadUsers, ScopeUpdateUsers}),
	}}
	s.dir.mu.RLock()
	for _, name := range slices.Sorted(maps.Keys(s.dir.apis)) {
		api := s.dir.apis[name]
		members := map[string]any{
			"id": idOf("rs", name), "identifier": name, "name": name, "is_system": false, "signing_alg": algRS256,
			"allow_offline_access": api.OfflineAccess, "token_lifetime": 86400, "scopes": scopeMembers(api.Scopes),
		}
		maps.Copy(members, api.Details)
		all = append(all, members)
	}
	s.dir.mu.RUnlock()
	return s.pageOf(x, "resource_servers", all)
}

func scopeMembers(scopes []string) []map[string]any {
	list := []map[string]any{}
	for _, scope := range scopes {
		list = append(list, map[string]any{"value": scope, "description": scope})
	}
	return list
}

// listClientGrants is GET /api/v2/client-grants, of all applications or one.
func (s *Server) listClientGrants(x *exchange) response {
	all := []map[string]any{}
	for _, grant := range s.clientGrants() {
		all = append(all, map[string]any{
			"id": idOf("cgr", grant.ClientID+" "+grant.Audience), "client_id": grant.ClientID, "audience": grant.Audience, "scope": listOf(grant.Scope),
		})
	}
	return s.pageOf(x, "client_grants", all, "client_id", "audience")
}

// clientGrants are those for the Management API, and those that are declared.
func (s *Server) clientGrants() []ClientGrant {
	var all []ClientGrant
	for _, app := range s.dir.applications() {
		if len(app.ManagementScopes) > 0 {
			all = append(all, ClientGrant{ClientID: app.ClientID, Audience: s.ManagementAudience(), Scope: app.ManagementScopes})
		}
	}
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	return append(all, s.dir.grants...)
}

// clientCredentials is GET /api/v2/clients/{id}/credentials: without the keys themselves.
func (s *Server) clientCredentials(x *exchange) response {
	app, ok := s.dir.app(x.req.PathValue("id"))
	if !ok {
		return s.refuse(AnswerManagementNoClient)
	}
	list := []map[string]any{}
	for i, id := range app.credentialIDs() {
		thumbprint, err := (&jose.JSONWebKey{Key: app.publicKeys[i]}).Thumbprint(crypto.SHA256)
		if err != nil {
			return s.refuse(AnswerManagementServerError)
		}
		list = append(list, map[string]any{
			"id": id, "name": fmt.Sprintf("key %d", i+1), "kid": encodeSegment(thumbprint), "alg": algRS256,
			"credential_type": "public_key", "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.000Z",
		})
	}
	return managementResponse(list)
}

// credentialIDs are the ids of the application's keys.
func (a *application) credentialIDs() []string {
	var ids []string
	for i := range a.publicKeys {
		ids = append(ids, idOf("cred", fmt.Sprintf("%s %d", a.ClientID, i)))
	}
	return ids
}

// idOf returns an id as Auth0 makes them: the same for the same text.
func idOf(prefix, text string) string {
	sum := sha256.Sum256([]byte(text))
	return prefix + "_" + hex.EncodeToString(sum[:8])
}

// pageOf answers with a page of a list, in an object with totals if the query asks for them. A
// filter keeps the entries whose member of that name has the value.
func (s *Server) pageOf(x *exchange, name string, all []map[string]any, filters ...string) response {
	known := append([]string{paramPage, paramPerPage, paramTotals, paramFields, paramIncludeFields}, filters...)
	values, err := readQuery(x.req.URL.RawQuery, known...)
	if err != nil {
		return s.refuse(AnswerManagementBadQuery, "reason", err.Error())
	}
	for _, filter := range filters {
		if values.Has(filter) {
			all = slices.DeleteFunc(all, func(one map[string]any) bool { return filterText(one, filter) != values.Get(filter) })
		}
	}
	page, err := readNumber(values, paramPage, 0, 0, 1<<20)
	perPage, errPerPage := readNumber(values, paramPerPage, defaultPerPage, 1, maxPerPage)
	if err = errors.Join(err, errPerPage); err != nil {
		return s.refuse(AnswerManagementBadQuery, "reason", err.Error())
	}
	start := min(page*perPage, len(all))
	shown := []map[string]any{}
	for _, one := range all[start:min(start+perPage, len(all))] {
		left, err := onlyFields(values, one)
		if err != nil {
			return s.refuse(AnswerManagementBadQuery, "reason", err.Error())
		}
		shown = append(shown, left)
	}
	if values.Get(paramTotals) != "true" {
		return managementResponse(shown)
	}
	return managementResponse(map[string]any{"start": page * perPage, "limit": perPage, "length": len(shown), "total": len(all), name: shown})
}

// filterText is a member as a query names it; is_global is the member global.
func filterText(one map[string]any, filter string) string {
	if filter == "is_global" {
		filter = "global"
	}
	return fmt.Sprint(one[filter])
}
