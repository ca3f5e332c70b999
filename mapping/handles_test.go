package mapping_test

import (
	"fmt"
	"slices"
	"testing"

	"ferry/mapping"
)

func TestHandles(t *testing.T) {
	identity, err := mapping.Default(person(t)).Map(kim(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []mapping.Handle{
		{Value: "kim@example.org", Password: true, Via: mapping.ViaEmail},
		{Value: "+4915199990001", Code: mapping.ViaSMS, Via: mapping.ViaSMS},
		{Value: "kim-s", Password: true},
	}
	if got := person(t).Handles(identity.Traits); !slices.Equal(got, want) {
		t.Errorf("handles %+v, not %+v", got, want)
	}
}

// TestHandlesOf: by schema and traits, the handles as value, p for password, way.
func TestHandlesOf(t *testing.T) {
	const (
		password = `{"ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}}`
		verified = `{"ory.sh/kratos":{"verification":{"via":"email"}}}`
		both     = `{"ory.sh/kratos":{"credentials":{"password":{"identifier":true}},"verification":{"via":"email"},"recovery":{"via":"email"}}}`
	)
	for name, c := range map[string]struct{ traits, value, want string }{
		"a text":                       {`"properties":{"x":` + both + `}`, `{"x":"K@x","y":"z"}`, "[K@x p email]"},
		"recovery":                     {`"properties":{"x":{"ory.sh/kratos":{"recovery":{"via":"email"}}}}`, `{"x":"k"}`, "[k  email]"},
		"code":                         {`"properties":{"x":{"ory.sh/kratos":{"credentials":{"code":{"identifier":true,"via":"sms"}}}}}`, `{"x":"k"}`, "[k  ]"},
		"webauthn and passkey":         {`"properties":{"x":{"ory.sh/kratos":{"credentials":{"webauthn":{"identifier":true}}}},"y":{"ory.sh/kratos":{"credentials":{"passkey":{"identifier":true}}}}}`, `{"x":"k","y":"l"}`, "[k  ] [l  ]"},
		"a name for display":           {`"properties":{"x":{"ory.sh/kratos":{"credentials":{"passkey":{"display_name":true},"totp":{"account_name":true}}}}}`, `{"x":"k"}`, ""},
		"no identifier":                {`"properties":{"x":{"ory.sh/kratos":{"credentials":{"password":{"identifier":false}}}}}`, `{"x":"k"}`, ""},
		"nothing there":                {`"properties":{"x":` + both + `}`, `{"x":null}`, ""},
		"blanks":                       {`"properties":{"x":` + both + `}`, `{"x":" "}`, ""},
		"blanks around":                {`"properties":{"x":` + both + `}`, `{"x":" k "}`, "[ k  p email]"},
		"a number":                     {`"properties":{"x":` + password + `,"y":` + password + `}`, `{"x":17,"y":true}`, "[17 p ]"},
		"nested":                       {`"properties":{"b":{"properties":{"y":` + password + `,"x":` + verified + `}},"a":` + password + `}`, `{"b":{"x":"1","y":"2","z":"3"},"a":"4"}`, "[4 p ] [1  email] [2 p ]"},
		"a list":                       {`"properties":{"x":{"items":` + both + `}}`, `{"x":["k","l","k"]}`, "[k p email] [l p email]"},
		"a list by itself":             {`"properties":{"x":` + both + `}`, `{"x":["k",["l"]]}`, "[k p email] [l p email]"},
		"a list's places":              {`"properties":{"x":{"items":[true,` + both + `],"additionalItems":` + verified + `}}`, `{"x":["k","l","m"]}`, "[l p email] [m  email]"},
		"a list of objects":            {`"properties":{"x":{"items":{"properties":{"v":` + both + `}}}}`, `{"x":[{"v":"k","label":"home"},{"v":"l","label":"home"}]}`, "[k p email] [l p email]"},
		"by reference":                 {`"properties":{"x":{"$ref":"#/definitions/i"}}`, `{"x":"k"}`, "[k p email]"},
		"to itself":                    {`"properties":{"x":{"$ref":"#/properties/traits"},"i":` + password + `}`, `{"x":{"x":{"i":"k","j":"l"}},"i":"m"}`, "[m p ] [k p ]"},
		"branches":                     {`"anyOf":[{"properties":{"x":` + password + `}},{"properties":{"x":` + verified + `,"w":` + verified + `}}]`, `{"x":"k","w":"l"}`, "[l  email] [k p email]"},
		"if and then":                  {`"if":{"required":["k"]},"then":{"properties":{"x":` + password + `}}`, `{"x":"k"}`, "[k p ]"},
		"a pattern of names":           {`"properties":{"xx":true},"patternProperties":{"^x":` + password + `},"additionalProperties":` + verified, `{"xx":"1","xy":"2","y":"3"}`, "[1 p ] [2 p ] [3  email]"},
		"any name":                     {`"properties":{"a":true},"additionalProperties":` + password, `{"a":"1","b":"2"}`, "[2 p ]"},
		"the same by two traits":       {`"properties":{"x":` + password + `,"y":` + verified + `}`, `{"x":"k","y":"k"}`, "[k p email]"},
		"the same in another spelling": {`"properties":{"x":` + password + `,"y":` + verified + `}`, `{"x":"K","y":"k"}`, "[K p ] [k  email]"},
		"the same by two ways":         {`"properties":{"x":{"ory.sh/kratos":{"verification":{"via":"sms"}}},"y":` + verified + `}`, `{"x":"k","y":"k"}`, "[k  sms] [k  email]"},
		"none":                         {`"properties":{"x":{"type":"string"}}`, `{"x":"k"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			schema, err := mapping.ParseSchema([]byte(`{"definitions":{"i":` + both + `},"properties":{"traits":{` + c.traits + `},"x":` + both + `}}`))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, h := range schema.Handles(object(t, c.value)) {
				p := map[bool]string{true: "p"}[h.Password]
				got += fmt.Sprintf(" [%s %s %s]", h.Value, p, h.Via)
			}
			if got != "" {
				got = got[1:]
			}
			if got != c.want {
				t.Errorf("handles %s, not %s", got, c.want)
			}
		})
	}
}

// TestHandlesAreProtected: every handle lies where a merge is careful.
func TestHandlesAreProtected(t *testing.T) {
	schema := person(t)
	for _, h := range schema.Handles(object(t, `{"email":"a@x.org","phone":"+4915199990001","username":"k","nickname":"kk","name":{"first":"K"}}`)) {
		for _, trait := range schema.Traits() {
			if value := map[string]string{"a@x.org": "email", "+4915199990001": "phone", "k": "username"}[h.Value]; value == "" || trait.Name() == value && !trait.Protected() {
				t.Errorf("%+v is a handle and its trait is not protected", h)
			}
		}
	}
}
