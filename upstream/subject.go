package upstream

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"ferry/outcome"
	"ferry/strictjson"
)

// leeway is how far the clocks of Auth0 and ferry may be apart.
const leeway = 5 * time.Minute

// Why an ID token is not believed; a word each for the log.
var (
	errMalformed = errors.New("malformed")
	errSignature = errors.New("untrusted")
	errClaims    = errors.New("wrong_claims")
)

// unverifiableError: the token says it is ours, but its signature cannot be
// checked here: its key cannot be had, or it is the shared secret's (HS256).
type unverifiableError struct{ subject string }

func (*unverifiableError) Error() string { return "unverifiable" }

// idTokens verifies ID tokens (OpenID Connect Core, 3.1.3.7).
type idTokens struct {
	issuer   string
	clientID string
	alg      jose.SignatureAlgorithm
	now      func() time.Time
	keys     *keySet
}

// claims are those of an ID token or of /userinfo that ferry reads. What only
// describes the person may have any type: an odd e-mail is no reason to disbelieve
// the subject, and a flag that is not true is false.
type claims struct {
	Subject string `json:"sub"`
	AZP     string `json:"azp"`
	// Expiry is checked by go-oidc, which would also take a text with digits in it.
	Expiry        float64 `json:"exp"`
	Email         any     `json:"email"`
	EmailVerified any     `json:"email_verified"`
	Phone         any     `json:"phone_number"`
	PhoneVerified any     `json:"phone_number_verified"`
}

func (c claims) profile() Profile {
	p := Profile{Subject: c.Subject, EmailVerified: c.EmailVerified == true, PhoneVerified: c.PhoneVerified == true}
	p.Email, _ = c.Email.(string)
	p.Phone, _ = c.Phone.(string)
	return p
}

// verify returns the profile of a token that holds in everything. The error is an
// *unverifiableError where only the signature is left open.
func (v *idTokens) verify(ctx context.Context, raw string) (Profile, error) {
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{v.alg, jose.HS256})
	if err != nil {
		return Profile{}, errMalformed
	}
	header := jws.Signatures[0].Header
	if header.Algorithm == string(jose.HS256) {
		return Profile{}, v.unverifiable(ctx, raw)
	}
	keys, fresh, err := v.keys.find(ctx, header.KeyID)
	if err != nil {
		return Profile{}, v.unverifiable(ctx, raw)
	}
	token, err := v.verifier(keys).Verify(ctx, raw)
	if err != nil && !fresh && !signedBy(jws, keys) {
		// The key may have been replaced under its old name.
		if keys, err = v.keys.refetch(ctx, header.KeyID); err != nil {
			return Profile{}, errSignature
		}
		token, err = v.verifier(keys).Verify(ctx, raw)
	}
	if err != nil {
		if !signedBy(jws, keys) {
			return Profile{}, errSignature
		}
		return Profile{}, errClaims
	}
	return v.profile(token)
}

func signedBy(jws *jose.JSONWebSignature, keys []jose.JSONWebKey) bool {
	for _, key := range keys {
		if _, err := jws.Verify(key); err == nil {
			return true
		}
	}
	return false
}

func (v *idTokens) verifier(keys []jose.JSONWebKey) *oidc.IDTokenVerifier {
	static := &oidc.StaticKeySet{}
	for _, key := range keys {
		static.PublicKeys = append(static.PublicKeys, key.Key)
	}
	return oidc.NewVerifier(v.issuer, static, v.config())
}

func (v *idTokens) config() *oidc.Config {
	return &oidc.Config{
		ClientID:             v.clientID,
		SupportedSigningAlgs: []string{string(v.alg)},
		Now:                  func() time.Time { return v.now().Add(-leeway) },
	}
}

// profile checks what go-oidc leaves to its caller: keys that occur twice, the
// authorized party and an empty subject.
func (v *idTokens) profile(token *oidc.IDToken) (Profile, error) {
	var payload rawJSON
	var c claims
	if token.Claims(&payload) != nil || strictjson.Unmarshal(payload, &c, opaqueClaims()...) != nil {
		return Profile{}, errMalformed
	}
	switch {
	case c.Subject == "":
		return Profile{}, errClaims
	case c.AZP != "" && c.AZP != v.clientID, c.AZP == "" && len(token.Audience) > 1:
		return Profile{}, errClaims
	}
	return c.profile(), nil
}

// unverifiable holds the token's claims against the rules as far as that goes
// without its key, so that one which is not even addressed to us goes no further.
func (v *idTokens) unverifiable(ctx context.Context, raw string) error {
	config := v.config()
	config.SupportedSigningAlgs = append(config.SupportedSigningAlgs, string(jose.HS256))
	config.InsecureSkipSignatureCheck = true // the subject is taken from /userinfo, never from here
	token, err := oidc.NewVerifier(v.issuer, nil, config).Verify(ctx, raw)
	if err != nil {
		return errClaims
	}
	profile, err := v.profile(token)
	if err != nil {
		return err
	}
	return &unverifiableError{subject: profile.Subject}
}

// opaqueClaims may hold whatever a person or an operator put there.
func opaqueClaims() []string { return []string{"user_metadata", "app_metadata"} }

// rawJSON takes a value as it stands.
type rawJSON []byte

func (r *rawJSON) UnmarshalJSON(text []byte) error {
	*r = append((*r)[:0], text...)
	return nil
}

// userinfo asks Auth0 whose access token this is (contract, 3). Whatever fails here
// is unavailable: the password was right, but for whom could not be told.
func (c *Client) userinfo(ctx context.Context, accessToken string) (Profile, error) {
	refuse := func(status int, reason string) (Profile, error) {
		return Profile{}, &Refusal{Outcome: outcome.Unavailable, Status: status, Reason: "userinfo_" + reason}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.opts.BaseURL+"/userinfo", nil)
	if err != nil {
		return refuse(0, "bad_base_url")
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	answer, err := c.roundTrip(req)
	if err != nil {
		return refuse(answer.status, transportReason(err))
	}
	var who claims
	switch {
	case answer.status != http.StatusOK:
		return refuse(answer.status, "refused")
	case !answer.isJSON, strictjson.Unmarshal(answer.body, &who, opaqueClaims()...) != nil:
		return refuse(answer.status, "malformed")
	case who.Subject == "":
		return refuse(answer.status, "no_subject")
	}
	return who.profile(), nil
}
