package clients

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"ferry/clients"
	"ferry/clients/importer"
)

// The audiences of the tenant's APIs.
const (
	orders = "https://orders.example.com"
	stock  = "https://stock.example.com"
)

// use is how an application is used: the flow that its client must complete.
type use string

const (
	useCode     use = "code"     // authorization code with the client's own authentication, and a refresh
	usePKCE     use = "pkce"     // the same without a secret
	useImplicit use = "implicit" // ID token and access token in the redirect
	useMachine  use = "machine"  // client credentials
	useDevice   use = "device"   // device authorization grant
)

// expected is an application of a generated tenant, and what must become of it.
type expected struct {
	app    map[string]any
	uses   []use
	scopes []string // that the client requests at an API
	result importer.Outcome
	reason clients.Reason
	// findings are some of the reasons that its line must have; exact: and no other.
	findings []clients.Reason
	// key is the private key of an application that authenticates with one, kid its id, and
	// publicKey its public key as PEM.
	key            any
	kid, publicKey string
}

func (e expected) id() string { text, _ := e.app["client_id"].(string); return text }

func (e expected) secret() string { text, _ := e.app["client_secret"].(string); return text }

// tenant is a generated tenant.
type tenant struct {
	apps   []*expected
	grants []map[string]any
	// credentials describe keys, by client id.
	credentials map[string]any
	random      *rand.Rand
	dir         string
	keyFlags    []string
}

// text returns a random text of Auth0's alphabet for ids and secrets.
func (x *tenant) text(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	out := make([]byte, n)
	for i := range out {
		out[i] = alphabet[x.random.IntN(len(alphabet))]
	}
	return string(out)
}

// add adds an application with Auth0's defaults for its type.
func (x *tenant) add(name, appType string, result importer.Outcome, fields map[string]any, uses ...use) *expected {
	app := map[string]any{
		"client_id": x.text(32), "name": fmt.Sprintf("%s %d", name, len(x.apps)), "app_type": appType, "tenant": "acme", "global": false, "is_first_party": true, "oidc_conformant": true, "sso_disabled": false,
		"cross_origin_authentication": false, "callbacks": []string{fmt.Sprintf("https://app%d.example.com/cb", len(x.apps))}, "jwt_configuration": map[string]any{"alg": "RS256", "lifetime_in_seconds": 36000, "secret_encoded": false},
		"grant_types":   []string{"authorization_code", "refresh_token"},
		"refresh_token": map[string]any{"rotation_type": "rotating", "expiration_type": "expiring", "token_lifetime": 2592000, "infinite_token_lifetime": true, "idle_token_lifetime": 1296000, "leeway": 0},
	}
	switch appType {
	case "spa", "native":
		app["token_endpoint_auth_method"] = "none"
	default:
		app["token_endpoint_auth_method"], app["client_secret"] = "client_secret_post", x.text(64)
	}
	maps.Copy(app, fields)
	for name, value := range app {
		if value == nil {
			delete(app, name)
		}
	}
	e := &expected{app: app, uses: uses, result: result}
	x.apps = append(x.apps, e)
	return e
}

func (e *expected) because(reason clients.Reason) *expected { e.reason = reason; return e }

func (e *expected) losing(reasons ...clients.Reason) *expected {
	e.findings = append(e.findings, reasons...)
	return e
}

// machine adds an application that uses client_credentials at APIs.
func (x *tenant) machine(scopes ...string) *expected {
	e := x.add("machine", "non_interactive", importer.Created, map[string]any{"grant_types": []string{"client_credentials"}, "callbacks": nil, "refresh_token": nil}, useMachine)
	x.grant(e, orders, scopes...)
	e.scopes = scopes
	if len(scopes) > 0 {
		e.losing(clients.ReasonScopesRequested)
	}
	return e
}

func (x *tenant) grant(e *expected, audience string, scopes ...string) {
	x.grants = append(x.grants, map[string]any{"id": "cgr_" + x.text(16), "client_id": e.id(), "audience": audience, "scope": slices.Clone(scopes), "subject_type": "client"})
}

// keyed adds an application that authenticates with a key, and a file with its public key.
func (x *tenant) keyed(t *testing.T, key any, alg string, fields map[string]any) *expected {
	t.Helper()
	all := map[string]any{"client_secret": nil, "token_endpoint_auth_method": nil, "client_authentication_methods": map[string]any{"private_key_jwt": map[string]any{"credentials": []any{map[string]any{"id": "cred_1"}}}}}
	maps.Copy(all, fields)
	e := x.add("keyed", "regular_web", importer.Created, all, useCode).losing(clients.ReasonAssertion)
	e.key, e.kid = key, "kid-"+e.id()
	x.credentials[e.id()] = []any{map[string]any{"id": "cred_1", "kid": e.kid, "alg": alg, "credential_type": "public_key"}}
	var public any
	switch k := key.(type) {
	case *rsa.PrivateKey:
		public = &k.PublicKey
	case *ecdsa.PrivateKey:
		public = &k.PublicKey
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(x.dir, e.id()+".pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	e.publicKey = string(text)
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	x.keyFlags = append(x.keyFlags, "--keys", e.id()+"="+name)
	return e
}

// expansion is what the callback with a wildcard stands for.
const expansion = "https://*.wild.example.com/cb=https://a.wild.example.com/cb,https://b.wild.example.com/cb"

// generate makes a tenant of 60 applications of every kind. device says that Hydra has the device
// grant, and takes ids with a slash.
func generate(t *testing.T, device bool) *tenant {
	t.Helper()
	x := &tenant{credentials: map[string]any{}, random: rand.New(rand.NewPCG(17, 1)), dir: t.TempDir()}
	x.users(t)
	x.machines()
	x.lossy()
	x.odd(device)
	x.refused()
	if len(x.apps) != 60 {
		t.Fatalf("%d applications", len(x.apps))
	}
	x.random.Shuffle(len(x.apps), func(i, j int) { x.apps[i], x.apps[j] = x.apps[j], x.apps[i] })
	return x
}

// users are applications whose clients are as good as they were.
func (x *tenant) users(t *testing.T) {
	t.Helper()
	for i := range 6 {
		origin := fmt.Sprintf("https://spa%d.example.com", i)
		x.add("spa", "spa", importer.Created, map[string]any{
			"callbacks": []string{origin + "/callback", "http://localhost:3000/callback"}, "web_origins": []string{origin + "/"}, "allowed_logout_urls": []string{origin, "http://localhost:3000"},
		}, usePKCE).scopes = []string{"read:orders"}
		x.add("native", "native", importer.Created, map[string]any{
			"callbacks": []string{fmt.Sprintf("com.example.app%d://acme.eu.auth0.com/ios/com.example.app%d/callback", i, i)}, "token_endpoint_auth_method": []any{"none", nil}[i%2],
		}, usePKCE)
		x.add("web", "regular_web", importer.Created, map[string]any{"token_endpoint_auth_method": []any{"client_secret_post", nil, "client_secret_basic"}[i%3]}, useCode).scopes = []string{"read:orders", "write:orders"}
	}
	key, err := rsa.GenerateKey(crand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x.keyed(t, key, "RS256", nil)
	x.keyed(t, key, "PS256", map[string]any{"description": "signs with PS256"})
	x.keyed(t, curve, "ES256", nil)
	for i := range 2 {
		x.add("implicit", "spa", importer.Created, map[string]any{"grant_types": []string{"implicit"}, "callbacks": []string{fmt.Sprintf("https://old%d.example.com/", i)}}, useImplicit)
	}
	x.add("hybrid", "regular_web", importer.Created, map[string]any{"grant_types": []string{"authorization_code", "implicit", "refresh_token"}}, useCode, useImplicit)
	x.add("third party", "regular_web", importer.Created, map[string]any{"is_first_party": false}, useCode)
	x.add("without a type", "", importer.Created, map[string]any{"app_type": nil, "client_metadata": map[string]any{"team": "shop"}}, useCode)
}

func (x *tenant) machines() {
	for i := range 5 {
		x.machine([][]string{{"read:orders"}, {"read:orders", "write:orders"}, {}, {"write:orders"}, {"read:orders"}}[i]...)
	}
	both := x.add("web and machine", "regular_web", importer.Created, map[string]any{"grant_types": []string{"authorization_code", "refresh_token", "client_credentials"}}, useCode, useMachine).
		losing(clients.ReasonMachineScopes, clients.ReasonScopesRequested)
	x.grant(both, orders, "read:orders")
	both.scopes = []string{"read:orders"}
	x.add("web as Auth0 makes it", "regular_web", importer.Created, map[string]any{"grant_types": []string{"authorization_code", "implicit", "refresh_token", "client_credentials"}}, useCode).losing(clients.ReasonUnusedGrant)
}

// lossy are applications whose clients lack something.
func (x *tenant) lossy() {
	x.add("some callbacks", "regular_web", importer.Created, map[string]any{"callbacks": []string{
		"https://*.example.com/cb", "https://{organization_name}.example.com/cb", "http://app.example.com/cb", "https://app.example.com/cb#top", "https://good.example.com/cb",
	}}, useCode).losing(clients.ReasonWildcard, clients.ReasonPlaceholder, clients.ReasonPlainHTTP, clients.ReasonFragment)
	x.add("expanded", "regular_web", importer.Created, map[string]any{"callbacks": []string{"https://*.wild.example.com/cb"}}, useCode)
	x.add("logout elsewhere", "regular_web", importer.Created, map[string]any{"allowed_logout_urls": []string{"https://www.example.com/bye"}}, useCode).losing(clients.ReasonOtherOrigin)
	x.add("odd origins", "spa", importer.Created, map[string]any{"web_origins": []string{"capacitor://localhost", "*", "https://app.example.com/path", "https://*.example.com", "https://bücher.example/"}}, usePKCE).losing(clients.ReasonOrigin)
	x.add("saml too", "regular_web", importer.Created, map[string]any{"addons": map[string]any{"samlp": map[string]any{}}}, useCode).losing(clients.ReasonNoCounterpart)
	x.add("organizations", "regular_web", importer.Created, map[string]any{"organization_usage": "require", "initiate_login_uri": "https://app.example.com/login"}, useCode).losing(clients.ReasonNoCounterpart)
	x.add("password too", "native", importer.Created, map[string]any{"grant_types": []string{"authorization_code", "refresh_token", "password", "http://auth0.com/oauth/grant-type/password-realm", "http://auth0.com/oauth/grant-type/mfa-otp"}}, usePKCE).losing(clients.ReasonGrant)
	x.add("not rotating", "native", importer.Created, map[string]any{"refresh_token": map[string]any{"rotation_type": "non-rotating", "expiration_type": "non-expiring", "leeway": 0}}, usePKCE).losing(clients.ReasonAlwaysRotates)
	x.add("absolute", "spa", importer.Created, map[string]any{"refresh_token": map[string]any{"rotation_type": "rotating", "expiration_type": "expiring", "token_lifetime": 2592000, "idle_token_lifetime": 1296000, "leeway": 30}}, usePKCE).
		losing(clients.ReasonAbsolute, clients.ReasonLeeway)
	x.add("from the future", "spa", importer.Created, map[string]any{"quantum_login": map[string]any{"on": true}}, usePKCE).losing(clients.ReasonUnknownField)
}

// odd are applications that only some releases of Hydra take.
func (x *tenant) odd(device bool) {
	const grant = "urn:ietf:params:oauth:grant-type:device_code"
	television := map[string]any{"grant_types": []string{grant, "refresh_token"}, "callbacks": nil}
	slash := map[string]any{"client_id": "https://cimd.example.com/" + x.text(8)}
	if device {
		x.add("television", "native", importer.Created, television, useDevice)
		x.add("slash", "native", importer.Created, slash, usePKCE)
		return
	}
	x.add("television", "native", importer.Refused, television).because(clients.ReasonNoGrant).losing(clients.ReasonGrant, clients.ReasonUnusedGrant)
	x.add("slash", "native", importer.Refused, slash).because(clients.ReasonSlash)
}

// refused are applications for which no client can work.
func (x *tenant) refused() {
	keys := func(n int) map[string]any {
		ids := []any{map[string]any{"id": "cred_1"}, map[string]any{"id": "cred_2"}}[:n]
		return map[string]any{"client_secret": nil, "token_endpoint_auth_method": nil, "client_authentication_methods": map[string]any{"private_key_jwt": map[string]any{"credentials": ids}}}
	}
	x.add("wildcards", "spa", importer.Refused, map[string]any{"callbacks": []string{"https://*.example.com/cb", "https://{organization_name}.example.com/cb"}}).
		because(clients.ReasonNoCallback).losing(clients.ReasonWildcard, clients.ReasonPlaceholder)
	x.add("plain http", "regular_web", importer.Refused, map[string]any{"callbacks": []string{"http://app.example.com/cb"}}).because(clients.ReasonNoCallback).losing(clients.ReasonPlainHTTP)
	x.add("HS256", "regular_web", importer.Refused, map[string]any{"jwt_configuration": map[string]any{"alg": "HS256"}}).because(clients.ReasonIDTokenAlg)
	x.add("PS256", "spa", importer.Refused, map[string]any{"jwt_configuration": map[string]any{"alg": "PS256"}}).because(clients.ReasonIDTokenAlg)
	x.add("short secret", "regular_web", importer.Refused, map[string]any{"client_secret": "12345"}).because(clients.ReasonShortSecret)
	x.add("no secret", "regular_web", importer.Refused, map[string]any{"client_secret": nil}).because(clients.ReasonNoSecret)
	x.add("no key", "regular_web", importer.Refused, keys(1)).because(clients.ReasonNoKeys).losing(clients.ReasonAssertion)
	mixed := x.add("two keys", "regular_web", importer.Refused, keys(2)).because(clients.ReasonMixedAlgorithms)
	x.credentials[mixed.id()] = []any{map[string]any{"id": "cred_1", "kid": "a", "alg": "RS256"}, map[string]any{"id": "cred_2", "kid": "b", "alg": "PS256"}}
	x.add("only passwords", "native", importer.Refused, map[string]any{"grant_types": []string{"password"}}).because(clients.ReasonNoGrant).losing(clients.ReasonGrant)
	x.add("mtls", "regular_web", importer.Refused, map[string]any{"client_authentication_methods": map[string]any{"self_signed_tls_client_auth": map[string]any{"credentials": []any{}}}}).because(clients.ReasonAuthMethod)
	x.add("pushed", "regular_web", importer.Refused, map[string]any{"require_pushed_authorization_requests": true}).because(clients.ReasonPushedRequests)
	x.add("dpop", "regular_web", importer.Refused, map[string]any{"require_proof_of_possession": true}).because(clients.ReasonProofOfPossession)
	x.add("unreadable", "regular_web", importer.Refused, map[string]any{"callbacks": "https://app.example.com/cb"}).because(clients.ReasonUnreadable)
	x.add("All Applications", "", importer.Skipped, map[string]any{"global": true}).because(clients.ReasonGlobal)
	for len(x.apps) < 60 {
		x.add("web", "regular_web", importer.Created, map[string]any{"token_endpoint_auth_method": "client_secret_basic"}, useCode)
	}
}

// write writes the file that `ferry clients export` would write, and returns its name.
func (x *tenant) write(t *testing.T, name string) string {
	t.Helper()
	apps := []any{}
	for _, e := range x.apps {
		apps = append(apps, e.app)
	}
	text, err := json.Marshal(map[string]any{
		"kind": clients.FileKind, "tenant": "acme.eu.auth0.com", "exported_at": "2026-11-29T12:00:00Z", "clients": apps, "client_grants": x.grants, "client_credentials": x.credentials,
		"resource_servers": apis(),
	})
	if err != nil {
		t.Fatal(err)
	}
	name = filepath.Join(x.dir, name)
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// apis are the APIs of the tenant.
func apis() []any {
	return []any{
		map[string]any{"id": "1", "identifier": "https://acme.eu.auth0.com/api/v2/", "name": "Auth0 Management API", "is_system": true, "scopes": []any{map[string]any{"value": "read:users"}}},
		map[string]any{"id": "2", "identifier": orders, "name": "Orders", "signing_alg": "RS256", "scopes": []any{map[string]any{"value": "read:orders", "description": "Read"}, map[string]any{"value": "write:orders"}}},
		map[string]any{"id": "3", "identifier": stock, "name": "Stock", "signing_alg": "RS256"},
	}
}

// randomOf returns a source for the name of a test.
func randomOf(name string) *rand.Rand {
	seed := uint64(17)
	for _, r := range name {
		seed = seed*131 + uint64(r)
	}
	return rand.New(rand.NewPCG(seed, 2))
}
