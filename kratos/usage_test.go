package kratos_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"ferry/jsonpatch"
	"ferry/kratos"
	"ferry/secret"
	"ferry/test/kratostest"
)

// TestRealUsage: a real Kratos shows what happened to an identity since it was created.
func TestRealUsage(t *testing.T) {
	mail := kratostest.NewMailbox(t)
	k := kratostest.Run(t, kratostest.Options{Mailbox: mail})
	c := dialReal(t, k, nil)
	const phrase = "correct horse battery staple"
	hash, err := bcrypt.GenerateFromPassword([]byte(phrase), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	r := usedKratos{client: c, hash: string(hash)}
	for name, u := range map[string]use{
		"nothing": {do: func(*testing.T, string, string) error { return nil }},
		"wrong-password": {do: func(t *testing.T, _, email string) error {
			t.Helper()
			_, err := k.LoginAPI(t.Context(), email, "wrong")
			return err
		}},
		"login": {session: true, do: func(t *testing.T, _, email string) error {
			t.Helper()
			login, err := k.LoginAPI(t.Context(), email, phrase)
			if err == nil && login.Sees() != kratostest.SeesSession {
				err = errors.New(login.Sees())
			}
			return err
		}},
		"recovery": {session: true, changed: true, do: func(t *testing.T, _, email string) error {
			t.Helper()
			return k.RecoverByMail(t.Context(), mail, email, "A new pass phrase, chosen")
		}},
		"recovery-verifies": {session: true, changed: true, unverified: true, do: func(t *testing.T, _, email string) error {
			t.Helper()
			return k.RecoverByMail(t.Context(), mail, email, "A new pass phrase, chosen")
		}},
		"patch": {changed: true, do: func(t *testing.T, id, _ string) error {
			t.Helper()
			_, err := c.Patch(t.Context(), id, []jsonpatch.Op{{Op: "add", Path: "/metadata_admin/note", Value: 1}})
			return err
		}},
		"state": {changed: true, do: func(t *testing.T, id, _ string) error {
			t.Helper()
			return k.SetState(t.Context(), id, "inactive")
		}},
	} {
		t.Run(name, func(t *testing.T) { r.uses(t, name, u) })
	}
}

// use is something that happens to an identity, and the traces that it leaves.
type use struct {
	do               func(t *testing.T, id, email string) error
	unverified       bool // before
	session, changed bool
}

type usedKratos struct {
	client *kratos.Client
	hash   string
}

// uses creates an identity, uses it, and deletes it.
func (r usedKratos) uses(t *testing.T, name string, u use) {
	t.Helper()
	email := name + "@example.org"
	id := create(t, r.client, kratos.CreateIdentity{
		SchemaID: "person", Traits: map[string]any{"email": email}, PasswordHash: secret.New(r.hash),
		MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": "auth0|" + name}},
		Social:        []kratos.Social{{Provider: "google", Subject: name}},
		Verified:      []kratos.Address{{Value: email, Via: "email", Verified: !u.unverified}},
	})
	if err := u.do(t, id, email); err != nil {
		t.Fatal(err)
	}
	got, err := r.client.Usage(t.Context(), id)
	if err != nil || got.HasSession != u.session || got.Changed != u.changed || got.ID != id {
		t.Errorf("%+v, %v", got, err)
	}
	if err := r.client.Delete(t.Context(), id); err != nil {
		t.Error(err)
	}
	var fault *kratos.Error
	if _, err := r.client.Usage(t.Context(), id); !errors.As(err, &fault) || fault.Status != http.StatusNotFound {
		t.Errorf("the error after the deletion is %v", err)
	}
	if err := r.client.Delete(t.Context(), id); !errors.As(err, &fault) || fault.Status != http.StatusNotFound {
		t.Errorf("the error of another deletion is %v", err)
	}
}

// TestUsageAnswers: what cannot be understood is an error, and a row without times counts
// as changed.
func TestUsageAnswers(t *testing.T) {
	t.Parallel()
	const at = `"created_at":"2026-11-21T19:34:01.915259Z","updated_at":"2026-11-21T19:34:01.915259Z"`
	identity := func(credential, address, self string) string {
		return `{"id":"` + id + `","schema_id":"person","state":"active","traits":{},"metadata_admin":null,"verifiable_addresses":[{"value":"k@x.test","via":"email","verified":true` + address + `}],` +
			`"credentials":{"password":{"type":"password","identifiers":["k@x.test"],"config":{"hashed_password":"$2a$04$x"},` + credential + `}},` + self + `}`
	}
	whole := identity(at, ","+at, at)
	for name, c := range map[string]struct {
		identity, sessions string
		fails              bool
		session, changed   bool
	}{
		"as created":            {identity: whole, sessions: `[]`},
		"a session":             {identity: whole, sessions: `[{"id":"1","active":false}]`, session: true},
		"no list":               {identity: whole, sessions: `{}`, fails: true},
		"null":                  {identity: whole, sessions: `null`, fails: true},
		"a session without id":  {identity: whole, sessions: `[{}]`, fails: true},
		"cut off":               {identity: whole, sessions: `[`, fails: true},
		"no times":              {identity: identity(`"version":0`, ","+at, at), sessions: `[]`, changed: true},
		"a credential changed":  {identity: identity(strings.Replace(at, `"updated_at":"2026-11-21T19`, `"updated_at":"2026-11-21T20`, 1), ","+at, at), sessions: `[]`, changed: true},
		"the identity changed":  {identity: identity(at, ","+at, strings.Replace(at, `"updated_at":"2026-11-21T19`, `"updated_at":"2026-11-21T20`, 1)), sessions: `[]`, changed: true},
		"verified since":        {identity: identity(at, `,"verified_at":"2026-11-22T00:00:00Z",`+at, at), sessions: `[]`, changed: true},
		"verified before":       {identity: identity(at, `,"verified_at":"2019-01-01T00:00:00Z",`+at, at), sessions: `[]`},
		"a message was sent":    {identity: identity(at, `,"status":"sent",`+at, at), sessions: `[]`, changed: true},
		"another identity":      {identity: strings.Replace(whole, id, other, 1), sessions: `[]`, fails: true},
		"the same zone or not":  {identity: identity(strings.Replace(at, `"updated_at":"2026-11-21T19:34:01.915259Z"`, `"updated_at":"2026-11-21T20:34:01.915259+01:00"`, 1), ","+at, at), sessions: `[]`},
		"an address of no time": {identity: identity(at, "", at), sessions: `[]`, changed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if strings.HasSuffix(r.URL.Path, "/sessions") {
					_, _ = io.WriteString(w, c.sessions)
					return
				}
				_, _ = io.WriteString(w, c.identity)
			}))
			t.Cleanup(srv.Close)
			transport := &http.Transport{}
			t.Cleanup(transport.CloseIdleConnections)
			got, err := client(t, srv.URL, transport).Usage(t.Context(), id)
			if (err != nil) != c.fails || got.HasSession != c.session || got.Changed != c.changed {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

// TestDelete: only 204 says that the identity is deleted.
func TestDelete(t *testing.T) {
	t.Parallel()
	for status, deleted := range map[int]bool{
		http.StatusNoContent: true, http.StatusOK: false, http.StatusAccepted: false, http.StatusNotFound: false, http.StatusMethodNotAllowed: false,
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodDelete || r.URL.Path != "/admin/identities/"+id {
				t.Errorf("%s %s", r.Method, r.URL.Path)
			}
			w.WriteHeader(status)
		}))
		transport := &http.Transport{}
		if err := client(t, srv.URL, transport).Delete(t.Context(), id); (err == nil) != deleted {
			t.Errorf("%d: %v", status, err)
		}
		transport.CloseIdleConnections()
		srv.Close()
	}
}
