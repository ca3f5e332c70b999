package kratos_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ferry/kratos"
	"ferry/outcome"
	"ferry/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	id     = "e187bf45-fb83-4a45-8227-79025897309f"
	other  = "99bf8a02-aa5b-4351-ab7c-9f16e7e11a12"
	person = "kim@example.org"
)

// identity returns a pending identity after replacements.
func identity(id string, replace ...string) string {
	text := `{"id":"` + id + `","schema_id":"person","schema_url":"http://k/schemas/p","state":"active",` +
		`"traits":{"email":"Kim@example.org"},"metadata_public":null,"metadata_admin":{"auth0":{"user_id":"auth0|kim"}},` +
		`"credentials":{"password":{"type":"password","identifiers":["kim@example.org","kim"],"config":{"hashed_password":"","use_password_migration_hook":true}}}}`
	return strings.NewReplacer(replace...).Replace(text)
}

// admin is an admin API with the answers to the list and to the single read.
type admin struct {
	list, single             string
	listStatus, singleStatus int
	requests                 []string
	token                    string
}

func find(t *testing.T, a *admin) (kratos.Identity, *kratos.Error) {
	t.Helper()
	return ask(t, a, func(c *kratos.Client) (kratos.Identity, error) { return c.Find(t.Context(), person) })
}

func get(t *testing.T, a *admin) (kratos.Identity, *kratos.Error) {
	t.Helper()
	return ask(t, a, func(c *kratos.Client) (kratos.Identity, error) { return c.Get(t.Context(), id, person) })
}

func ask(t *testing.T, a *admin, look func(*kratos.Client) (kratos.Identity, error)) (kratos.Identity, *kratos.Error) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.requests = append(a.requests, r.Method+" "+r.URL.String())
		a.token = r.Header.Get("Authorization")
		status, body := a.listStatus, a.list
		if r.URL.Path != "/admin/identities" {
			status, body = a.singleStatus, a.single
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(max(status, http.StatusOK))
		_, _ = io.WriteString(w, body)
	}))
	defer srv.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c, err := kratos.New(kratos.Options{AdminURL: srv.URL + "/", Token: secret.New("token-1"), Timeout: 5 * time.Second, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return result(t)(look(c))
}

func result(t *testing.T) func(kratos.Identity, error) (kratos.Identity, *kratos.Error) {
	t.Helper()
	return func(found kratos.Identity, err error) (kratos.Identity, *kratos.Error) {
		if err == nil {
			return found, nil
		}
		var fault *kratos.Error
		if !errors.As(err, &fault) {
			t.Fatalf("the error is not a *kratos.Error: %v", err)
		}
		if strings.Contains(err.Error(), "kim") {
			t.Errorf("the error names the identifier: %v", err)
		}
		return found, fault
	}
}

func TestFind(t *testing.T) {
	a := &admin{list: "[" + identity(id) + "]", single: identity(id)}
	found, fault := find(t, a)
	if fault != nil {
		t.Fatal(fault)
	}
	if found.ID != id || !found.Active || !found.Pending || !found.Binding.Has("auth0|kim") || found.Binding.Has("auth0|Kim") || found.Binding.Has("") {
		t.Errorf("found %+v", found)
	}
	want := "[GET /admin/identities?consistency=strong&credentials_identifier=kim%40example.org&include_credential=password]"
	if got := fmt.Sprint(a.requests); got != want {
		t.Errorf("asked %s, want %s", got, want)
	}
	if a.token != "Bearer token-1" {
		t.Errorf("token %q", a.token)
	}
}

func TestFindTakesTheOneThatListsTheIdentifier(t *testing.T) {
	oidc := identity(other, `"password":{"type"`, `"oidc":{"type"`)
	elsewhere := identity(other, `"kim@example.org","kim"`, `"someone@example.org"`)
	for name, listed := range map[string]string{
		"":                             oidc + "," + elsewhere,
		"metadata of another tool":     identity(other, `"password":{"type"`, `"oidc":{"type"`, `{"auth0":{"user_id":"auth0|kim"}}`, `"a note"`),
		"metadata that differ in case": identity(other, `"password":{"type"`, `"oidc":{"type"`, `{"auth0":{"user_id":"auth0|kim"}}`, `{"A":1,"a":1}`),
	} {
		found, fault := find(t, &admin{list: "[" + listed + "," + identity(id) + "]", single: identity(id)})
		if fault != nil || found.ID != id {
			t.Errorf("%s: %+v, %v", name, found, fault)
		}
	}
}

// TestDoubt: an ambiguous identity is an error, in a list and in a single read.
func TestDoubt(t *testing.T) {
	for name, c := range map[string]struct {
		replace []string
		want    outcome.Outcome
	}{
		"config not shown":       {[]string{`"config":`, `"x":`}, outcome.InvalidResponse},
		"config null":            {[]string{`{"hashed_password":"","use_password_migration_hook":true}`, `null`}, outcome.InvalidResponse},
		"no state":               {[]string{`"state":"active",`, ``}, outcome.InvalidResponse},
		"unknown state":          {[]string{`"active"`, `"asleep"`}, outcome.InvalidResponse},
		"flag as text":           {[]string{`_hook":true`, `_hook":"true"`}, outcome.InvalidResponse},
		"binding as number":      {[]string{`"auth0|kim"`, `7`}, outcome.InvalidResponse},
		"binding twice":          {[]string{`{"user_id":"auth0|kim"}`, `{"user_id":"auth0|kim","user_id":"auth0|x"}`}, outcome.InvalidResponse},
		"binding twice but case": {[]string{`{"user_id":"auth0|kim"}`, `{"user_id":"auth0|kim","User_ID":"auth0|x"}`}, outcome.InvalidResponse},
		"no id":                  {[]string{id, ``}, outcome.InvalidResponse},
		"truncated":              {[]string{`"credentials"`, ``}, outcome.InvalidResponse},
	} {
		t.Run(name, func(t *testing.T) {
			text := identity(id, c.replace...)
			for from, look := range map[string]func(*testing.T, *admin) (kratos.Identity, *kratos.Error){"list": find, "single": get} {
				found, fault := look(t, &admin{list: "[" + text + "]", single: text})
				if fault == nil || fault.Outcome != c.want {
					t.Errorf("%s: %+v, %v; want %s", from, found, fault, c.want)
				}
			}
		})
	}
}

// TestDoubtfulAnswers: an answer that does not name exactly one identity is an error.
func TestDoubtfulAnswers(t *testing.T) {
	one := "[" + identity(id) + "]"
	for name, c := range map[string]struct {
		look  func(*testing.T, *admin) (kratos.Identity, *kratos.Error)
		admin admin
		want  outcome.Outcome
	}{
		"empty list":             {find, admin{list: "[]"}, outcome.Unavailable},
		"only by another method": {find, admin{list: "[" + identity(id, `"password":{"type"`, `"oidc":{"type"`) + "]"}, outcome.Unavailable},
		"several":                {find, admin{list: "[" + identity(id) + "," + identity(other) + "]"}, outcome.InvalidResponse},
		"list not JSON":          {find, admin{list: "<html>"}, outcome.InvalidResponse},
		"list truncated":         {find, admin{list: one[:60]}, outcome.InvalidResponse},
		"wrong token":            {find, admin{listStatus: 401, list: `{}`}, outcome.Misconfigured},
		"forbidden":              {find, admin{listStatus: 403, list: `{}`}, outcome.Misconfigured},
		"redirect":               {find, admin{listStatus: 307, list: ``}, outcome.Unavailable},
		"fault of the list":      {find, admin{listStatus: 500, list: `{"error":{}}`}, outcome.Unavailable},
		"odd status":             {find, admin{listStatus: 400, list: one}, outcome.InvalidResponse},
		"deleted meanwhile":      {get, admin{singleStatus: 404, single: `{"error":{"code":404}}`}, outcome.Unavailable},
		"another identity":       {get, admin{single: identity(other)}, outcome.InvalidResponse},
		"single not JSON":        {get, admin{single: "<html>"}, outcome.InvalidResponse},
		"fault of the single":    {get, admin{singleStatus: 500, single: one}, outcome.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			found, fault := c.look(t, &c.admin)
			if fault == nil || fault.Outcome != c.want {
				t.Fatalf("%+v, %v; want %s", found, fault, c.want)
			}
		})
	}
}

func TestPendingActiveAndBinding(t *testing.T) {
	const recorded = `"metadata_admin":{"auth0":{"user_id":"auth0|kim"}}`
	for name, c := range map[string]struct {
		replace         []string
		active, pending bool
		subjects, realm string
	}{
		"migrated":                    {[]string{`{"hashed_password":"","use_password_migration_hook":true}`, `{"hashed_password":"$2a$04$x"}`}, true, false, "[auth0|kim]", ""},
		"flag beside a hash":          {[]string{`"hashed_password":""`, `"hashed_password":"$2a$04$x"`}, true, false, "[auth0|kim]", ""},
		"no password to migrate":      {[]string{`{"hashed_password":"","use_password_migration_hook":true}`, `{}`}, true, false, "[auth0|kim]", ""},
		"inactive":                    {[]string{`"active"`, `"inactive"`}, false, true, "[auth0|kim]", ""},
		"connection":                  {[]string{recorded, `"metadata_admin":{"auth0":{"user_id":"auth0|kim","connection":"users"}}`}, true, true, "[auth0|kim]", "users"},
		"linked":                      {[]string{recorded, `"metadata_admin":{"auth0":{"user_id":"auth0|kim","user_ids":["auth0|kim","google-oauth2|1"]}}`}, true, true, "[auth0|kim google-oauth2|1]", ""},
		"user_ids alone":              {[]string{recorded, `"metadata_admin":{"auth0":{"user_ids":["ad|1"]}}`}, true, true, "[ad|1]", ""},
		"external id":                 {[]string{recorded, `"metadata_admin":null,"external_id":"auth0|kim"`}, true, true, "[auth0|kim]", ""},
		"external id, other metadata": {[]string{recorded, `"metadata_admin":{"x":[1]},"external_id":"auth0|kim"`}, true, true, "[auth0|kim]", ""},
		"external id of another form": {[]string{recorded, `"metadata_admin":null,"external_id":"kim"`}, true, true, "[]", ""},
		"external id beside user_id":  {[]string{recorded, `"metadata_admin":{"auth0":{"user_id":"auth0|a"}},"external_id":"auth0|kim"`}, true, true, "[auth0|a]", ""},
		"external id beside empty":    {[]string{recorded, `"metadata_admin":{"auth0":{"user_ids":[]}},"external_id":"auth0|kim"`}, true, true, "[]", ""},
		"unbound":                     {[]string{recorded, `"metadata_admin":null`}, true, true, "[]", ""},
		"empty user_id":               {[]string{`"auth0|kim"`, `""`}, true, true, "[]", ""},
		"null user_id":                {[]string{`"auth0|kim"`, `null`}, true, true, "[]", ""},
		"duplicate keys in user data": {[]string{`{"email":"Kim@example.org"}`, `{"Color":1,"color":2}`}, true, true, "[auth0|kim]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := identity(id, c.replace...)
			found, fault := find(t, &admin{list: "[" + text + "]"})
			if fault != nil {
				t.Fatal(fault)
			}
			if single, fault := get(t, &admin{single: text}); fault != nil || !reflect.DeepEqual(single, found) {
				t.Errorf("by id %+v, by identifier %+v, %v", single, found, fault)
			}
			if found.Active != c.active || found.Pending != c.pending || fmt.Sprint(found.Binding.Subjects) != c.subjects || found.Binding.Connection != c.realm {
				t.Errorf("found %+v", found)
			}
			if traits := fmt.Sprint(found.AllTraits); name != "duplicate keys in user data" && traits != "map[email:Kim@example.org]" || fmt.Sprint(found.Listed) != "[kim@example.org kim]" {
				t.Errorf("found %+v", found)
			}
		})
	}
}

// TestRecordedIdentities reads answers of a real Kratos.
func TestRecordedIdentities(t *testing.T) {
	for _, version := range []string{"v131", "v262"} {
		text, err := os.ReadFile("../test/testdata/payloads/" + version + "-list-credentials_identifier-include.json")
		if err != nil {
			t.Fatal(err)
		}
		var list []struct {
			Credentials struct {
				Password struct{ Identifiers []string }
			}
		}
		var single []json.RawMessage
		if json.Unmarshal(text, &list) != nil || json.Unmarshal(text, &single) != nil {
			t.Fatal("the recording is not a list")
		}
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if r.URL.Path == "/admin/identities" {
				_, _ = w.Write(text)
			} else {
				_, _ = w.Write(single[0])
			}
		}))
		transport := &http.Transport{}
		c, err := kratos.New(kratos.Options{AdminURL: srv.URL, Timeout: 5 * time.Second, Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		for _, identifier := range list[0].Credentials.Password.Identifiers {
			found, fault := result(t)(c.Find(t.Context(), identifier))
			if fault != nil || !found.Pending || !found.Active || len(found.Binding.Subjects) != 0 {
				t.Errorf("%s: %+v, %v", version, found, fault)
			}
		}
		transport.CloseIdleConnections()
		srv.Close()
	}
}

func TestUnreachableAndGone(t *testing.T) {
	hold := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer srv.Close()
	defer close(hold)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c, err := kratos.New(kratos.Options{AdminURL: srv.URL, Timeout: 50 * time.Millisecond, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	if _, fault := result(t)(c.Find(t.Context(), person)); fault == nil || fault.Outcome != outcome.Unavailable || fault.Reason != "timeout" {
		t.Errorf("%v", fault)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, fault := result(t)(c.Find(ctx, person)); fault == nil || fault.Reason != "caller_gone" {
		t.Errorf("%v", fault)
	}
}
