// Package config loads ferry's settings from the environment, checks them together, and
// prints them without secrets. It is the only reader of the environment, and only the
// programs below cmd import it. It opens no connections.
package config

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"time"

	"ferry/secret"
)

// Prefix starts the name of every setting.
const Prefix = "FERRY_"

// Part is a part of ferry that requires settings.
type Part string

// The parts that require settings. Settings that depend on other settings are checked
// in all parts.
const (
	// Serve is answering Kratos' hooks.
	Serve Part = "serve"
	// Kratos is the admin API.
	Kratos Part = "kratos"
	// Management is Auth0's Management API.
	Management Part = "management"
	// Hydra is Ory Hydra.
	Hydra Part = "hydra"
)

// Config holds every setting, one field each, in the order of the table in
// docs/settings.md. The tag required lists the parts that need the setting. A field of a
// secret type can also be read from the file that the variable NAME_FILE names.
//
// envconfig reads the texts. It stops at the first value that it cannot parse, and quotes
// it, so flags, numbers and durations have the tag ignored and are parsed by parse.
type Config struct {
	Listen         string `envconfig:"FERRY_LISTEN" default:"127.0.0.1:4480" desc:"Address of the hooks listener, host:port. An address that is not loopback needs TLS or FERRY_INSECURE_LISTEN."`
	AdminListen    string `envconfig:"FERRY_ADMIN_LISTEN" default:"127.0.0.1:4481" desc:"Address of the admin listener (health, version, metrics, the page), host:port. The same rule as for FERRY_LISTEN."`
	TLSCertFile    string `envconfig:"FERRY_TLS_CERT_FILE" desc:"Certificate chain (PEM) for both listeners. Needs FERRY_TLS_KEY_FILE."`
	TLSKeyFile     string `envconfig:"FERRY_TLS_KEY_FILE" desc:"Private key (PEM) for both listeners. Needs FERRY_TLS_CERT_FILE."`
	InsecureListen bool   `ignored:"true" envconfig:"FERRY_INSECURE_LISTEN" default:"false" desc:"Allows plain HTTP on addresses that are not loopback. The traffic contains passwords: set it only where something else encrypts it."`

	HookKeys         Keys   `envconfig:"FERRY_HOOK_KEYS" required:"serve" desc:"The key that Kratos sends, 32 characters or more. Two keys, separated by a comma, during a rotation."`
	MaxPasswordBytes int    `ignored:"true" envconfig:"FERRY_MAX_PASSWORD_BYTES" default:"72" desc:"ferry refuses longer passwords and does not send them to Auth0. Kratos' default hasher, bcrypt, takes at most 72 bytes and refuses a longer password even after a match."`
	Binding          string `envconfig:"FERRY_BINDING" default:"recorded" desc:"recorded: the identity must record the Auth0 user it was imported from. verified_identifier: an identity that records no Auth0 user may match by the e-mail address or phone number that Auth0 verified."`
	MigrationClosed  bool   `ignored:"true" envconfig:"FERRY_MIGRATION_CLOSED" default:"false" desc:"Ends the migration: logins of pending identities fail as wrong credentials, and ferry no longer asks Auth0. Set it on every ferry before ferry finish --yes. Unset it to reopen the migration."`

	Mode       string        `envconfig:"FERRY_MODE" default:"on" desc:"on, off or observe. off: every login of a pending user is an outage, and Auth0 is not asked. observe: logins are decided, counted and recorded, but no match is given and no identity is created. See docs/modes.md."`
	ModeFile   string        `envconfig:"FERRY_MODE_FILE" desc:"File with the mode, instead of FERRY_MODE. ferry reads it at the start, when it changes, and on SIGHUP if FERRY_AUDIT_LOG is not a file."`
	Cohort     string        `envconfig:"FERRY_COHORT" default:"all" desc:"Users whose logins ferry decides: all, or terms separated by commas, such as 25%, @example.com or traits.plan=beta. For the others, every login of a pending user is an outage. A percentage needs FERRY_STATE_KEY, also without Redis."`
	CohortFile string        `envconfig:"FERRY_COHORT_FILE" desc:"File with the cohort, instead of FERRY_COHORT. ferry reads it in the same way as FERRY_MODE_FILE."`
	AdminKey   secret.String `envconfig:"FERRY_ADMIN_KEY" desc:"Key for the admin listener, 32 characters or more, with which an operator changes the mode (/mode, and the form of the page) and sees the page from other machines. Unset: the mode cannot be changed there, and the page is shown on this machine only. See docs/admin-page.md."`

	LoginsInFlight int `ignored:"true" envconfig:"FERRY_LOGINS_IN_FLIGHT" default:"800" desc:"Maximum number of logins that this ferry decides at the same time. 800 is enough for 100 logins per second, the limit of Auth0's largest public plan, if each takes 8s (FERRY_AUTH0_TIMEOUT)."`
	LoginsQueued   int `ignored:"true" envconfig:"FERRY_LOGINS_QUEUED" default:"200" desc:"How many more logins wait for their turn, for 2s at most. Beyond that a login ends at once with an error, and the password is not sent."`

	TrustedProxies int `ignored:"true" envconfig:"FERRY_TRUSTED_PROXIES" default:"0" desc:"Number of your proxies in front of Kratos that append to the header that the template passes on. The client address is the Nth from the right. 0: no address is trusted."`

	Auth0Domain            string        `envconfig:"FERRY_AUTH0_DOMAIN" required:"serve,management" desc:"Domain of your tenant, or its custom domain, as in the issuer of its ID tokens: tenant.eu.auth0.com."`
	Auth0BaseURL           string        `envconfig:"FERRY_AUTH0_BASE_URL" desc:"URL to connect to instead of https://DOMAIN. Plain HTTP on loopback only."`
	Auth0ClientID          string        `envconfig:"FERRY_AUTH0_CLIENT_ID" required:"serve" desc:"Client id of the Auth0 application for ferry."`
	Auth0ClientSecret      secret.String `envconfig:"FERRY_AUTH0_CLIENT_SECRET" desc:"Client secret of that application. **Required** without a private key."`
	Auth0ClientAuth        string        `envconfig:"FERRY_AUTH0_CLIENT_AUTH" desc:"How the application authenticates: client_secret_post, client_secret_basic or private_key_jwt. Default: private_key_jwt with a private key, else client_secret_post."`
	Auth0PrivateKeyFile    string        `envconfig:"FERRY_AUTH0_PRIVATE_KEY_FILE" desc:"The application's RSA private key (PEM), for private_key_jwt."`
	Auth0Realms            []string      `envconfig:"FERRY_AUTH0_REALMS" desc:"Database connections that ferry may ask, separated by commas. The first is for identities that record no connection. Empty: the tenant's default directory."`
	Auth0CustomRealms      []string      `envconfig:"FERRY_AUTH0_CUSTOM_REALMS" desc:"Those of FERRY_AUTH0_REALMS that are AD, LDAP or custom databases; they must be listed here as well. ferry sends them the identifier in the case of the identity's trait."`
	Auth0Scope             string        `envconfig:"FERRY_AUTH0_SCOPE" default:"openid profile email phone" desc:"Scopes of the grant. Must contain openid, and must not contain offline_access."`
	Auth0Audience          string        `envconfig:"FERRY_AUTH0_AUDIENCE" desc:"API that the access token is for. Not needed by ferry."`
	Auth0IDTokenAlg        string        `envconfig:"FERRY_AUTH0_ID_TOKEN_ALG" default:"RS256" desc:"Signature algorithm of the application's ID tokens: RS256 or PS256. If they are signed with HS256, ferry calls /userinfo at every login."`
	Auth0ForwardClientIP   bool          `ignored:"true" envconfig:"FERRY_AUTH0_FORWARD_CLIENT_IP" default:"false" desc:"Sends the client address to Auth0, so that its attack protection counts attempts by user address instead of ferry's. Needs FERRY_TRUSTED_PROXIES, a client secret, and the application's Trust Token Endpoint IP Header switched on."`
	Auth0Timeout           time.Duration `ignored:"true" envconfig:"FERRY_AUTH0_TIMEOUT" default:"8s" desc:"How long one login may wait for Auth0 in total. At most 20s: Kratos gives up after 30s."`
	Auth0RequestsPerSecond int           `ignored:"true" envconfig:"FERRY_AUTH0_REQUESTS_PER_SECOND" default:"0" desc:"Maximum requests per second that this ferry sends to Auth0 for logins; further logins end at once with an error, and the password is not sent. Each replica counts its own. Set it below the tenant's limit if other applications need a part of it. 0: no limit of its own; ferry still stops while Auth0 says that its limit is used up."`

	Auth0BruteForceAttempts   int `ignored:"true" envconfig:"FERRY_AUTH0_BRUTE_FORCE_ATTEMPTS" default:"10" desc:"Threshold of Auth0's brute-force protection. ferry stops one wrong password earlier: it no longer asks about a user from that address, until a success or for 30 days, so that Auth0 does not block the user. 0: no limit; use it only if the protection is off, or does not count ferry's logins."`
	Auth0SuspiciousIPAttempts int `ignored:"true" envconfig:"FERRY_AUTH0_SUSPICIOUS_IP_ATTEMPTS" default:"100" desc:"Failed logins a day after which Auth0's suspicious-IP throttling blocks an address for all users. ferry warns at 80 % and stops at 95 %, for each address that it sends to Auth0, and for its own where it sends none. 0: no limit; use it only if the throttling is off, or ferry's address is on its allow list."`
	AttemptsPerUser           int `ignored:"true" envconfig:"FERRY_ATTEMPTS_PER_USER" default:"50" desc:"Maximum wrong passwords per day for one user, from all addresses, that ferry sends to Auth0. 0: no limit."`

	Auth0TenantDomain     string        `envconfig:"FERRY_AUTH0_TENANT_DOMAIN" desc:"Canonical domain of the tenant, if FERRY_AUTH0_DOMAIN is a custom domain. Needed by write-back and export."`
	Auth0MgmtClientID     string        `envconfig:"FERRY_AUTH0_MGMT_CLIENT_ID" required:"management" desc:"Client id of a machine-to-machine application for the Management API. Needed by write-back and export. Export needs the scope read:users, and read:connections to find a connection by its name; export of second factors needs read:authentication_methods."`
	Auth0MgmtClientSecret secret.String `envconfig:"FERRY_AUTH0_MGMT_CLIENT_SECRET" required:"management" desc:"Client secret of that application."`
	WriteBack             bool          `ignored:"true" envconfig:"FERRY_WRITE_BACK" default:"false" desc:"Records at Auth0, in app_metadata.ferry, that a user has migrated. Needs the Management API application with the scope update:users."`

	KratosAdminURL   string        `envconfig:"FERRY_KRATOS_ADMIN_URL" required:"serve,kratos" desc:"Kratos' admin API: http://127.0.0.1:4434."`
	KratosPublicURL  string        `envconfig:"FERRY_KRATOS_PUBLIC_URL" desc:"Kratos' public API as ferry reaches it: http://127.0.0.1:4433. Used for identity schemas, and by the gateway. Default, without a gateway: the address that the admin API redirects to, which is serve.public.base_url in kratos.yml. Set it if ferry cannot reach that address."`
	KratosAdminToken secret.String `envconfig:"FERRY_KRATOS_ADMIN_TOKEN" desc:"Bearer token for the admin API, if a proxy in front of it requires one."`
	CountEvery       time.Duration `ignored:"true" envconfig:"FERRY_COUNT_EVERY" default:"0s" desc:"Time between two counts of the identities in Kratos, which ferry shows in its metrics. A count reads all identities, slowly. 0s: no counts; otherwise between 1m and 168h. With several replicas, set it on one of them. See docs/monitoring.md."`

	HydraAdminURL   string        `envconfig:"FERRY_HYDRA_ADMIN_URL" required:"hydra" desc:"Ory Hydra's admin API: http://127.0.0.1:4445. Used by the token front and ferry clients import. Needs FERRY_HYDRA_PUBLIC_URL."`
	HydraPublicURL  string        `envconfig:"FERRY_HYDRA_PUBLIC_URL" required:"hydra" desc:"Hydra's public API as ferry reaches it: http://127.0.0.1:4444. The credentials of clients are sent there."`
	HydraAdminToken secret.String `envconfig:"FERRY_HYDRA_ADMIN_TOKEN" desc:"Bearer token for Hydra's admin API, if a proxy in front of it requires one."`

	GatewayListen           string   `envconfig:"FERRY_GATEWAY_LISTEN" desc:"Address of the gateway in front of Kratos' public API, host:port. The same rule as for FERRY_LISTEN. Needs FERRY_KRATOS_PUBLIC_URL. Unset: no gateway."`
	ForwardAuthListen       string   `envconfig:"FERRY_FORWARD_AUTH_LISTEN" desc:"Address, host:port, at which Traefik (forwardAuth) or Envoy (ext_authz) asks ferry about requests before it passes them on to Kratos. Only that proxy may reach it. The same rule as for FERRY_LISTEN. Unset: no such listener."`
	GatewayRealms           []string `envconfig:"FERRY_GATEWAY_REALMS" desc:"Those of FERRY_AUTH0_REALMS that the gateway asks about users whom Kratos does not have, in this order, each only if those before it rejected the password. Default: the first of FERRY_AUTH0_REALMS."`
	GatewayTrustedProxies   int      `ignored:"true" envconfig:"FERRY_GATEWAY_TRUSTED_PROXIES" default:"0" desc:"Number of your proxies in front of the gateway that append to X-Forwarded-For. 0: the gateway is the outermost; it then writes the header itself, and FERRY_TRUSTED_PROXIES is 1. For FERRY_FORWARD_AUTH_LISTEN the proxy that asks is one of them, and 0 counts as 1."`
	GatewayErrorURL         string   `envconfig:"FERRY_GATEWAY_ERROR_URL" desc:"Page to which the gateway sends browsers when logins cannot be checked. Default: a plain page of its own."`
	GatewayPerMinute        int      `ignored:"true" envconfig:"FERRY_GATEWAY_PER_MINUTE" default:"30" desc:"Maximum requests per minute from one address that the gateway handles for users whom Kratos does not have."`
	GatewayLookupsPerSecond int      `ignored:"true" envconfig:"FERRY_GATEWAY_LOOKUPS_PER_SECOND" default:"1" desc:"Maximum requests per second that the gateway sends to the Management API to look users up. Stay below the rate limit of your plan: 2 on the free one."`
	Ensure                  bool     `ignored:"true" envconfig:"FERRY_ENSURE" default:"false" desc:"Serves POST /hooks/ensure, with which the server of a login UI has ferry create the identity of a user whom Kratos does not have. Needs the Management API application with the scope read:users."`
	SignUp                  bool     `ignored:"true" envconfig:"FERRY_SIGN_UP" default:"false" desc:"Looks up users who sign up at Kratos among Auth0's users, for the hook that ferry kratos-config --sign-up adds. Needs the Management API application."`
	SchemaID                string   `envconfig:"FERRY_SCHEMA_ID" desc:"Identity schema of the identities that the gateway creates. Default: the only one that Kratos has."`
	Providers               []string `envconfig:"FERRY_PROVIDERS" desc:"AUTH0=KRATOS pairs, separated by commas: accounts at these providers or connections of Auth0 become credentials of Kratos' providers, as with ferry import --provider. For the identities that the gateway creates."`
	Bridge                  string   `envconfig:"FERRY_BRIDGE" desc:"Id of Kratos' OIDC provider that is the tenant itself, as with ferry import --bridge. For the identities that the gateway creates."`
	DataDir                 string   `envconfig:"FERRY_DATA_DIR" desc:"Directory for what ferry keeps over a restart: how many failed logins Auth0 counts against its address; which Auth0 users Kratos has or had, so that no user is created twice, or again after a deletion; refresh tokens that are being re-minted; the history that the page shows; and what ferry's commands verified, for ferry plan. Each ferry needs its own directory; commands may use that of any ferry. Not used with Redis, which keeps all of it for all replicas. Unset: kept in memory; at every start the gateway reads Kratos first."`

	TokenListen         string   `envconfig:"FERRY_TOKEN_LISTEN" desc:"Address of the token front, host:port: the listener in front of Hydra's public API that answers at the host where applications expect Auth0. The same rule as for FERRY_LISTEN. Needs FERRY_HYDRA_PUBLIC_URL and FERRY_HYDRA_ADMIN_URL. Unset: no token front. See docs/token-front.md."`
	TokenTrustedProxies int      `ignored:"true" envconfig:"FERRY_TOKEN_TRUSTED_PROXIES" default:"0" desc:"Number of your proxies in front of the token front that append to X-Forwarded-For. 0: the token front is the outermost, and writes the header itself."`
	TokenPerMinute      int      `ignored:"true" envconfig:"FERRY_TOKEN_PER_MINUTE" default:"60" desc:"Maximum requests per minute with tokens of Auth0 that the token front handles from one address. The refresh tokens of clients that authenticate with a secret count only if the secret is wrong."`
	RemintClients       []string `envconfig:"FERRY_REMINT_CLIENTS" desc:"Client ids of the applications whose Auth0 refresh tokens the token front replaces with those of Hydra, separated by commas, or * for every client of Hydra. Needs FERRY_TOKEN_LISTEN. Unset: no tokens are replaced, and requests with such a token get 503."`

	PlanReconcileAge time.Duration `ignored:"true" envconfig:"FERRY_PLAN_RECONCILE_AGE" default:"72h" desc:"How old the last ferry reconcile, and the export that it read, may be before ferry plan calls it stale and asks for another."`
	PlanQuiet        time.Duration `ignored:"true" envconfig:"FERRY_PLAN_QUIET" default:"336h" desc:"How long no user may have migrated before ferry plan proposes to close the migration. An application that used an Auth0 refresh token within this time blocks the end of the migration."`
	PlanAccept       []string      `envconfig:"FERRY_PLAN_ACCEPT" desc:"Blockers of ferry plan that you accept, separated by commas: missing, second_factor, social_without_provider, not_importable, bridge_only, no_address, auth0_tokens. ferry plan then goes on to the end without these users or applications. See docs/plan.md."`

	StateURL            secret.String `envconfig:"FERRY_STATE_URL" default:"memory:" desc:"Where ferry stores profiles and delivery results, for two minutes, and counts of failed logins and the gateway's users register: memory:, or for several replicas redis://user:password@host:6379/0 (rediss:// with TLS)."`
	StateKey            secret.String `envconfig:"FERRY_STATE_KEY" desc:"Key that encrypts the state in Redis, 32 characters or more, the same on every replica. **Required** with Redis."`
	Mapper              string        `envconfig:"FERRY_MAPPER" desc:"File with a Jsonnet mapper, in the form that Kratos' OIDC providers use. Default: profiles are mapped by trait names."`
	TraitPolicy         []string      `envconfig:"FERRY_TRAIT_POLICY" desc:"trait=fill, trait=overwrite or trait=never, separated by commas. A nested trait is written a.b. Default for all traits: fill, which writes empty traits only."`
	VerifiedConnections []string      `envconfig:"FERRY_VERIFIED_CONNECTIONS" desc:"Auth0 connections whose verified e-mail addresses and phone numbers are trusted: databases by their name, others by the provider in the user id, such as google-oauth2 or samlp. Empty: databases."`

	RecordDir      string        `envconfig:"FERRY_RECORD_DIR" desc:"Directory for recordings of hook calls, for ferry replay. Unset: nothing is recorded. ferry creates it if it is missing. No other user may have write access to it."`
	RecordKey      string        `envconfig:"FERRY_RECORD_KEY" desc:"Public key from ferry record keygen. Encrypts the identifier and password of failed logins for the holder of the private key. Unset: recordings hold hashes and a placeholder instead."`
	RecordMaxBytes int           `ignored:"true" envconfig:"FERRY_RECORD_MAX_BYTES" default:"67108864" desc:"Largest size of one recording file. All files together take at most 16 times as much; the oldest are deleted first."`
	RecordKeep     time.Duration `ignored:"true" envconfig:"FERRY_RECORD_KEEP" default:"168h" desc:"How long a recorded call is kept at most."`

	AuditLog string `envconfig:"FERRY_AUDIT_LOG" desc:"File to which ferry appends an audit record for each decision, or - for standard output. Created with mode 0600, reopened on SIGHUP. Unset: no audit log. Commands that change identities write to it too, unless it is -. See docs/audit.md."`

	LogLevel   string        `envconfig:"FERRY_LOG_LEVEL" default:"info" desc:"debug, info, warn or error."`
	LogFormat  string        `envconfig:"FERRY_LOG_FORMAT" default:"json" desc:"json or console."`
	LogHashKey secret.String `envconfig:"FERRY_LOG_HASH_KEY" desc:"Key for the hashes of identifiers and Auth0 user ids in logs, 32 characters or more. Unset: a new key at every start; hashes from different runs or replicas then cannot be compared."`

	// Traces are what OTEL_ variables say; see there.
	Traces Traces `ignored:"true"`

	sources map[string]string
}

// BindingVerifiedIdentifier is the value of FERRY_BINDING under which an identity
// that records no Auth0 user may match by a verified e-mail address or phone number.
const BindingVerifiedIdentifier = "verified_identifier"

// Keys are the one or two keys a caller may present.
type Keys []secret.String

// UnmarshalText splits a list at its commas. It does not fail.
func (k *Keys) UnmarshalText(text []byte) error {
	*k = nil
	for part := range strings.SplitSeq(string(text), ",") {
		*k = append(*k, secret.New(part))
	}
	return nil
}

// The methods by which the Auth0 application authenticates.
const (
	ClientSecretPost  = "client_secret_post"
	ClientSecretBasic = "client_secret_basic"
	PrivateKeyJWT     = "private_key_jwt"
)

// ClientAuth is the method by which the application authenticates.
func (c *Config) ClientAuth() string {
	switch {
	case c.Auth0ClientAuth != "":
		return c.Auth0ClientAuth
	case c.Auth0PrivateKeyFile != "":
		return PrivateKeyJWT
	}
	return ClientSecretPost
}

// PrivateKey reads the application's private key. Errors never quote the file.
func (c *Config) PrivateKey() (*rsa.PrivateKey, error) {
	text, err := os.ReadFile(c.Auth0PrivateKeyFile)
	if err != nil {
		return nil, errors.New("cannot be read: " + reason(err))
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("contains no PEM block")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, isRSA := parsed.(*rsa.PrivateKey)
	if err != nil || !isRSA {
		return nil, errors.New("contains no RSA private key without a passphrase")
	}
	return key, nil
}

// ManagementDomain is the tenant's canonical domain, which the Management API's audience
// names.
func (c *Config) ManagementDomain() string {
	if c.Auth0TenantDomain != "" {
		return c.Auth0TenantDomain
	}
	return c.Auth0Domain
}

// Redis reports whether the state is in Redis.
func (c *Config) Redis() bool { return strings.HasPrefix(c.StateURL.Reveal(), "redis") }

// CreatesIdentities reports whether serve creates identities one by one.
func (c *Config) CreatesIdentities() bool {
	return c.GatewayListen != "" || c.ForwardAuthListen != "" || c.Ensure || c.SignUp
}

// BaseURL is the URL by which ferry connects to Auth0, without a trailing slash.
func (c *Config) BaseURL() string {
	if c.Auth0BaseURL != "" {
		return strings.TrimRight(c.Auth0BaseURL, "/")
	}
	return "https://" + c.Auth0Domain
}

// TLS reports whether the listeners use TLS.
func (c *Config) TLS() bool { return c.TLSCertFile != "" && c.TLSKeyFile != "" }
