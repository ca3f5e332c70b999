package mapping_test

import (
	"strings"
	"testing"

	"ferry/mapping"
	"ferry/provenance"
)

// phoneSchema has a number, with what the test puts into its schema.
func phoneSchema(t *testing.T, phone string) *mapping.Schema {
	t.Helper()
	s, err := mapping.ParseSchema([]byte(`{"type":"object","properties":{"traits":{"type":"object","properties":{
		"email":{"type":"string"},"contact":{"type":"object","properties":{"phone":{"type":"string"` + phone + `}}}},"required":["email"]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func phoneTraits(number string) map[string]any {
	return map[string]any{"email": "kim@example.org", "contact": map[string]any{"phone": number}}
}

// What Kratos takes for a phone number, and where it takes nothing else.
func TestPhoneNumbers(t *testing.T) {
	t.Parallel()
	for phone, checked := range map[string]bool{
		``:                        false,
		`,"format":"tel"`:         true,
		`,"format":"no-validate"`: false,
		`,"ory.sh/kratos":{"recovery":{"via":"sms"}}`:                                               true,
		`,"ory.sh/kratos":{"credentials":{"code":{"identifier":true,"via":"sms"}}}`:                 true,
		`,"ory.sh/kratos":{"credentials":{"code":{"identifier":true,"via":"email"}}}`:               false,
		`,"ory.sh/kratos":{"verification":{"via":"sms"}},"format":"no-validate"`:                    false,
		`,"format":"tel","ory.sh/kratos":{"recovery":{"via":"sms"},"verification":{"via":"email"}}`: true,
	} {
		s := phoneSchema(t, phone)
		for number, valid := range map[string]bool{
			"+14155550123": true, "+49 151 99990001": true, "+1234567890": false, "4155550123": false, "+49151": false, "0151 99990001": false, "": false,
		} {
			traits := phoneTraits(number)
			err := s.Validate(traits)
			if (err == nil) != (valid || !checked) {
				t.Errorf("%s: %q: %v", phone, number, err)
			}
			rest, left := s.WithoutPhones(traits, err, func(string) bool { return false })
			if out := strings.Join(left, " ") == "traits.contact.phone"; out != (err != nil) || s.Validate(rest) != nil {
				t.Errorf("%s: %q: %v is left out, and left is %v", phone, number, left, rest)
			}
			if contact, _ := traits["contact"].(map[string]any); contact["phone"] != number {
				t.Errorf("%s: the traits were changed", phone)
			}
		}
	}
	s := phoneSchema(t, `,"format":"tel"`)
	traits := phoneTraits("+1234567890")
	if _, left := s.WithoutPhones(traits, s.Validate(traits), func(number string) bool { return number == "+1234567890" }); left != nil {
		t.Errorf("%v is left out, though it is to be kept", left)
	}
}

// A number that Kratos has accepted before does not keep the rest of a profile out.
func TestMergeBesideAPhone(t *testing.T) {
	t.Parallel()
	current := mapping.Current{Traits: phoneTraits("+1234567890")}
	profile, err := mapping.FromUser([]byte(`{"user_id":"auth0|1"}`))
	if err != nil {
		t.Fatal(err)
	}
	result, err := mapping.Merge(phoneSchema(t, `,"format":"tel"`), current, profile, mapping.Identity{MetadataPublic: map[string]any{"plan": "pro"}}, mapping.Rules{}, provenance.Content{})
	if err != nil || len(result.Ops) == 0 {
		t.Errorf("%v, %v", result, err)
	}
}
