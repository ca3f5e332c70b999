package mapping_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"ferry/mapping"
	"ferry/provenance"
)

func TestTraits(t *testing.T) {
	var got []string
	for _, trait := range person(t).Traits() {
		got = append(got, fmt.Sprintf("%s %s %v recovery=%s verification=%s", trait.Name(), trait.Type, trait.Identifier, trait.Recovery, trait.Verification))
	}
	want := []string{
		"company.name string false recovery= verification=",
		"email string true recovery=email verification=email",
		"locale string false recovery= verification=",
		"name.first string false recovery= verification=",
		"name.last string false recovery= verification=",
		"newsletter boolean false recovery= verification=",
		"nickname string false recovery= verification=",
		"phone string true recovery= verification=sms",
		"picture string false recovery= verification=",
		"username string true recovery= verification=",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("traits\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const anIdentifier = `"ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}`

// TestIdentifiersAreProtected: an identifier is found wherever Kratos would find it.
func TestIdentifiersAreProtected(t *testing.T) {
	for name, c := range map[string]struct{ schema, traits string }{
		"plain":             {`{"properties":{"traits":{"properties":{"x":{` + anIdentifier + `}}}}}`, `{"x":"y"}`},
		"another method":    {`{"properties":{"traits":{"properties":{"x":{"ory.sh/kratos":{"credentials":{"webauthn":{"identifier":true}}}}}}}}`, `{"x":"y"}`},
		"a reference":       {`{"$defs":{"i":{` + anIdentifier + `}},"properties":{"traits":{"properties":{"x":{"$ref":"#/$defs/i"}}}}}`, `{"x":"y"}`},
		"one of several":    {`{"properties":{"traits":{"properties":{"x":{"anyOf":[{"type":"null"},{` + anIdentifier + `}]}}}}}`, `{"x":"y"}`},
		"if and then":       {`{"properties":{"traits":{"if":{"required":["k"]},"then":{"properties":{"x":{` + anIdentifier + `}}}}}}`, `{"x":"y"}`},
		"beside properties": {`{"allOf":[{"properties":{"traits":{"properties":{"x":{` + anIdentifier + `}}}}}]}`, `{"x":"y"}`},
		"a list":            {`{"properties":{"traits":{"properties":{"x":{"items":{` + anIdentifier + `}}}}}}`, `{"x":["y"]}`},
		"a list, 2020":      {`{"$schema":"https://json-schema.org/draft/2020-12/schema","properties":{"traits":{"properties":{"x":{"prefixItems":[{` + anIdentifier + `}]}}}}}`, `{"x":["y"]}`},
		"a list of objects": {`{"properties":{"traits":{"properties":{"x":{"items":{"properties":{"v":{` + anIdentifier + `}}}}}}}}`, `{"x":[{"v":"y"}]}`},
		"2019":              {`{"$schema":"https://json-schema.org/draft/2019-09/schema","properties":{"traits":{"properties":{"x":{` + anIdentifier + `}}}}}`, `{"x":"y"}`},
		"any name":          {`{"properties":{"traits":{"additionalProperties":{` + anIdentifier + `}}}}`, `{"x":"y"}`},
		"a pattern of name": {`{"properties":{"traits":{"patternProperties":{"^x":{` + anIdentifier + `}}}}}`, `{"x":"y"}`},
		"an object":         {`{"properties":{"traits":{"properties":{"x":{` + anIdentifier + `}}}}}`, `{"x":{"deep":"y"}}`},
		"a recursive one":   {`{"definitions":{"p":{"properties":{"x":{"$ref":"#/definitions/p"},"i":{` + anIdentifier + `}}}},"properties":{"traits":{"$ref":"#/definitions/p"}}}`, `{"x":{"x":{"i":"y"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			schema, err := mapping.ParseSchema([]byte(c.schema))
			if err != nil {
				t.Fatal(err)
			}
			mapped := mapping.Identity{Traits: object(t, c.traits)}
			p := profile(t, `{"email":"y","email_verified":false}`)
			result, err := mapping.Merge(schema, mapping.Current{Traits: map[string]any{}}, p, mapped, mapping.Rules{}, provenance.Content{})
			if err != nil || len(result.Ops) > 0 || len(result.Unverified) != 1 {
				t.Errorf("not protected: %+v, %v", result, err)
			}
			p = profile(t, `{"email":"y","email_verified":true}`)
			result, err = mapping.Merge(schema, mapping.Current{Traits: map[string]any{}}, p, mapped, mapping.Rules{}, provenance.Content{})
			if err != nil || len(result.Ops) != 1 {
				t.Errorf("a verified one is not filled: %+v, %v", result, err)
			}
		})
	}
}

func TestParseSchemaRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":              `{`,
		"no schema":            `{"type":7}`,
		"a reference outside":  `{"properties":{"traits":{"$ref":"https://example.org/other.json"}}}`,
		"a file":               `{"properties":{"traits":{"$ref":"file:///etc/hostname"}}}`,
		"another keyword":      `{"properties":{"traits":{"properties":{"x":{"ory.sh/kratos":[]}}}}}`,
		"an unknown draft":     `{"$schema":"https://example.org/draft"}`,
		"a pattern of no kind": `{"properties":{"traits":{"properties":{"x":{"pattern":"("}}}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := mapping.ParseSchema([]byte(text)); err == nil {
				t.Error("no error")
			}
		})
	}
}

// TestValidate: every fault, by path, and no value.
func TestValidate(t *testing.T) {
	for name, c := range map[string]struct{ traits, want string }{
		"valid":             {`{"email":"kim@example.org","phone":"+49 151 9999 0001","name":{"first":"Kim"}}`, ""},
		"none":              {`{}`, ""},
		"letters":           {`{"email":"jörg@example.org"}`, ""},
		"no address":        {`{"email":"secret"}`, "traits.email is not of the format email"},
		"an address's name": {`{"email":"S <secret@example.org>"}`, "traits.email is not of the format email"},
		"no country":        {`{"phone":"015112345678"}`, "traits.phone is not of the format tel"},
		"a word":            {`{"phone":"+secret12345"}`, "traits.phone is not of the format tel"},
		"a number":          {`{"nickname":17}`, "traits.nickname is number, not string"},
		"too short":         {`{"nickname":"s"}`, "traits.nickname has 1 characters, fewer than 2"},
		"unknown":           {`{"x":"secret"}`, "traits.x is not known to the schema"},
		"unknown, nested":   {`{"name":{"x":"secret"}}`, "traits.name.x is not known to the schema"},
		"several":           {`{"email":"secret","nickname":"s"}`, "traits.email is not of the format email; traits.nickname has 1 characters, fewer than 2"},
	} {
		t.Run(name, func(t *testing.T) {
			err := person(t).Validate(object(t, c.traits))
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var invalid *mapping.InvalidError
			if !errors.As(err, &invalid) || err.Error() != "not valid by the identity schema: "+c.want {
				t.Errorf("error %v", err)
			}
		})
	}
	required, err := mapping.ParseSchema([]byte(`{"properties":{"traits":{"required":["a","b"]}},"required":["traits"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := required.Validate(nil); err == nil || !strings.HasSuffix(err.Error(), "traits.a is missing; traits.b is missing") {
		t.Error(err)
	}
}

// FuzzParseSchema: whatever is a schema can be asked.
func FuzzParseSchema(f *testing.F) {
	f.Add(testdata(f, "identity.schema.json"))
	f.Add([]byte(`{"properties":{"traits":{"$ref":"#"}}}`))
	f.Add([]byte(`{"$schema":"https://json-schema.org/draft/2020-12/schema","$dynamicRef":"#x","$dynamicAnchor":"x"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		schema, err := mapping.ParseSchema(text)
		if err != nil {
			return
		}
		for _, trait := range schema.Traits() {
			if len(trait.Path) == 0 {
				t.Error("a trait without a path")
			}
		}
		traits := map[string]any{"email": "canary-1f0a"}
		err = schema.Validate(traits)
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("a value is quoted: %v", err)
		}
		for _, h := range schema.Handles(traits) {
			if h.Value != "canary-1f0a" {
				t.Errorf("a handle that is none of the traits: %+v", h)
			}
		}
	})
}

// TestKratosRules: what Kratos asks of a value beyond the schema's own rules. That Kratos
// does so is shown by TestSchemasThatKratosRefuses in test/doctor.
func TestKratosRules(t *testing.T) {
	for name, c := range map[string]struct{ trait, value, want string }{
		"code without a way":        {`"ory.sh/kratos":{"credentials":{"code":{"identifier":true}}}`, "kim@example.org", `traits.x can have no value in Kratos: its credential "code" has no "via" (email or sms)`},
		"code by SMS":               {`"ory.sh/kratos":{"credentials":{"code":{"identifier":true,"via":"sms"}}}`, "+4915112345678", ""},
		"code by SMS, no number":    {`"ory.sh/kratos":{"credentials":{"code":{"identifier":true,"via":"sms"}}}`, "kim@example.org", "traits.x is not of the format tel"},
		"code by e-mail":            {`"ory.sh/kratos":{"credentials":{"code":{"identifier":true,"via":"email"}}}`, "kim", ""},
		"code that is off":          {`"ory.sh/kratos":{"credentials":{"code":{"identifier":false}}}`, "kim", ""},
		"SMS without a format":      {`"ory.sh/kratos":{"verification":{"via":"sms"}}`, "+4915112345678", `traits.x can have no value in Kratos: it is verified by SMS and has no "format" (tel, or no-validate)`},
		"SMS with a format":         {`"format":"tel","ory.sh/kratos":{"verification":{"via":"sms"}}`, "+4915112345678", ""},
		"SMS without validation":    {`"format":"no-validate","ory.sh/kratos":{"verification":{"via":"sms"}}`, "kim", ""},
		"e-mail without a format":   {`"ory.sh/kratos":{"verification":{"via":"email"}}`, "kim@example.org", ""},
		"no e-mail, without format": {`"ory.sh/kratos":{"verification":{"via":"email"}}`, "kim", "traits.x is not of the format email"},
		"recovery by e-mail":        {`"ory.sh/kratos":{"recovery":{"via":"email"}}`, "kim", "traits.x is not of the format email"},
		"recovery by SMS":           {`"ory.sh/kratos":{"recovery":{"via":"sms"}}`, "kim", "traits.x is not of the format tel"},
	} {
		t.Run(name, func(t *testing.T) {
			schema, err := mapping.ParseSchema([]byte(`{"properties":{"traits":{"properties":{"x":{"type":"string",` + c.trait + `}}}}}`))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if err := schema.Validate(map[string]any{"x": c.value}); err != nil {
				got = strings.TrimPrefix(err.Error(), "not valid by the identity schema: ")
			}
			if got != c.want {
				t.Errorf("%s", got)
			}
			if err := schema.Validate(map[string]any{}); err != nil {
				t.Errorf("without the trait: %v", err)
			}
			refused := ""
			for _, v := range schema.Refused() {
				refused += v.String()
			}
			if (refused == c.want) != (c.want == "" || strings.Contains(c.want, "no value")) {
				t.Errorf("refused: %s", refused)
			}
		})
	}
}
