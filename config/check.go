package config

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"ferry/transport"
	"ferry/wire"
)

const (
	minKeyLength    = 32
	maxAuth0Timeout = 20 * time.Second
	maxPassword     = 4096
	maxLogins       = 100_000
	maxPerSecond    = 10_000
	maxProxies      = 16
	minRecordBytes  = 1 << 20
	maxRecordBytes  = 1 << 30
	maxRecordKeep   = 90 * 24 * time.Hour
	maxCountEvery   = 7 * 24 * time.Hour
)

// checker collects faults. It skips settings that could not be read.
type checker struct {
	unread map[string]bool
	faults Faults
}

func (k *checker) require(holds bool, name, problem string) {
	fault := Fault{Prefix + name, problem}
	if !holds && !k.unread[fault.Name] && !slices.Contains(k.faults, fault) {
		k.faults = append(k.faults, fault)
	}
}

// check checks the settings together. Settings that a part always requires were checked
// when they were read.
func (c *Config) check(unread map[string]bool, parts []Part) Faults {
	k := &checker{unread: unread}
	c.checkListeners(k, slices.Contains(parts, Serve))
	c.checkHook(k)
	c.checkMode(k)
	c.checkAuth0(k)
	c.checkClientAuth(k, slices.Contains(parts, Serve))
	c.checkLimits(k)
	c.checkKratos(k)
	c.checkHydra(k)
	c.checkGateway(k)
	c.checkTokenFront(k)
	c.checkState(k)
	c.checkWriteBack(k)
	c.checkEnsure(k)
	c.checkSignUp(k)
	c.checkRecording(k)
	c.checkPlan(k)
	k.require(slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel), "LOG_LEVEL", "must be debug, info, warn or error")
	k.require(slices.Contains([]string{"json", "console"}, c.LogFormat), "LOG_FORMAT", "must be json or console")
	k.require(c.LogHashKey.Empty() || utf8.RuneCountInString(c.LogHashKey.Reveal()) >= minKeyLength, "LOG_HASH_KEY", "must have 32 characters or more")
	return k.faults
}

// checkListeners checks the listeners. Only serving needs encryption: the container image sets
// addresses that are not loopback for every command.
func (c *Config) checkListeners(k *checker, serves bool) {
	const address = "must be host:port, such as 127.0.0.1:4480"
	const exposed = "is not loopback: set FERRY_TLS_CERT_FILE and FERRY_TLS_KEY_FILE, or FERRY_INSECURE_LISTEN=true if something else encrypts the traffic"
	for _, listener := range []struct{ name, listen string }{{"LISTEN", c.Listen}, {"ADMIN_LISTEN", c.AdminListen}, {"GATEWAY_LISTEN", c.GatewayListen}, {"FORWARD_AUTH_LISTEN", c.ForwardAuthListen}, {"TOKEN_LISTEN", c.TokenListen}} {
		if listener.listen == "" && listener.name != "LISTEN" && listener.name != "ADMIN_LISTEN" {
			continue
		}
		host, port, err := net.SplitHostPort(listener.listen)
		ok := err == nil && isPort(port)
		k.require(ok, listener.name, address)
		k.require(!ok || !serves || transport.IsLoopback(host) || c.TLS() || c.InsecureListen, listener.name, exposed)
	}
	k.require(c.Listen != c.AdminListen || strings.HasSuffix(c.Listen, ":0"), "ADMIN_LISTEN", "is the same as FERRY_LISTEN; the two listeners need different addresses")
	k.require(c.TLSCertFile == "" || c.TLSKeyFile != "", "TLS_KEY_FILE", "is not set, but FERRY_TLS_CERT_FILE is; set both or neither")
	k.require(c.TLSKeyFile == "" || c.TLSCertFile != "", "TLS_CERT_FILE", "is not set, but FERRY_TLS_KEY_FILE is; set both or neither")
	if c.TLS() {
		_, err := tls.LoadX509KeyPair(c.TLSCertFile, c.TLSKeyFile)
		k.require(err == nil, "TLS_CERT_FILE", "this file and that of FERRY_TLS_KEY_FILE are not a certificate and its key (PEM)")
	}
}

func (c *Config) checkHook(k *checker) {
	k.require(len(c.HookKeys) <= 2, "HOOK_KEYS", "contains more than two keys; give one or two, separated by a comma")
	for _, key := range c.HookKeys {
		text := key.Reveal()
		k.require(utf8.RuneCountInString(text) >= minKeyLength, "HOOK_KEYS", "every key must have 32 characters or more; `head -c 32 /dev/urandom | base64` generates one")
		k.require(!strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }), "HOOK_KEYS", "a key may contain visible ASCII characters only, no blanks: it is sent in a header")
	}
	k.require(c.MaxPasswordBytes >= 1 && c.MaxPasswordBytes <= maxPassword, "MAX_PASSWORD_BYTES", "must be between 1 and 4096")
	k.require(c.TrustedProxies >= 0 && c.TrustedProxies <= maxProxies, "TRUSTED_PROXIES", "must be between 0 and 16")
	k.require(c.LoginsInFlight >= 1 && c.LoginsInFlight <= maxLogins, "LOGINS_IN_FLIGHT", "must be between 1 and 100000")
	k.require(c.LoginsQueued >= 0 && c.LoginsQueued <= maxLogins, "LOGINS_QUEUED", "must be between 0 and 100000")
	k.require(slices.Contains([]string{"recorded", BindingVerifiedIdentifier}, c.Binding), "BINDING", "must be recorded or verified_identifier")
}

// domainPattern is a host name with an optional port, which tests use. It is lower case,
// because it is compared byte by byte with the issuer of ID tokens.
var domainPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$`)

func isDomain(text string) bool {
	_, port, hasPort := strings.Cut(text, ":")
	return domainPattern.MatchString(text) && (!hasPort || isPort(port))
}

func (c *Config) checkAuth0(k *checker) {
	k.require(c.Auth0Domain == "" || isDomain(c.Auth0Domain), "AUTH0_DOMAIN", "must be a bare domain in lower case such as tenant.eu.auth0.com, without https:// or slashes")
	base, problem := parseURL(c.BaseURL())
	k.require(problem == "" || c.Auth0BaseURL == "", "AUTH0_BASE_URL", problem)
	k.require(base == nil || base.Scheme == "https" || transport.IsLoopback(base.Hostname()), "AUTH0_BASE_URL", "must be https, or http on loopback: passwords are sent there")
	for _, realm := range c.Auth0Realms {
		k.require(realm != "" && strings.TrimSpace(realm) == realm, "AUTH0_REALMS", "contains an empty name, or blanks around a name")
		k.require(!strings.EqualFold(realm, "email") && !strings.EqualFold(realm, "sms"), "AUTH0_REALMS", "email and sms are passwordless connections: a one-time code would become a password")
	}
	k.require(len(slices.Compact(slices.Sorted(slices.Values(c.Auth0Realms)))) == len(c.Auth0Realms), "AUTH0_REALMS", "lists a connection twice")
	for _, realm := range c.Auth0CustomRealms {
		k.require(slices.Contains(c.Auth0Realms, realm), "AUTH0_CUSTOM_REALMS", "lists a connection that is not in FERRY_AUTH0_REALMS")
	}
	k.require(slices.Contains([]string{"RS256", "PS256"}, c.Auth0IDTokenAlg), "AUTH0_ID_TOKEN_ALG", "must be RS256 or PS256")
	scopes := strings.Fields(c.Auth0Scope)
	k.require(slices.Contains(scopes, "openid"), "AUTH0_SCOPE", "must contain openid: without it Auth0 does not return the user id")
	k.require(!slices.Contains(scopes, "offline_access"), "AUTH0_SCOPE", "must not contain offline_access: ferry does not use refresh tokens")
	k.require(c.Auth0Timeout >= 100*time.Millisecond && c.Auth0Timeout <= maxAuth0Timeout, "AUTH0_TIMEOUT", "must be between 100ms and 20s")
	k.require(c.Auth0RequestsPerSecond >= 0 && c.Auth0RequestsPerSecond <= maxPerSecond, "AUTH0_REQUESTS_PER_SECOND", "must be between 0 and 10000")
}

// checkClientAuth checks how the application authenticates. Credentials are required for
// logins only.
func (c *Config) checkClientAuth(k *checker, logins bool) {
	method := c.ClientAuth()
	k.require(slices.Contains([]string{ClientSecretPost, ClientSecretBasic, PrivateKeyJWT}, method), "AUTH0_CLIENT_AUTH", "must be client_secret_post, client_secret_basic or private_key_jwt")
	switch {
	case !logins:
	case method == PrivateKeyJWT:
		k.require(c.Auth0PrivateKeyFile != "", "AUTH0_PRIVATE_KEY_FILE", "is not set, but private_key_jwt needs it")
	default:
		k.require(!c.Auth0ClientSecret.Empty(), "AUTH0_CLIENT_SECRET", "is not set; set it, or FERRY_AUTH0_CLIENT_SECRET_FILE, or use a private key")
	}
	if c.Auth0PrivateKeyFile != "" {
		_, err := c.PrivateKey()
		k.require(err == nil, "AUTH0_PRIVATE_KEY_FILE", fmt.Sprint(err))
	}
	if c.Auth0ForwardClientIP {
		k.require(c.TrustedProxies > 0, "TRUSTED_PROXIES", "is 0, but FERRY_AUTH0_FORWARD_CLIENT_IP needs the client address")
		k.require(method != PrivateKeyJWT, "AUTH0_FORWARD_CLIENT_IP", "needs a client secret: Auth0 ignores the client address with private_key_jwt")
	}
}

// databasePattern is the path of a Redis URL: empty, or the number of a database.
var databasePattern = regexp.MustCompile(`^/*[0-9]*/*$`)

func isRedis(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "redis" || u.Scheme == "rediss") && u.Host != "" && (u.Port() == "" || isPort(u.Port())) &&
		databasePattern.MatchString(u.Path) && u.RawQuery == "" && u.Fragment == ""
}

// policies are the policies that FERRY_TRAIT_POLICY may name.
func policies() []string { return []string{wire.PolicyFill, wire.PolicyOverwrite, wire.PolicyNever} }

func (c *Config) checkState(k *checker) {
	memory := c.StateURL.Reveal() == "memory:"
	redis := isRedis(c.StateURL.Reveal())
	k.require(memory || redis, "STATE_URL", "must be memory: or a URL such as redis://host:6379/0, with nothing after the database number")
	k.require(!redis || utf8.RuneCountInString(c.StateKey.Reveal()) >= minKeyLength, "STATE_KEY", "must have 32 characters or more if FERRY_STATE_URL is Redis")
	for _, entry := range c.TraitPolicy {
		trait, policy, ok := strings.Cut(entry, "=")
		k.require(ok && trait != "" && slices.Contains(policies(), policy), "TRAIT_POLICY", "must be trait=fill, trait=overwrite or trait=never, separated by commas")
	}
	if c.Mapper != "" {
		_, err := os.ReadFile(c.Mapper)
		k.require(err == nil, "MAPPER", "the file cannot be read: "+reason(err))
	}
}

func (c *Config) checkWriteBack(k *checker) {
	k.require(c.Auth0TenantDomain == "" || isDomain(c.Auth0TenantDomain), "AUTH0_TENANT_DOMAIN", "must be a bare domain in lower case such as tenant.eu.auth0.com, without https:// or slashes")
	if c.WriteBack {
		k.require(c.Auth0MgmtClientID != "", "AUTH0_MGMT_CLIENT_ID", "is not set, but FERRY_WRITE_BACK needs it")
		k.require(!c.Auth0MgmtClientSecret.Empty(), "AUTH0_MGMT_CLIENT_SECRET", "is not set, but FERRY_WRITE_BACK needs it")
	}
}

func (c *Config) checkEnsure(k *checker) {
	if c.Ensure {
		k.require(c.Auth0MgmtClientID != "", "AUTH0_MGMT_CLIENT_ID", "is not set, but FERRY_ENSURE needs it")
		k.require(!c.Auth0MgmtClientSecret.Empty(), "AUTH0_MGMT_CLIENT_SECRET", "is not set, but FERRY_ENSURE needs it")
	}
}

func (c *Config) checkSignUp(k *checker) {
	if c.SignUp {
		k.require(c.Auth0MgmtClientID != "", "AUTH0_MGMT_CLIENT_ID", "is not set, but FERRY_SIGN_UP needs it")
		k.require(!c.Auth0MgmtClientSecret.Empty(), "AUTH0_MGMT_CLIENT_SECRET", "is not set, but FERRY_SIGN_UP needs it")
	}
}

func (c *Config) checkRecording(k *checker) {
	k.require(c.RecordKey == "" || c.RecordDir != "", "RECORD_DIR", "is not set, but FERRY_RECORD_KEY is; recording needs both")
	k.require(c.RecordKey == "" || isPublicKey(c.RecordKey), "RECORD_KEY", "must be the public key that `ferry record keygen` prints, 32 bytes in base64")
	k.require(c.RecordMaxBytes >= minRecordBytes && c.RecordMaxBytes <= maxRecordBytes, "RECORD_MAX_BYTES", "must be between 1048576 (1 MiB) and 1073741824 (1 GiB)")
	k.require(c.RecordKeep >= time.Hour && c.RecordKeep <= maxRecordKeep, "RECORD_KEEP", "must be between 1h and 2160h (90 days)")
}

// isPublicKey reports whether text is an X25519 public key. It rejects the low-order
// points, with which encryption would hide nothing.
func isPublicKey(text string) bool {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return false
	}
	public, err := ecdh.X25519().NewPublicKey(raw)
	if err != nil {
		return false
	}
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return false
	}
	_, err = private.ECDH(public)
	return err == nil
}

func (c *Config) checkKratos(k *checker) {
	if c.KratosPublicURL != "" {
		_, problem := parseURL(c.KratosPublicURL)
		k.require(problem == "", "KRATOS_PUBLIC_URL", problem)
	}
	k.require(c.CountEvery == 0 || c.CountEvery >= time.Minute && c.CountEvery <= maxCountEvery, "COUNT_EVERY", "must be between 1m and 168h (7 days), or 0s for no counts")
	if c.KratosAdminURL == "" {
		return
	}
	admin, problem := parseURL(c.KratosAdminURL)
	k.require(problem == "", "KRATOS_ADMIN_URL", problem)
	if admin == nil {
		return
	}
	k.require(c.KratosAdminToken.Empty() || admin.Scheme == "https" || transport.IsLoopback(admin.Hostname()), "KRATOS_ADMIN_URL", "must be https, or http on loopback: FERRY_KRATOS_ADMIN_TOKEN is sent there")
}

const (
	maxPerMinute = 100_000
	maxLookups   = 1000
)

func (c *Config) checkGateway(k *checker) {
	for _, realm := range c.GatewayRealms {
		k.require(slices.Contains(c.Auth0Realms, realm), "GATEWAY_REALMS", "lists a connection that is not in FERRY_AUTH0_REALMS")
	}
	k.require(c.GatewayTrustedProxies >= 0 && c.GatewayTrustedProxies <= maxProxies, "GATEWAY_TRUSTED_PROXIES", "must be between 0 and 16")
	k.require(c.GatewayPerMinute >= 1 && c.GatewayPerMinute <= maxPerMinute, "GATEWAY_PER_MINUTE", "must be between 1 and 100000")
	k.require(c.GatewayLookupsPerSecond >= 1 && c.GatewayLookupsPerSecond <= maxLookups, "GATEWAY_LOOKUPS_PER_SECOND", "must be between 1 and 1000")
	if c.GatewayErrorURL != "" {
		_, problem := parseURL(c.GatewayErrorURL)
		k.require(problem == "", "GATEWAY_ERROR_URL", problem)
	}
	others := []string{c.Listen, c.AdminListen}
	for _, listener := range []struct{ name, listen string }{{"GATEWAY_LISTEN", c.GatewayListen}, {"FORWARD_AUTH_LISTEN", c.ForwardAuthListen}, {"TOKEN_LISTEN", c.TokenListen}} {
		k.require(listener.listen == "" || strings.HasSuffix(listener.listen, ":0") || !slices.Contains(others, listener.listen), listener.name, "is the same as that of another listener")
		others = append(others, listener.listen)
	}
	if c.GatewayListen != "" {
		k.require(c.KratosPublicURL != "", "KRATOS_PUBLIC_URL", "is not set, but FERRY_GATEWAY_LISTEN needs it")
	}
}

// parseURL returns the URL, or what is wrong with it.
func parseURL(text string) (*url.URL, string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return nil, "must be an http or https URL such as http://127.0.0.1:4434"
	case u.User != nil:
		return nil, "must not contain a user name or password"
	case strings.ContainsAny(text, "?#"): // an empty one swallows the paths that ferry appends
		return nil, "must not contain a query or fragment"
	case u.Port() != "" && !isPort(u.Port()):
		return nil, "has a port above 65535"
	}
	return u, ""
}

// isPort reports whether text is a port number. With 0 the system chooses a port.
func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}
