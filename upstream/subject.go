package upstream

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ferry/outcome"
	"ferry/strictjson"
)

// leeway is how far the clocks of Auth0 and ferry may be apart.
const leeway = 5 * time.Minute

// Why an ID token is not trusted, one word each for the log.
var (
	errMalformed = errors.New("malformed")
	errSignature = errors.New("untrusted")
	errClaims    = errors.New("wrong_claims")
)

// unverifiableError is the error of a token whose claims are right but whose signature
// cannot be checked: its key cannot be fetched, or it is the shared secret (HS256).
type unverifiableError struct{ subject string }

func (*unverifiableError) Error() string { return "unverifiable" }

// idTokens verifies ID tokens (OpenID Connect Core, 3.1.3.7).
type idTokens struct {
	issuer   string
	clientID string
	algs     []jose.SignatureAlgorithm
	now      func() time.Time
	keys     *keySet
}

// claims are the claims of an ID token or of /userinfo that ferry reads. Claims that only
// describe the person may have any type: an unusual e-mail does not invalidate the
// subject, and a flag that is not true is false.
type claims struct {
	Issuer        string   `json:"iss"`
	Subject       string   `json:"sub"`
	Audience      audience `json:"aud"`
	AZP           string   `json:"azp"`
	Expiry        float64  `json:"exp"`
	NotBefore     float64  `json:"nbf"`
	Email         any      `json:"email"`
	EmailVerified any      `json:"email_verified"`
	Phone         any      `json:"phone_number"`
	PhoneVerified any      `json:"phone_number_verified"`
}

// audience is one name or a list of them (RFC 7519, 4.1.3).
type audience []string

// UnmarshalJSON accepts either form.
func (a *audience) UnmarshalJSON(text []byte) error {
	var one string
	if strictjson.Unmarshal(text, &one) == nil {
		*a = audience{one}
		return nil
	}
	var many []string
	err := strictjson.Unmarshal(text, &many)
	*a = many
	return err
}

func (c claims) profile(text []byte) Profile {
	p := Profile{Claims: string(text), Subject: c.Subject, EmailVerified: c.EmailVerified == true, PhoneVerified: c.PhoneVerified == true}
	p.Email, _ = c.Email.(string)
	p.Phone, _ = c.Phone.(string)
	return p
}

// verify returns the profile of a valid token. The error is an *unverifiableError if only
// the signature could not be checked.
func (v *idTokens) verify(ctx context.Context, raw string) (Profile, error) {
	jws, err := jose.ParseSignedCompact(raw, append([]jose.SignatureAlgorithm{jose.HS256}, v.algs...))
	if err != nil {
		return Profile{}, errMalformed
	}
	header := jws.Signatures[0].Header
	if header.Algorithm == string(jose.HS256) {
		return Profile{}, v.unverifiable(jws)
	}
	keys, fresh, err := v.keys.find(ctx, header.KeyID)
	switch {
	case errors.Is(err, errKeyUnknown):
		return Profile{}, errSignature
	case err != nil:
		return Profile{}, v.unverifiable(jws)
	}
	payload, err := signedBy(jws, keys)
	if err != nil && !fresh {
		// The key may have been replaced under its old name.
		if keys, err = v.keys.refetch(ctx, header.KeyID); err == nil {
			payload, err = signedBy(jws, keys)
		}
	}
	if err != nil {
		return Profile{}, errSignature
	}
	c, err := v.check(payload)
	if err != nil {
		return Profile{}, err
	}
	return c.profile(payload), nil
}

// signedBy returns the payload if one of the keys signed it.
func signedBy(jws *jose.JSONWebSignature, keys []jose.JSONWebKey) ([]byte, error) {
	for _, key := range keys {
		if payload, err := jws.Verify(key.Key); err == nil {
			return payload, nil
		}
	}
	return nil, errSignature
}

// check validates the claims by OpenID Connect Core, 3.1.3.7.
func (v *idTokens) check(payload []byte) (claims, error) {
	var c claims
	if strictjson.Unmarshal(payload, &c, opaqueClaims()...) != nil {
		return claims{}, errMalformed
	}
	now := v.now()
	switch {
	case c.Subject == "",
		c.Issuer != v.issuer,
		!slices.Contains(c.Audience, v.clientID),
		c.AZP != v.clientID && (c.AZP != "" || len(c.Audience) > 1),
		!after(c.Expiry, now.Add(-leeway)),
		after(c.NotBefore, now.Add(leeway)):
		return claims{}, errClaims
	}
	return c, nil
}

// after reports whether a NumericDate (RFC 7519, 2) is later than t.
func after(date float64, t time.Time) bool { return date > float64(t.UnixMilli())/1000 }

// unverifiable validates the claims of a token whose signature cannot be checked, so that a
// token for another audience is refused all the same. The subject is taken from /userinfo,
// never from here; both must agree.
func (v *idTokens) unverifiable(jws *jose.JSONWebSignature) error {
	c, err := v.check(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return err
	}
	return &unverifiableError{subject: c.Subject}
}

// opaqueClaims hold arbitrary data of users and operators.
func opaqueClaims() []string { return []string{"user_metadata", "app_metadata"} }

// rawJSON keeps a JSON value unchanged.
type rawJSON []byte

func (r *rawJSON) UnmarshalJSON(text []byte) error {
	*r = append((*r)[:0], text...)
	return nil
}

// userinfo requests the profile of the access token's user (contract, 3). Every failure is
// Unavailable or InvalidResponse: the password was right, but its user is unknown.
func (c *Client) userinfo(ctx context.Context, accessToken string) (Profile, error) {
	refuse := func(status int, reason string) (Profile, error) {
		return Profile{}, &LoginError{Outcome: outcome.Unavailable, Status: status, Reason: reasonUserinfo + reason}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.opts.BaseURL+"/userinfo", nil)
	if err != nil {
		return refuse(0, ReasonBadBaseURL)
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	answer, err := c.further(req)
	if err != nil {
		loginErr := noAnswer(answer, err)
		loginErr.Reason = reasonUserinfo + loginErr.Reason
		return Profile{}, loginErr
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
	return who.profile(answer.body), nil
}
