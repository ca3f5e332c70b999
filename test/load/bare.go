package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"

	"ferry/wire"
)

// bare is the handler that ferry is compared with: one look-up, one grant, one check of the
// ID token, with net/http, encoding/json and go-oidc. It opens the same kind of connections
// as ferry. It has no limits, no strict decoding, no memory of earlier calls, no metrics
// and no log.
type bare struct {
	kratosURL, auth0URL string
	kratos, auth0       *http.Client
	verifier            *oidc.IDTokenVerifier
}

// newBare makes a bare handler. caFile is the certificate of Auth0, or empty for plain HTTP.
func newBare(kratosURL, auth0URL, caFile string) (*bare, error) {
	// A connection for each look-up, and for each grant over HTTP/1.1, as ferry does.
	kratos := &http.Transport{DisableKeepAlives: true}
	auth0, err := transportTo(caFile)
	if err != nil {
		return nil, err
	}
	b := &bare{kratosURL: kratosURL, auth0URL: auth0URL, kratos: &http.Client{Transport: kratos}, auth0: &http.Client{Transport: auth0}}
	keys := oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), b.auth0), auth0URL+"/.well-known/jwks.json")
	b.verifier = oidc.NewVerifier(issuer, keys, &oidc.Config{ClientID: clientID})
	return b, nil
}

// transportTo returns a transport for HTTP/2 to a server with the certificate; without one,
// for a connection of HTTP/1.1 for each request.
func transportTo(caFile string) (*http.Transport, error) {
	if caFile == "" {
		return &http.Transport{DisableKeepAlives: true}, nil
	}
	text, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}, nil
}

func (b *bare) serve() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+wire.MigrationPath, func(w http.ResponseWriter, r *http.Request) {
		isMatch, err := b.login(r)
		switch {
		case err != nil:
			writeJSON(w, http.StatusFailedDependency, []byte(`{"status":"`+wire.StatusUnavailable+`"}`))
		case !isMatch:
			writeJSON(w, http.StatusForbidden, []byte(notMatched()))
		default:
			writeJSON(w, http.StatusOK, []byte(matched()))
		}
	})
	return httptest.NewServer(mux)
}

var errAnswer = errors.New("unexpected answer")

func (b *bare) login(r *http.Request) (isMatch bool, err error) {
	var c call
	if r.Header.Get("Authorization") != "Bearer "+hookKey {
		return false, errAnswer
	}
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		return false, err
	}
	subject, err := b.lookUp(r.Context(), c)
	if err != nil {
		return false, err
	}
	token, err := b.grant(r.Context(), c)
	if err != nil || token == "" {
		return false, err
	}
	verified, err := b.verifier.Verify(r.Context(), token)
	if err != nil {
		return false, err
	}
	return verified.Subject == subject, nil
}

// found is the part of an identity that a login needs.
type found struct {
	State       string `json:"state"`
	Credentials struct {
		Password struct {
			Config struct {
				UseHook bool `json:"use_password_migration_hook"`
			} `json:"config"`
		} `json:"password"`
	} `json:"credentials"`
	MetadataAdmin struct {
		Auth0 struct {
			UserID string `json:"user_id"`
		} `json:"auth0"`
	} `json:"metadata_admin"`
}

// lookUp returns the Auth0 user of a pending identity.
func (b *bare) lookUp(ctx context.Context, c call) (subject string, err error) {
	at := b.kratosURL + "/admin/identities"
	var one found
	var list []found
	into := any(&list)
	if c.Identity != nil {
		at, into = at+"/"+c.Identity.ID+"?include_credential=password", &one
	} else {
		at += "?include_credential=password&credentials_identifier=" + url.QueryEscape(c.Identifier)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		return "", err
	}
	status, err := decode(b.kratos, req, into)
	if err != nil || status != http.StatusOK {
		return "", errors.Join(errAnswer, err)
	}
	if len(list) == 1 {
		one = list[0]
	}
	if one.State != "active" || !one.Credentials.Password.Config.UseHook {
		return "", errAnswer
	}
	return one.MetadataAdmin.Auth0.UserID, nil
}

// grant returns the ID token, empty if the password is wrong.
func (b *bare) grant(ctx context.Context, c call) (token string, err error) {
	form := url.Values{
		"grant_type": {"password"}, "username": {c.Identifier}, "password": {c.Password},
		"scope": {"openid profile email phone"}, "client_id": {clientID}, "client_secret": {clientSecret},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.auth0URL+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var tokens struct {
		IDToken string `json:"id_token"`
	}
	status, err := decode(b.auth0, req, &tokens)
	switch {
	case err != nil:
		return "", err
	case status == http.StatusForbidden:
		return "", nil
	case status != http.StatusOK || tokens.IDToken == "":
		return "", errAnswer
	}
	return tokens.IDToken, nil
}

// decode sends a request and decodes the answer.
func decode(c *http.Client, req *http.Request, into any) (status int, err error) {
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, json.Unmarshal(text, into)
}
