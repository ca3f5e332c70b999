package apps

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"ferry/test/auth0sim"
)

// TestOAuth2 takes golang.org/x/oauth2 across: an application logs in at Auth0, its host flips to
// the token front, and its token source refreshes there, and then at Hydra alone. The user sees
// no page, and Auth0 is asked once.
func TestOAuth2(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	ada := s.identity(t, auth0sim.DemoAdaID)
	for name, c := range map[string]struct {
		config oauth2.Config
		alone  bool // Hydra accepts its way of authentication
	}{
		"public":      {oauth2.Config{ClientID: mobile, Endpoint: oauth2.Endpoint{AuthStyle: oauth2.AuthStyleInParams}}, true},
		"basic":       {oauth2.Config{ClientID: web, ClientSecret: webSecret, Endpoint: oauth2.Endpoint{AuthStyle: oauth2.AuthStyleInHeader}}, true},
		"finding out": {oauth2.Config{ClientID: web, ClientSecret: webSecret}, true},
		"another way": {oauth2.Config{ClientID: web, ClientSecret: webSecret, Endpoint: oauth2.Endpoint{AuthStyle: oauth2.AuthStyleInParams}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s.leadsTo(t, s.sim.URL(), false)
			s.crosses(t, &c.config, ada, c.alone)
		})
	}
	want := s.foreignTokens(t)
	s.canaries(t) // stops ferry
	s.audited(t, want)
}

// crosses takes one application from Auth0 to Hydra.
func (s *stack) crosses(t *testing.T, config *oauth2.Config, identity string, alone bool) {
	t.Helper()
	config.RedirectURL, config.Scopes = callback, []string{"openid", "profile", "email", "offline_access"}
	config.Endpoint.AuthURL, config.Endpoint.TokenURL = s.host.URL+auth0sim.PathAuthorize, s.host.URL+auth0sim.PathToken
	first := s.authorized(t, config)
	if sub := claimsOf(t, first)["sub"]; sub != auth0sim.DemoAdaID || first.RefreshToken == "" {
		t.Fatalf("Auth0's tokens are for %v", sub)
	}
	asked := s.sim.GrantRequests(auth0sim.GrantRefreshToken)
	s.leadsTo(t, s.ferry.TokenFrontURL(), false)
	second := s.refreshed(t, config, first)
	if alone {
		s.leadsTo(t, s.hydra.PublicURL(), true)
	}
	third := s.refreshed(t, config, second)
	for _, token := range []*oauth2.Token{second, third} {
		claims := claimsOf(t, token)
		if claims["sub"] != identity || claims["iss"] != s.host.URL+"/" || !strings.HasPrefix(token.RefreshToken, "ory_rt_") || !strings.HasPrefix(token.AccessToken, "ory_at_") {
			t.Errorf("%s: tokens of Hydra: %v", config.ClientID, claims)
		}
	}
	if n := s.sim.GrantRequests(auth0sim.GrantRefreshToken) - asked; n != 1 || second.RefreshToken == third.RefreshToken {
		t.Errorf("%s: Auth0 was asked %d times", config.ClientID, n)
	}
}

// authorized logs Ada in.
func (s *stack) authorized(t *testing.T, config *oauth2.Config) *oauth2.Token {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	back, err := url.Parse(s.logIn(t, config.AuthCodeURL("a-state", oauth2.S256ChallengeOption(verifier)), "ada@example.test", password))
	if err != nil {
		t.Fatal(err)
	}
	token, err := config.Exchange(s.context(t), back.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// refreshed returns what the library's token source has once the access token is over.
func (s *stack) refreshed(t *testing.T, config *oauth2.Config, token *oauth2.Token) *oauth2.Token {
	t.Helper()
	over := *token
	over.Expiry = time.Now().Add(-time.Minute)
	next, err := config.TokenSource(s.context(t), &over).Token()
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// context gives the library the client that trusts the host.
func (s *stack) context(t *testing.T) context.Context {
	t.Helper()
	return context.WithValue(t.Context(), oauth2.HTTPClient, s.host.Client())
}

// claimsOf returns the claims of the ID token.
func claimsOf(t *testing.T, token *oauth2.Token) map[string]any {
	t.Helper()
	text, _ := token.Extra("id_token").(string)
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		t.Fatalf("there is no ID token")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}
