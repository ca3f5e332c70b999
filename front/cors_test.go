package front_test

import (
	"net/http"
	"testing"
)

// TestPreflight: a page may send what Auth0's SDKs send; the answer decides nothing else.
func TestPreflight(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, nil)
	for _, path := range []string{"/oauth/token", "/oauth2/token", "/oauth/revoke", "/oauth2/revoke", "/userinfo", "/.well-known/jwks.json"} {
		got := r.send(t, http.MethodOptions, path, "", "Origin", appOrigin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "auth0-client,content-type")
		if got.Status != http.StatusNoContent || got.Header.Get("Access-Control-Allow-Origin") != appOrigin || got.Header.Get("Access-Control-Allow-Credentials") != "" ||
			got.Header.Get("Access-Control-Allow-Headers") == "" || got.Header.Get("Vary") != "Origin" {
			t.Errorf("%s: %+v", path, got)
		}
	}
	for _, origin := range []string{"null", "app.example.com", "file://", "capacitor://localhost", "https://app.example.com/", "https://u@app.example.com/x"} {
		got := r.send(t, http.MethodOptions, "/oauth/token", "", "Origin", origin, "Access-Control-Request-Method", "POST")
		if got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %+v", origin, got)
		}
	}
	if len(r.Requests()) > 0 {
		t.Errorf("Hydra received %d requests", len(r.Requests()))
	}
	if got := r.send(t, http.MethodOptions, "/other", "", "Origin", appOrigin, "Access-Control-Request-Method", "POST"); got.Body != "hydra" {
		t.Errorf("%+v", got)
	}
}

// TestOrigins: only a page of an allowed origin of the client can read the answer, whatever
// Hydra says of origins. Pages of no one get no header.
func TestOrigins(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Credentials", "true")
	}, nil)
	for origin, want := range map[string]string{
		appOrigin:                             appOrigin,
		"https://pr-1.pages.example.com":      "https://pr-1.pages.example.com",
		"https://a.b.pages.example.com":       "https://a.b.pages.example.com",
		"https://evil.example":                "",
		"https://app.example.com.evil":        "",
		"http://app.example.com":              "",
		"https://app.example.com:444":         "",
		"https://pages.example.com":           "",
		"https://.pages.example.com":          "",
		"https://evil:1.pages.example.com":    "",
		"https://evil@x.pages.example.com":    "",
		"https://x.pages.example.com.evil.io": "",
		"null":                                "",
		"*":                                   "",
	} {
		for _, body := range []string{"grant_type=authorization_code&client_id=spa", "grant_type=refresh_token&refresh_token=v1.M&client_id=spa"} {
			got := r.form(t, "/oauth/token", body, "Origin", origin)
			if got.Header.Get("Access-Control-Allow-Origin") != want || got.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: %+v", origin, got)
			}
		}
	}
	for _, body := range []string{"client_id=unknown", "a=b"} {
		if got := r.form(t, "/oauth/token", body, "Origin", appOrigin); got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %+v", body, got)
		}
	}
}
