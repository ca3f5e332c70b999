package auth0sim

import "time"

// Strategies of connections that the simulator knows. Any other strategy may
// be used; it then behaves like [StrategySAML], which does not support password grants.
const (
	StrategyDatabase = "auth0" // Auth0's own database, or a custom one
	StrategyEmail    = "email" // passwordless by e-mail code
	StrategySMS      = "sms"   // passwordless by text message
	StrategyAD       = "ad"    // Active Directory or LDAP
	StrategyADFS     = "adfs"
	StrategyAzureAD  = "waad"
	StrategySAML     = "samlp"
	StrategyGoogle   = "google-oauth2"
	StrategyFacebook = "facebook"
)

// Ways for an application to authenticate at the token endpoint.
const (
	AuthPost       = "client_secret_post"
	AuthBasic      = "client_secret_basic"
	AuthPrivateKey = "private_key_jwt"
	AuthNone       = "none"
)

// The grant types: two of the login path, and one for programs.
const (
	GrantPassword          = "password"
	GrantPasswordRealm     = "http://auth0.com/oauth/grant-type/password-realm"
	GrantClientCredentials = "client_credentials"
)

// Tenant is everything that exists in an Auth0 tenant before the first login.
type Tenant struct {
	// DefaultDirectory is the connection of the plain password grant; empty
	// makes that grant answer a server error, as Auth0 does.
	DefaultDirectory string       `json:"default_directory,omitempty"`
	Connections      []Connection `json:"connections,omitempty"`
	Apps             []App        `json:"apps,omitempty"`
	APIs             []API        `json:"apis,omitempty"`
	Users            []User       `json:"users,omitempty"`
	// ClientGrants are those for other APIs than the Management API: see
	// ManagementScopes.
	ClientGrants []ClientGrant `json:"client_grants,omitempty"`
	// RefreshTokens are those that exist before the first login.
	RefreshTokens []RefreshToken `json:"refresh_tokens,omitempty"`
}

// Connection is a source of users: a realm.
type Connection struct {
	Name     string `json:"name"`
	Strategy string `json:"strategy"` // empty is [StrategyDatabase]
	// Realms are the names it answers to; empty is its own name.
	Realms []string `json:"realms,omitempty"`
	// Disabled switches it off for every application.
	Disabled bool `json:"disabled,omitempty"`
	// Custom marks a database that the tenant runs itself: identifiers keep
	// their case, and WrongPassword may be its own words.
	Custom bool `json:"custom,omitempty"`
	// WrongPassword replaces the answer to wrong credentials.
	WrongPassword *Answer `json:"wrong_password,omitempty"`
}

// App is an application (a client) of the tenant.
type App struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret,omitempty"`
	// GrantTypes are those allowed; empty is both password grants, or
	// client_credentials where there are ManagementScopes.
	GrantTypes []string `json:"grant_types,omitempty"`
	// ManagementScopes are those of the Management API that it is allowed: its
	// client grant. Empty: it gets no token for it.
	ManagementScopes []string `json:"management_scopes,omitempty"`
	// Callbacks are the addresses that /authorize may send browsers back to.
	Callbacks []string `json:"callbacks,omitempty"`
	// Connections are those enabled for it; empty is every one.
	Connections []string `json:"connections,omitempty"`
	// AuthMethods are those accepted at the token endpoint; empty is
	// [AuthPost] alone.
	AuthMethods []string `json:"auth_methods,omitempty"`
	// PublicKeys are PEM blocks (PKIX), for [AuthPrivateKey].
	PublicKeys []string `json:"public_keys,omitempty"`
	// IDTokenAlg is RS256 (when empty), PS256, or HS256: signed with the
	// client secret.
	IDTokenAlg string `json:"id_token_alg,omitempty"`
	// TrustForwardedFor is Auth0's "Trust Token Endpoint IP Header".
	TrustForwardedFor bool `json:"trust_forwarded_for,omitempty"`
	// ThirdParty is an application of another organisation, in the strict mode: it is
	// allowed no password grants, even if GrantTypes has them.
	ThirdParty bool `json:"third_party,omitempty"`
	// MFAExempt is a Post-Login Action that asks this client for no second
	// factor.
	MFAExempt bool `json:"mfa_exempt,omitempty"`
	// RefreshTokens is how its refresh tokens live. It gets them with [GrantRefreshToken]
	// among the GrantTypes, and only for offline_access.
	RefreshTokens RefreshPolicy `json:"refresh_token,omitzero"`
	// Details are further members of the application in the Management API, as they are there:
	// name, app_type, allowed_logout_urls, web_origins, addons.
	Details map[string]any `json:"details,omitempty"`
}

// API is a resource server: something an audience may name.
type API struct {
	Identifier string   `json:"identifier"`
	Scopes     []string `json:"scopes,omitempty"`
	// OfflineAccess lets applications get refresh tokens for it.
	OfflineAccess bool `json:"allow_offline_access,omitempty"`
	// Details are further members of the API in the Management API.
	Details map[string]any `json:"details,omitempty"`
}

// User is an account in a connection. Password and PasswordHash are read when a
// user is added or changed, and never given back.
type User struct {
	// ID is the Auth0 user id, "auth0|…"; empty gets a new one.
	ID            string `json:"user_id,omitempty"`
	Connection    string `json:"connection,omitempty"` // empty is the default directory
	Email         string `json:"email,omitempty"`
	EmailVerified bool   `json:"email_verified,omitempty"`
	Username      string `json:"username,omitempty"`
	Phone         string `json:"phone_number,omitempty"`
	PhoneVerified bool   `json:"phone_verified,omitempty"`
	// Password is up to 72 bytes, hashed with bcrypt; for a passwordless
	// connection it is the code.
	Password string `json:"password,omitempty"`
	// PasswordHash is a bcrypt hash, instead of Password.
	PasswordHash string `json:"password_hash,omitempty"`

	Blocked bool `json:"blocked,omitempty"`
	// MFA says that a second factor is enrolled, and so does Multifactor.
	MFA bool `json:"mfa,omitempty"`
	// Multifactor names the providers of the second factors, as the Management
	// API shows them; where MFA alone says that there is one, it shows
	// google-authenticator [INF].
	Multifactor []string `json:"multifactor,omitempty"`
	// AuthenticationMethods are what the Management API lists of the user's methods. A
	// confirmed one that is a second factor is asked for at the login, as MFA is.
	AuthenticationMethods []AuthenticationMethod `json:"authentication_methods,omitempty"`
	// PasswordLeaked makes breached-password detection refuse the right
	// password.
	PasswordLeaked bool `json:"password_leaked,omitempty"`
	// Deny is a Rule or an Action refusing this user.
	Deny *Denial `json:"deny,omitempty"`

	Name       string    `json:"name,omitempty"`
	GivenName  string    `json:"given_name,omitempty"`
	FamilyName string    `json:"family_name,omitempty"`
	MiddleName string    `json:"middle_name,omitempty"`
	Nickname   string    `json:"nickname,omitempty"`
	Picture    string    `json:"picture,omitempty"`
	CreatedAt  time.Time `json:"created_at,omitzero"`
	UpdatedAt  time.Time `json:"updated_at,omitzero"`

	// Logins do not change the next three; a new password changes
	// LastPasswordReset.
	LastLogin         time.Time `json:"last_login,omitzero"`
	LastIP            string    `json:"last_ip,omitempty"`
	LoginsCount       int       `json:"logins_count,omitempty"`
	LastPasswordReset time.Time `json:"last_password_reset,omitzero"`

	AppMetadata  map[string]any `json:"app_metadata,omitempty"`
	UserMetadata map[string]any `json:"user_metadata,omitempty"`
	// CustomClaims are the claims that a Post-Login Action adds to ID tokens and
	// /userinfo. Standard claims among them appear only with their scope.
	CustomClaims map[string]any `json:"custom_claims,omitempty"`
	// Identities are the accounts linked to this one, without itself.
	Identities []Identity `json:"identities,omitempty"`
}

// Identity is an account linked to a user. A login with it succeeds as the
// user it is linked to: the subject is the primary user's id.
type Identity struct {
	Provider   string `json:"provider"`
	UserID     string `json:"user_id"` // without the provider
	Connection string `json:"connection"`
	IsSocial   bool   `json:"isSocial,omitempty"`

	Email         string `json:"email,omitempty"`
	EmailVerified bool   `json:"email_verified,omitempty"`
	Username      string `json:"username,omitempty"`
	Phone         string `json:"phone_number,omitempty"`
	Name          string `json:"name,omitempty"`
	Password      string `json:"password,omitempty"`
	PasswordHash  string `json:"password_hash,omitempty"`
}

// Denial is custom code in the tenant refusing a login whose password is right.
type Denial struct {
	// Reason becomes the error description.
	Reason string `json:"reason"`
	// Rule answers like a Rule (401 unauthorized) and not like an Action (403
	// access_denied).
	Rule bool `json:"rule,omitempty"`
}
