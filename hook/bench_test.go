package hook_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ferry/hook"
	"ferry/mapping"
	"ferry/secret"
	"ferry/state"
	"ferry/test/ferrytest"
	"ferry/upstream"
	"ferry/wire"
)

const benchIssuer = "https://bench.example/"

// benchAuth0 is an Auth0 that always answers with the same valid tokens.
func benchAuth0(b *testing.B, delay time.Duration) (*httptest.Server, *rsa.PrivateKey) {
	b.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k1"))
	if err != nil {
		b.Fatal(err)
	}
	jws, err := signer.Sign(fmt.Appendf(nil, `{"iss":%q,"aud":"bench","sub":%q,"iat":%d,"exp":%d,"email":"alice@example.org","email_verified":true}`,
		benchIssuer, aliceSub, time.Now().Unix(), time.Now().Add(time.Hour).Unix()))
	if err != nil {
		b.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		b.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Use: "sig", Algorithm: "RS256"}}})
	if err != nil {
		b.Fatal(err)
	}
	tokens := fmt.Appendf(nil, `{"access_token":"opaque","id_token":%q,"token_type":"Bearer","expires_in":86400}`, token)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/.well-known/jwks.json" {
			_, _ = w.Write(keys)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if delay > 0 {
			<-time.After(delay)
		}
		_, _ = w.Write(tokens)
	}))
	b.Cleanup(srv.Close)
	return srv, key
}

// BenchmarkLogin measures one login through ferry's real server, next to handlers that
// do the minimum. All ask the same Auth0 in this process.
//
//	ferry      the complete hook: caller, strict decoding, sharing, verification, metrics, log
//	verifying  a minimal handler that asks Auth0 and verifies the same ID token
//	trusting   a minimal handler that asks Auth0 and only checks the status
func BenchmarkLogin(b *testing.B) {
	auth0, key := benchAuth0(b, 0)
	b.Run("ferry", func(b *testing.B) { benchServer(b, ferryHandler(b, auth0.URL)) })
	b.Run("verifying", func(b *testing.B) {
		keys := &oidc.StaticKeySet{}
		keys.PublicKeys = append(keys.PublicKeys, &key.PublicKey)
		benchServer(b, bareHandler(auth0.URL, oidc.NewVerifier(benchIssuer, keys, &oidc.Config{ClientID: "bench"})))
	})
	b.Run("trusting", func(b *testing.B) { benchServer(b, bareHandler(auth0.URL, nil)) })
}

// benchServer posts logins with different passwords to a handler behind a real server,
// over one connection.
func benchServer(b *testing.B, handler http.Handler) {
	b.Helper()
	srv := httptest.NewServer(handler)
	defer srv.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		body := strings.Replace(login(), canary, canary+strconv.Itoa(i), 1) // an identical login is not verified again
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, srv.URL+wire.MigrationPath, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(answer) != matched {
			b.Fatalf("%s, %v", answer, err)
		}
	}
}

func ferryHandler(b *testing.B, auth0 string, change ...func(*hook.Options)) http.Handler {
	b.Helper()
	transport := upstream.NewTransport()
	b.Cleanup(transport.CloseIdleConnections)
	client, err := upstream.New(upstream.Options{
		Issuer: benchIssuer, BaseURL: auth0, ClientID: "bench", ClientAuth: upstream.SecretPost("bench", secret.New("secret")),
		Scope: "openid", Timeout: 5 * time.Second, Transport: transport, Now: time.Now,
	})
	if err != nil {
		b.Fatal(err)
	}
	opts := hook.Options{
		Keys: []secret.String{secret.New(key)}, MaxPasswordBytes: 72, Realms: []string{"users"}, LogHashKey: secret.New("log-hash-key"),
		Identities: alice(), Store: state.NewMemory(state.Options{}), ClaimFor: 9 * time.Second, Sync: hook.SyncOptions{Records: newRecords(), Mapper: mapping.Default}, Upstream: client, Metrics: prometheus.NewRegistry(), Now: time.Now,
		Log: zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zap.InfoLevel)),
	}
	for _, c := range change {
		c(&opts)
	}
	handler, err := hook.New(opts)
	if err != nil {
		b.Fatal(err)
	}
	return handler.Echo()
}

// bareHandler is a minimal hook without any of the checks of ferry.
func bareHandler(auth0 string, verifier *oidc.IDTokenVerifier) http.Handler {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req struct{ Identifier, Password string }
		if json.NewDecoder(r.Body).Decode(&req) != nil {
			http.Error(w, "bad body", http.StatusBadRequest)
			return
		}
		form := fmt.Sprintf("grant_type=password&username=%s&password=%s&client_id=bench&client_secret=secret&scope=openid", "alice", "x")
		ask, err := http.NewRequestWithContext(r.Context(), http.MethodPost, auth0+"/oauth/token", strings.NewReader(form))
		if err != nil {
			http.Error(w, "", http.StatusBadGateway)
			return
		}
		ask.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := client.Do(ask)
		if err != nil {
			http.Error(w, "", http.StatusBadGateway)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		var tokens struct {
			IDToken string `json:"id_token"`
		}
		if json.NewDecoder(resp.Body).Decode(&tokens) != nil || resp.StatusCode != http.StatusOK {
			http.Error(w, "", http.StatusForbidden)
			return
		}
		if verifier != nil {
			token, err := verifier.Verify(r.Context(), tokens.IDToken)
			if err != nil || token.Subject != aliceSub {
				http.Error(w, "", http.StatusForbidden)
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, matched)
	})
}

// BenchmarkWaiting measures the memory of a login that waits for Auth0: the growth of
// a separate ferry process with 1,000 logins that wait 300 ms each.
func BenchmarkWaiting(b *testing.B) {
	const logins = 1000
	auth0, _ := benchAuth0(b, 300*time.Millisecond)
	kratos := benchKratos(b)
	binary := filepath.Join(b.TempDir(), "ferry")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "ferry/cmd/ferry").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	for b.Loop() {
		ferry, err := ferrytest.Start(b.Context(), ferrytest.Options{Binary: binary, Env: []string{
			"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0", "FERRY_HOOK_KEYS=" + key, "FERRY_AUTH0_DOMAIN=bench.example",
			"FERRY_AUTH0_BASE_URL=" + auth0.URL, "FERRY_AUTH0_CLIENT_ID=bench", "FERRY_AUTH0_CLIENT_SECRET=secret", "FERRY_KRATOS_ADMIN_URL=" + kratos.URL,
		}})
		if err != nil {
			b.Fatal(err)
		}
		flood(b, ferry.HooksURL(), 10)
		before := resident(b, ferry.Pid())
		stop := make(chan struct{})
		peak := make(chan int)
		go func() { peak <- highest(b, ferry.Pid(), stop) }()
		flood(b, ferry.HooksURL(), logins)
		close(stop)
		b.ReportMetric(float64(<-peak-before)/logins, "KiB/login")
		if err := ferry.Stop(); err != nil {
			b.Fatal(err)
		}
	}
}

// flood makes many different logins at once.
func flood(b *testing.B, url string, logins int) {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: logins}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var all sync.WaitGroup
	for i := range logins {
		all.Go(func() {
			body := fmt.Sprintf(`{"identifier":"alice@example.org","password":"pass-%d"}`, i)
			req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url+wire.MigrationPath, strings.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Authorization", "Bearer "+key)
			resp, err := client.Do(req)
			if err != nil {
				b.Error(err)
				return
			}
			defer func() { _ = resp.Body.Close() }()
			if answer, _ := io.ReadAll(resp.Body); string(answer) != matched {
				b.Errorf("%s", answer)
			}
		})
	}
	all.Wait()
}

// benchKratos answers every lookup with alice, pending and bound.
func benchKratos(b *testing.B) *httptest.Server {
	b.Helper()
	one := fmt.Appendf(nil, `{"id":%q,"schema_id":"person","schema_url":"","state":"active","traits":{"email":%q},"metadata_admin":{"auth0":{"user_id":%q}},`+
		`"credentials":{"password":{"type":"password","identifiers":[%q],"config":{"hashed_password":"","use_password_migration_hook":true}}}}`, aliceID, stored, aliceSub, stored)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/identities") {
			_, _ = w.Write(bytes.Join([][]byte{[]byte("["), one, []byte("]")}, nil))
			return
		}
		_, _ = w.Write(one)
	}))
	b.Cleanup(srv.Close)
	return srv
}

// resident returns the resident memory of a process in KiB.
func resident(b *testing.B, pid int) int {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	found := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		b.Fatal("no VmRSS")
	}
	kib, err := strconv.Atoi(string(found[1]))
	if err != nil {
		b.Fatal(err)
	}
	return kib
}

func highest(b *testing.B, pid int, stop <-chan struct{}) int {
	b.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	peak := 0
	for {
		peak = max(peak, resident(b, pid))
		select {
		case <-tick.C:
		case <-stop:
			return peak
		}
	}
}
