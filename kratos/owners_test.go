package kratos_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"ferry/kratos"
	"ferry/outcome"
)

// Identities that Kratos can store but ferry never creates.
const (
	socialOnly = `{"id":"` + id + `","state":"inactive","traits":{"name":"Kim"},"metadata_public":null,"metadata_admin":null,` +
		`"external_id":"auth0|kim","credentials":{"oidc":{"type":"oidc","identifiers":["google:C:1","gh:2"],"version":0}},` +
		`"created_at":"2026-11-22T00:17:46.683541Z","updated_at":"2026-11-23T00:17:46Z"}`
	passwordless = `{"id":"` + other + `","state":"active","traits":{"email":"kim@example.org"},"metadata_public":"a text","metadata_admin":["a","list"],` +
		`"external_id":"auth0|kim","credentials":{"password":{"type":"password","identifiers":["kim@example.org"],"config":{},"version":0}}}`
)

// keeper is an admin API with this list and these identities by id.
func keeper(t *testing.T, list string, identities map[string]string) *kratos.Client {
	t.Helper()
	return dial(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		one, there := identities[strings.TrimPrefix(r.URL.Path, "/admin/identities/")]
		switch {
		case r.URL.Path == "/admin/identities" && r.URL.Query().Get("credentials_identifier") == person:
			_, _ = io.WriteString(w, list)
		case there && r.URL.Query().Get("include_credential") == "password":
			_, _ = io.WriteString(w, one)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
}

func TestOwners(t *testing.T) {
	const third = "00000000-0000-4000-8000-000000000003"
	list := `[{"id":"` + id + `","metadata_admin":{"A":1,"a":2}},{"id":"` + other + `"},{"id":"` + third + `"}]`
	got, err := keeper(t, list, map[string]string{id: socialOnly, other: passwordless}).Owners(t.Context(), person)
	if err != nil || len(got) != 2 { // the third was deleted between list and read
		t.Fatalf("%+v, %v", got, err)
	}
	social, empty := got[0], got[1]
	if social.ID != id || social.Active || social.State != "inactive" || social.HasPassword || social.Pending || social.Foreign ||
		!slices.Equal(social.Social, []string{"gh:2", "google:C:1"}) || len(social.Identifiers) != 0 ||
		!social.Binding.Has("auth0|kim") || social.ExternalID != "auth0|kim" ||
		social.CreatedAt.Nanosecond() != 683541000 || social.UpdatedAt.Day() != 23 {
		t.Errorf("%+v", social)
	}
	if empty.ID != other || !empty.Active || empty.HasPassword || empty.Pending || !empty.Foreign || empty.Traits != nil || empty.MetadataAdmin != nil ||
		len(empty.Binding.Subjects) != 0 || empty.ExternalID != "auth0|kim" || !slices.Equal(empty.Identifiers, []string{person}) {
		t.Errorf("%+v", empty)
	}
	none, err := keeper(t, `[]`, nil).Owners(t.Context(), person)
	if err != nil || len(none) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
}

// TestOwnersOfNothing: no request is made without an identifier, for which Kratos
// would list all identities.
func TestOwnersOfNothing(t *testing.T) {
	c := dial(t, func(http.ResponseWriter, *http.Request) { t.Error("Kratos was asked") })
	if got, err := c.Owners(t.Context(), ""); err != nil || got != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestOwnersDoubt(t *testing.T) {
	one := `[{"id":"` + id + `"}]`
	for name, c := range map[string]struct{ list, identity, reason string }{
		"not a list":       {`{}`, "", "answer_malformed"},
		"null":             {`null`, "", "answer_malformed"},
		"truncated":        {one[:9], "", "answer_malformed"},
		"no id":            {`[{"x":1}]`, "", "identity_id"},
		"not an object":    {`["` + id + `"]`, "", "identity_id"},
		"all identities":   {"[" + strings.Repeat(`{"id":"`+other+`"},`, 20) + `{"id":"` + id + `"}]`, "", "too_many_owners"},
		"another":          {one, passwordless, "identity_changed"},
		"no state":         {one, `{"id":"` + id + `"}`, "identity_state"},
		"config not shown": {one, `{"id":"` + id + `","state":"active","credentials":{"password":{"identifiers":[]}}}`, "no_credential_config"},
		"flag as text":     {one, `{"id":"` + id + `","state":"active","credentials":{"password":{"config":{"use_password_migration_hook":"true"}}}}`, "answer_malformed"},
		"flag twice":       {one, `{"id":"` + id + `","state":"active","credentials":{"password":{"config":{"use_password_migration_hook":true,"use_password_migration_hook":false}}}}`, "answer_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := keeper(t, c.list, map[string]string{id: c.identity}).Owners(t.Context(), person)
			if fault := faultOf(t, err); fault == nil || got != nil || fault.Outcome != outcome.InvalidResponse || fault.Reason != c.reason {
				t.Errorf("%+v, %v; want %s", got, err, c.reason)
			}
		})
	}
}

// TestReadCredentials: what a record says about the password.
func TestReadCredentials(t *testing.T) {
	const before = `{"id":"` + id + `","state":"active","traits":{},"credentials":`
	for name, c := range map[string]struct {
		credentials         string
		reason              string
		password, isPending bool
	}{
		"hash":              {`{"password":{"identifiers":["k"],"config":{"hashed_password":"$2a$04$x"}}}`, "", true, false},
		"pending":           {`{"password":{"identifiers":["k"],"config":{"hashed_password":"","use_password_migration_hook":true}}}`, "", false, true},
		"flag beside hash":  {`{"password":{"identifiers":["k"],"config":{"hashed_password":"$2a$04$x","use_password_migration_hook":true}}}`, "", true, false},
		"empty config":      {`{"password":{"identifiers":["k"],"config":{}}}`, "", false, false},
		"null config":       {`{"password":{"identifiers":null,"config":null}}`, "", false, false},
		"null credential":   {`{"password":null}`, "", false, false},
		"no credential":     {`{}`, "", false, false},
		"no credentials":    {`null`, "", false, false},
		"config not shown":  {`{"password":{"identifiers":["k"]}}`, "no_credential_config", false, false},
		"config of no form": {`{"password":{"identifiers":["k"],"config":[]}}`, "answer_malformed", false, false},
		"hash as number":    {`{"password":{"identifiers":["k"],"config":{"hashed_password":7}}}`, "answer_malformed", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := keeper(t, "", map[string]string{id: before + c.credentials + `}`}).Read(t.Context(), id)
			fault := faultOf(t, err)
			if c.reason != "" {
				if fault == nil || fault.Reason != c.reason {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			if fault != nil || got.HasPassword != c.password || got.Pending != c.isPending || got.Foreign {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// TestReadIsStrict: a record that ferry does not understand is an error, so no patch
// is computed from it.
func TestReadIsStrict(t *testing.T) {
	if got, err := keeper(t, "", map[string]string{other: passwordless}).Read(t.Context(), other); faultOf(t, err) == nil || got.Foreign || got.ID != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRecordedSocial(t *testing.T) {
	for _, version := range []string{"v131", "v262"} {
		text, err := os.ReadFile("../test/testdata/payloads/" + version + "-get-identity-password-oidc.json")
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(text), `"id": "`)
		recorded := after[:len(id)]
		got, err := keeper(t, "", map[string]string{recorded: string(text)}).Read(t.Context(), recorded)
		if err != nil || !got.Pending || got.HasPassword || len(got.Identifiers) != 3 || len(got.Social) != 1 || !strings.HasPrefix(got.Social[0], "google:sub-") ||
			len(got.Addresses) != 2 || got.CreatedAt.IsZero() || (got.ExternalID != "") != (version == "v262") {
			t.Errorf("%s: %+v, %v", version, got, err)
		}
	}
}

func TestExist(t *testing.T) {
	var ids, there []string
	for i := range 250 {
		ids = append(ids, fmt.Sprintf("00000000-0000-4000-8000-%012d", i))
		if i%3 == 0 {
			there = append(there, ids[i])
		}
	}
	requests := 0
	c := dial(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		asked := r.URL.Query()["ids"]
		if len(asked) == 0 || len(asked) > 100 || r.URL.Query().Get("page_size") != "100" || len(r.URL.String()) > 8000 {
			t.Errorf("asked for %d in a URL of %d bytes", len(asked), len(r.URL.String()))
		}
		var found []string
		for _, one := range asked {
			if slices.Contains(there, one) {
				found = append(found, `{"id":"`+one+`","traits":{"a":1,"A":2},"metadata_admin":"x"}`)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "["+strings.Join(found, ",")+"]")
	})
	got, err := c.Exist(t.Context(), ids)
	if err != nil || len(got) != len(there) || requests != 3 {
		t.Fatalf("%d of %d, %d requests, %v", len(got), len(there), requests, err)
	}
	for i, one := range ids {
		if got[one] != (i%3 == 0) {
			t.Errorf("%s: %t", one, got[one])
		}
	}
	if got, err := c.Exist(t.Context(), nil); err != nil || len(got) != 0 || requests != 3 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestExistDoubt: a list of other identities is an error, because it does not answer
// for the requested id.
func TestExistDoubt(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   outcome.Outcome
	}{
		"others":     {200, `[{"id":"` + other + `"}]`, outcome.InvalidResponse},
		"not a list": {200, `{}`, outcome.InvalidResponse},
		"bad id":     {400, `{"error":{"reason":"Invalid UUID value"}}`, outcome.InvalidResponse},
		"fault":      {500, `{}`, outcome.Unavailable},
		"forbidden":  {403, `{}`, outcome.Misconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			client := dial(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			if got, err := client.Exist(t.Context(), []string{id}); faultOf(t, err) == nil || faultOf(t, err).Outcome != c.want || got != nil {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}
