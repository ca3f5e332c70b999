package upstream_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ferry/outcome"
)

// signed signs a token whose header is any text.
func signed(t *testing.T, header, payload string, key *rsa.PrivateKey) string {
	t.Helper()
	text := b64(header) + "." + b64(payload)
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// encrypted is a JWE for the tenant's key.
func encrypted(t *testing.T, payload, contentType string) string {
	t.Helper()
	opts := (&jose.EncrypterOptions{}).WithContentType(jose.ContentType(contentType))
	encrypter, err := jose.NewEncrypter(jose.A128GCM, jose.Recipient{Algorithm: jose.RSA_OAEP_256, Key: key().Public(), KeyID: "k1"}, opts)
	if err != nil {
		t.Fatal(err)
	}
	jwe, err := encrypter.Encrypt([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwe.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestJOSETraps: a token is as good as its signature by one of the tenant's keys, whatever its
// header says of keys and algorithms. No address that it names is asked.
func TestJOSETraps(t *testing.T) {
	tn, client := newTenant(t)
	tn.userinfo = sendJSON(http.StatusOK, fmt.Sprintf(`{"sub":%q}`, alice)) // must not make up for it
	var visits atomic.Int64
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		visits.Add(1)
		sendJSON(http.StatusOK, keySet("k1", foreignKey()))(w, r)
	}))
	defer away.Close()
	now := time.Now().Unix()
	sound := payload(t, nil)
	own, err := json.Marshal(jose.JSONWebKey{Key: foreignKey().Public(), KeyID: "k1", Algorithm: "RS256"})
	if err != nil {
		t.Fatal(err)
	}
	var general struct {
		Payload    string           `json:"payload"`
		Signatures []map[string]any `json:"signatures"`
	}
	parts := strings.Split(idToken(t, nil), ".")
	general.Payload, general.Signatures = parts[1], []map[string]any{{"protected": parts[0], "signature": parts[2]}}
	asJSON, err := json.Marshal(general)
	if err != nil {
		t.Fatal(err)
	}
	ours := func(header string) string { return signed(t, header, sound, key()) }
	theirs := func(header string) string { return signed(t, header, sound, foreignKey()) }
	claims := func(payload string) string { return signed(t, `{"alg":"RS256","kid":"k1"}`, payload, key()) }
	with := func(from, to string) string { return claims(strings.Replace(sound, from, to, 1)) }
	for name, c := range map[string]struct {
		token string
		match bool
	}{
		"signed here":                  {ours(`{"alg":"RS256","kid":"k1"}`), true},
		"another typ":                  {ours(`{"alg":"RS256","kid":"k1","typ":"at+jwt"}`), true},
		"a key set to fetch, ours":     {ours(`{"alg":"RS256","kid":"k1","jku":"` + away.URL + `"}`), true},
		"key embedded":                 {theirs(`{"alg":"RS256","jwk":` + string(own) + `}`), false},
		"key embedded, our id":         {theirs(`{"alg":"RS256","kid":"k1","jwk":` + string(own) + `}`), false},
		"key set to fetch":             {theirs(`{"alg":"RS256","kid":"k1","jku":"` + away.URL + `"}`), false},
		"certificate to fetch":         {theirs(`{"alg":"RS256","kid":"k1","x5u":"` + away.URL + `"}`), false},
		"certificate embedded":         {theirs(`{"alg":"RS256","kid":"k1","x5c":["MIIB"]}`), false},
		"critical header":              {ours(`{"alg":"RS256","kid":"k1","crit":["exp"],"exp":1}`), false},
		"critical b64":                 {ours(`{"alg":"RS256","kid":"k1","crit":["b64"],"b64":false}`), false},
		"nothing critical":             {ours(`{"alg":"RS256","kid":"k1","crit":[]}`), true},
		"algorithm twice":              {ours(`{"alg":"RS256","alg":"none","kid":"k1"}`), false},
		"algorithm in another case":    {ours(`{"Alg":"RS256","kid":"k1"}`), false},
		"algorithm rs256":              {ours(`{"alg":"rs256","kid":"k1"}`), false},
		"no algorithm":                 {ours(`{"kid":"k1"}`), false},
		"algorithm none, signed":       {ours(`{"alg":"none","kid":"k1"}`), false},
		"algorithm None":               {ours(`{"alg":"None","kid":"k1"}`), false},
		"algorithm of another type":    {ours(`{"alg":["RS256"],"kid":"k1"}`), false},
		"algorithm ES256":              {ours(`{"alg":"ES256","kid":"k1"}`), false},
		"algorithm HS256, RSA signed":  {ours(`{"alg":"HS256","kid":"k1"}`), true}, // /userinfo says who it is
		"key id of another type":       {ours(`{"alg":"RS256","kid":1}`), false},
		"key id as a path":             {ours(`{"alg":"RS256","kid":"../../k1"}`), false},
		"key id with SQL":              {ours(`{"alg":"RS256","kid":"k1' OR '1'='1"}`), false},
		"key id with NUL":              {ours(`{"alg":"RS256","kid":"k1\u0000"}`), false},
		"header not JSON":              {ours(`alg: RS256`), false},
		"encrypted":                    {encrypted(t, sound, ""), false},
		"encrypted token":              {encrypted(t, idToken(t, nil), "JWT"), false},
		"as JSON":                      {string(asJSON), false},
		"four parts":                   {idToken(t, nil) + ".x", false},
		"blank behind":                 {idToken(t, nil) + " ", false},
		"padded":                       {idToken(t, nil) + "==", false},
		"signature of another payload": {parts[0] + "." + b64(strings.Replace(sound, alice, "auth0|mallory", 1)) + "." + parts[2], false},
		"expiry in fractions":          {with(fmt.Sprint(`"exp":`, now+3600), fmt.Sprintf(`"exp":%d.5e0`, now+3600)), true},
		"expiry as an exponent":        {with(fmt.Sprint(`"exp":`, now+3600), `"exp":1e300`), true},
		"expiry infinite":              {with(fmt.Sprint(`"exp":`, now+3600), `"exp":1e999`), false},
		"expiry negative":              {with(fmt.Sprint(`"exp":`, now+3600), `"exp":-1e300`), false},
		"expiry null":                  {with(fmt.Sprint(`"exp":`, now+3600), `"exp":null`), false},
		"expiry list":                  {with(fmt.Sprint(`"exp":`, now+3600), `"exp":[9e9]`), false},
		"expiry twice":                 {with(`"exp":`, `"exp":1,"exp":`), false},
		"issued at a text":             {with(fmt.Sprint(`"iat":`, now), `"iat":"soon"`), true},        // not relied on
		"not before, in a minute":      {with(`"iat":`, fmt.Sprintf(`"nbf":%d,"iat":`, now+60)), true}, // clocks differ
		"not before, in ten minutes":   {with(`"iat":`, fmt.Sprintf(`"nbf":%d,"iat":`, now+600)), false},
		"not before a text":            {with(`"iat":`, `"nbf":"1","iat":`), false},
		"a nonce that nobody sent":     {with(`"iat":`, `"nonce":"x","iat":`), true},
		"audience in nested lists":     {with(fmt.Sprintf(`"aud":%q`, clientID), fmt.Sprintf(`"aud":[[%q]]`, clientID)), false},
		"audience an object":           {with(fmt.Sprintf(`"aud":%q`, clientID), fmt.Sprintf(`"aud":{%q:1}`, clientID)), false},
		"audience twice":               {with(`"aud":`, `"aud":"x","aud":`), false},
		"audience of one and null":     {with(fmt.Sprintf(`"aud":%q`, clientID), fmt.Sprintf(`"aud":[%q,null]`, clientID)), false},
		"audience in another case":     {with(clientID, strings.ToUpper(clientID)), false},
		"audience with a blank":        {with(clientID, clientID+" "), false},
		"issuer in another case":       {with(issuer, strings.ToUpper(issuer)), false},
		"issuer with NUL":              {with(issuer, issuer+`\u0000`), false},
		"subject by an escape, twice":  {with(`"sub":`, `"\u0073ub":"auth0|mallory","sub":`), false},
		"subject in an inner object":   {with(`"sub":`, `"x":{"sub":"auth0|mallory"},"sub":`), true},
		"subject invalid UTF-8":        {with(alice, alice+"\xff"), false},
		"payload twice":                {claims(sound + sound), false},
		"payload with a mark":          {claims("\ufeff" + sound), false},
		"payload a list":               {claims("[" + sound + "]"), false},
		"payload a text":               {claims(fmt.Sprintf("%q", sound)), false},
		"payload deep":                 {with(`"sub":`, `"x":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`,"sub":`), false},
	} {
		tn.token = sendJSON(http.StatusOK, tokens(c.token))
		profile, loginErr := ask(t, client)
		if c.match != (loginErr == nil) || loginErr == nil && profile.Subject != alice {
			t.Errorf("%s: profile %+v, error %v", name, profile, loginErr)
		}
		if loginErr != nil && loginErr.Outcome != outcome.InvalidResponse {
			t.Errorf("%s: outcome %s, want garbled", name, loginErr.Outcome)
		}
	}
	if n := visits.Load(); n != 0 {
		t.Errorf("an address in a header was asked %d times", n)
	}
}

// openSignature returns a token with a signature that anyone can make for a key of the same size
// with exponent 1: the padded digest itself (RFC 8017, 9.2).
func openSignature(t *testing.T) string {
	t.Helper()
	text := b64(`{"alg":"RS256","kid":"k1"}`) + "." + b64(payload(t, nil))
	digest := sha256.Sum256([]byte(text))
	info := append([]byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}, digest[:]...)
	padding := bytes.Repeat([]byte{0xff}, key().Size()-len(info)-3)
	return text + "." + base64.RawURLEncoding.EncodeToString(slices.Concat([]byte{0, 1}, padding, []byte{0}, info))
}

// TestWeakKeys: a key that is too short, or not for signatures by RSA, verifies nothing.
func TestWeakKeys(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	one := func(key *rsa.PrivateKey) string {
		return strings.TrimSuffix(strings.TrimPrefix(keySet("k1", key), `{"keys":[`), "]}")
	}
	for name, c := range map[string]struct {
		key, token string
		match      bool
	}{
		"2048 bits":            {one(key()), idToken(t, nil), true},
		"1024 bits":            {one(short), sign(t, jose.RS256, "k1", short, payload(t, nil)), false},
		"a secret":             {`{"kty":"oct","kid":"k1","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ"}`, idToken(t, nil), false},
		"exponent 1":           {strings.Replace(one(key()), `"e":"AQAB"`, `"e":"AQ"`, 1), openSignature(t), false},
		"a key for encryption": {strings.Replace(one(key()), `"use":"sig"`, `"use":"enc"`, 1), idToken(t, nil), false},
	} {
		tn, client := newTenant(t)
		tn.token = sendJSON(http.StatusOK, tokens(c.token))
		tn.jwks = sendJSON(http.StatusOK, strings.Replace(keySet("k2", foreignKey()), "[", "["+c.key+",", 1))
		profile, loginErr := ask(t, client)
		if c.match != (loginErr == nil) || loginErr != nil && loginErr.Outcome != outcome.InvalidResponse {
			t.Errorf("%s: %+v, %v", name, profile, loginErr)
		}
	}
}
