package auth0sim

import (
	"crypto"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

const timeLayout = "2006-01-02T15:04:05.000Z"

// idTokenDraft is an ID token before it is signed, so that faults can forge
// it.
type idTokenDraft struct {
	alg    string
	header map[string]any
	claims map[string]any
	// payload, when set, is signed instead of the claims.
	payload []byte
	key     *rsa.PrivateKey
	// hmacKey is for HS256.
	hmacKey []byte
	// finish changes the finished token.
	finish func(string) string

	app     *application
	kid     string
	subject string
	server  *Server
}

// idToken makes the ID token of a login, with the faults that hold.
func (s *Server) idToken(a *attempt, life time.Duration) (string, error) {
	signing, err := s.keys.signing()
	if err != nil {
		return "", err
	}
	user := a.login.account.user
	now := s.Now()
	d := &idTokenDraft{
		alg: a.app.IDTokenAlg, header: map[string]any{"typ": "JWT"}, key: signing.key, kid: signing.id,
		hmacKey: []byte(a.app.ClientSecret), app: a.app, subject: user.ID, server: s,
		claims: userClaims(user, a.grant.scopes),
	}
	if d.alg != algHS256 {
		d.header["kid"] = signing.id
	}
	d.claims["iss"] = s.cfg.Issuer
	d.claims["aud"] = a.app.ClientID
	d.claims["iat"] = now.Unix()
	d.claims["exp"] = now.Add(life).Unix()
	if a.nonce != "" {
		d.claims["nonce"] = a.nonce
	}
	for _, f := range a.x.faults {
		if forge, ok := forgeries()[f.Name]; ok {
			if err := forge(d, f); err != nil {
				return "", fmt.Errorf("forge %s: %w", f.Name, err)
			}
		}
	}
	return d.sign()
}

// sign makes the compact form.
func (d *idTokenDraft) sign() (string, error) {
	d.header["alg"] = d.alg
	header, err := json.Marshal(d.header)
	if err != nil {
		return "", fmt.Errorf("encode header: %w", err)
	}
	payload := d.payload
	if payload == nil {
		if payload, err = json.Marshal(d.claims); err != nil {
			return "", fmt.Errorf("encode claims: %w", err)
		}
	}
	input := encodeSegment(header) + "." + encodeSegment(payload)
	signature, err := d.signature([]byte(input))
	if err != nil {
		return "", fmt.Errorf("sign id token: %w", err)
	}
	token := input + "." + encodeSegment(signature)
	if d.finish != nil {
		token = d.finish(token)
	}
	return token, nil
}

// signature signs with the header's algorithm; for any other it returns no signature.
func (d *idTokenDraft) signature(input []byte) ([]byte, error) {
	sum := sha256.Sum256(input)
	switch d.alg {
	case algRS256:
		return rsa.SignPKCS1v15(nil, d.key, crypto.SHA256, sum[:])
	case algPS256:
		return rsa.SignPSS(rand.Reader, d.key, crypto.SHA256, sum[:],
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	case "RS384":
		long := sha512.Sum384(input)
		return rsa.SignPKCS1v15(nil, d.key, crypto.SHA384, long[:])
	case algHS256:
		mac := hmac.New(sha256.New, d.hmacKey)
		mac.Write(input)
		return mac.Sum(nil), nil
	}
	return nil, nil
}

func encodeSegment(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// claimScopes are the standard claims and the scope that each needs.
func claimScopes() map[string]string {
	scopes := map[string]string{
		"email": scopeEmail, "email_verified": scopeEmail,
		"phone_number": scopePhone, "phone_number_verified": scopePhone, "address": scopeAddress,
	}
	for _, name := range []string{
		"name", "family_name", "given_name", "middle_name", "nickname", "picture", "updated_at",
		"preferred_username", "profile", "website", "gender", "birthdate", "zoneinfo", "locale",
	} {
		scopes[name] = scopeProfile
	}
	return scopes
}

// userClaims are the claims of a user that the scopes allow. As at Auth0, a phone number or
// a username is included only if an Action adds it.
func userClaims(u User, scopes []string) map[string]any {
	claims := map[string]any{}
	if u.Email != "" {
		claims["email"], claims["email_verified"] = u.Email, u.EmailVerified
	}
	local, _, _ := strings.Cut(u.Email, "@")
	for name, value := range map[string]string{
		"name": orElse(u.Name, u.displayName()), "nickname": orElse(u.Nickname, orElse(local, u.displayName())),
		"given_name": u.GivenName, "family_name": u.FamilyName, "middle_name": u.MiddleName,
		"picture": orElse(u.Picture, gravatar(u)), "updated_at": u.UpdatedAt.UTC().Format(timeLayout),
	} {
		if value != "" {
			claims[name] = value
		}
	}
	reserved := []string{"iss", "aud", "iat", "exp", "nbf", "sub", "azp", "nonce", "at_hash", "c_hash", "sid"}
	for name, value := range u.CustomClaims {
		if !slices.Contains(reserved, name) {
			claims[name] = value
		}
	}
	needs := claimScopes()
	maps.DeleteFunc(claims, func(name string, _ any) bool {
		scope, standard := needs[name]
		return standard && !slices.Contains(scopes, scope)
	})
	claims["sub"] = u.ID
	return claims
}

// displayName is what Auth0 calls a user without a name.
func (u User) displayName() string {
	return orElse(u.Email, orElse(u.Phone, u.Username))
}

// gravatar is the picture of a user without one.
func gravatar(u User) string {
	sum := md5.Sum([]byte(strings.ToLower(u.Email))) // as Gravatar wants it
	initials := strings.ToLower(u.displayName())
	if len(initials) > 2 {
		initials = initials[:2]
	}
	fallback := url.QueryEscape("https://cdn.auth0.com/avatars/" + initials + ".png")
	return "https://s.gravatar.com/avatar/" + hex.EncodeToString(sum[:]) + "?s=480&r=pg&d=" + fallback
}

func newMFAToken() string { return mfaTokenPrefix + rand.Text() }
