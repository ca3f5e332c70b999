package upstream

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"ferry/secret"
)

// assertionLife is the lifetime of a client assertion. Auth0 accepts up to 5 minutes and
// recommends at most one (contract, 1.1).
const assertionLife = time.Minute

// ClientAuth authenticates ferry's application at Auth0: one of SecretPost, SecretBasic and
// PrivateKeyJWT (OpenID Connect Core, 9). ferry never tries a second method, because that
// would send the password twice.
type ClientAuth struct {
	sign func(form url.Values, header http.Header) error
}

// SecretPost sends the client secret in the form (client_secret_post).
func SecretPost(clientID string, clientSecret secret.String) ClientAuth {
	return ClientAuth{func(form url.Values, _ http.Header) error {
		form.Set("client_id", clientID)
		form.Set("client_secret", clientSecret.Reveal())
		return nil
	}}
}

// SecretBasic sends it as basic authentication (client_secret_basic; RFC 6749,
// 2.3.1: both halves are form-encoded first).
func SecretBasic(clientID string, clientSecret secret.String) ClientAuth {
	return ClientAuth{func(_ url.Values, header http.Header) error {
		req := http.Request{Header: header}
		req.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(clientSecret.Reveal()))
		return nil
	}}
}

// NoSecret is how a public client, such as a single-page or native application, names itself.
func NoSecret(clientID string) ClientAuth {
	return ClientAuth{func(form url.Values, _ http.Header) error {
		form.Set("client_id", clientID)
		return nil
	}}
}

// ForwardedAssertion sends an assertion that the application has signed (private_key_jwt).
func ForwardedAssertion(clientID string, assertion secret.String) ClientAuth {
	return ClientAuth{func(form url.Values, _ http.Header) error {
		setAssertion(form, clientID, assertion.Reveal())
		return nil
	}}
}

// setAssertion sets the parameters of RFC 7523, 2.2.
func setAssertion(form url.Values, clientID, assertion string) {
	form.Set("client_id", clientID)
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
}

// PrivateKeyJWT signs a short-lived assertion for every request (private_key_jwt;
// RFC 7523). The audience is the tenant's issuer, https://DOMAIN/.
func PrivateKeyJWT(clientID, issuer string, key *rsa.PrivateKey, now func() time.Time) (ClientAuth, error) {
	if key == nil {
		return ClientAuth{}, errors.New("upstream: private_key_jwt needs a private key")
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return ClientAuth{}, fmt.Errorf("upstream: private key: %w", err)
	}
	return ClientAuth{func(form url.Values, _ http.Header) error {
		issued := now()
		assertion, err := jwt.Signed(signer).Claims(map[string]any{
			"iss": clientID, "sub": clientID, "aud": issuer, "jti": uuid.NewString(),
			"iat": issued.Unix(), "exp": issued.Add(assertionLife).Unix(),
		}).Serialize()
		if err != nil {
			return fmt.Errorf("sign client assertion: %w", err)
		}
		setAssertion(form, clientID, assertion)
		return nil
	}}, nil
}
