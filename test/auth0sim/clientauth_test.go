package auth0sim_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"ferry/test/auth0sim"
)

const (
	unauthorizedBody = `{"error":"access_denied","error_description":"Unauthorized"}`
	assertionType    = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

func basic(id, secret string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}}
}

func TestClientSecret(t *testing.T) {
	t.Parallel()
	const secret = "s%cr+t &=:/ü"
	sim := start(t, func(cfg *auth0sim.Config) {
		cfg.Tenant.Apps = append(cfg.Tenant.Apps,
			auth0sim.App{ClientID: "post", ClientSecret: secret},
			auth0sim.App{ClientID: "basic", ClientSecret: secret, AuthMethods: []string{auth0sim.AuthBasic}},
			auth0sim.App{ClientID: "none", AuthMethods: []string{auth0sim.AuthNone}},
		)
	})
	bare := func(pairs ...string) url.Values {
		return realmForm(append([]string{"client_id", "", "client_secret", ""}, pairs...)...)
	}
	tests := map[string]struct {
		form   url.Values
		header http.Header
		status int
	}{
		"post":                  {bare("client_id", "post", "client_secret", secret), nil, 200},
		"post, wrong":           {bare("client_id", "post", "client_secret", secret+" "), nil, 401},
		"post, as basic":        {bare(), basic("post", secret), 401},
		"post, nothing":         {bare("client_id", "post"), nil, 401},
		"basic, encoded":        {bare(), basic("basic", url.QueryEscape(secret)), 200},
		"basic, as it is":       {bare(), basic("basic", secret), 200},
		"basic, with client id": {bare("client_id", "basic"), basic("basic", secret), 200},
		"basic, other client":   {bare("client_id", "post"), basic("basic", secret), 401},
		"basic, wrong":          {bare(), basic("basic", "wrong"), 401},
		"basic, as post":        {bare("client_id", "basic", "client_secret", secret), nil, 401},
		"both":                  {bare("client_id", "basic", "client_secret", secret), basic("basic", secret), 401},
		"none":                  {bare("client_id", "none"), nil, 200},
		"none, with a secret":   {bare("client_id", "none", "client_secret", "x"), nil, 401},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := post(t, sim, tt.form, tt.header)
			if tt.status == http.StatusUnauthorized {
				want(t, got, tt.status, unauthorizedBody)
				return
			}
			mustTokens(t, got)
		})
	}
}

// signer makes client assertions.
type signer struct {
	key *rsa.PrivateKey
	pem string
}

func newSigner(t *testing.T) signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024) // small, because it is quick
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
}

func (s signer) sign(t *testing.T, alg jose.SignatureAlgorithm, claims jwt.Claims) string {
	t.Helper()
	js, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: s.key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(js).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// goodClaims are those of an assertion that holds.
func goodClaims(id string) jwt.Claims {
	return jwt.Claims{
		Issuer: "jwt", Subject: "jwt", Audience: jwt.Audience{"https://sim.auth0.test/"}, ID: id,
		IssuedAt: jwt.NewNumericDate(frozen()), Expiry: jwt.NewNumericDate(frozen().Add(time.Minute)),
	}
}

func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	ours, foreign := newSigner(t), newSigner(t)
	sim := start(t, func(cfg *auth0sim.Config) {
		cfg.Tenant.Apps = append(cfg.Tenant.Apps, auth0sim.App{
			ClientID: "jwt", AuthMethods: []string{auth0sim.AuthPrivateKey}, PublicKeys: []string{ours.pem},
		})
	})
	tests := map[string]struct {
		signer signer
		alg    jose.SignatureAlgorithm
		change func(*jwt.Claims)
		reason string // empty: it holds
	}{
		"good":           {ours, jose.RS256, nil, ""},
		"RS384":          {ours, jose.RS384, nil, ""},
		"PS256":          {ours, jose.PS256, nil, ""},
		"RS512":          {ours, jose.RS512, nil, "client_assertion is not a signed JWT"},
		"foreign key":    {foreign, jose.RS256, nil, "client_assertion is not signed by a key of the client"},
		"issuer":         {ours, jose.RS256, func(c *jwt.Claims) { c.Issuer = "x" }, "client_assertion iss and sub must be the client_id"},
		"subject":        {ours, jose.RS256, func(c *jwt.Claims) { c.Subject = "" }, "client_assertion iss and sub must be the client_id"},
		"no slash":       {ours, jose.RS256, func(c *jwt.Claims) { c.Audience = jwt.Audience{"https://sim.auth0.test"} }, "client_assertion aud must be https://sim.auth0.test/"},
		"token endpoint": {ours, jose.RS256, func(c *jwt.Claims) { c.Audience = jwt.Audience{"https://sim.auth0.test/oauth/token"} }, "client_assertion aud must be https://sim.auth0.test/"},
		"no audience":    {ours, jose.RS256, func(c *jwt.Claims) { c.Audience = nil }, "client_assertion aud must be https://sim.auth0.test/"},
		"no expiry":      {ours, jose.RS256, func(c *jwt.Claims) { c.Expiry = nil }, "client_assertion exp is missing"},
		"expired":        {ours, jose.RS256, func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(frozen()) }, "client_assertion has expired"},
		"five minutes":   {ours, jose.RS256, func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(frozen().Add(5 * time.Minute)) }, ""},
		"too long":       {ours, jose.RS256, func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(frozen().Add(5*time.Minute + time.Second)) }, "client_assertion exp is more than 5 minutes away"},
		"not yet":        {ours, jose.RS256, func(c *jwt.Claims) { c.NotBefore = jwt.NewNumericDate(frozen().Add(time.Second)) }, "client_assertion is not valid yet"},
		"no id":          {ours, jose.RS256, func(c *jwt.Claims) { c.ID = "" }, "client_assertion jti is missing"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claims := goodClaims(name)
			if tt.change != nil {
				tt.change(&claims)
			}
			assertion := tt.signer.sign(t, tt.alg, claims)
			got := post(t, sim, realmForm("client_id", "jwt", "client_secret", "",
				"client_assertion_type", assertionType, "client_assertion", assertion))
			if tt.reason == "" {
				mustTokens(t, got)
				return
			}
			want(t, got, 401, `{"error":"invalid_client","error_description":"`+tt.reason+`"}`)
		})
	}
}

func TestAssertionMisuse(t *testing.T) {
	t.Parallel()
	ours := newSigner(t)
	sim := start(t, func(cfg *auth0sim.Config) {
		cfg.Tenant.Apps = append(cfg.Tenant.Apps, auth0sim.App{
			ClientID: "jwt", ClientSecret: "s", AuthMethods: []string{auth0sim.AuthPrivateKey}, PublicKeys: []string{ours.pem},
		})
	})
	assertion := ours.sign(t, jose.RS256, goodClaims("once"))
	form := realmForm("client_id", "jwt", "client_secret", "",
		"client_assertion_type", assertionType, "client_assertion", assertion)
	mustTokens(t, post(t, sim, form))
	want(t, post(t, sim, form), 401, `{"error":"invalid_client","error_description":"client_assertion jti was used before"}`)

	form.Set("client_assertion_type", "magic")
	want(t, post(t, sim, form), 401, `{"error":"invalid_client","error_description":"unknown client_assertion_type"}`)

	want(t, post(t, sim, realmForm("client_id", "jwt", "client_secret", "s")), 401, unauthorizedBody)
	want(t, post(t, sim, realmForm("client_assertion_type", assertionType, "client_assertion", assertion)), 401, unauthorizedBody)
	if got := sim.Requests()[4].ClientAuth; got != "client_secret_post+private_key_jwt" {
		t.Errorf("got client auth %q", got)
	}
}

func TestEffectiveIP(t *testing.T) {
	t.Parallel()
	ours := newSigner(t)
	tests := map[string]struct {
		trusted   bool
		assertion bool
		header    string
		want      string
	}{
		"trusted secret": {true, false, "203.0.113.9", "203.0.113.9"},
		"IPv6":           {true, false, "2001:db8::1", "2001:db8::1"},
		"mapped":         {true, false, "::ffff:203.0.113.9", "203.0.113.9"},
		"no header":      {true, false, "", "127.0.0.1"},
		"list":           {true, false, "203.0.113.9, 203.0.113.10", "127.0.0.1"},
		"untrusted":      {false, false, "203.0.113.9", "127.0.0.1"},
		"assertion":      {true, true, "203.0.113.9", "127.0.0.1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method, form := auth0sim.AuthPost, realmForm("client_id", "jwt", "client_secret", "s")
			if tt.assertion {
				method = auth0sim.AuthPrivateKey
				form = realmForm("client_id", "jwt", "client_secret", "", "client_assertion_type", assertionType,
					"client_assertion", ours.sign(t, jose.RS256, goodClaims("x")))
			}
			sim := start(t, func(cfg *auth0sim.Config) {
				cfg.Tenant.Apps = []auth0sim.App{{
					ClientID: "jwt", ClientSecret: "s", PublicKeys: []string{ours.pem},
					AuthMethods: []string{method}, TrustForwardedFor: tt.trusted,
				}}
			})
			mustTokens(t, post(t, sim, form, http.Header{"auth0-forwarded-for": {tt.header}}))
			if got := sim.Requests()[0].EffectiveIP; got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
