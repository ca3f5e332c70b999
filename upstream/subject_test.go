package upstream_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ferry/outcome"
)

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// TestIDTokens: each case has exactly one fault.
func TestIDTokens(t *testing.T) {
	now := time.Now().Unix()
	claims := func(change map[string]any) string { return idToken(t, change) }
	for name, c := range map[string]struct {
		token string
		match bool
	}{
		"sound":                      {claims(nil), true},
		"without key id":             {sign(t, jose.RS256, "", key(), payload(t, nil)), true},
		"just expired":               {claims(map[string]any{"exp": now - 240}), true},
		"azp":                        {claims(map[string]any{"azp": clientID}), true},
		"two audiences and azp":      {claims(map[string]any{"aud": []string{"api", clientID}, "azp": clientID}), true},
		"linked account":             {claims(map[string]any{"sub": "google-oauth2|1"}), true},
		"odd e-mail":                 {claims(map[string]any{"email": 7, "email_verified": "true"}), true},
		"metadata with twins":        {claims(map[string]any{"user_metadata": map[string]any{"A": 1, "a": 2}}), true},
		"expired":                    {claims(map[string]any{"exp": now - 360}), false},
		"no expiry":                  {claims(map[string]any{"exp": nil}), false},
		"valid within the leeway":    {claims(map[string]any{"nbf": now + 240}), true},
		"not valid yet":              {claims(map[string]any{"nbf": now + 360}), false},
		"expiry as digits in a text": {claims(map[string]any{"exp": fmt.Sprint(now + 3600)}), false},
		"expiry as text":             {claims(map[string]any{"exp": "tomorrow"}), false},
		"other issuer":               {claims(map[string]any{"iss": "https://other.example/"}), false},
		"issuer without slash":       {claims(map[string]any{"iss": strings.TrimSuffix(issuer, "/")}), false},
		"no issuer":                  {claims(map[string]any{"iss": nil}), false},
		"other audience":             {claims(map[string]any{"aud": "other"}), false},
		"no audience":                {claims(map[string]any{"aud": nil}), false},
		"two audiences, no azp":      {claims(map[string]any{"aud": []string{"api", clientID}}), false},
		"other azp":                  {claims(map[string]any{"azp": "other"}), false},
		"azp of another type":        {claims(map[string]any{"azp": 1}), false},
		"no subject":                 {claims(map[string]any{"sub": nil}), false},
		"empty subject":              {claims(map[string]any{"sub": ""}), false},
		"subject of another type":    {claims(map[string]any{"sub": 1}), false},
		"subject list":               {claims(map[string]any{"sub": []string{alice}}), false},
		"foreign key":                {sign(t, jose.RS256, "k1", foreignKey(), payload(t, nil)), false},
		"foreign key, unknown id":    {sign(t, jose.RS256, "k2", foreignKey(), payload(t, nil)), false},
		"foreign key, no id":         {sign(t, jose.RS256, "", foreignKey(), payload(t, nil)), false},
		"right key, unknown id":      {sign(t, jose.RS256, "k2", key(), payload(t, nil)), false},
		"RS384":                      {sign(t, jose.RS384, "k1", key(), payload(t, nil)), false},
		"PS256":                      {sign(t, jose.PS256, "k1", key(), payload(t, nil)), false},
		"alg none":                   {b64(`{"alg":"none","kid":"k1"}`) + "." + b64(payload(t, nil)) + ".", false},
		"subject twice":              {sign(t, jose.RS256, "k1", key(), strings.Replace(payload(t, nil), `"sub":`, `"sub":"auth0|mallory","sub":`, 1)), false},
		"subject twice but for case": {sign(t, jose.RS256, "k1", key(), strings.Replace(payload(t, nil), `"sub":`, `"Sub":"auth0|mallory","sub":`, 1)), false},
		"two parts":                  {"e30.e30", false},
		"no token at all":            {"token", false},
		"truncated":                  {claims(nil)[:200], false},
		"payload not JSON":           {sign(t, jose.RS256, "k1", key(), "alice"), false},
	} {
		t.Run(name, func(t *testing.T) {
			tn, client := newTenant(t)
			tn.token = sendJSON(http.StatusOK, tokens(c.token))
			// /userinfo would confirm the user, but must not make up for a broken token.
			tn.userinfo = sendJSON(http.StatusOK, fmt.Sprintf(`{"sub":%q}`, alice))
			profile, loginErr := ask(t, client)
			if c.match != (loginErr == nil) {
				t.Fatalf("profile %+v, error %v", profile, loginErr)
			}
			if loginErr != nil && loginErr.Outcome != outcome.InvalidResponse {
				t.Errorf("outcome %s, want garbled", loginErr.Outcome)
			}
			if tn.count("/userinfo") != 0 {
				t.Error("/userinfo was asked")
			}
		})
	}
}

// TestUserinfo: if the ID token cannot be checked, /userinfo decides.
func TestUserinfo(t *testing.T) {
	hmac := []byte("client-secret-client-secret-1234")
	hs256 := sign(t, jose.HS256, "", hmac, payload(t, nil))
	for name, c := range map[string]struct {
		answer   string
		userinfo http.HandlerFunc
		want     outcome.Outcome // zero for a match of alice
	}{
		"no ID token":             {`{"access_token":"at-1"}`, sendJSON(200, `{"sub":"auth0|alice","email":"a@b","email_verified":true}`), 0},
		"null ID token":           {`{"access_token":"at-1","id_token":null}`, sendJSON(200, `{"sub":"auth0|alice"}`), 0},
		"HS256":                   {tokens(hs256), sendJSON(200, `{"sub":"auth0|alice"}`), 0},
		"HS256, other subject":    {tokens(hs256), sendJSON(200, `{"sub":"auth0|bob"}`), outcome.InvalidResponse},
		"HS256, other audience":   {tokens(sign(t, jose.HS256, "", hmac, payload(t, map[string]any{"aud": "x"}))), sendJSON(200, `{"sub":"auth0|alice"}`), outcome.InvalidResponse},
		"ID token of other type":  {`{"access_token":"at-1","id_token":1}`, sendJSON(200, `{"sub":"auth0|alice"}`), outcome.InvalidResponse},
		"userinfo refuses":        {`{"access_token":"at-1"}`, sendJSON(401, `{"sub":"auth0|alice"}`), outcome.Unavailable},
		"userinfo limited":        {`{"access_token":"at-1"}`, sendJSON(429, `{"sub":"auth0|alice"}`), outcome.Unavailable},
		"userinfo without sub":    {`{"access_token":"at-1"}`, sendJSON(200, `{"email":"a@b"}`), outcome.Unavailable},
		"userinfo with empty sub": {`{"access_token":"at-1"}`, sendJSON(200, `{"sub":""}`), outcome.Unavailable},
		"userinfo with sub twice": {`{"access_token":"at-1"}`, sendJSON(200, `{"sub":"auth0|alice","sub":"auth0|alice"}`), outcome.Unavailable},
		"userinfo signed":         {`{"access_token":"at-1"}`, send(200, "application/jwt", "e30"), outcome.Unavailable},
		"userinfo elsewhere": {`{"access_token":"at-1"}`, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, outcome.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			tn, client := newTenant(t)
			tn.token = sendJSON(http.StatusOK, c.answer)
			tn.userinfo = c.userinfo
			profile, loginErr := ask(t, client)
			switch {
			case c.want == 0 && (loginErr != nil || profile.Subject != alice):
				t.Fatalf("%+v, %v", profile, loginErr)
			case c.want != 0 && (loginErr == nil || loginErr.Outcome != c.want):
				t.Fatalf("%v, want %s", loginErr, c.want)
			}
			if tn.count("/oauth/token") != 1 || tn.count("/userinfo") > 1 || tn.count("/elsewhere") != 0 {
				t.Errorf("calls %v", tn.calls)
			}
			if c.want == 0 && tn.auth != "Bearer at-1" {
				t.Errorf("/userinfo was asked with %q", tn.auth)
			}
		})
	}
}

func TestKeysUnavailable(t *testing.T) {
	tn, client := newTenant(t)
	tn.jwks = send(503, "text/html", "down")
	tn.userinfo = sendJSON(200, `{"sub":"auth0|alice"}`)
	if profile, loginErr := ask(t, client); loginErr != nil || profile.Subject != alice {
		t.Fatalf("%+v, %v", profile, loginErr)
	}
	tn.userinfo = sendJSON(500, `{}`)
	if _, loginErr := ask(t, client); loginErr == nil || loginErr.Outcome != outcome.Unavailable {
		t.Fatalf("%v", loginErr)
	}
	tn.token = sendJSON(200, tokens(idToken(t, map[string]any{"iss": "https://other.example/"})))
	tn.userinfo = sendJSON(200, `{"sub":"auth0|alice"}`)
	if _, loginErr := ask(t, client); loginErr == nil || loginErr.Outcome != outcome.InvalidResponse {
		t.Fatalf("a token that is not ours: %v", loginErr)
	}
}

func TestKeysAreServedStale(t *testing.T) {
	tn, client := newTenant(t)
	if _, loginErr := ask(t, client); loginErr != nil {
		t.Fatal(loginErr)
	}
	tn.jwks = send(503, "text/html", "down")
	if _, loginErr := ask(t, client); loginErr != nil {
		t.Fatal(loginErr)
	}
	if n := tn.count("/userinfo"); n != 0 {
		t.Errorf("/userinfo was asked %d times", n)
	}
}

func TestKeysRotate(t *testing.T) {
	tn, client := newTenant(t)
	if _, loginErr := ask(t, client); loginErr != nil {
		t.Fatal(loginErr)
	}
	for _, kid := range []string{"k2", "k1"} { // a new key, then one under the old name
		tn.jwks = sendJSON(200, keySet(kid, foreignKey()))
		tn.token = sendJSON(200, tokens(sign(t, jose.RS256, kid, foreignKey(), payload(t, nil))))
		if _, loginErr := ask(t, client); loginErr != nil {
			t.Fatalf("%s: %v", kid, loginErr)
		}
	}
}

func TestKeySetWithUnusableKeys(t *testing.T) {
	tn, client := newTenant(t)
	tn.jwks = sendJSON(200, strings.Replace(keySet("k1", key()), `[`, `[{"kty":"XYZ"},{"kty":"RSA","n":"!"},7,`, 1))
	if _, loginErr := ask(t, client); loginErr != nil {
		t.Fatal(loginErr)
	}
}

func TestUnknownKeysAreRateLimited(t *testing.T) {
	tn, client := newTenant(t)
	tn.token = sendJSON(200, tokens(sign(t, jose.RS256, "k9", foreignKey(), payload(t, nil))))
	for range 30 {
		if _, loginErr := ask(t, client); loginErr == nil {
			t.Fatal("matched")
		}
	}
	if n := tn.count("/.well-known/jwks.json"); n > 10 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

func TestRunFetchesTheKeysAtStart(t *testing.T) {
	tn, client := newTenant(t)
	fetched := make(chan struct{})
	var once atomic.Bool
	tn.jwks = func(w http.ResponseWriter, r *http.Request) {
		sendJSON(200, keySet("k1", key()))(w, r)
		if once.CompareAndSwap(false, true) {
			close(fetched)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { client.Run(ctx); close(ended) }()
	<-fetched
	cancel()
	<-ended
}
