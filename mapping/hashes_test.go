package mapping_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ferry/mapping"
)

// TestOwnHash: the hash of a row is kept, apart from the claims, and a row with one may have
// a user_id without a provider, to which Auth0 adds that of databases.
func TestOwnHash(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ user, userID, text, custom string }{
		"no hash":              {`{"user_id":"auth0|5f"}`, "auth0|5f", "", ""},
		"null":                 {`{"user_id":"auth0|5f","password_hash":null,"custom_password_hash":null}`, "auth0|5f", "", ""},
		"a text":               {`{"user_id":"auth0|5f","password_hash":"canary"}`, "auth0|5f", "canary", ""},
		"an object":            {`{"user_id":"auth0|5f","custom_password_hash":{"keylen":32,"hash":{"value":"canary<"}}}`, "auth0|5f", "", `{"hash":{"value":"canary\u003c"},"keylen":32}`},
		"an object as a text":  {`{"user_id":"auth0|5f","custom_password_hash":"{\"canary\":1}"}`, "auth0|5f", "", `{"canary":1}`},
		"users_import":         {`{"user_id":"2000","password_hash":"canary"}`, "auth0|2000", "canary", ""},
		"users_import, object": {`{"user_id":"2000","custom_password_hash":{}}`, "auth0|2000", "", "{}"},
		"another provider":     {`{"user_id":"github|2000","password_hash":"canary"}`, "github|2000", "canary", ""},
		"no provider, no hash": {`{"user_id":"2000"}`, "", "", ""},
		"no id":                {`{"email":"canary","password_hash":"canary"}`, "", "", ""},
		"no id at all":         {`{"user_id":" ","password_hash":"canary"}`, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := mapping.FromUser([]byte(c.user))
			if (err != nil) != (c.userID == "") {
				t.Fatalf("the error is %v", err)
			}
			if p.UserID != c.userID || p.OwnHash.Text.Reveal() != c.text || p.OwnHash.Custom.Reveal() != c.custom || p.OwnHash.Empty() != (c.text+c.custom == "") {
				t.Errorf("read %q, %q, %q", p.UserID, p.OwnHash.Text.Reveal(), p.OwnHash.Custom.Reveal())
			}
			if err == nil && p.Claims["sub"] != c.userID {
				t.Errorf("the subject is %v", p.Claims["sub"])
			}
			said, jsonErr := json.Marshal(p)
			if all := fmt.Sprintf("%s %+v %v", said, p, err); jsonErr != nil || strings.Contains(all, "canary") {
				t.Errorf("the hash is visible: %s, %v", all, jsonErr)
			}
		})
	}
}
