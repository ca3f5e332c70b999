package mapping_test

import (
	"slices"
	"testing"

	"ferry/mapping"
)

// Codes are the addresses of passwordless accounts that Auth0 verified, and of no others.
func TestCodes(t *testing.T) {
	t.Parallel()
	kim, number := mapping.Address{Value: "kim@x.org", Via: mapping.ViaEmail}, mapping.Address{Value: "+4915112345678", Via: mapping.ViaSMS}
	for name, c := range map[string]struct {
		user string
		want []mapping.Address
	}{
		"by e-mail":          {`{"user_id":"email|1","email":"Kim@X.org ","email_verified":true}`, []mapping.Address{kim}},
		"by SMS":             {`{"user_id":"sms|1","phone_number":"+49 151 12345678","phone_verified":true,"identities":[{"provider":"sms","user_id":"1"}]}`, []mapping.Address{number}},
		"as texts":           {`{"user_id":"email|1","email":"kim@x.org","email_verified":"true"}`, []mapping.Address{kim}},
		"not verified":       {`{"user_id":"email|1","email":"kim@x.org","email_verified":false}`, nil},
		"not told":           {`{"user_id":"sms|1","phone_number":"+4915112345678"}`, nil},
		"the other address":  {`{"user_id":"sms|1","email":"kim@x.org","email_verified":true}`, nil},
		"no number":          {`{"user_id":"sms|1","phone_number":"0151","phone_verified":true}`, nil},
		"a database":         {`{"user_id":"auth0|1","email":"kim@x.org","email_verified":true}`, nil},
		"another provider":   {`{"user_id":"google-oauth2|1","email":"kim@x.org","email_verified":true}`, nil},
		"linked":             {`{"user_id":"github|1","email":"gh@x.org","email_verified":true,"identities":[{"provider":"github","user_id":1},{"provider":"email","user_id":"2","profileData":{"email":"kim@x.org","email_verified":true}}]}`, []mapping.Address{kim}},
		"linked, no profile": {`{"user_id":"github|1","email":"gh@x.org","email_verified":true,"identities":[{"provider":"github","user_id":1},{"provider":"email","user_id":"2"}]}`, nil},
		"both":               {`{"user_id":"email|1","email":"kim@x.org","email_verified":true,"identities":[{"provider":"email","user_id":"1"},{"provider":"sms","user_id":"2","profileData":{"phone_number":"+4915112345678","phone_verified":true}}]}`, []mapping.Address{kim, number}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			profile, err := mapping.FromUser([]byte(c.user))
			if err != nil || !slices.Equal(profile.Codes, c.want) {
				t.Errorf("%v, %v, want %v", profile.Codes, err, c.want)
			}
		})
	}
}
