package kratos_test

import (
	"strings"
	"testing"

	"ferry/identifier"
	"ferry/kratos"
)

// TestGetByID: an identity that Kratos found has everything a login needs, even if the
// identifier is stored in another form than ferry's. Lists distinguishes the two
// cases.
func TestGetByID(t *testing.T) {
	const listed = `"kim@example.org","kim"`
	for name, c := range map[string]struct {
		typed, listed string
		want          string
		exact         bool
	}{
		"the same":                          {"kim@example.org", listed, "kim@example.org", true},
		"the same beside others":            {"kim", listed, "kim", true},
		"capitals and blanks":               {" Kim@Example.org ", listed, "kim@example.org", true},
		"phone with blanks":                 {"+49 151 99990001", `"kim","+4915199990001"`, "+4915199990001", false},
		"full-width letters":                {"ｋｉｍ@example.org", listed, "kim@example.org", false},
		"zero-width space":                  {"kim\u200b@example.org", listed, "kim@example.org", false},
		"ligature":                          {"ﬁona@example.org", `"fiona@example.org","fi"`, "fiona@example.org", false},
		"long s":                            {"ſam@example.org", `"sam@example.org","sam"`, "sam@example.org", false},
		"decomposed é":                      {"rene\u0301@example.org", "\"rené@example.org\",\"rene\"", "rené@example.org", false},
		"dotted capital I":                  {"İrem@example.org", "\"i\u0307rem@example.org\",\"irem\"", "i\u0307rem@example.org", false},
		"Kelvin sign":                       {"\u212aim@example.org", listed, "kim@example.org", true},
		"unknown form, one identifier":      {"kim@example.org", `"xn--kim@example.org"`, "xn--kim@example.org", false},
		"unknown form, several identifiers": {"kim@example.org", `"a","b"`, "kim@example.org", false},
		"several that fold to the same":     {"ﬁ", "\"f\u200bi\",\"fi\u200b\"", "ﬁ", false},
		"no identifiers":                    {"kim", ``, "kim", false},
	} {
		t.Run(name, func(t *testing.T) {
			a := &admin{single: identity(id, listed, c.listed)}
			found, fault := ask(t, a, func(client *kratos.Client) (kratos.Identity, error) {
				return client.Get(t.Context(), strings.ToUpper(id), identifier.Normalize(c.typed))
			})
			if fault != nil {
				t.Fatal(fault)
			}
			if found.ID != id || found.Identifier != c.want || found.Lists != c.exact || !found.Pending || !found.Binding.Has("auth0|kim") {
				t.Errorf("found %+v; want %q, exact %v", found, c.want, c.exact)
			}
			if len(a.requests) != 1 || a.requests[0] != "GET /admin/identities/"+strings.ToUpper(id)+"?include_credential=password" {
				t.Errorf("asked %v", a.requests)
			}
		})
	}
}

// TestGetWithoutPassword: an identity without a password credential is not pending.
func TestGetWithoutPassword(t *testing.T) {
	found, fault := get(t, &admin{single: identity(id, `"password":{"type"`, `"oidc":{"type"`)})
	if fault != nil || found.Pending || found.Lists {
		t.Errorf("%+v, %v", found, fault)
	}
}
