package auth0sim_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"ferry/test/auth0sim"
)

// forgedToken is the ID token under a fault, taken apart as far as it goes.
type forgedToken struct {
	text    string
	header  map[string]any
	payload string
	claims  map[string]any
	good    bool // a careful client would take it
}

func (f forgedToken) has(claim string) bool {
	_, ok := f.claims[claim]
	return ok
}

// forge logs in under a fault.
func forge(t *testing.T, sim *auth0sim.Server) forgedToken {
	t.Helper()
	f := forgedToken{text: mustTokens(t, post(t, sim, realmForm())).IDToken}
	_, f.good = verify(t, sim, f.text, jose.RS256)
	parts := strings.Split(f.text, ".")
	if len(parts) != 3 {
		return f
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &f.header); err != nil {
		t.Fatal(err)
	}
	if raw, err = base64.RawURLEncoding.DecodeString(parts[1]); err != nil {
		t.Fatal(err)
	}
	f.payload = string(raw)
	if json.Unmarshal(bytes.TrimSpace(raw), &f.claims) != nil {
		f.claims = nil
	}
	return f
}

// forgedChecks say what each forgery shows, and whether the token would pass
// for a client that checks signature, issuer, audience, expiry and a sub (with
// go-jose, which refuses duplicate claims by itself).
func forgedChecks() map[auth0sim.FaultName]struct {
	good  bool
	shows func(forgedToken) bool
} {
	const issuer, other = "https://sim.auth0.test/", auth0sim.DemoGraceID
	now := float64(frozen().Unix())
	claim := func(name string, value any) func(forgedToken) bool {
		return func(f forgedToken) bool { return f.claims[name] == value }
	}
	header := func(name string, value any) func(forgedToken) bool {
		return func(f forgedToken) bool { return f.header[name] == value }
	}
	without := func(name string) func(forgedToken) bool {
		return func(f forgedToken) bool { return f.claims != nil && !f.has(name) }
	}
	text := func(check func(string) bool) func(forgedToken) bool {
		return func(f forgedToken) bool { return check(f.text) }
	}
	return map[auth0sim.FaultName]struct {
		good  bool
		shows func(forgedToken) bool
	}{
		auth0sim.FaultIDTokenWrongIssuer:   {false, claim("iss", "https://evil.test/")},
		auth0sim.FaultIDTokenNoIssuer:      {false, without("iss")},
		auth0sim.FaultIDTokenIssuerNoSlash: {false, claim("iss", strings.TrimSuffix(issuer, "/"))},
		auth0sim.FaultIDTokenWrongAudience: {false, claim("aud", "another-client")},
		auth0sim.FaultIDTokenNoAudience:    {false, without("aud")},
		auth0sim.FaultIDTokenExtraAudience: {true, func(f forgedToken) bool {
			list, ok := f.claims["aud"].([]any)
			return ok && len(list) == 2 && !f.has("azp")
		}},
		auth0sim.FaultIDTokenWrongAZP:       {true, claim("azp", "another-client")},
		auth0sim.FaultIDTokenExpired:        {false, claim("exp", now-3600)},
		auth0sim.FaultIDTokenNoExpiry:       {false, without("exp")},
		auth0sim.FaultIDTokenExpiryText:     {false, claim("exp", "1767359045")},
		auth0sim.FaultIDTokenNoIssuedAt:     {true, without("iat")},
		auth0sim.FaultIDTokenFuture:         {false, claim("nbf", now+3600)},
		auth0sim.FaultIDTokenNoSubject:      {false, without("sub")},
		auth0sim.FaultIDTokenEmptySubject:   {false, claim("sub", "")},
		auth0sim.FaultIDTokenOtherSubject:   {true, claim("sub", other)},
		auth0sim.FaultIDTokenNumberSubject:  {false, claim("sub", 42.0)},
		auth0sim.FaultIDTokenWrongSignature: {false, text(func(s string) bool { return strings.Count(s, ".") == 2 })},
		auth0sim.FaultIDTokenNoSignature:    {false, text(func(s string) bool { return strings.HasSuffix(s, ".") })},
		auth0sim.FaultIDTokenForeignKey:     {false, header("alg", "RS256")},
		auth0sim.FaultIDTokenEmbeddedKey: {false, func(f forgedToken) bool {
			jwk, ok := f.header["jwk"].(map[string]any)
			return ok && jwk["kid"] == f.header["kid"] && jwk["d"] == nil
		}},
		auth0sim.FaultIDTokenUnknownKeyID:   {false, header("kid", "no-such-key")},
		auth0sim.FaultIDTokenNoKeyID:        {false, header("kid", nil)},
		auth0sim.FaultIDTokenAlgNone:        {false, text(func(s string) bool { return strings.HasSuffix(s, ".") })},
		auth0sim.FaultIDTokenHS256PublicKey: {false, header("alg", "HS256")},
		auth0sim.FaultIDTokenHS256Secret:    {false, header("alg", "HS256")},
		auth0sim.FaultIDTokenRS384:          {false, header("alg", "RS384")},
		auth0sim.FaultIDTokenPS256:          {false, header("alg", "PS256")},
		auth0sim.FaultIDTokenCut:            {false, text(func(s string) bool { return strings.Count(s, ".") < 2 })},
		auth0sim.FaultIDTokenNotJWT:         {false, text(func(s string) bool { return s == "not a token" })},
		auth0sim.FaultIDTokenDuplicateClaims: {false, func(f forgedToken) bool {
			return strings.Count(f.payload, `"sub":`) == 2 && strings.HasSuffix(f.payload, `,"sub":"`+other+`"}`)
		}},
		auth0sim.FaultIDTokenCaseVariantClaims: {true, func(f forgedToken) bool {
			return f.claims["Sub"] == other && f.claims["sub"] == auth0sim.DemoAdaID
		}},
		auth0sim.FaultIDTokenPayloadNotJSON: {false, func(f forgedToken) bool { return f.payload == "not json" }},
		auth0sim.FaultIDTokenCritical:       {false, header("forged", true)},
		auth0sim.FaultIDTokenOtherEmail: {true, func(f forgedToken) bool {
			return f.claims["email"] == "mallory@example.test" && f.claims["email_verified"] == true
		}},
		auth0sim.FaultIDTokenEmailUnverified: {true, claim("email_verified", "true")},
	}
}

func TestIDTokenFaults(t *testing.T) {
	t.Parallel()
	checks := forgedChecks()
	for _, name := range auth0sim.FaultsOf(auth0sim.KindIDToken) {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			check, ok := checks[name]
			if !ok {
				t.Fatal("no expectation")
			}
			sim := start(t)
			if f := forge(t, sim); !f.good {
				t.Fatalf("without the fault the token does not hold: %s", f.text)
			}
			setFault(t, sim, auth0sim.Fault{Name: name})
			f := forge(t, sim)
			if f.good != check.good {
				t.Errorf("a careful client takes it: %t, want %t", f.good, check.good)
			}
			if !check.shows(f) {
				t.Errorf("the fault does not show in %v %s", f.header, f.payload)
			}
		})
	}
}

func TestForgedValues(t *testing.T) {
	t.Parallel()
	tests := map[auth0sim.FaultName]string{
		auth0sim.FaultIDTokenWrongIssuer:   "iss",
		auth0sim.FaultIDTokenWrongAudience: "aud",
		auth0sim.FaultIDTokenWrongAZP:      "azp",
		auth0sim.FaultIDTokenOtherSubject:  "sub",
		auth0sim.FaultIDTokenOtherEmail:    "email",
	}
	for name, claim := range tests {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			sim := start(t)
			setFault(t, sim, auth0sim.Fault{Name: name, Value: "chosen"})
			if got := forge(t, sim).claims[claim]; got != "chosen" {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestJWKSFaults(t *testing.T) {
	t.Parallel()
	tests := map[auth0sim.FaultName]func(jose.JSONWebKeySet) bool{
		auth0sim.FaultJWKSEmpty:    func(s jose.JSONWebKeySet) bool { return len(s.Keys) == 0 },
		auth0sim.FaultJWKSWrongKey: func(s jose.JSONWebKeySet) bool { return len(s.Keys) == 1 && s.Keys[0].KeyID != "" },
		auth0sim.FaultJWKSNoKeyID:  func(s jose.JSONWebKeySet) bool { return len(s.Keys) == 1 && s.Keys[0].KeyID == "" },
		auth0sim.FaultJWKSEncUse:   func(s jose.JSONWebKeySet) bool { return len(s.Keys) == 1 && s.Keys[0].Use == "enc" },
	}
	for _, name := range auth0sim.FaultsOf(auth0sim.KindJWKS) {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			shows, ok := tests[name]
			if !ok {
				t.Fatal("no expectation")
			}
			sim := start(t)
			setFault(t, sim, auth0sim.Fault{Name: name})
			var keys jose.JSONWebKeySet
			if err := json.Unmarshal([]byte(get(t, sim, auth0sim.PathJWKS).body), &keys); err != nil {
				t.Fatal(err)
			}
			if !shows(keys) {
				t.Errorf("got %+v", keys)
			}
			good := name == auth0sim.FaultJWKSEncUse // verify does not look at use
			if f := forge(t, sim); f.good != good {
				t.Errorf("a careful client takes the token: %t, want %t", f.good, good)
			}
		})
	}
}
