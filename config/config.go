// Package config holds every setting of ferry: it loads them from the environment,
// checks them as a whole and prints them without their secrets. It is the only
// reader of the environment, and only the programs below cmd import it.
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

// Prefix is what the name of every setting starts with.
const Prefix = "FERRY_"

// Part is something that settings are needed for.
type Part string

// The parts that require settings; what a part can do without is checked where it
// is set.
const (
	// Serve is answering Kratos' hooks.
	Serve Part = "serve"
	// Kratos is the admin API.
	Kratos Part = "kratos"
	// Management is Auth0's Management API.
	Management Part = "management"
)

// Config is every setting, one field each; field order is the order of the
// table of docs/settings.md. A field's name gives the variable's (HookKeys is
// FERRY_HOOK_KEYS); a field of a secret type can also be read from the file that
// the variable NAME_FILE names. The tag required lists the parts that cannot do
// without it.
type Config struct {
	Listen         string `default:"127.0.0.1:4480" desc:"Where the hooks listen, host:port. Off loopback only with TLS or FERRY_INSECURE_LISTEN."`
	AdminListen    string `default:"127.0.0.1:4481" desc:"Where health, version and metrics listen, host:port. The same rule as for FERRY_LISTEN."`
	TLSCertFile    string `desc:"Certificate chain (PEM) for both listeners; with FERRY_TLS_KEY_FILE."`
	TLSKeyFile     string `desc:"Private key (PEM) for both listeners; with FERRY_TLS_CERT_FILE."`
	InsecureListen bool   `default:"false" desc:"Allows plain HTTP off loopback: only where something else encrypts the traffic, passwords are in it."`

	HookKeys         Keys   `required:"serve" desc:"The key that Kratos sends, 32 characters or more; two of them, comma between, while you rotate."`
	MaxPasswordBytes int    `default:"72" desc:"Longer passwords are refused, and Auth0 is not asked. 72 is all that bcrypt takes, Kratos' default hasher: it refuses a longer one even after a match."`
	Binding          string `default:"recorded" desc:"recorded: the identity must record the Auth0 user it was imported from. verified_identifier: one that records none may match by the e-mail or phone that Auth0 verified."`
	MigrationClosed  bool   `default:"false" desc:"Ends the migration: whoever is still pending sees wrong credentials, and Auth0 is asked about nobody. Set it on every ferry before ferry finish --yes; unset it to open the migration again."`

	TrustedProxies int `default:"0" desc:"How many proxies of yours stand before Kratos and append to the one header that the template passes on: the person's address is the Nth from the right. 0: none is believed."`

	Auth0Domain          string        `required:"serve,management" desc:"Your tenant's domain, or its custom domain, as it stands in the ID tokens' issuer: tenant.eu.auth0.com."`
	Auth0BaseURL         string        `desc:"Where to connect instead of https://DOMAIN. Plain HTTP on loopback only."`
	Auth0ClientID        string        `required:"serve" desc:"Client id of the Auth0 application made for ferry."`
	Auth0ClientSecret    secret.String `desc:"Its client secret. **Required**, unless there is a private key."`
	Auth0ClientAuth      string        `desc:"How the application authenticates: client_secret_post, client_secret_basic or private_key_jwt. Unset: private_key_jwt where there is a private key, else client_secret_post."`
	Auth0PrivateKeyFile  string        `desc:"The application's RSA private key (PEM), for private_key_jwt."`
	Auth0Realms          []string      `desc:"Database connections that may be asked, comma between; the first is for identities that record none. Empty: the tenant's default directory."`
	Auth0CustomRealms    []string      `desc:"Those of FERRY_AUTH0_REALMS that are AD, LDAP or custom databases: list them knowingly. They are asked with the identifier in the case that the identity's trait has."`
	Auth0Scope           string        `default:"openid profile email phone" desc:"Scopes of the grant: openid among them, never offline_access."`
	Auth0Audience        string        `desc:"API that the access token is for. Not needed."`
	Auth0IDTokenAlg      string        `default:"RS256" desc:"What the application's ID tokens are signed with: RS256 or PS256. Where they are HS256, ferry asks /userinfo at every login."`
	Auth0ForwardClientIP bool          `default:"false" desc:"Tells Auth0 the person's address, so that its attack protection counts people, not ferry. Needs FERRY_TRUSTED_PROXIES, a client secret, and Trust Token Endpoint IP Header switched on for the application."`
	Auth0Timeout         time.Duration `default:"8s" desc:"How long one login may wait for Auth0, all in all. At most 20s: Kratos gives up after 30s."`

	Auth0TenantDomain     string        `desc:"The tenant's canonical domain, where FERRY_AUTH0_DOMAIN is a custom one; write-back and export need it."`
	Auth0MgmtClientID     string        `required:"management" desc:"Client id of a machine-to-machine application for the Management API; write-back and export need it. Export needs the scope read:users, and read:connections to find a connection by its name."`
	Auth0MgmtClientSecret secret.String `required:"management" desc:"Its client secret."`
	WriteBack             bool          `default:"false" desc:"Notes at Auth0, in app_metadata.ferry, that a user has crossed. Needs the Management API application, with the scope update:users."`

	KratosAdminURL   string        `required:"serve,kratos" desc:"Kratos' admin API: http://127.0.0.1:4434."`
	KratosPublicURL  string        `desc:"Kratos' public API as ferry reaches it: http://127.0.0.1:4433. Only for identity schemas. Unset: they are read where the admin API redirects to, which is serve.public.base_url in kratos.yml; set this where ferry cannot reach that address."`
	KratosAdminToken secret.String `desc:"Bearer token for that API, where something in front of it wants one."`

	StateURL            secret.String `default:"memory:" desc:"Where what crosses between the two hooks is kept for two minutes: memory:, or redis://user:password@host:6379/0 (rediss:// with TLS) for several replicas."`
	StateKey            secret.String `desc:"Key that encrypts it in Redis, 32 characters or more, the same on every replica. **Required** with Redis."`
	Mapper              string        `desc:"File with a Jsonnet mapper, as Kratos' OIDC providers use them, instead of the mapping by the names of the traits."`
	TraitPolicy         []string      `desc:"trait=fill, trait=overwrite or trait=never, comma between; a trait inside another is written a.b. Default for all: fill, which writes only what is empty."`
	VerifiedConnections []string      `desc:"Auth0 connections whose verified e-mail addresses and phone numbers are believed. Empty: databases."`

	RecordDir      string        `desc:"Directory of recordings of hook calls, for ferry replay. Unset: nothing is recorded. Made where it is missing; nobody else may be able to write there."`
	RecordKey      string        `desc:"Public key of ferry record keygen: seals identifier and password of logins that failed for whoever has the private key. Unset: hashes and a placeholder stand for both."`
	RecordMaxBytes int           `default:"67108864" desc:"How large a file of recordings grows; all together take 16 times as much at most, the oldest go first."`
	RecordKeep     time.Duration `default:"168h" desc:"How long a recorded call is kept at most."`

	LogLevel   string        `default:"info" desc:"debug, info, warn or error."`
	LogFormat  string        `default:"json" desc:"json or console."`
	LogHashKey secret.String `desc:"Key of the hashes of identifiers and Auth0 user ids in logs, 32 characters or more. Unset: a new one at every start, so hashes of two runs or replicas cannot be compared."`

	sources map[string]string
}

// BindingVerifiedIdentifier is the value of FERRY_BINDING under which an identity
// that records no Auth0 user may match by a verified e-mail address or phone number.
const BindingVerifiedIdentifier = "verified_identifier"

// Keys are the one or two keys a caller may present.
type Keys []secret.String

// Decode implements envconfig.Decoder: a comma stands between two keys.
func (k *Keys) Decode(text string) error {
	if text == "" {
		return errors.New("is empty")
	}
	var keys Keys
	for part := range strings.SplitSeq(text, ",") {
		keys = append(keys, secret.New(part))
	}
	*k = keys
	return nil
}

// The ways in which the Auth0 application authenticates.
const (
	ClientSecretPost  = "client_secret_post"
	ClientSecretBasic = "client_secret_basic"
	PrivateKeyJWT     = "private_key_jwt"
)

// ClientAuth is the way in which the application authenticates.
func (c *Config) ClientAuth() string {
	switch {
	case c.Auth0ClientAuth != "":
		return c.Auth0ClientAuth
	case c.Auth0PrivateKeyFile != "":
		return PrivateKeyJWT
	}
	return ClientSecretPost
}

// PrivateKey reads the application's private key; the error never quotes the file.
func (c *Config) PrivateKey() (*rsa.PrivateKey, error) {
	text, err := os.ReadFile(c.Auth0PrivateKeyFile)
	if err != nil {
		return nil, errors.New("cannot be read: " + reason(err))
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("holds no PEM block")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, isRSA := parsed.(*rsa.PrivateKey)
	if err != nil || !isRSA {
		return nil, errors.New("holds no RSA private key without a passphrase")
	}
	return key, nil
}

// ManagementDomain is the tenant's canonical domain: the Management API's audience.
func (c *Config) ManagementDomain() string {
	if c.Auth0TenantDomain != "" {
		return c.Auth0TenantDomain
	}
	return c.Auth0Domain
}

// Redis reports whether the state between the hooks is shared.
func (c *Config) Redis() bool { return strings.HasPrefix(c.StateURL.Reveal(), "redis") }

// BaseURL is where ferry connects to Auth0, without a slash at the end.
func (c *Config) BaseURL() string {
	if c.Auth0BaseURL != "" {
		return strings.TrimRight(c.Auth0BaseURL, "/")
	}
	return "https://" + c.Auth0Domain
}

// TLS reports whether the listeners speak TLS.
func (c *Config) TLS() bool { return c.TLSCertFile != "" && c.TLSKeyFile != "" }
