package auth0sim

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The values that forging faults insert by default.
const (
	forgedIssuer   = "https://evil.test/"
	forgedAudience = "another-client"
	forgedSubject  = "auth0|000000000000000000000000"
	forgedEmail    = "mallory@example.test"
	forgedKeyID    = "no-such-key"
	defaultShift   = time.Hour
)

// forgery changes a draft as a fault says.
type forgery func(d *idTokenDraft, f Fault) error

// forgeries are the faults of ID tokens.
func forgeries() map[FaultName]forgery {
	all := map[FaultName]forgery{}
	maps.Copy(all, claimForgeries())
	maps.Copy(all, subjectForgeries())
	maps.Copy(all, signatureForgeries())
	maps.Copy(all, shapeForgeries())
	return all
}

// set makes a forgery that sets a claim.
func set(name, otherwise string) forgery {
	return func(d *idTokenDraft, f Fault) error {
		d.claims[name] = orElse(f.Value, otherwise)
		return nil
	}
}

// drop makes a forgery that removes a claim.
func drop(name string) forgery {
	return func(d *idTokenDraft, _ Fault) error {
		delete(d.claims, name)
		return nil
	}
}

// edit makes a forgery that cannot fail.
func edit(change func(d *idTokenDraft, f Fault)) forgery {
	return func(d *idTokenDraft, f Fault) error {
		change(d, f)
		return nil
	}
}

func (f Fault) shift() time.Duration {
	if f.Delay == 0 {
		return defaultShift
	}
	return f.Delay
}

func claimForgeries() map[FaultName]forgery {
	return map[FaultName]forgery{
		FaultIDTokenWrongIssuer: set("iss", forgedIssuer),
		FaultIDTokenNoIssuer:    drop("iss"),
		FaultIDTokenIssuerNoSlash: edit(func(d *idTokenDraft, _ Fault) {
			d.claims["iss"] = strings.TrimSuffix(d.server.cfg.Issuer, "/")
		}),
		FaultIDTokenWrongAudience: set("aud", forgedAudience),
		FaultIDTokenNoAudience:    drop("aud"),
		FaultIDTokenExtraAudience: edit(func(d *idTokenDraft, f Fault) {
			d.claims["aud"] = []string{d.app.ClientID, orElse(f.Value, forgedAudience)}
		}),
		FaultIDTokenWrongAZP: set("azp", forgedAudience),
		FaultIDTokenExpired: edit(func(d *idTokenDraft, f Fault) {
			end := d.server.Now().Add(-f.shift())
			d.claims["exp"], d.claims["iat"] = end.Unix(), end.Add(-time.Minute).Unix()
		}),
		FaultIDTokenNoExpiry: drop("exp"),
		FaultIDTokenExpiryText: edit(func(d *idTokenDraft, _ Fault) {
			d.claims["exp"] = fmt.Sprint(d.claims["exp"])
		}),
		FaultIDTokenNoIssuedAt: drop("iat"),
		FaultIDTokenFuture: edit(func(d *idTokenDraft, f Fault) {
			start := d.server.Now().Add(f.shift())
			d.claims["iat"], d.claims["nbf"] = start.Unix(), start.Unix()
			d.claims["exp"] = start.Add(time.Hour).Unix()
		}),
		FaultIDTokenOtherEmail: edit(func(d *idTokenDraft, f Fault) {
			d.claims["email"], d.claims["email_verified"] = orElse(f.Value, forgedEmail), true
		}),
		FaultIDTokenEmailUnverified: set("email_verified", "true"),
	}
}

func subjectForgeries() map[FaultName]forgery {
	return map[FaultName]forgery{
		FaultIDTokenNoSubject:    drop("sub"),
		FaultIDTokenEmptySubject: edit(func(d *idTokenDraft, _ Fault) { d.claims["sub"] = "" }),
		FaultIDTokenOtherSubject: edit(func(d *idTokenDraft, f Fault) {
			d.claims["sub"] = d.otherSubject(f)
		}),
		FaultIDTokenNumberSubject: edit(func(d *idTokenDraft, _ Fault) { d.claims["sub"] = 42 }),
		FaultIDTokenDuplicateClaims: func(d *idTokenDraft, f Fault) error {
			return d.appendMember("sub", d.otherSubject(f))
		},
		FaultIDTokenCaseVariantClaims: func(d *idTokenDraft, f Fault) error {
			return d.appendMember("Sub", d.otherSubject(f))
		},
	}
}

// otherSubject is another user's id.
func (d *idTokenDraft) otherSubject(f Fault) string {
	if f.Value != "" {
		return f.Value
	}
	for _, u := range d.server.Users() {
		if u.ID != d.subject {
			return u.ID
		}
	}
	return forgedSubject
}

// appendMember adds a claim at the end of the payload.
func (d *idTokenDraft) appendMember(name, value string) error {
	raw, err := json.Marshal(d.claims)
	if err != nil {
		return fmt.Errorf("encode claims: %w", err)
	}
	member, err := json.Marshal(map[string]string{name: value})
	if err != nil {
		return fmt.Errorf("encode claim: %w", err)
	}
	d.payload = slices.Concat(raw[:len(raw)-1], []byte(","), member[1:])
	return nil
}

func signatureForgeries() map[FaultName]forgery {
	return map[FaultName]forgery{
		FaultIDTokenWrongSignature: edit(func(d *idTokenDraft, _ Fault) { d.finish = flipSignature }),
		FaultIDTokenNoSignature: edit(func(d *idTokenDraft, _ Fault) {
			d.finish = func(token string) string { return token[:strings.LastIndex(token, ".")+1] }
		}),
		FaultIDTokenForeignKey: func(d *idTokenDraft, _ Fault) error { return d.useForeignKey() },
		FaultIDTokenEmbeddedKey: func(d *idTokenDraft, _ Fault) error {
			if err := d.useForeignKey(); err != nil {
				return err
			}
			d.header["jwk"] = jose.JSONWebKey{Key: &d.key.PublicKey, KeyID: d.kid, Algorithm: algRS256, Use: "sig"}
			return nil
		},
		FaultIDTokenUnknownKeyID: edit(func(d *idTokenDraft, f Fault) { d.header["kid"] = orElse(f.Value, forgedKeyID) }),
		FaultIDTokenNoKeyID:      edit(func(d *idTokenDraft, _ Fault) { delete(d.header, "kid") }),
		FaultIDTokenAlgNone:      edit(func(d *idTokenDraft, _ Fault) { d.alg = "none" }),
		FaultIDTokenHS256PublicKey: func(d *idTokenDraft, _ Fault) error {
			text, err := publicPEM(&d.key.PublicKey)
			d.alg, d.hmacKey = algHS256, text
			return err
		},
		FaultIDTokenHS256Secret: edit(func(d *idTokenDraft, _ Fault) { d.alg = algHS256 }),
		FaultIDTokenRS384:       edit(func(d *idTokenDraft, _ Fault) { d.alg = "RS384" }),
		FaultIDTokenPS256:       edit(func(d *idTokenDraft, _ Fault) { d.alg = algPS256 }),
		FaultIDTokenCritical: edit(func(d *idTokenDraft, _ Fault) {
			d.header["crit"], d.header["forged"] = []string{"forged"}, true
		}),
	}
}

func shapeForgeries() map[FaultName]forgery {
	return map[FaultName]forgery{
		FaultIDTokenCut: edit(func(d *idTokenDraft, _ Fault) {
			d.finish = func(token string) string { return token[:len(token)/2] }
		}),
		FaultIDTokenNotJWT: edit(func(d *idTokenDraft, f Fault) {
			d.finish = func(string) string { return orElse(f.Value, "not a token") }
		}),
		FaultIDTokenPayloadNotJSON: edit(func(d *idTokenDraft, _ Fault) { d.payload = []byte("not json") }),
	}
}

// useForeignKey signs with a key that is published nowhere.
func (d *idTokenDraft) useForeignKey() error {
	key, err := d.server.keys.pool.foreignKey()
	if err != nil {
		return err
	}
	d.key = key
	return nil
}

// flipSignature changes one bit that counts: the first of the signature.
func flipSignature(token string) string {
	at := strings.LastIndex(token, ".") + 1
	if at >= len(token) {
		return token
	}
	other := byte('A')
	if token[at] == other {
		other = 'B'
	}
	return token[:at] + string(other) + token[at+1:]
}

func publicPEM(key *rsa.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// breakTokens applies the faults of a successful answer.
func breakTokens(x *exchange, body tokenBody) response {
	type withError struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		tokenBody
	}
	type bare struct {
		tokenBody

		AccessToken *string `json:"access_token,omitempty"`
	}
	if _, ok := x.fault(FaultMissingIDToken); ok {
		body.IDToken = ""
	}
	var resp response
	switch f, _ := x.faultOf(KindToken); f.Name {
	case FaultErrorWith200:
		resp = jsonResponse(http.StatusOK, withError{"invalid_grant", "Wrong email or password.", body})
	case FaultEmptyAccessToken:
		body.AccessToken = ""
		resp = jsonResponse(http.StatusOK, body)
	case FaultMissingAccessToken:
		resp = jsonResponse(http.StatusOK, bare{tokenBody: body})
	case FaultEmptyIDToken:
		empty := ""
		resp = jsonResponse(http.StatusOK, struct {
			tokenBody

			IDToken *string `json:"id_token"`
		}{body, &empty})
	default:
		resp = jsonResponse(http.StatusOK, body)
	}
	return resp
}
