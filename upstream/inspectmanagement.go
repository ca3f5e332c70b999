package upstream

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"ferry/strictjson"
)

// Scopes fetches a token and returns its scopes; known is false if Auth0 does not tell them
// (RFC 6749, 5.1 allows that). The token is kept for the following calls. Every error is a
// *ManagementError.
func (m *Management) Scopes(ctx context.Context) (scopes []string, known bool, err error) {
	_, scope, fault := m.token.fetch(ctx)
	if fault != nil {
		return nil, false, fault
	}
	return strings.Fields(scope), scope != "", nil
}

// Application is an application as the Management API shows it, without its secrets.
type Application struct {
	// Grants are the grant types that it may use.
	Grants []string
	// AuthMethod is how it authenticates at the token endpoint; private_key_jwt if it has
	// keys for that. Empty if unknown.
	AuthMethod string
	// IDTokenAlg is the algorithm of its ID tokens. Empty if unknown.
	IDTokenAlg string
	// TrustsIPHeader reports whether Auth0 accepts the client address that ferry sends.
	TrustsIPHeader bool
	// ThirdParty reports whether it belongs to another organisation, which restricts it.
	ThirdParty bool
	// Strict reports whether Auth0 forbids password grants to this third-party application
	// (third_party_security_mode).
	Strict bool
}

// Application reads one application (contract, 1.1 and 2). Every error is a
// *ManagementError, with status 404 if there is no such application, and with the code
// insufficient_scope without read:clients.
func (m *Management) Application(ctx context.Context, clientID string) (Application, error) {
	if clientID == "" {
		return Application{}, &ManagementError{Reason: "bad_id"}
	}
	var said struct {
		Grants  []string `json:"grant_types"`
		Method  string   `json:"token_endpoint_auth_method"`
		Trusts  bool     `json:"is_token_endpoint_ip_header_trusted"`
		First   *bool    `json:"is_first_party"`
		Mode    string   `json:"third_party_security_mode"`
		Methods struct {
			PrivateKey *struct{} `json:"private_key_jwt"`
		} `json:"client_authentication_methods"`
		JWT struct {
			Alg string `json:"alg"`
		} `json:"jwt_configuration"`
	}
	// Without fields, the answer may contain the client secret.
	fields := "client_id,grant_types,token_endpoint_auth_method,client_authentication_methods,jwt_configuration,is_token_endpoint_ip_header_trusted," +
		"is_first_party,third_party_security_mode"
	if err := m.look(ctx, "/api/v2/clients/"+url.PathEscape(clientID), url.Values{"fields": {fields}, "include_fields": {"true"}}, &said); err != nil {
		return Application{}, err
	}
	a := Application{Grants: said.Grants, AuthMethod: said.Method, IDTokenAlg: said.JWT.Alg, TrustsIPHeader: said.Trusts}
	a.ThirdParty = said.First != nil && !*said.First
	a.Strict = a.ThirdParty && said.Mode == "strict"
	if said.Methods.PrivateKey != nil {
		a.AuthMethod = "private_key_jwt"
	}
	return a, nil
}

// Connection is a connection as the Management API shows it, without its options.
type Connection struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Strategy string `json:"strategy"`
	// Realms are its realm names. If empty, its name is the only one.
	Realms []string `json:"realms"`
}

// Connection reads the connection with exactly this name. Every error is a
// *ManagementError, as of ConnectionID.
func (m *Management) Connection(ctx context.Context, name string) (Connection, error) {
	return m.connection(ctx, name, "id,name,strategy,realms")
}

// connection reads some fields of a connection, never its options: they hold secrets.
func (m *Management) connection(ctx context.Context, name, fields string) (Connection, error) {
	if name == "" {
		return Connection{}, &ManagementError{Reason: "bad_id"}
	}
	var found []Connection
	query := url.Values{"name": {name}, "fields": {fields}, "include_fields": {"true"}}
	if err := m.look(ctx, "/api/v2/connections", query, &found); err != nil {
		return Connection{}, err
	}
	for _, connection := range found {
		if connection.Name == name {
			return connection, nil
		}
	}
	return Connection{}, &ManagementError{Status: http.StatusOK, Reason: ReasonNoSuchConnection}
}

const (
	clientsPage = 1000 // Auth0's maximum
	maxPages    = 100
)

// Enabled reports whether a connection, named by its id, is enabled for an application.
// It needs read:connections. Every error is a *ManagementError.
func (m *Management) Enabled(ctx context.Context, connectionID, clientID string) (bool, error) {
	if !connectionPattern.MatchString(connectionID) {
		return false, &ManagementError{Reason: "bad_id"}
	}
	query := url.Values{"take": {strconv.Itoa(clientsPage)}}
	for range maxPages {
		var page struct {
			Clients []struct {
				ID string `json:"client_id"`
			} `json:"clients"`
			Next string `json:"next"`
		}
		if err := m.look(ctx, "/api/v2/connections/"+connectionID+"/clients", query, &page); err != nil {
			return false, err
		}
		for _, client := range page.Clients {
			if client.ID == clientID {
				return true, nil
			}
		}
		if page.Next == "" {
			return false, nil
		}
		query.Set("from", page.Next)
	}
	return false, &ManagementError{Status: http.StatusOK, Reason: "too_many_pages"}
}

// DefaultDirectory returns the connection of the plain password grant; empty if there is
// none. It needs read:tenant_settings. Every error is a *ManagementError.
func (m *Management) DefaultDirectory(ctx context.Context) (string, error) {
	var said struct {
		Directory string `json:"default_directory"`
	}
	err := m.look(ctx, "/api/v2/tenants/settings", url.Values{"fields": {"default_directory"}, "include_fields": {"true"}}, &said)
	return said.Directory, err
}

// AttackProtection is one of the two protections that count failed logins (contract, 2).
type AttackProtection struct {
	Enabled bool
	// Blocks reports whether it blocks, and does not only notify.
	Blocks bool
	// MaxAttempts is the number of failures allowed.
	MaxAttempts int
	// EverySeconds is the time after which suspicious-IP throttling allows one more.
	EverySeconds int
	// PerIdentifier reports whether brute-force protection counts the failures from all
	// addresses together (Account Lockout).
	PerIdentifier bool
	// Allowlist are the addresses and networks that are not counted.
	Allowlist []string
}

// attackJSON is the common format of both protections.
type attackJSON struct {
	Enabled     bool     `json:"enabled"`
	Shields     []string `json:"shields"`
	Allowlist   []string `json:"allowlist"`
	Mode        string   `json:"mode"`
	MaxAttempts int      `json:"max_attempts"`
	Stage       struct {
		PreLogin struct {
			MaxAttempts int `json:"max_attempts"`
			Rate        int `json:"rate"`
		} `json:"pre-login"`
	} `json:"stage"`
}

func (a attackJSON) protection() AttackProtection {
	p := AttackProtection{
		Enabled: a.Enabled, Allowlist: a.Allowlist,
		MaxAttempts: max(a.MaxAttempts, a.Stage.PreLogin.MaxAttempts), EverySeconds: a.Stage.PreLogin.Rate / 1000,
		PerIdentifier: a.Mode == "count_per_identifier",
	}
	for _, shield := range a.Shields {
		p.Blocks = p.Blocks || shield == "block"
	}
	return p
}

// BruteForce reads brute-force protection, which counts failures per identifier. It needs
// read:attack_protection. Every error is a *ManagementError.
func (m *Management) BruteForce(ctx context.Context) (AttackProtection, error) {
	var said attackJSON
	err := m.look(ctx, "/api/v2/attack-protection/brute-force-protection", nil, &said)
	return said.protection(), err
}

// SuspiciousIP reads suspicious-IP throttling, which counts failures per address. It needs
// read:attack_protection. Every error is a *ManagementError.
func (m *Management) SuspiciousIP(ctx context.Context) (AttackProtection, error) {
	var said attackJSON
	err := m.look(ctx, "/api/v2/attack-protection/suspicious-ip-throttling", nil, &said)
	return said.protection(), err
}

// LookUpUser returns a user object as Auth0 has it. Every error is a
// *ManagementError, with status 404 if there is no such user.
func (m *Management) LookUpUser(ctx context.Context, userID string) ([]byte, error) {
	if provider, id, _ := strings.Cut(userID, "|"); provider == "" || id == "" {
		return nil, &ManagementError{Reason: "bad_id"}
	}
	var user rawJSON
	err := m.look(ctx, "/api/v2/users/"+url.PathEscape(userID), nil, &user)
	return user, err
}

// LookUpEmail returns the users of all connections that have this e-mail address; the case
// matters. An empty result is not an error.
func (m *Management) LookUpEmail(ctx context.Context, email string) ([][]byte, error) {
	var found []rawJSON
	err := m.look(ctx, "/api/v2/users-by-email", url.Values{"email": {email}}, &found)
	users := make([][]byte, len(found))
	for i, user := range found {
		users[i] = user
	}
	return users, err
}

// UserBlock is a block by brute-force protection, after too many wrong passwords. An
// administrator's block is in the user object instead.
type UserBlock struct {
	// Identifier is the e-mail address, username or phone number that is blocked.
	Identifier string `json:"identifier"`
	// IP is the blocked address. If empty, all are blocked (Account Lockout).
	IP string `json:"ip"`
	// Connection is empty if unknown.
	Connection string `json:"connection"`
}

// UserBlocks returns the current blocks of all identifiers of a user (contract, 2). It needs
// read:users. Every error is a *ManagementError, with status 404 if there is no such user.
func (m *Management) UserBlocks(ctx context.Context, userID string) ([]UserBlock, error) {
	if provider, id, _ := strings.Cut(userID, "|"); provider == "" || id == "" {
		return nil, &ManagementError{Reason: "bad_id"}
	}
	var said struct {
		Blocks []UserBlock `json:"blocked_for"`
	}
	err := m.look(ctx, "/api/v2/user-blocks/"+url.PathEscape(userID), url.Values{"consider_brute_force_enablement": {"true"}}, &said)
	return said.Blocks, err
}

// look reads the document at a path.
func (m *Management) look(ctx context.Context, path string, query url.Values, into any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	answer, err := m.call(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	opaque := append(opaqueClaims(), "identities", "options", "metadata", "profileData", "client_metadata", "addons", "mobile", "external_metadata")
	if !answer.isJSON || strictjson.Unmarshal(answer.body, into, opaque...) != nil {
		return &ManagementError{Status: answer.status, Reason: "malformed"}
	}
	return nil
}
