package hydra_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ferry/hydra"
	"ferry/secret"
)

// answering is a Hydra that makes a flow up to its last step, and gives one answer to an introspection
// and at the token endpoint.
type answering struct {
	status      int
	contentType string
	body        []byte
	state       string
}

// RoundTrip implements http.RoundTripper.
func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	query := r.URL.Query()
	back := func(values url.Values) (*http.Response, error) {
		return &http.Response{Request: r, StatusCode: http.StatusFound, Header: http.Header{"Location": {"https://issuer.invalid/?" + values.Encode()}}, Body: http.NoBody}, nil
	}
	answer := func(status int, contentType string, body []byte) (*http.Response, error) {
		return &http.Response{Request: r, StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body))}, nil
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/accept"):
		return answer(http.StatusOK, "application/json", []byte(`{"redirect_to":"https://issuer.invalid/?login_verifier=v&consent_verifier=v"}`))
	case r.Method == http.MethodPost:
		return answer(a.status, a.contentType, a.body)
	case query.Has("state"):
		a.state = query.Get("state")
		return back(url.Values{"login_challenge": {"c"}})
	}
	return back(url.Values{"consent_challenge": {"c"}, "code": {"ory_ac_1"}, "state": {a.state}})
}

// FuzzAnswers: for any answer, an access token has a client only if Hydra says that it is an active access
// token of that client, and tokens are those of the answer, all that are required. Every other answer
// is an *Error that quotes nothing.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []struct {
		status      int
		contentType string
		body        string
	}{
		{200, "application/json", `{"active":true,"client_id":"spa","token_use":"access_token","ext":{"A":1,"a":2}}`},
		{200, "application/json; charset=utf-8", `{"active":true,"client_id":"spa","token_use":"refresh_token"}`},
		{200, "application/json", `{"active":false}`},
		{200, "application/json", `{"active":true,"client_id":"a","client_id":"b","token_use":"access_token"}`},
		{200, "application/json", `{"access_token":"a","refresh_token":"ory_rt_1","id_token":"a.b.c","expires_in":3599,"scope":"openid","token_type":"bearer"}`},
		{200, "application/json", `{"access_token":"a","refresh_token":"ory_rt_1","expires_in":1e300}`},
		{200, "application/json", `{"access_token":"a","refresh_token":"ory_rt_1","expires_in":-0.5}`},
		{200, "application/json", `{"access_token":"a","refresh_token":"ory_rt_1","Error":"canary"}`},
		{200, "application/json", `{"access_token":"a","refresh_token":"ory_rt_1","error":"canary","er-ror":null}`},
		{200, "application/json", `{"access_token":"a","refresh_token":"ory_rt_1","x":1e999}`},
		{200, "application/json", `{"access_token":"a","refresh_token":"v1.M"}`},
		{400, "application/json", `{"error":"invalid_grant"}`},
		{401, "application/json", `{"error":"invalid_client","error_description":"canary"}`},
		{502, "text/html", `<html>canary`},
	} {
		f.Add(seed.status, seed.contentType, []byte(seed.body))
	}
	client := hydra.OAuth2Client{
		ID: "spa", Method: hydra.None, RedirectURIs: []string{"https://app.example.com/"}, GrantTypes: []string{"authorization_code", "refresh_token"},
		ResponseTypes: []string{"code"}, Scope: []string{"openid", "offline_access"},
	}
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		if status < 200 || status > 599 {
			status = 200 + (status&0x7fff)%400
		}
		at, err := hydra.New(hydra.Options{
			AdminURL: "http://admin.invalid", PublicURL: "http://public.invalid", Timeout: time.Minute,
			Transport: &answering{status: status, contentType: contentType, body: body},
		})
		if err != nil {
			t.Fatal(err)
		}
		media, _, err := mime.ParseMediaType(contentType)
		isJSON := err == nil && media == "application/json" && status == http.StatusOK
		var said map[string]any
		numbers := json.NewDecoder(bytes.NewReader(body))
		numbers.UseNumber() // a number may be one that no float64 holds
		read := numbers.Decode(&said) == nil
		id, err := at.TokenClient(t.Context(), secret.New("ory_at_1"))
		if quotes(err) || (err == nil) != (id != "") || err == nil && (!isJSON || !read || said["active"] != true || said["token_use"] != "access_token" || said["client_id"] != id) {
			t.Fatalf("%d %q %q: %q, %v", status, contentType, body, id, err)
		}
		tokens, err := minted(t.Context(), at, client)
		if quotes(err) || (err == nil) != !tokens.RefreshToken.Empty() || err == nil && (!isJSON || !read || !isAnswer(tokens, said)) {
			t.Fatalf("%d %q %q: %d %q, %v", status, contentType, body, tokens.ExpiresIn, tokens.Scope, err)
		}
	})
}

// minted takes a flow to its end.
func minted(ctx context.Context, at *hydra.Client, client hydra.OAuth2Client) (hydra.Tokens, error) {
	flow, err := at.Begin(ctx, client)
	if err != nil {
		return hydra.Tokens{}, err
	}
	return at.Mint(ctx, flow, hydra.Grant{Subject: theSubject}, hydra.Credentials{ClientID: client.ID, Method: client.Method})
}

// isAnswer reports whether tokens are those of an answer that has all that is required, and no error.
func isAnswer(tokens hydra.Tokens, said map[string]any) bool {
	for name, value := range said {
		if strings.EqualFold(name, "error") && value != nil {
			return false
		}
	}
	same := func(name, got string) bool {
		text, _ := said[name].(string)
		return text == got
	}
	number, _ := said["expires_in"].(json.Number)
	seconds, _ := number.Float64() // 0 without one
	return tokens.AccessToken.Reveal() != "" && strings.HasPrefix(tokens.RefreshToken.Reveal(), "ory_rt_") && seconds >= 0 && seconds == math.Trunc(seconds) &&
		float64(tokens.ExpiresIn) == seconds && same("access_token", tokens.AccessToken.Reveal()) && same("refresh_token", tokens.RefreshToken.Reveal()) &&
		same("id_token", tokens.IDToken.Reveal()) && same("scope", tokens.Scope)
}

// quotes reports whether an error is not an *Error, or may quote the answer.
func quotes(err error) bool {
	var fault *hydra.Error
	return err != nil && (!errors.As(err, &fault) || strings.Contains(err.Error(), "canary") || fault.Reason == "" || strings.ContainsFunc(fault.Reason, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}))
}
