package plan_test

import (
	"strings"
	"testing"

	"ferry/bulk/plan"
)

func TestParseProviders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pairs    []string
		want     string
		warnings int
		says     string
	}{
		"none":             {nil, "", 0, ""},
		"two":              {[]string{"google-oauth2=google", "github=gh"}, "github=gh,google-oauth2=google", 0, ""},
		"pairwise":         {[]string{"apple=apple"}, "apple=apple", 1, ""},
		"SAML":             {[]string{"corp=saml:corp"}, "corp=saml:corp", 0, ""},
		"SAML of nothing":  {[]string{"corp=saml:"}, "", 0, "want AUTH0=KRATOS"},
		"SAML, a colon":    {[]string{"corp=saml:a:b"}, "", 0, "want AUTH0=KRATOS"},
		"all of SAML":      {[]string{"samlp=saml:corp"}, "", 0, "name the connection instead"},
		"no pair":          {[]string{"google"}, "", 0, "want AUTH0=KRATOS"},
		"nothing before":   {[]string{"=google"}, "", 0, "want AUTH0=KRATOS"},
		"nothing after":    {[]string{"google="}, "", 0, "want AUTH0=KRATOS"},
		"a colon":          {[]string{"google=g:1"}, "", 0, "want AUTH0=KRATOS"},
		"many tenants":     {[]string{"waad=azure"}, "", 0, "name the connection instead"},
		"a database":       {[]string{"auth0=x"}, "", 0, "migrate by themselves"},
		"one of two names": {[]string{"github=a", "github=b"}, "", 0, "named twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parsed, warnings, err := plan.ParseProviders(c.pairs)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v", err)
			}
			if parsed.String() != c.want || len(warnings) != c.warnings {
				t.Errorf("got %s, %q", parsed, warnings)
			}
		})
	}
}

func TestParseOrganizations(t *testing.T) {
	t.Parallel()
	const one, two = "11111111-1111-4111-8111-11111111111A", "22222222-2222-4222-8222-222222222222"
	for name, c := range map[string]struct {
		pairs      []string
		want, says string
	}{
		"none":             {},
		"two":              {pairs: []string{"b=" + one, "a=" + two}, want: "a=" + two + ",b=" + strings.ToLower(one)},
		"one for two":      {pairs: []string{"a=" + two, "b=" + two}, want: "a=" + two + ",b=" + two},
		"no pair":          {pairs: []string{two}, says: "want CONNECTION=UUID"},
		"no UUID":          {pairs: []string{"a=org_123"}, says: "want CONNECTION=UUID"},
		"a UUID in braces": {pairs: []string{"a={" + two + "}"}, says: "want CONNECTION=UUID"},
		"no connection":    {pairs: []string{"=" + two}, says: "want CONNECTION=UUID"},
		"named twice":      {pairs: []string{"a=" + one, "a=" + two}, says: "named twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parsed, err := plan.ParseOrganizations(c.pairs)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) || parsed.String() != c.want {
				t.Errorf("got %s, %v", parsed, err)
			}
		})
	}
}

// FuzzParseProviders: what is taken is written as it can be read again.
func FuzzParseProviders(f *testing.F) {
	f.Add("google-oauth2=google", "github=gh")
	f.Add("a=b=c", "apple=apple")
	f.Fuzz(func(t *testing.T, one, two string) {
		parsed, _, err := plan.ParseProviders([]string{one, two})
		if err != nil {
			return
		}
		if len(parsed) != 2 {
			t.Fatalf("%q and %q are %d", one, two, len(parsed))
		}
		for from, to := range parsed {
			again, _, err := plan.ParseProviders([]string{from + "=" + to})
			if err != nil || again[from] != to {
				t.Errorf("%q=%q is read as %v, %v", from, to, again, err)
			}
		}
	})
}

// TestLogin: the identifier of a social login in Kratos, by the Auth0 user id alone.
func TestLogin(t *testing.T) {
	t.Parallel()
	providers, _, err := plan.ParseProviders([]string{"google-oauth2=google", "corp=saml:corp"})
	if err != nil {
		t.Fatal(err)
	}
	for userID, want := range map[string]string{"google-oauth2|123": "google:123", "github|1": "", "samlp|corp|kim": "", "auth0|kim": "", "": ""} {
		if got, ok := providers.Login(userID); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v", userID, got, ok)
		}
	}
}
