package bulktest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ferry/test/bulktest"
)

const (
	soundURL = "otpauth://totp/Auth0:kim?secret=JBSWY3DPEHPK3PXP&issuer=Auth0"
	soundKey = `"id":"aWQ=","public_key":"cGs=","attestation_type":"none","display_name":"","is_passwordless":true,"authenticator":{"aaguid":"AAAAAAAAAAAAAAAAAAAAAA==","sign_count":0,"clone_warning":false}`
)

// The fake of the release after 26.2 takes the credentials that Ory documents, and refuses
// those with which a login would fail.
func TestFactorsAreStrict(t *testing.T) {
	t.Parallel()
	passkey := func(handle, key string) string {
		return `{"passkey":{"config":{"user_handle":"` + handle + `","credentials":[{` + key + `}]}}}`
	}
	totp := func(address string) string { return fmt.Sprintf(`{"totp":{"config":{"totp_url":%q}}}`, address) }
	without := func(text, to string) string { return passkey("a2lt", strings.Replace(soundKey, text, to, 1)) }
	for name, c := range map[string]struct {
		credentials string
		taken       bool
	}{
		"a passkey":           {passkey("a2lt", soundKey), true},
		"a dated passkey":     {passkey("a2lt", soundKey+`,"added_at":"2024-05-06T07:08:09Z"`), true},
		"a TOTP":              {totp(soundURL), true},
		"recovery codes":      {`{"lookup_secret":{"config":{"codes":[{"code":"a"},{"code":"b"}]}}}`, true},
		"no handle":           {passkey("", soundKey), false},
		"handle is no text":   {passkey("/w==", soundKey), false},
		"no AAGUID":           {without(`"aaguid":"AAAAAAAAAAAAAAAAAAAAAA==",`, ``), false},
		"no counter":          {without(`"sign_count":0,`, ``), false},
		"no key":              {without(`"public_key":"cGs=",`, ``), false},
		"second factor":       {without(`"is_passwordless":true`, `"is_passwordless":false`), false},
		"zero date":           {passkey("a2lt", soundKey+`,"added_at":"0001-01-01T00:00:00Z"`), false},
		"backed up only":      {passkey("a2lt", soundKey+`,"flags":{"user_present":true,"user_verified":true,"backup_eligible":false,"backup_state":true}`), false},
		"no secret":           {totp("otpauth://totp/Auth0:kim?issuer=Auth0"), false},
		"secret not base32":   {totp(strings.Replace(soundURL, "JBSW", "1189", 1)), false},
		"another issuer":      {totp(strings.Replace(soundURL, "issuer=Auth0", "issuer=x", 1)), false},
		"no codes":            {`{"lookup_secret":{"config":{"codes":[]}}}`, false},
		"an empty code":       {`{"lookup_secret":{"config":{"codes":[{"code":""}]}}}`, false},
		"an excessive bcrypt": {`{"password":{"config":{"hashed_password":"$2b$16$abc"}}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			f.Next = true
			body := json.RawMessage(`{"traits":{"email":"kim@example.org"},"credentials":` + c.credentials + `}`)
			if _, err := f.Client().CreateBatch(t.Context(), [][]byte{body}); (err == nil) != c.taken {
				t.Errorf("%s: %v", body, err)
			}
		})
	}
}
