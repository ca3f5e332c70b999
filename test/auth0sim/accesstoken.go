package auth0sim

import (
	"crypto/rand"
	"strings"
)

// accessToken makes the access token of a login: a JWT for an API, else opaque. With openid it is
// good for /userinfo too.
func (s *Server) accessToken(a *attempt) (string, error) {
	now := s.Now()
	life := seconds(s.Settings().AccessTokenSeconds)
	user := a.login.account.user
	grant := accessGrant{userID: user.ID, scopes: a.grant.scopes, userinfo: a.grant.has(scopeOpenID), expires: now.Add(life)}
	if a.api.Identifier == "" {
		return s.tokens.issue(grant), nil
	}
	signing, err := s.keys.signing()
	if err != nil {
		return "", err
	}
	d := &idTokenDraft{
		alg: algRS256, header: map[string]any{"typ": "JWT", "kid": signing.id}, key: signing.key,
		claims: map[string]any{
			"iss": s.cfg.Issuer, "sub": user.ID, "aud": a.api.Identifier, "iat": now.Unix(), "exp": now.Add(life).Unix(),
			"scope": strings.Join(a.grant.scopes, " "), "azp": a.app.ClientID, "jti": rand.Text(),
		},
	}
	if grant.userinfo {
		d.claims["aud"] = []string{a.api.Identifier, s.cfg.Issuer + "userinfo"}
	}
	token, err := d.sign()
	if err != nil {
		return "", err
	}
	s.tokens.put(token, grant)
	return token, nil
}
