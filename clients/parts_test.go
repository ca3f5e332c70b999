package clients_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"ferry/clients"
)

// TestFeaturesOf: an unknown version has no features.
func TestFeaturesOf(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{"v2.3.0": false, "v26.2.0": true, "26.2.0": true, "v25.4.0": false, "v27.1": true, "": false, "master": false, "vxy.1": false, "v2.10": false} {
		if got := clients.FeaturesOf(version); got != (clients.Features{DeviceGrant: want, SlashInID: want}) {
			t.Errorf("%q: %+v", version, got)
		}
	}
}

// TestParseExpansions: a URL that does not fit its pattern, and what is no pattern, are refused.
func TestParseExpansions(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"https://*.example.com/cb=https://a.example.com/cb":                                                           "map[https://*.example.com/cb:[https://a.example.com/cb]]",
		"https://*.example.com/cb=https://a.example.com/cb,https://b.c.example.com/cb":                                "map[https://*.example.com/cb:[https://a.example.com/cb https://b.c.example.com/cb]]",
		"https://{organization_name}.example.com/cb?a=b=https://a.example.com/cb?a=b":                                 "map[https://{organization_name}.example.com/cb?a=b:[https://a.example.com/cb?a=b]]",
		"https://app.example.com/*=https://app.example.com/a/b":                                                       "map[https://app.example.com/*:[https://app.example.com/a/b]]",
		"com.example.*://cb=com.example.*://cb":                                                                       "want PATTERN=URL",
		"https://*.example.com/cb=https://a.example.org/cb":                                                           "does not fit",
		"https://*.example.com/cb=https://evil.org/x.example.com/cb":                                                  "does not fit",
		"https://*.example.com/cb=https://a.example.com/other":                                                        "does not fit",
		"https://*.example.com/cb=https://evil.org#.example.com/cb":                                                   "want PATTERN=URL",
		"https://*.example.com/cb=https://user@a.example.com/cb":                                                      "does not fit",
		"https://app.example.com/*=https://app.example.com/a?b":                                                       "does not fit",
		"https://app.example.com/cb=https://app.example.com/cb":                                                       "stands for itself",
		"https://*.example.com/cb":                                                                                    "want PATTERN=URL",
		"https://*.example.com/cb=":                                                                                   "want PATTERN=URL",
		"https://*.example.com/cb=a.example.com":                                                                      "want PATTERN=URL",
		"https://*.example.com/cb=https://a.example.com/cb,":                                                          "want PATTERN=URL",
		"https://*.example.com:*/cb=https://a.example.com:8443/cb":                                                    "map[https://*.example.com:*/cb:[https://a.example.com:8443/cb]]",
		"https://{organization_name}.example.com/{organization_name}=https://a.example.com/a,https://b.example.com/b": "map[https://{organization_name}.example.com/{organization_name}:[https://a.example.com/a https://b.example.com/b]]",
	} {
		got, err := clients.ParseExpansions([]string{value})
		if text := fmt.Sprint(got); err != nil && !strings.Contains(err.Error(), want) || err == nil && text != want {
			t.Errorf("%s: %v, %v", value, text, err)
		}
	}
	both, err := clients.ParseExpansions([]string{"https://*.example.com=https://a.example.com", "https://*.example.com=https://b.example.com"})
	if err != nil || len(both["https://*.example.com"]) != 2 {
		t.Errorf("two flags for one pattern: %v, %v", both, err)
	}
}

func block(kind string, content []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
}

// TestKeys: public keys of every form become keys for signatures, with the id that Auth0 gave
// them. A private key is refused.
func TestKeys(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	jwk := func(key any, id string) string {
		text, err := json.Marshal(jose.JSONWebKey{Key: key, KeyID: id})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, c := range map[string]struct {
		text string
		used []string // credentials of the application
		want string   // key ids, or the error
	}{
		"PEM":                   {block("PUBLIC KEY", public), []string{"cred_2"}, "[key-2]"},
		"PEM, no credential":    {block("PUBLIC KEY", public), nil, "[]"},
		"two PEM":               {block("PUBLIC KEY", public) + block("PUBLIC KEY", public), []string{"cred_2"}, "several keys"},
		"a JWK with its id":     {jwk(&key.PublicKey, "mine"), []string{"cred_2"}, "[mine]"},
		"a JWK without":         {jwk(&key.PublicKey, ""), []string{"cred_2"}, "[key-2]"},
		"a set":                 {`{"keys":[` + jwk(&key.PublicKey, "a") + `,` + jwk(&key.PublicKey, "b") + `]}`, []string{"cred_2"}, "[a b]"},
		"a private key":         {block("EC PRIVATE KEY", private), nil, "want a public key"},
		"a private key, in JWK": {jwk(key, "mine"), nil, "private key"},
		"a symmetric key":       {`{"kty":"oct","k":"c2VjcmV0"}`, nil, "want RSA or ECDSA"},
		"something else":        {`{"keys":[]}`, nil, "want public keys"},
		"a broken PEM":          {block("PUBLIC KEY", []byte("x")), nil, "asn1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := keyIDs(t, c.text, c.used)
			if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && got != c.want {
				t.Errorf("%s, %v, want %s", got, err, c.want)
			}
		})
	}
}

// keyIDs returns the ids of the keys of a client, whose application has these credentials.
func keyIDs(t *testing.T, text string, credentials []string) (string, error) {
	t.Helper()
	keys, err := clients.ParseKeys([]byte(text))
	if err != nil {
		return "", err
	}
	var used []map[string]string
	for _, id := range credentials {
		used = append(used, map[string]string{"id": id})
	}
	tenant := tenantWith(t, map[string]any{"token_endpoint_auth_method": nil, "client_authentication_methods": map[string]any{"private_key_jwt": map[string]any{"credentials": used}}})
	plan := clients.Map(tenant.Applications[0], tenant, clients.Options{Keys: map[string][]clients.Key{"app": keys}})
	if plan.Refused != nil {
		return "", errors.New(plan.Refused.Detail)
	}
	set, _ := fields(t, plan)["jwks"].(map[string]any)
	list, _ := set["keys"].([]any)
	ids := []any{}
	for _, one := range list {
		object, _ := one.(map[string]any)
		if object["use"] != "sig" || object["d"] != nil {
			t.Errorf("a key is %v", object)
		}
		if object["kid"] != nil {
			ids = append(ids, object["kid"])
		}
	}
	return fmt.Sprint(ids), nil
}

// TestRead: only a file of the export is read.
func TestRead(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "[]", "{}", `{"kind":"users"}`, `{"user_id":"auth0|1"}`, `{"kind":"auth0_applications","kind":"auth0_applications"}`, `{"kind":"auth0_applications","clients":7}`, `{"kind":"auth0_applications","clients":[{"client_id":"b","Client_ID":"c"}]}`} {
		if _, err := clients.Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "ferry clients export") {
			t.Errorf("%s: %v", text, err)
		}
	}
	tenant, err := clients.Read(strings.NewReader(`{"kind":"auth0_applications","clients":[{"client_id":"a"},{"name":"no id"},7],"resource_servers":null}`))
	if err != nil || len(tenant.Applications) != 3 {
		t.Fatalf("%v, %v", tenant, err)
	}
	for i, app := range tenant.Applications[1:] {
		if plan := clients.Map(app, tenant, clients.Options{}); plan.Refused == nil || plan.Refused.Reason != clients.ReasonUnreadable {
			t.Errorf("application %d: %+v", i+1, plan.Refused)
		}
	}
}
