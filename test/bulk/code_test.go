package bulk

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferry/test/kratostest"
)

// codeSchema lets people log in by a code, by e-mail or SMS.
const codeSchema = `{"$id":"person","type":"object","properties":{"traits":{"type":"object","properties":{
	"email":{"type":"string","format":"email","ory.sh/kratos":{"credentials":{"password":{"identifier":true},"code":{"identifier":true,"via":"email"}},"verification":{"via":"email"}}},
	"phone":{"type":"string","format":"tel","ory.sh/kratos":{"credentials":{"code":{"identifier":true,"via":"sms"}},"verification":{"via":"sms"}}}
},"additionalProperties":false}}}`

// codeUsers are passwordless users, and one with a password.
const codeUsers = `{"user_id":"email|1","email":"Kim@Example.org","email_verified":true,"identities":[{"provider":"email","user_id":"1","connection":"email"}]}
{"user_id":"sms|2","phone_number":"+4915112345678","phone_verified":true,"identities":[{"provider":"sms","user_id":"2","connection":"sms"}]}
{"user_id":"email|3","email":"new@example.org","email_verified":false,"identities":[{"provider":"email","user_id":"3","connection":"email"}]}
{"user_id":"auth0|4","email":"ann@example.org","email_verified":true,"identities":[{"provider":"auth0","user_id":"4","connection":"users"}]}
{"user_id":"github|5","email":"lee@example.org","email_verified":true,"identities":[{"provider":"github","user_id":5,"connection":"github"},{"provider":"email","user_id":"6","connection":"email","profileData":{"email":"lee@example.org","email_verified":true}}]}
{"user_id":"email|7","email":"bo@example.org","email_verified":true,"blocked":true,"identities":[{"provider":"email","user_id":"7","connection":"email"}]}
{"user_id":"email|9","email":"di@example.org","email_verified":true,"identities":[{"provider":"email","user_id":"9","connection":"email"},{"provider":"auth0","user_id":"10","connection":"users","profileData":{"email":"other@example.org","email_verified":false}}]}
{"user_id":"email|8","email":"kim@example.org","email_verified":true,"identities":[{"provider":"email","user_id":"8","connection":"email"}]}
`

// Passwordless users log in by a code that Kratos sends, on every Kratos: by mail over SMTP,
// and by a text message over HTTP.
func TestPasswordlessUsers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	users, results := filepath.Join(dir, "users.ndjson"), filepath.Join(dir, "results.ndjson")
	if err := os.WriteFile(users, []byte(codeUsers), 0o600); err != nil {
		t.Fatal(err)
	}
	mail := kratostest.NewMailbox(t)
	k := kratostest.Run(t, kratostest.Options{Schema: []byte(codeSchema), Mailbox: mail, Edit: func(config map[string]any) {
		config["selfservice"].(map[string]any)["methods"].(map[string]any)["code"] = map[string]any{"enabled": true, "passwordless_enabled": true}
	}})
	ferry(t, adminURL(k), "import", "--users", users, "--results", results).want(t, 1, "5 created_code", "1 created_pending", "1 no_login_method")
	var got []string
	ids := map[string]string{}
	for _, r := range readLines[result](t, results) {
		got = append(got, fmt.Sprintf("%d %s %s", r.Line, r.Outcome, r.word()))
		ids[r.UserID] = r.IdentityID
	}
	want := "1 created_code |2 created_code |3 skipped no_login_method|4 created_pending no_hash|5 created_code |6 created_code |7 created_code linked_email|8 failed identifier_twice"
	slices.Sort(got)
	if joined := strings.Join(got, "|"); joined != want {
		t.Errorf("got %s, want %s", joined, want)
	}
	for identifier, user := range map[string]string{"kim@example.org": "email|1", "+4915112345678": "sms|2", "ann@example.org": "auth0|4", "lee@example.org": "github|5", "di@example.org": "email|9"} {
		login, err := k.LoginByCode(t.Context(), mail, identifier)
		if err != nil || login.Sees() != kratostest.SeesSession || login.IdentityID != ids[user] {
			t.Errorf("%s: %+v, %v", identifier, login, err)
		}
	}
	kim := everybody(t, k)[ids["email|1"]]
	if !strings.Contains(kim, `"verified":true`) || !strings.Contains(kim, `"as":"created_code"`) {
		t.Errorf("the identity is %s", kim)
	}
	const verdict = "verdict: 5 of Auth0's 8 users (62.5 %) can log in to Kratos today: 4 by a code, 1 only while Auth0 answers (pending); 3 cannot"
	ferry(t, adminURL(k), "reconcile", "--users", users).want(t, 1, verdict)
	config := filepath.Join(dir, "kratos.yml")
	if err := os.WriteFile(config, []byte("selfservice: {methods: {code: {enabled: true}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ferry(t, adminURL(k), "reconcile", "--users", users, "--kratos-config", config).want(t, 1, "verdict: 1 of Auth0's 8 users", "4 log in by a code only, and selfservice.methods.code.passwordless_enabled is off")
	if said := ferry(t, adminURL(k), "doctor", "--kratos-config", config); !strings.Contains(said.stdout, "4 of 6 identities imported from Auth0 can log in by a code only, and kratos.yml does not have that switched on") {
		t.Errorf("doctor says %s", said.stdout)
	}
	ferry(t, adminURL(k), "import", "--users", users).want(t, 1, "0 created_code", "6 exists")
	codesAtAnotherAddress(t, k, mail, dir, ids)
}

// codesAtAnotherAddress: addresses that changed at Auth0 move with --fix, and codes are sent
// there.
func codesAtAnotherAddress(t *testing.T, k *kratostest.Kratos, mail *kratostest.Mailbox, dir string, ids map[string]string) {
	t.Helper()
	users := filepath.Join(dir, "changed.ndjson")
	text := strings.NewReplacer(`Kim@Example.org`, `Kim.New@Example.org`, `+4915112345678`, `+4915112345679`).Replace(codeUsers)
	if err := os.WriteFile(users, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ferry(t, adminURL(k), "reconcile", "--users", users).want(t, 1, "2 identifier_differs\n", "verdict: 3 of Auth0's 8 users")
	ferry(t, adminURL(k), "reconcile", "--users", users, "--fix").want(t, 1, "2 identifier_differs, 2 fixed", "verdict: 5 of Auth0's 8 users")
	for identifier, user := range map[string]string{"kim.new@example.org": "email|1", "+4915112345679": "sms|2"} {
		login, err := k.LoginByCode(t.Context(), mail, identifier)
		if err != nil || login.Sees() != kratostest.SeesSession || login.IdentityID != ids[user] {
			t.Errorf("%s: %+v, %v", identifier, login, err)
		}
		if is := everybody(t, k)[ids[user]]; strings.Contains(is, "kim@example.org") || strings.Contains(is, "345678") || !strings.Contains(is, `"verified":true`) {
			t.Errorf("the identity is %s", is)
		}
	}
	if a := ferry(t, adminURL(k), "reconcile", "--users", users).want(t, 1, "verdict: 5 of Auth0's 8 users"); !strings.Contains(a.stderr, "0 identifier_differs\n") {
		t.Errorf("it says %s", a.stderr)
	}
}
