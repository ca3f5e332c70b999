package clients

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/uuid"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"ferry/test/hydratest"
)

// user is who logs in.
const user = "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f1"

// browser goes through the flows at Hydra, and is its login and consent page.
type browser struct {
	hydra   *hydratest.Hydra
	http    *http.Client
	cookies map[string]string
}

func newBrowser(hydra *hydratest.Hydra) *browser {
	return &browser{hydra: hydra, cookies: map[string]string{}, http: &http.Client{
		Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// get makes a request to Hydra with the cookies so far, and returns where it redirects to.
func (b *browser) get(ctx context.Context, address string) (*url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	for name, value := range b.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	resp, err := b.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	for _, cookie := range resp.Cookies() {
		b.cookies[cookie.Name] = cookie.Value
	}
	return resp.Location()
}

// accept accepts a login or a consent, and returns Hydra's address of the next step.
func (b *browser) accept(ctx context.Context, what, challenge string, body map[string]any) (string, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	address := b.hydra.AdminURL() + "/admin/oauth2/auth/requests/" + what + "/accept?" + url.Values{what + "_challenge": {challenge}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, address, bytes.NewReader(text))
	if err != nil {
		return "", err
	}
	var said struct {
		RedirectTo string `json:"redirect_to"`
	}
	if err := b.call(req, &said); err != nil {
		return "", err
	}
	return said.RedirectTo, nil
}

// call makes a request whose answer is JSON.
func (b *browser) call(req *http.Request, into any) error {
	resp, err := b.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %d %s", req.Method, req.URL.Path, resp.StatusCode, text)
	}
	return json.Unmarshal(text, into)
}

// authorize goes from the authorization request to the redirect to the application.
func (b *browser) authorize(ctx context.Context, address, redirect string, scopes, audience []string) (url.Values, error) {
	for range 2 { // login and consent
		at, err := b.get(ctx, address)
		if err != nil {
			return nil, err
		}
		query := at.Query()
		what, body := "login", map[string]any{"subject": user}
		if query.Has("consent_challenge") {
			what, body = "consent", map[string]any{"grant_scope": scopes, "grant_access_token_audience": audience, "session": map[string]any{}}
		}
		if !query.Has(what + "_challenge") {
			return nil, fmt.Errorf("no %s page: %s", what, at)
		}
		if address, err = b.accept(ctx, what, query.Get(what+"_challenge"), body); err != nil {
			return nil, err
		}
	}
	at, err := b.get(ctx, address)
	switch {
	case err != nil:
		return nil, err
	case !strings.HasPrefix(at.String(), strings.TrimRight(redirect, "/")):
		return nil, fmt.Errorf("redirected to %s", at)
	}
	answer := at.Query()
	if at.Fragment != "" {
		if answer, err = url.ParseQuery(at.Fragment); err != nil {
			return nil, err
		}
	}
	if answer.Has("error") {
		return nil, fmt.Errorf("redirected to %s", at)
	}
	return answer, nil
}

// config is the OAuth 2.0 client as the application has it.
func (e *expected) config(hydra *hydratest.Hydra, method, redirect string, scopes []string) *oauth2.Config {
	style := oauth2.AuthStyleInParams
	if method == "client_secret_basic" {
		style = oauth2.AuthStyleInHeader
	}
	secret := e.secret()
	if method == "none" {
		secret = "" // Hydra refuses one
	}
	return &oauth2.Config{
		ClientID: e.id(), ClientSecret: secret, RedirectURL: redirect, Scopes: scopes,
		Endpoint: oauth2.Endpoint{AuthURL: hydra.PublicURL() + "/oauth2/auth", TokenURL: hydra.PublicURL() + "/oauth2/token", AuthStyle: style},
	}
}

// complete goes through a flow of the application, with the client at Hydra as it was imported.
func (e *expected) complete(ctx context.Context, hydra *hydratest.Hydra, flow use, client map[string]any) error {
	method, _ := client["token_endpoint_auth_method"].(string)
	redirects, _ := client["redirect_uris"].([]any)
	redirect := ""
	if len(redirects) > 0 {
		redirect, _ = redirects[0].(string)
	}
	switch flow {
	case useMachine:
		return e.machineFlow(ctx, hydra, method)
	case useImplicit:
		config := e.config(hydra, method, redirect, []string{"openid", "profile"})
		address := config.AuthCodeURL(uuid.NewString(), oauth2.SetAuthURLParam("response_type", "id_token token"), oauth2.SetAuthURLParam("nonce", uuid.NewString()))
		answer, err := newBrowser(hydra).authorize(ctx, address, redirect, config.Scopes, nil)
		if err == nil && (answer.Get("id_token") == "" || answer.Get("access_token") == "") {
			err = fmt.Errorf("no tokens: %v", answer)
		}
		return err
	case useDevice:
		return e.deviceFlow(ctx, hydra)
	case useCode, usePKCE:
		return e.codeFlow(ctx, hydra, method, redirect, flow == usePKCE)
	}
	return errors.New("unknown flow")
}

// codeFlow logs in, exchanges the code and, without a key, refreshes.
func (e *expected) codeFlow(ctx context.Context, hydra *hydratest.Hydra, method, redirect string, pkce bool) error {
	config := e.config(hydra, method, redirect, slices.Concat([]string{"openid", "profile", "email", "offline_access"}, e.scopes))
	verifier, audience := oauth2.GenerateVerifier(), []string{}
	var request, exchange []oauth2.AuthCodeOption
	if pkce {
		request, exchange = append(request, oauth2.S256ChallengeOption(verifier)), append(exchange, oauth2.VerifierOption(verifier))
	}
	if len(e.scopes) > 0 {
		audience = []string{orders}
		request = append(request, oauth2.SetAuthURLParam("audience", orders))
	}
	answer, err := newBrowser(hydra).authorize(ctx, config.AuthCodeURL(uuid.NewString(), request...), redirect, config.Scopes, audience)
	if err != nil {
		return err
	}
	assertion, err := e.assertion(hydra)
	if err != nil {
		return err
	}
	token, err := config.Exchange(ctx, answer.Get("code"), append(exchange, assertion...)...)
	if err != nil {
		return err
	}
	if idToken, _ := token.Extra("id_token").(string); idToken == "" || token.RefreshToken == "" {
		return fmt.Errorf("no ID or refresh token")
	}
	if e.key == nil {
		token.Expiry = time.Unix(1, 0)
		if token, err = config.TokenSource(ctx, token).Token(); err != nil {
			return fmt.Errorf("refresh: %w", err)
		}
	}
	return introspect(ctx, hydra, token.AccessToken, user, config.Scopes, audience)
}

// machineFlow gets a token for the application itself, with the scopes of its client grant, and
// none for other scopes or APIs.
func (e *expected) machineFlow(ctx context.Context, hydra *hydratest.Hydra, method string) error {
	style := oauth2.AuthStyleInParams
	if method == "client_secret_basic" {
		style = oauth2.AuthStyleInHeader
	}
	request := func(audience string, scopes ...string) (*oauth2.Token, error) {
		config := clientcredentials.Config{ClientID: e.id(), ClientSecret: e.secret(), TokenURL: hydra.PublicURL() + "/oauth2/token", Scopes: scopes, AuthStyle: style, EndpointParams: url.Values{"audience": {audience}}}
		return config.Token(ctx)
	}
	token, err := request(orders, e.scopes...)
	if err != nil {
		return err
	}
	for _, scope := range []string{"read:orders", "write:orders", "read:users"} {
		if _, err := request(orders, scope); (err == nil) != slices.Contains(e.scopes, scope) {
			return fmt.Errorf("scope %s: it is granted, or not, against the client grant: %w", scope, err)
		}
	}
	if _, err := request(stock); err == nil {
		return errors.New("a token for an API without a client grant")
	}
	return introspect(ctx, hydra, token.AccessToken, e.id(), e.scopes, []string{orders})
}

// introspect checks whose token it is, and for what.
func introspect(ctx context.Context, hydra *hydratest.Hydra, token, subject string, scopes, audience []string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hydra.AdminURL()+"/admin/oauth2/introspect", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var said struct {
		Active   bool     `json:"active"`
		Subject  string   `json:"sub"`
		Scope    string   `json:"scope"`
		Audience []string `json:"aud"`
	}
	if err := newBrowser(hydra).call(req, &said); err != nil {
		return err
	}
	if !said.Active || said.Subject != subject || said.Scope != strings.Join(scopes, " ") || !slices.Equal(said.Audience, audience) && len(said.Audience)+len(audience) > 0 {
		return fmt.Errorf("the token is %+v, want %s, %v, %v", said, subject, scopes, audience)
	}
	return nil
}

// assertion authenticates an application with its key (RFC 7523); without one it is empty.
func (e *expected) assertion(hydra *hydratest.Hydra) ([]oauth2.AuthCodeOption, error) {
	if e.key == nil {
		return nil, nil
	}
	alg := jose.RS256
	if _, ok := e.key.(*ecdsa.PrivateKey); ok {
		alg = jose.ES256
	}
	if strings.Contains(fmt.Sprint(e.app["description"]), "PS256") {
		alg = jose.PS256
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: e.key}, (&jose.SignerOptions{}).WithHeader("kid", e.kid))
	if err != nil {
		return nil, err
	}
	claims, err := json.Marshal(map[string]any{"iss": e.id(), "sub": e.id(), "aud": hydra.Issuer() + "oauth2/token", "jti": uuid.NewString(), "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix()})
	if err != nil {
		return nil, err
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return nil, err
	}
	text, err := signed.CompactSerialize()
	return []oauth2.AuthCodeOption{
		oauth2.SetAuthURLParam("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), oauth2.SetAuthURLParam("client_assertion", text),
	}, err
}

// deviceFlow gets tokens with a code that the user enters elsewhere (RFC 8628).
func (e *expected) deviceFlow(ctx context.Context, hydra *hydratest.Hydra) error {
	config := e.config(hydra, "none", "", []string{"openid", "offline_access"})
	config.Endpoint.DeviceAuthURL = hydra.PublicURL() + "/oauth2/device/auth"
	device, err := config.DeviceAuth(ctx)
	if err != nil {
		return err
	}
	b := newBrowser(hydra)
	at, err := b.get(ctx, hydra.PublicURL()+"/oauth2/device/verify?"+url.Values{"user_code": {device.UserCode}}.Encode())
	if err != nil {
		return err
	}
	text, err := json.Marshal(map[string]any{"user_code": device.UserCode})
	if err != nil {
		return err
	}
	address := hydra.AdminURL() + "/admin/oauth2/auth/requests/device/accept?" + url.Values{"device_challenge": {at.Query().Get("device_challenge")}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, address, bytes.NewReader(text))
	if err != nil {
		return err
	}
	var said struct {
		RedirectTo string `json:"redirect_to"`
	}
	if err := b.call(req, &said); err != nil {
		return err
	}
	if _, err := b.authorize(ctx, said.RedirectTo, "", config.Scopes, nil); err != nil {
		return err
	}
	token, err := config.DeviceAccessToken(ctx, device)
	if err == nil && token.RefreshToken == "" {
		err = errors.New("no refresh token")
	}
	return err
}

// completeAll goes through the flows of all imported applications.
func (x *tenant) completeAll(t *testing.T, hydra *hydratest.Hydra, clients map[string]map[string]any) {
	t.Helper()
	for _, e := range x.apps {
		for _, flow := range e.uses {
			if err := e.complete(t.Context(), hydra, flow, clients[e.id()]); err != nil {
				t.Errorf("%v: %s: %v", e.app["name"], flow, err)
			}
		}
	}
}
