package hydra_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"ferry/hydra"
	"ferry/secret"
	"ferry/test/faultyhttp"
	"ferry/transport"
)

// TestEveryCallEnds: no call outlives its deadline, and a faulty answer decides nothing.
func TestEveryCallEnds(t *testing.T) {
	t.Parallel()
	complete := hydra.OAuth2Client{
		ID: "web", Method: hydra.SecretPost, RedirectURIs: []string{"https://app.example/callback"}, GrantTypes: []string{"authorization_code", "refresh_token"},
		ResponseTypes: []string{"code"}, Scope: []string{hydra.ScopeOffline},
	}
	calls := map[string]func(context.Context, *hydra.Client) error{
		"probe": func(ctx context.Context, c *hydra.Client) error {
			return c.Probe(ctx, hydra.Credentials{ClientID: "web", Secret: secret.New("secret"), Method: hydra.SecretPost})
		},
		"read client": func(ctx context.Context, c *hydra.Client) error {
			_, err := c.OAuth2Client(ctx, "web")
			return err
		},
		"begin": func(ctx context.Context, c *hydra.Client) error {
			_, err := c.Begin(ctx, complete)
			return err
		},
	}
	right := map[string]http.HandlerFunc{
		"probe":       says(http.StatusBadRequest, `{"error":"invalid_grant"}`),
		"read client": says(http.StatusOK, `{"client_id":"web"}`),
		"begin": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://login.example/?login_challenge=c", http.StatusFound)
		},
	}
	for name, c := range map[string]struct {
		fault faultyhttp.Fault
		want  string
	}{
		"none":               {faultyhttp.None, ""},
		"101":                {faultyhttp.Switch, "garbled protocol_switch"},
		"twice":              {faultyhttp.Twice, "garbled surplus_answer"},
		"lost":               {faultyhttp.Lost, "unavailable connection_broken"},
		"body without end":   {faultyhttp.EndlessBody, "unavailable timeout"},
		"header without end": {faultyhttp.EndlessHeader, "unavailable timeout"},
	} {
		for call, do := range calls {
			t.Run(call+", "+name, func(t *testing.T) {
				t.Parallel()
				srv := faultyhttp.Run(t, right[call], func(*http.Request) faultyhttp.Fault { return c.fault })
				timeout := time.Minute
				if strings.HasSuffix(c.want, "timeout") {
					timeout = 100 * time.Millisecond
				}
				client, err := hydra.New(hydra.Options{AdminURL: srv.URL, PublicURL: srv.URL, Timeout: timeout, Transport: transport.New(transport.Options{})})
				if err != nil {
					t.Fatal(err)
				}
				if got := kindOf(t, do(t.Context(), client)); got != c.want {
					t.Errorf("%q, want %q", got, c.want)
				}
			})
		}
	}
}
