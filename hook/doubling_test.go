package hook_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/hook"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/secret"
	"ferry/state"
	"ferry/test/faultyhttp"
	"ferry/transport"
	"ferry/upstream"
	"ferry/wire"
)

const fourUsersIssuer = "https://users.example/"

// fourUsers is an Auth0 and a Kratos with four users. A password is right if it begins
// with right-.
type fourUsers struct {
	keys     []byte
	tokens   map[string]string // the ID tokens, by subject
	noToken  bool              // Auth0 gives no ID token: /userinfo decides
	named    bool              // the call names the identity, which is then read by its id
	attempts sync.Map          // passwords that reached Auth0, to *atomic.Int64
}

func fourUsersID(n int) string { return fmt.Sprintf("e187bf45-fb83-4a45-8227-79025897300%d", n) }

func newFourUsers(t *testing.T) *fourUsers {
	t.Helper()
	signing, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: signing}, (&jose.SignerOptions{}).WithHeader("kid", "k1"))
	if err != nil {
		t.Fatal(err)
	}
	c := &fourUsers{tokens: map[string]string{}}
	c.keys, err = json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: signing.Public(), KeyID: "k1", Use: "sig", Algorithm: "RS256"}}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 4 {
		subject := fmt.Sprint("auth0|kim", n)
		jws, err := signer.Sign(fmt.Appendf(nil, `{"iss":%q,"aud":"fourUsers","sub":%q,"exp":%d}`, fourUsersIssuer, subject, time.Now().Add(time.Hour).Unix()))
		if err != nil {
			t.Fatal(err)
		}
		if c.tokens[subject], err = jws.CompactSerialize(); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *fourUsers) auth0(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/jwks.json":
		_, _ = w.Write(c.keys)
	case "/userinfo":
		_, _ = fmt.Fprintf(w, `{"sub":%q}`, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer of "))
	default:
		password := r.PostFormValue("password")
		count, _ := c.attempts.LoadOrStore(password, &atomic.Int64{})
		count.(*atomic.Int64).Add(1) //nolint:forcetypeassert // nothing else is stored
		if !strings.HasPrefix(password, "right-") {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"error":"invalid_grant","error_description":"Wrong email or password."}`)
			return
		}
		subject := "auth0|" + strings.TrimSuffix(r.PostFormValue("username"), "@example.org")
		answer := map[string]string{"access_token": "of " + subject}
		if !c.noToken {
			answer["id_token"] = c.tokens[subject]
		}
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func (c *fourUsers) kratos(w http.ResponseWriter, r *http.Request) {
	n := strings.TrimSuffix(strings.TrimPrefix(r.URL.Query().Get("credentials_identifier"), "kim"), "@example.org")
	list := n != ""
	if !list {
		n = r.URL.Path[len(r.URL.Path)-1:]
	}
	one := fmt.Sprintf(`{"id":%q,"schema_id":"person","schema_url":"","state":"active","traits":{"email":"kim%s@example.org"},"metadata_admin":{"auth0":{"user_id":"auth0|kim%s"}},`+
		`"credentials":{"password":{"type":"password","identifiers":["kim%s@example.org"],"config":{"use_password_migration_hook":true}}}}`, fourUsersID(int(n[0]-'0')), n, n, n)
	if list {
		one = "[" + one + "]"
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, one)
}

// asker creates a new Client for every request if the keys must be fetched each time.
type asker struct {
	opts  upstream.Options
	fresh bool
	kept  *upstream.Client
}

func (a *asker) Verify(ctx context.Context, credentials upstream.Credentials) (upstream.Profile, error) {
	if !a.fresh {
		return a.kept.Verify(ctx, credentials)
	}
	client, err := upstream.New(a.opts)
	if err != nil {
		return upstream.Profile{}, err
	}
	return client.Verify(ctx, credentials)
}

// TestAnswersSentTwice: when answers are sent twice or lost, on any path that ferry
// requests, no wrong password matches, no right password is reported as wrong, and
// each password reaches Auth0 at most once.
func TestAnswersSentTwice(t *testing.T) {
	t.Parallel()
	for hop, path := range map[string]string{
		"grant": "/oauth/token", "userinfo": "/userinfo", "keys": "/.well-known/jwks.json",
		"look-up": "/admin/identities", "identity": "/admin/identities/",
	} {
		t.Run(hop, func(t *testing.T) {
			t.Parallel()
			c := newFourUsers(t)
			c.noToken, c.named = hop == "userinfo", hop == "identity"
			var hits atomic.Int64
			fault := func(r *http.Request) faultyhttp.Fault {
				if r.URL.Path != path && (hop != "identity" || !strings.HasPrefix(r.URL.Path, path)) {
					return faultyhttp.None
				}
				return []faultyhttp.Fault{faultyhttp.None, faultyhttp.Twice, faultyhttp.TwiceLater, faultyhttp.None, faultyhttp.None, faultyhttp.Twice, faultyhttp.Lost}[hits.Add(1)%7]
			}
			auth0, admin := faultyhttp.Run(t, http.HandlerFunc(c.auth0), fault), faultyhttp.Run(t, http.HandlerFunc(c.kratos), fault)
			c.logins(t, c.hooks(t, auth0.URL, admin.URL, hop == "keys"), 10_000)
			if hits.Load() < 5_000 {
				t.Errorf("the faulty path was requested %d times", hits.Load())
			}
		})
	}
}

// hooks returns a hook handler that uses this Auth0 and Kratos.
func (c *fourUsers) hooks(t *testing.T, auth0, admin string, fresh bool) http.Handler {
	t.Helper()
	asks := &asker{fresh: fresh, opts: upstream.Options{
		Issuer: fourUsersIssuer, BaseURL: auth0, ClientID: "fourUsers", ClientAuth: upstream.SecretPost("fourUsers", secret.New("secret")),
		Scope: "openid", Timeout: 30 * time.Second, Transport: upstream.NewTransport(), Now: time.Now,
	}}
	var err error
	if asks.kept, err = upstream.New(asks.opts); err != nil {
		t.Fatal(err)
	}
	identities, err := kratos.New(kratos.Options{AdminURL: admin, Timeout: 30 * time.Second, Transport: transport.New(transport.Options{MaxRequests: 32})})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := hook.New(hook.Options{
		Keys: []secret.String{secret.New(key)}, MaxPasswordBytes: 72, Realms: []string{"users"}, LogHashKey: secret.New("log-hash-key"),
		Identities: identities, Store: state.NewMemory(state.Options{}), ClaimFor: 9 * time.Second, Sync: hook.SyncOptions{Records: newRecords(), Mapper: mapping.Default},
		Upstream: asks, Log: zap.NewNop(), Metrics: prometheus.NewRegistry(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return handler.Echo()
}

// logins makes right and wrong logins in turn, for several users at once.
func (c *fourUsers) logins(t *testing.T, hooks http.Handler, number int) {
	t.Helper()
	const atOnce = 8
	var told, untold atomic.Int64
	var all sync.WaitGroup
	for first := range atOnce {
		all.Go(func() {
			for i := first; i < number; i += atOnce {
				password, want := fmt.Sprint("right-", i), http.StatusOK
				if i/4%2 == 1 {
					password, want = fmt.Sprint("wrong-", i), http.StatusForbidden
				}
				got := post(t.Context(), hooks, c.body(i%4, password))
				switch got {
				case want:
					told.Add(1)
				case http.StatusFailedDependency:
					untold.Add(1)
				default:
					t.Errorf("%s: %d", password, got)
				}
				if count, asked := c.attempts.Load(password); asked && count.(*atomic.Int64).Load() != 1 { //nolint:forcetypeassert // nothing else is stored
					t.Errorf("%s reached Auth0 several times", password)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d answered, %d could not be told", told.Load(), untold.Load())
	if told.Load() < int64(number)/4 {
		t.Errorf("only %d of %d were answered", told.Load(), number)
	}
}

// body is a call in the shape of the Kratos version.
func (c *fourUsers) body(n int, password string) string {
	if c.named {
		return fmt.Sprintf(`{"identifier":"kim%d@example.org","password":%q,"identity":{"id":%q}}`, n, password, fourUsersID(n))
	}
	return fmt.Sprintf(`{"identifier":"kim%d@example.org","password":%q}`, n, password)
}

// post makes one call without a network.
func post(ctx context.Context, hooks http.Handler, body string) int {
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, wire.MigrationPath, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	got := httptest.NewRecorder()
	hooks.ServeHTTP(got, req)
	return got.Code
}
