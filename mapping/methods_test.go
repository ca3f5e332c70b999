package mapping_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"ferry/mapping"
)

// The methods are the confirmed ones; secrets and keys are read where they are well formed.
func TestMethods(t *testing.T) {
	t.Parallel()
	const passkey = `{"id":"passkey|dev_1","type":"passkey","confirmed":true,"key_id":"E1LoPm0G-JqaRPwe98JKfA","credential_device_type":"multi_device","credential_backed_up":true,` +
		`"public_key":"pQECAyYgASFYIA==","transports":["hybrid","internal"],"user_handle":"L6vXNUDC_wpY","relying_party_identifier":"login.example.org","aaguid":"fbfc3007-154e-4ecc-8c0b-6e020557d7bd"}`
	for name, c := range map[string]struct{ user, want, factors string }{
		"none":                  {`{"user_id":"auth0|1"}`, "", ""},
		"a passkey":             {`{"user_id":"auth0|1","authentication_methods":[` + passkey + `]}`, "passkey 1352e83e6d06f89a9a44fc1ef7c24a7c a50102032620012158 2fabd73540c2ff0a58 login.example.org multi_device true [hybrid internal]", ""},
		"not confirmed":         {`{"user_id":"auth0|1","authentication_methods":[{"type":"totp","confirmed":false}]}`, "", ""},
		"not told":              {`{"user_id":"auth0|1","authentication_methods":[{"type":"totp"}]}`, "totp", "totp"},
		"no factors":            {`{"user_id":"auth0|1","authentication_methods":[{"type":"password","confirmed":true},{"type":""},7]}`, "", ""},
		"a recovery code":       {`{"user_id":"auth0|1","authentication_methods":[{"type":"recovery-code","confirmed":true}],"recovery_code":"K6LGLV3R"}`, "recovery-code K6LGLV3R", ""},
		"no recovery code":      {`{"user_id":"auth0|1","authentication_methods":[{"type":"recovery-code","confirmed":true}]}`, "recovery-code", ""},
		"a secret of its own":   {`{"user_id":"auth0|1","authentication_methods":[{"type":"totp"}],"mfa_factors":[{"totp":{"secret":"JBSWY3DPEHPK3PXP"}}]}`, "totp JBSWY3DPEHPK3PXP", "mfa_factors totp"},
		"of the My Account API": {`{"user_id":"auth0|1","authentication_methods":[{"type":"passkey","relying_party_id":"login.example.org"}]}`, "passkey login.example.org", ""},
		"a number":              {`{"user_id":"auth0|1","authentication_methods":[{"type":"phone","confirmed":true,"phone_number":"+1"}]}`, "phone", "phone"},
		"a secret":              {`{"user_id":"auth0|1","mfa_factors":[{"totp":{"secret":"JBSWY3DPEHPK3PXP"}},{"phone":{"value":"+1"}}]}`, "totp JBSWY3DPEHPK3PXP|phone", "mfa_factors mfa_factors"},
		"a secret with padding": {`{"user_id":"auth0|1","authentication_methods":[{"type":"totp","confirmed":true,"totp_secret":"jbsw y3dp ehpk 3pxp=="}]}`, "totp JBSWY3DPEHPK3PXP", "totp"},
		"no secret":             {`{"user_id":"auth0|1","mfa_factors":[{"totp":{"secret":"not base32!"}}]}`, "totp", "mfa_factors"},
		"no base64":             {`{"user_id":"auth0|1","authentication_methods":[{"type":"webauthn-roaming","key_id":"?","public_key":7}]}`, "webauthn-roaming", "webauthn-roaming"},
		"no list":               {`{"user_id":"auth0|1","authentication_methods":"totp"}`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			profile, err := mapping.FromUser([]byte(c.user))
			if err != nil {
				t.Fatal(err)
			}
			if joined := shown(profile.Methods); joined != c.want {
				t.Errorf("got %s, want %s", joined, c.want)
			}
			if factors := strings.Join(profile.Factors, " "); factors != c.factors {
				t.Errorf("factors %s, want %s", factors, c.factors)
			}
			if profile.Claims["authentication_methods"] != nil || profile.Claims["mfa_factors"] != nil || profile.Claims["recovery_code"] != nil {
				t.Error("a mapper sees the methods")
			}
		})
	}
}

// shown returns the methods as text.
func shown(methods []mapping.Method) string {
	var got []string
	for _, m := range methods {
		text := fmt.Sprint(m.Type, " ", m.Secret.Reveal(), hex.EncodeToString(m.KeyID), " ", hex.EncodeToString(m.PublicKey)[:min(18, 2*len(m.PublicKey))], " ", hex.EncodeToString(m.UserHandle), " ", m.RelyingParty, " ", m.Device, " ")
		if m.Device != "" {
			text += fmt.Sprint(m.BackedUp, m.Transports)
		}
		got = append(got, strings.Join(strings.Fields(text), " "))
	}
	return strings.ReplaceAll(strings.Join(got, "|"), "true[", "true [")
}
