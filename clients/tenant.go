package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"ferry/secret"
	"ferry/strictjson"
)

// FileKind is what a file of applications says of itself.
const FileKind = "auth0_applications"

// maxFileBytes is more than any tenant needs.
const maxFileBytes = 256 << 20

// File is the file that `ferry clients export` writes: one JSON object, with Auth0's objects as
// Auth0 has them. It contains client secrets.
type File struct {
	// Kind is FileKind.
	Kind string `json:"kind"`
	// Tenant is the canonical domain of the tenant.
	Tenant     string    `json:"tenant"`
	ExportedAt time.Time `json:"exported_at"`
	// Clients are the applications, ResourceServers the APIs.
	Clients         []json.RawMessage `json:"clients"`
	ResourceServers []json.RawMessage `json:"resource_servers"`
	ClientGrants    []json.RawMessage `json:"client_grants"`
	// Credentials describe the keys of applications with private_key_jwt, by client id. Auth0
	// does not hand out the keys themselves.
	Credentials map[string][]json.RawMessage `json:"client_credentials"`
}

// Tenant is the content of a File.
type Tenant struct {
	Domain       string
	ExportedAt   time.Time
	Applications []Application
	apis         []api
	grants       []grant
	credentials  map[string][]credential
}

// Application is an application of Auth0.
type Application struct {
	// ID is the client id.
	ID   string `json:"client_id"`
	Name string `json:"name"`
	// Type is app_type: spa, native, regular_web, non_interactive, or another; empty: unknown.
	Type string `json:"app_type"`
	// Global is the application of the tenant itself, which has no users.
	Global bool `json:"global"`

	Secret         secret.String `json:"client_secret"`
	Callbacks      []string      `json:"callbacks"`
	LogoutURLs     []string      `json:"allowed_logout_urls"`
	WebOrigins     []string      `json:"web_origins"`
	AllowedOrigins []string      `json:"allowed_origins"`
	GrantTypes     []string      `json:"grant_types"`
	AuthMethod     string        `json:"token_endpoint_auth_method"`
	AuthMethods    struct {
		PrivateKeyJWT *struct {
			Credentials []struct {
				ID string `json:"id"`
			} `json:"credentials"`
		} `json:"private_key_jwt"`
		TLS        any `json:"tls_client_auth"`
		SelfSigned any `json:"self_signed_tls_client_auth"`
	} `json:"client_authentication_methods"`
	JWKSURI string `json:"jwks_uri"`
	JWT     struct {
		Alg             string  `json:"alg"`
		LifetimeSeconds float64 `json:"lifetime_in_seconds"`
	} `json:"jwt_configuration"`
	RefreshToken struct {
		Rotation         string  `json:"rotation_type"`
		Expiration       string  `json:"expiration_type"`
		Leeway           float64 `json:"leeway"`
		Lifetime         float64 `json:"token_lifetime"`
		InfiniteLifetime bool    `json:"infinite_token_lifetime"`
		Idle             float64 `json:"idle_token_lifetime"`
		InfiniteIdle     bool    `json:"infinite_idle_token_lifetime"`
	} `json:"refresh_token"`
	FirstParty   *bool  `json:"is_first_party"`
	SecurityMode string `json:"third_party_security_mode"`
	LogoURI      string `json:"logo_uri"`
	Logout       struct {
		BackChannel []string `json:"backchannel_logout_urls"`
	} `json:"oidc_logout"`
	PushedRequests bool `json:"require_pushed_authorization_requests"`
	Possession     bool `json:"require_proof_of_possession"`

	fields map[string]any // all of them
	broken bool           // it cannot be read
}

// api is an API, which Auth0 calls a resource server.
type api struct {
	Identifier string `json:"identifier"`
	Scopes     []struct {
		Value string `json:"value"`
	} `json:"scopes"`
	// System marks Auth0's own APIs, such as the Management API.
	System bool `json:"is_system"`
	Policy struct {
		User struct {
			Policy string `json:"policy"`
		} `json:"user"`
		Client struct {
			Policy string `json:"policy"`
		} `json:"client"`
	} `json:"subject_type_authorization"`
}

// grant is a client grant: what an application may request at an API.
type grant struct {
	ClientID  string   `json:"client_id"`
	Audience  string   `json:"audience"`
	Scopes    []string `json:"scope"`
	AllScopes bool     `json:"allow_all_scopes"`
	// SubjectType is client (the default), or user.
	SubjectType string `json:"subject_type"`
}

// credential describes a key of an application.
type credential struct {
	ID  string `json:"id"`
	KID string `json:"kid"`
	Alg string `json:"alg"`
}

// opaqueFields are fields of Auth0's objects that hold data of the tenant, not of the protocol.
func opaqueFields() []string {
	return []string{"client_metadata", "addons", "mobile", "external_metadata", "encryption_key", "signing_keys", "options"}
}

// Read reads a File. An application that cannot be read is in the tenant all the same, and is
// refused by Map. Errors quote nothing of the file.
func Read(from io.Reader) (*Tenant, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxFileBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read applications: %w", err)
	case len(text) > maxFileBytes:
		return nil, fmt.Errorf("read applications: the file has more than %d bytes", maxFileBytes)
	}
	var file struct {
		Kind        string                  `json:"kind"`
		Tenant      string                  `json:"tenant"`
		ExportedAt  time.Time               `json:"exported_at"`
		Clients     []rawJSON               `json:"clients"`
		APIs        []api                   `json:"resource_servers"`
		Grants      []grant                 `json:"client_grants"`
		Credentials map[string][]credential `json:"client_credentials"`
	}
	if err := strictjson.Unmarshal(text, &file, opaqueFields()...); err != nil || file.Kind != FileKind {
		return nil, errors.New("read applications: this is not a file of `ferry clients export`")
	}
	t := &Tenant{Domain: file.Tenant, ExportedAt: file.ExportedAt, apis: file.APIs, grants: file.Grants, credentials: file.Credentials}
	for _, raw := range file.Clients {
		t.Applications = append(t.Applications, parseApplication(raw))
	}
	return t, nil
}

// rawJSON keeps a JSON value unchanged.
type rawJSON []byte

// UnmarshalJSON implements json.Unmarshaler.
func (r *rawJSON) UnmarshalJSON(text []byte) error {
	*r = append((*r)[:0], text...)
	return nil
}

// parseApplication reads an application. If it cannot be read as a whole, its id and name are
// read alone.
func parseApplication(raw []byte) Application {
	var app Application
	value, err := strictjson.Value(raw, opaqueFields()...)
	fields, isObject := value.(map[string]any)
	if err == nil && isObject {
		err = strictjson.Unmarshal(raw, &app, opaqueFields()...)
	}
	if err != nil || !isObject || app.ID == "" {
		id, _ := fields["client_id"].(string)
		name, _ := fields["name"].(string)
		return Application{ID: id, Name: name, broken: true}
	}
	app.fields = fields
	return app
}

// at returns the value at a path such as refresh_token.leeway; nil: it is not there.
func (a Application) at(path string) any {
	var value any = a.fields
	for name := range strings.SplitSeq(path, ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// names are the names of its fields, sorted.
func (a Application) names() []string { return slices.Sorted(maps.Keys(a.fields)) }

// isSet reports whether a value says anything: it is not null, false, 0, or empty.
func isSet(value any) bool {
	switch v := value.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case json.Number:
		n, err := v.Float64()
		return err != nil || n != 0
	case []any:
		return len(v) > 0
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(v)), isSet)
	}
	return true
}

// shown returns a short text of a plain value; that of an object or a list is empty, because it
// may have secrets in it.
func shown(value any) string {
	const most = 200
	switch v := value.(type) {
	case string:
		if len(v) <= most {
			return v
		}
	case bool:
		return fmt.Sprint(v)
	case json.Number:
		return v.String()
	}
	return ""
}
