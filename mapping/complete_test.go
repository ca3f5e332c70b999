package mapping_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"ferry/mapping"
	"ferry/strictjson"
)

// only finds one object.
func only(text string) func(string) ([]byte, error) {
	return func(string) ([]byte, error) { return []byte(text), nil }
}

func TestComplete(t *testing.T) {
	t.Parallel()
	const from = `{"user_id":"auth0|1","email":"new@x.test","blocked":true,"last_password_reset":"2026-01-01T00:00:00Z","identities":[{"provider":"auth0","user_id":"1","connection":"users"},{"provider":"github","user_id":"7","connection":"github"}]}`
	const list = `"identities":[{"provider":"auth0","user_id":"1","connection":"users"},{"provider":"github","user_id":"7","connection":"github"}]`
	for name, c := range map[string]struct{ user, from, want string }{
		"all":                        {`{"user_id":"auth0|1","email":"kim@x.test"}`, from, `{"user_id":"auth0|1","email":"kim@x.test","blocked":true,"multifactor":null,"last_password_reset":"2026-01-01T00:00:00Z",` + list + `}`},
		"none of them is replaced":   {`{"user_id":"auth0|1","blocked":false,"guardian_enrollments":[],"last_password_reset":null,"connection":"legacy"}`, from, `{"user_id":"auth0|1","blocked":false,"guardian_enrollments":[],"last_password_reset":null,"connection":"legacy"}`},
		"identities without one":     {`{"user_id":"auth0|1","identities":[],"blocked":null,"multifactor":["guardian"],"last_password_reset":null}`, from, `{"user_id":"auth0|1","blocked":null,"multifactor":["guardian"],"last_password_reset":null,` + list + `}`},
		"provider is no connection":  {`{"user_id":"auth0|1","provider":"auth0","blocked":null,"multifactor":[],"last_password_reset":null}`, from, `{"user_id":"auth0|1","provider":"auth0","blocked":null,"multifactor":[],"last_password_reset":null,` + list + `}`},
		"titles":                     {`{"Id":"auth0|1","Connection":"legacy","Blocked":true,"Identities":null}`, from, `{"Id":"auth0|1","Connection":"legacy","Blocked":true,"Identities":null,"multifactor":null,"last_password_reset":"2026-01-01T00:00:00Z"}`},
		"the other has no more":      {`{"user_id":"google-oauth2|1"}`, `{"user_id":"google-oauth2|1"}`, `{"user_id":"google-oauth2|1","blocked":null,"multifactor":null,"last_password_reset":null,"identities":null}`},
		"numbers, digit for digit":   {`{"user_id":"google-oauth2|1","n":1.50e3}`, `{}`, `{"user_id":"google-oauth2|1","n":1.50e3,"blocked":null,"multifactor":null,"last_password_reset":null,"identities":null}`},
		"metadata with similar keys": {`{"user_id":"google-oauth2|1","user_metadata":{"a":1,"A":2}}`, `{}`, `{"user_id":"google-oauth2|1","user_metadata":{"a":1,"A":2},"blocked":null,"multifactor":null,"last_password_reset":null,"identities":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := mapping.Complete([]byte(c.user), only(c.from))
			if err != nil || string(got) != c.want {
				t.Errorf("%v\n%s\nnot\n%s", err, got, c.want)
			}
		})
	}
	if _, err := mapping.Complete([]byte(`{"email":"kim@x.test"}`), only("{}")); err == nil {
		t.Error("completed a user without an id")
	}
}

// isStrict reports whether an export can have the object: no key occurs twice.
func isStrict(object []byte) bool {
	_, err := strictjson.Value(object, "app_metadata", "user_metadata", "profileData")
	return err == nil
}

// A completed user tells every field, and is the same user otherwise.
func FuzzComplete(f *testing.F) {
	f.Add([]byte(`{"user_id":"auth0|1","email":"kim@x.test","Blocked":"true"}`), []byte(`{"user_id":"auth0|1","blocked":true,"identities":[]}`))
	f.Add([]byte(`{"user_id":"auth0|1","identities":[{"provider":"auth0","user_id":"1"}]}`), []byte(`{"identities":[{"provider":"auth0","user_id":"1","connection":"users"}]}`))
	f.Add([]byte(`{"Id":"auth0|1","IDENTITIES":null}`), []byte(`{"multifactor":["guardian"]}`))
	f.Add([]byte(`{"user_id":"auth0|1"}`), []byte(`{"multifactor":{"a":1,"A":2}}`))
	f.Fuzz(func(t *testing.T, user, from []byte) {
		before, err := mapping.FromUser(user)
		if err != nil || !isStrict(from) {
			return
		}
		completed, err := mapping.Complete(user, only(string(from)))
		if err != nil {
			return // the other is not an object
		}
		if !json.Valid(completed) {
			t.Fatalf("not JSON: %s", completed)
		}
		after, err := mapping.FromUser(completed)
		if err != nil {
			if strings.Contains(err.Error(), "identities") || strings.Contains(err.Error(), "blocked") {
				return // the other's are not valid
			}
			t.Fatalf("%v: %s", err, completed)
		}
		if after.UserID != before.UserID || after.Told != mapping.ToldAll {
			t.Errorf("%s tells %b", completed, after.Told)
		}
		again, err := mapping.Complete(completed, only(string(from)))
		if err != nil || len(after.Connection) > 0 && !bytes.Equal(again, completed) {
			t.Errorf("again: %v\n%s\n%s", err, completed, again)
		}
	})
}
