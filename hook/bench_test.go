package hook_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ferry/hook"
	"ferry/mapping"
	"ferry/secret"
	"ferry/state"
	"ferry/upstream"
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
