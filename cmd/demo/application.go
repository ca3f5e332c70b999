package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"ferry/test/auth0sim"
)

// The application of the third act, a native one.
const (
	notesID       = "ferry-demo-notes"
	notesCallback = "com.example.notes://callback"
	notesScope    = "openid profile email offline_access"
)

// notes is the application at Auth0.
func notes() auth0sim.App {
	return auth0sim.App{
		ClientID: notesID, AuthMethods: []string{auth0sim.AuthNone}, Callbacks: []string{notesCallback},
		GrantTypes:    []string{auth0sim.GrantAuthorizationCode, auth0sim.GrantRefreshToken},
		RefreshTokens: auth0sim.RefreshPolicy{Rotation: true, LeewaySeconds: 60},
	}
}

// importNotes makes the client of Hydra that `ferry clients import` makes of the application.
func (s *stack) importNotes(ctx context.Context) error {
	return s.hydra.CreateClient(ctx, map[string]any{
		"client_id": notesID, "token_endpoint_auth_method": "none", "redirect_uris": []string{notesCallback},
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"}, "scope": notesScope,
	})
}

// issued are the tokens that an application gets.
type issued struct {
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
	Fault        string `json:"error"`
}

// from names who made the refresh token.
func (i issued) from() string {
	switch {
	case i.Fault != "":
		return "the error " + i.Fault
	case strings.HasPrefix(i.RefreshToken, "ory_rt_"):
		return tokensOfHydra
	}
	return "other tokens"
}

const (
	tokensOfHydra = "tokens of Hydra" //nolint:gosec // G101: what the demo prints
	oneIdentity   = "her identity in Kratos"
)

// application is the third act: an application that holds a refresh token of Auth0.
func (t *story) application(ctx context.Context) error {
	t.say.printf("\n%s\n", t.say.paint(bold, "Now an application. Its login host points to the token front, before Hydra."))
	ada := demoUser(auth0sim.DemoAdaID)
	ids, err := t.stack.identities(ctx, ada.Email)
	if err != nil {
		return err
	}
	if len(ids) != 1 {
		return fmt.Errorf("kratos has %d identities of Ada", len(ids))
	}
	held, err := t.stack.sim.control.AddRefreshToken(ctx, auth0sim.RefreshToken{UserID: ada.ID, ClientID: notesID, Scope: notesScope})
	if err != nil {
		return err
	}
	t.say.step("Ada's notes application refreshes. It holds a refresh token of Auth0.",
		"ferry redeems it at Auth0, finds Ada's identity, and has Hydra make tokens\n   for her. She sees nothing of it.")
	got, err := t.refresh(ctx, t.stack.hydra.Issuer()+"oauth/token", held.Token, ids[0], 1)
	if err != nil {
		return err
	}
	t.say.step("The application refreshes again.", "Hydra handles that alone. Neither ferry nor Auth0 is asked.")
	_, err = t.refresh(ctx, t.stack.hydra.PublicURL()+"/oauth2/token", got.RefreshToken, ids[0], 0)
	return err
}

// refresh refreshes as the application does, and compares the measurements.
func (t *story) refresh(ctx context.Context, address, token, identity string, redeemed int) (issued, error) {
	before, err := t.stack.sim.control.Counters(ctx)
	if err != nil {
		return issued{}, err
	}
	var got issued
	form := url.Values{"grant_type": {auth0sim.GrantRefreshToken}, "client_id": {notesID}, "refresh_token": {token}}
	if err := t.stack.call(ctx, http.MethodPost, address, form, &got); err != nil {
		return got, err
	}
	after, err := t.stack.sim.control.Counters(ctx)
	if err != nil {
		return got, err
	}
	whose, err := t.stack.subject(ctx, got.IDToken)
	if err != nil {
		return got, err
	}
	if whose == identity {
		whose = oneIdentity
	}
	t.check("app gets", got.from(), tokensOfHydra, "")
	t.check("for", whose, oneIdentity, "(sub of the ID token)")
	t.check("Auth0", redeemedAtAuth0(after.Grants[auth0sim.GrantRefreshToken]-before.Grants[auth0sim.GrantRefreshToken]), redeemedAtAuth0(redeemed), "")
	return got, t.say.err
}

func redeemedAtAuth0(tokens int) string {
	if tokens == 1 {
		return "1 refresh token reached it"
	}
	return fmt.Sprintf("%d refresh tokens reached it", tokens)
}

// subject returns the subject of an ID token that Hydra has signed; empty: there is none.
func (s *stack) subject(ctx context.Context, token string) (string, error) {
	if token == "" {
		return "", nil
	}
	var keys jose.JSONWebKeySet
	if err := s.call(ctx, http.MethodGet, s.hydra.PublicURL()+"/.well-known/jwks.json", nil, &keys); err != nil {
		return "", err
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return "", fmt.Errorf("read the ID token: %w", err)
	}
	payload, err := signed.Verify(keys)
	if err != nil {
		return "", fmt.Errorf("verify the ID token: %w", err)
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return "", fmt.Errorf("read the ID token: %w", err)
	}
	return claims.Subject, nil
}

// call sends a form, if any, and decodes the answer, whatever its status.
func (s *stack) call(ctx context.Context, method, address string, form url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.http.Do(req)
	if err != nil {
		return fmt.Errorf("call hydra: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return errors.Join(fmt.Errorf("call hydra: %s", resp.Status), err)
	}
	return nil
}
