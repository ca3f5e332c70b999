package mapping_test

import (
	"testing"

	"ferry/mapping"
)

// The e-mail address of a linked account with the password counts if it is another one and
// verified; what the primary account says about verified addresses then does not.
func TestLinkedPassword(t *testing.T) {
	t.Parallel()
	const primary = `{"user_id":"google-oauth2|1","email":"p@x.test","email_verified":true,"phone_number":"+4915199990001","phone_verified":true,` +
		`"identities":[{"provider":"google-oauth2","user_id":"1","connection":"google-oauth2"},{"provider":"auth0","user_id":"2","connection":"Customers"`
	for profileData, want := range map[string]struct {
		email    string
		verified int // addresses that are trusted
		own      bool
		crosses  bool // with the profile's address
	}{
		``: {"p@x.test", 0, false, true},
		`,"profileData":{"email":"own@x.test","email_verified":true}`:    {"own@x.test", 1, true, true},
		`,"profileData":{"email":"own@x.test","email_verified":false}`:   {"p@x.test", 0, false, false},
		`,"profileData":{"email":"own@x.test","email_verified":"true"}`:  {"own@x.test", 1, true, true},
		`,"profileData":{"email":"own@x.test","email_verified":"yes"}`:   {"p@x.test", 0, false, false},
		`,"profileData":{"email":"P@x.test","email_verified":true}`:      {"p@x.test", 1, false, true},
		`,"profileData":{"email":"P@x.test","email_verified":false}`:     {"p@x.test", 0, false, true},
		`,"profileData":{"username":"p@x.test","email":"own@x.test"}`:    {"p@x.test", 0, false, true},
		`,"profileData":{"email":"own@x.test ","email_verified":true}`:   {"own@x.test ", 1, true, true},
		`,"profileData":{"name":"P","email":"","email_verified":true}`:   {"p@x.test", 0, false, true},
		`,"profileData":["email","own@x.test","email_verified","own@x"]`: {"p@x.test", 0, false, true},
	} {
		profile, err := mapping.FromUser([]byte(primary + profileData + `}]}`))
		if err != nil {
			t.Errorf("%s: %v", profileData, err)
			continue
		}
		email, _ := profile.Claims["email"].(string)
		verified := mapping.Rules{}.Verified(profile)
		if email != want.email || len(verified) != want.verified || profile.OwnEmail != want.own || profile.Crosses([]string{email}) != want.crosses {
			t.Errorf("%s: %s, %v, %v, crosses %v", profileData, email, verified, profile.OwnEmail, profile.Crosses([]string{email}))
		}
	}
}

// An address that both accounts have is verified if one of them verified it whose source is
// trusted.
func TestLinkedVerified(t *testing.T) {
	t.Parallel()
	profile, err := mapping.FromUser([]byte(`{"user_id":"samlp|1","email":"p@x.test","email_verified":false,"identities":[{"provider":"samlp","user_id":"1","connection":"acme"},` +
		`{"provider":"auth0","user_id":"2","connection":"Customers","profileData":{"email":"P@x.test","email_verified":true}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	mapped, err := mapping.Default(nil).Map(profile)
	if err != nil {
		t.Fatal(err)
	}
	for trusted, want := range map[string]int{"Customers": 1, "acme": 0, "samlp": 0} {
		rules := mapping.Rules{TrustVerified: func(connection, provider string) bool { return connection == trusted || provider == trusted }}
		if got := rules.Trusted(profile, mapped); len(got) != want || want > 0 && got[0] != (mapping.Address{Value: "p@x.test", Via: mapping.ViaEmail}) {
			t.Errorf("%s is trusted: %v", trusted, got)
		}
	}
}

// Columns of CSV, which are single fields and texts, become the same profile of a linked
// account.
func TestLinkedPasswordInColumns(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"true": "own@x.test", "TRUE": "own@x.test", "false": "p@x.test", "yes": "p@x.test"} {
		profile, err := mapping.FromUser([]byte(`{"user_id":"google-oauth2|1","email":"p@x.test","email_verified":true,"identities[1].provider":"auth0","identities[1].user_id":"2",` +
			`"identities[1].connection":"Customers","identities[1].profileData.email":"own@x.test","identities[1].profileData.email_verified":"` + text + `"}`))
		if err != nil || profile.Claims["email"] != want || profile.Connection != "Customers" {
			t.Errorf("%s: %+v, %v", text, profile, err)
		}
	}
}
