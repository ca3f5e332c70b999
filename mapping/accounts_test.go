package mapping_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/mapping"
)

func TestAccounts(t *testing.T) {
	for name, c := range map[string]struct {
		user     string
		accounts []mapping.Account
		subjects []string
		password bool
	}{
		"no identities": {
			`{"user_id":"google-oauth2|1"}`,
			[]mapping.Account{{Provider: "google-oauth2", UserID: "1"}},
			[]string{"1"},
			false,
		},
		"an empty list": {
			`{"user_id":"auth0|1","identities":[]}`,
			[]mapping.Account{{Provider: "auth0", UserID: "1"}},
			[]string{"1"},
			true,
		},
		"the field of a job": {
			`{"user_id":"auth0|1","identities[0].connection":"main"}`,
			[]mapping.Account{{Provider: "auth0", UserID: "1", Connection: "main"}},
			[]string{"1"},
			true,
		},
		"fields of a job": {
			`{"user_id":"google-oauth2|1","identities[0].connection":"google-oauth2","identities[1].provider":"auth0","identities[1].user_id":"2","identities[1].connection":"main","identities[2].provider":"","identities[2].connection":"x"}`,
			[]mapping.Account{{Provider: "google-oauth2", UserID: "1", Connection: "google-oauth2"}, {Provider: "auth0", UserID: "2", Connection: "main"}},
			[]string{"1", "2"},
			true,
		},
		"the list of a job, and its fields": {
			`{"user_id":"auth0|1","identities":[{"provider":"auth0","user_id":"1","connection":"main"}],"identities[1].provider":"github","identities[1].user_id":"9"}`,
			[]mapping.Account{{Provider: "auth0", UserID: "1", Connection: "main"}},
			[]string{"1"},
			true,
		},
		"linked": {
			`{"user_id":"google-oauth2|1","identities":[{"provider":"google-oauth2","user_id":1,"connection":"google-oauth2"},{"provider":"auth0","user_id":"a|b","connection":"main"}]}`,
			[]mapping.Account{{Provider: "google-oauth2", UserID: "1", Connection: "google-oauth2"}, {Provider: "auth0", UserID: "a|b", Connection: "main"}},
			[]string{"1", "a|b"},
			true,
		},
		"enterprise": {
			`{"user_id":"samlp|corp|kim|x","identities":[{"provider":"samlp","user_id":"corp|kim|x","connection":"corp"}]}`,
			[]mapping.Account{{Provider: "samlp", UserID: "corp|kim|x", Connection: "corp"}},
			[]string{"kim|x"},
			false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := mapping.FromUser([]byte(c.user))
			if err != nil {
				t.Fatal(err)
			}
			var subjects []string
			for _, account := range p.Accounts {
				subjects = append(subjects, account.Subject())
			}
			if !slices.Equal(p.Accounts, c.accounts) || !slices.Equal(subjects, c.subjects) || p.HasPassword() != c.password {
				t.Errorf("accounts %+v, subjects %q, password %v", p.Accounts, subjects, p.HasPassword())
			}
		})
	}
}

func TestFactors(t *testing.T) {
	for user, want := range map[string][]string{
		`{"user_id":"auth0|1"}`: nil,
		`{"user_id":"auth0|1","multifactor":[],"mfa_factors":null}`:          nil,
		`{"user_id":"auth0|1","multifactor":["guardian","otp"]}`:             {"guardian", "otp"},
		`{"user_id":"auth0|1","multifactor":"guardian"}`:                     {"guardian"},
		`{"user_id":"auth0|1","guardian_authenticators":[{"type":"totp"}]}`:  {"guardian_authenticators"},
		`{"user_id":"auth0|1","mfa_factors":[{"totp":{"secret":"CANARY"}}]}`: {"mfa_factors"},
		`{"user_id":"auth0|1","guardian_enrollments":[{"id":"dev_1"}]}`:      {"guardian_enrollments"},
		`{"user_id":"auth0|1","authenticators":[{"type":"otp"}]}`:            {"authenticators"},
		`{"user_id":"auth0|1","multifactor[0]":"","multifactor[1]":"otp"}`:   {"multifactor"},
		`{"user_id":"auth0|1","guardian_authenticators[0].secret":"CANARY"}`: {"guardian_authenticators"},
	} {
		p, err := mapping.FromUser([]byte(user))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(p.Factors, want) {
			t.Errorf("%s has the factors %q, not %q", user, p.Factors, want)
		}
		if strings.Contains(fmt.Sprint(p.Claims), "CANARY") {
			t.Errorf("%s leaves a secret among the claims", user)
		}
	}
}

func TestTime(t *testing.T) {
	want := time.Date(2024, 2, 1, 8, 30, 0, 0, time.UTC)
	for _, user := range []string{
		`"2024-02-01T08:30:00.000Z"`, `{"$date":"2024-02-01T08:30:00Z"}`, `{"$date":1706776200000}`,
		`{"$date":{"$numberLong":"1706776200000"}}`, `"2024-02-01T10:30:00+02:00"`,
	} {
		p, err := mapping.FromUser([]byte(`{"user_id":"auth0|1","last_login":` + user + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := mapping.Time(p.Claims["last_login"]); !ok || !got.Equal(want) {
			t.Errorf("%s is read as %s, %v", user, got, ok)
		}
	}
	for _, value := range []any{nil, true, "yesterday", map[string]any{"$date": "x"}, map[string]any{}, map[string]any{"$numberLong": 1}} {
		if got, ok := mapping.Time(value); ok {
			t.Errorf("%v is read as %s", value, got)
		}
	}
}
