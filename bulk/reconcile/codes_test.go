package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"ferry/bulk/reconcile"
	"ferry/mapping"
	"ferry/provenance"
	"ferry/test/bulktest"
)

// codeSchema makes addresses identifiers of the code.
func codeSchema(t *testing.T) func(*reconcile.Options) {
	t.Helper()
	text := strings.NewReplacer(
		`{"credentials":{"password":{"identifier":true}},"verification":{"via":"email"}`, `{"credentials":{"password":{"identifier":true},"code":{"identifier":true,"via":"email"}},"verification":{"via":"email"}`,
		`"format":"no-validate","ory.sh/kratos":{`, `"format":"tel","ory.sh/kratos":{"credentials":{"code":{"identifier":true,"via":"sms"}},`,
	).Replace(bulktest.PersonSchema)
	s, err := mapping.ParseSchema([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return func(o *reconcile.Options) { o.Schema, o.Mapper = s, mapping.Default(s) }
}

// passwordless returns an identity that logs in by a code only, with the identifiers that
// ferry gave it.
func passwordless(id string, traits map[string]any, given ...string) bulktest.Identity {
	p := bulktest.Marked(bulktest.Bound(id, ""), bulktest.With{
		"import": map[string]any{"as": "created_code"}, "identifiers_sha256": provenance.IdentifiersDigest(given),
	})
	p.Traits, p.Hash, p.ByCode = traits, "", true
	return p
}

// byEmail and bySMS return rows of passwordless users.
func byEmail(email string, verified bool) string {
	return bulktest.User("", email, bulktest.With{"user_id": "email|1", "email_verified": verified, "identities": []any{map[string]any{"connection": "email", "provider": "email", "user_id": "1"}}})
}

func bySMS(number string, verified bool) string {
	return bulktest.User("", "", bulktest.With{
		"user_id": "sms|1", "email": nil, "email_verified": nil, "phone_number": number, "phone_verified": verified,
		"identities": []any{map[string]any{"connection": "sms", "provider": "sms", "user_id": "1"}},
	})
}

// The addresses to which Auth0 sends codes are identifiers as those of a password are.
func TestCodesAtAnotherAddress(t *testing.T) {
	t.Parallel()
	const number, other = "+4915112345678", "+4915112345679"
	email, phone := map[string]any{"email": "a@x.test"}, map[string]any{"phone": number}
	mine := map[string]any{"email": "mine@x.test"}
	hasCode := func(want string) func(bulktest.Identity) bool {
		return func(p bulktest.Identity) bool {
			return slices.Equal(p.Codes, []string{want}) && p.Addresses[0].Verified
		}
	}
	for name, c := range map[string]change{
		"the same":                 {row: byEmail("A@x.test", true), person: verified(passwordless("email|1", email, "a@x.test")), able: 1, fixed: 1},
		"another, by mail":         {row: byEmail("new@x.test", true), person: passwordless("email|1", email, "a@x.test"), want: "1:identifier_differs!", fixed: 1, check: hasCode("new@x.test")},
		"another, by SMS":          {row: bySMS(other, true), person: passwordless("sms|1", phone, number), want: "1:identifier_differs!", fixed: 1, check: hasCode(other)},
		"another, not verified":    {row: byEmail("new@x.test", false), person: passwordless("email|1", email, "a@x.test"), want: "1:identifier_differs", detail: "did not verify"},
		"another, SMS, unverified": {row: bySMS(other, false), person: passwordless("sms|1", phone, number), want: "1:identifier_differs", detail: "did not verify"},
		"another here":             {row: byEmail("a@x.test", true), person: passwordless("email|1", mine, "a@x.test"), want: "1:identifier_differs", detail: "changed at Kratos"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.opts = codeSchema(t)
			c.isTold(t)
		})
	}
}
