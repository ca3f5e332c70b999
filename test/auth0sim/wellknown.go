package auth0sim

import (
	"fmt"
	"net/http"

	"github.com/go-jose/go-jose/v4"
)

// jwks is GET /.well-known/jwks.json.
func (s *Server) jwks(x *exchange) response {
	keys, err := s.publicKeys(x)
	if err != nil {
		s.log.Error("no keys", "error", err.Error())
		return s.refuse(AnswerServerError)
	}
	resp := jsonResponse(http.StatusOK, jose.JSONWebKeySet{Keys: keys})
	resp.header.Set("Content-Type", typeJSONUTF8)
	resp.header.Set("Cache-Control", "public, max-age=15, stale-while-revalidate=15, stale-if-error=86400")
	return resp
}

// publicKeys are the keys to publish, with the faults that hold.
func (s *Server) publicKeys(x *exchange) ([]jose.JSONWebKey, error) {
	keys := []jose.JSONWebKey{}
	if _, ok := x.fault(FaultJWKSEmpty); ok {
		return keys, nil
	}
	listed, err := s.keys.listed()
	if err != nil {
		return nil, err
	}
	for _, k := range listed {
		public := jose.JSONWebKey{Key: &k.key.PublicKey, KeyID: k.id, Algorithm: algRS256, Use: "sig"}
		if _, ok := x.fault(FaultJWKSWrongKey); ok {
			foreign, err := s.keys.pool.foreignKey()
			if err != nil {
				return nil, err
			}
			public.Key = &foreign.PublicKey
		}
		if _, ok := x.fault(FaultJWKSNoKeyID); ok {
			public.KeyID = ""
		}
		if _, ok := x.fault(FaultJWKSEncUse); ok {
			public.Use = "enc"
		}
		keys = append(keys, public)
	}
	return keys, nil
}

// discoveryBody is the part of the discovery document about the simulated endpoints. Its
// URLs are the tenant's own, as at Auth0: a client that connects elsewhere must not use
// them.
type discoveryBody struct {
	Issuer        string   `json:"issuer"`
	Authorize     string   `json:"authorization_endpoint"`
	TokenEndpoint string   `json:"token_endpoint"`
	Userinfo      string   `json:"userinfo_endpoint"`
	JWKS          string   `json:"jwks_uri"`
	Scopes        []string `json:"scopes_supported"`
	ResponseTypes []string `json:"response_types_supported"`
	GrantTypes    []string `json:"grant_types_supported"`
	AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	Claims        []string `json:"claims_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	IDTokenAlgs   []string `json:"id_token_signing_alg_values_supported"`
	Challenges    []string `json:"code_challenge_methods_supported"`
}

// discovery is GET /.well-known/openid-configuration.
func (s *Server) discovery(*exchange) response {
	issuer := s.cfg.Issuer
	resp := jsonResponse(http.StatusOK, discoveryBody{
		Issuer:        issuer,
		Authorize:     issuer + "authorize",
		TokenEndpoint: issuer + "oauth/token",
		Userinfo:      issuer + "userinfo",
		JWKS:          issuer + ".well-known/jwks.json",
		Scopes:        oidcScopes(),
		ResponseTypes: []string{"code", "token", "id_token"},
		GrantTypes:    []string{GrantAuthorizationCode, GrantPassword, GrantPasswordRealm},
		AuthMethods:   []string{AuthPost, AuthBasic, AuthPrivateKey, AuthNone},
		Claims: []string{
			"aud", "email", "email_verified", "exp", "family_name", "given_name", "iat", "iss", "name", "nickname",
			"phone_number", "picture", "sub",
		},
		SubjectTypes: []string{"public"},
		IDTokenAlgs:  []string{algHS256, algRS256, algPS256},
		Challenges:   []string{"S256"},
	})
	resp.header.Set("Content-Type", typeJSONUTF8)
	return resp
}

// RotateKey signs with a new key, and returns its id. With keepOld the old keys stay
// published.
func (s *Server) RotateKey(keepOld bool) (string, error) {
	id, err := s.keys.rotate(keepOld)
	if err != nil {
		return "", fmt.Errorf("auth0sim: rotate: %w", err)
	}
	return id, nil
}
