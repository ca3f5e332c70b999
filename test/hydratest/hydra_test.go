package hydratest_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"ferry/test/hydratest"
	"ferry/test/postgrestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestTokens: a client gets access tokens that the keys in the JWKS have signed, from every kind
// of Hydra, and from the next one with the same database.
func TestTokens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opts     hydratest.Options
		postgres bool
	}{
		"memory":                   {},
		"SQLite":                   {opts: hydratest.Options{SQLite: true}},
		"PostgreSQL in production": {opts: hydratest.Options{Production: true, Issuer: "https://login.example.org/"}, postgres: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := c.opts
			if opts.SQLite {
				opts.Dir = t.TempDir()
			}
			if c.postgres {
				opts.DSN = postgrestest.Run(t, postgrestest.Options{}).DSN()
			}
			tokens(t, opts)
		})
	}
}

func tokens(t *testing.T, opts hydratest.Options) {
	t.Helper()
	first := hydratest.Run(t, opts)
	err := first.CreateClient(t.Context(), map[string]any{
		"client_id": "service", "client_secret": "secret-of-the-service", "token_endpoint_auth_method": "client_secret_post",
		"grant_types": []string{"client_credentials"}, "access_token_strategy": "jwt",
	})
	if err != nil {
		t.Fatal(err)
	}
	token := clientCredentials(t, first)
	mustBeSigned(t, first, token)
	if opts.Issuer != "" && first.Issuer() != opts.Issuer || !strings.HasSuffix(first.Issuer(), "/") {
		t.Errorf("the issuer is %s", first.Issuer())
	}
	if opts.SQLite {
		if err := first.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if opts.SQLite || opts.DSN != "" {
		second := hydratest.Run(t, opts)
		mustBeSigned(t, second, token)
		clientCredentials(t, second)
	}
}

func clientCredentials(t *testing.T, h *hydratest.Hydra) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"service"}, "client_secret": {"secret-of-the-service"}}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	body := ask(t, http.MethodPost, h.PublicURL()+"/oauth2/token", form.Encode())
	if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("got no access token: %s", body)
	}
	return answer.AccessToken
}

func mustBeSigned(t *testing.T, h *hydratest.Hydra, token string) {
	t.Helper()
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(ask(t, http.MethodGet, h.PublicURL()+"/.well-known/jwks.json", ""), &keys); err != nil {
		t.Fatal(err)
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signed.Verify(keys); err != nil {
		t.Error(err)
	}
}

func ask(t *testing.T, method, address, form string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestStopLeavesNothing: no process and no folder, however often.
func TestStopLeavesNothing(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	h, err := hydratest.Start(t.Context(), hydratest.Options{Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	}
	if err := syscall.Kill(h.Pid(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process is still there: %v", err)
	}
	entries, err := os.ReadDir(temp)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Errorf("left behind: %s", entry.Name())
	}
}

// TestBrokenConfig: what Hydra says about it is in the error.
func TestBrokenConfig(t *testing.T) {
	t.Parallel()
	_, err := hydratest.Start(t.Context(), hydratest.Options{
		Progress: t.Output(), Config: []byte("oauth2: {pkce: {enforced: perhaps}}\n"),
	})
	if err == nil || !strings.Contains(err.Error(), "hydra ended while it started") {
		t.Errorf("got %v", err)
	}
}
