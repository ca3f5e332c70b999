package kratos_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ferry/jsonpatch"
	"ferry/kratos"
	"ferry/secret"
)

const wholeIdentity = `{"id":"` + id + `","schema_id":"person","schema_url":"http://k/schemas/cGVyc29u","state":"active",` +
	`"traits":{"email":"Kim@example.org"},"metadata_public":null,"metadata_admin":{"auth0":{"user_id":"auth0|kim"},"other":1},` +
	`"verifiable_addresses":[{"id":"1","value":"kim@example.org","via":"email","verified":false,"status":"pending"}],` +
	`"credentials":{"password":{"type":"password","identifiers":["kim@example.org"],"config":{"hashed_password":"$2a$04$x"},"updated_at":"2026-11-21T19:34:01.915259Z"}}}`

// whole is an admin API with one identity, and a public API with its schema.
func whole(t *testing.T, patch http.HandlerFunc) (*kratos.Client, *[]string) {
	t.Helper()
	var seen []string
	public := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, "public "+r.URL.Path+" "+r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, `{"$id":"x"}`)
	}))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = append(seen, r.Method+" "+r.URL.Path+" "+string(body))
		switch {
		case strings.HasPrefix(r.URL.Path, "/schemas/"):
			http.Redirect(w, r, "/admin"+r.URL.Path, http.StatusTemporaryRedirect)
		case strings.HasPrefix(r.URL.Path, "/admin/schemas/"):
			http.Redirect(w, r, public.URL+strings.TrimPrefix(r.URL.Path, "/admin"), http.StatusTemporaryRedirect)
		case r.Method == http.MethodPatch && patch != nil:
			patch(w, r)
		default:
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, wholeIdentity)
		}
	}))
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); srv.Close(); public.Close() })
	c, err := kratos.New(kratos.Options{AdminURL: srv.URL, Token: secret.New("token-1"), Timeout: 5 * time.Second, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return c, &seen
}

func TestRead(t *testing.T) {
	c, _ := whole(t, nil)
	got, err := c.Read(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if got.Pending || !got.Active || got.SchemaID != "person" || got.Traits["email"] != "Kim@example.org" || got.MetadataAdmin["other"] != json.Number("1") || got.MetadataPublic != nil {
		t.Errorf("%+v", got)
	}
	if len(got.Addresses) != 1 || got.Addresses[0] != (kratos.Address{Value: "kim@example.org", Via: "email"}) || got.PasswordDigest == [32]byte{} {
		t.Errorf("%+v", got)
	}
	if _, err := c.Read(t.Context(), other); err == nil {
		t.Error("another identity was taken for the one asked for")
	}
}

// TestOwnNumbers: numbers in metadata and traits may exceed a float64, and that is not
// an error.
func TestOwnNumbers(t *testing.T) {
	const huge, long = "1e400", "12345678901234567890123"
	text := strings.NewReplacer(`"other":1`, `"other":`+huge, `"metadata_public":null`, `"metadata_public":{"n":`+long+`}`,
		`"email":"Kim@example.org"`, `"email":"Kim@example.org","n":`+huge).Replace(wholeIdentity)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer := text
		if r.URL.Query().Has("credentials_identifier") {
			answer = "[" + text + "]"
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer srv.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c := client(t, srv.URL, transport)
	got, err := c.Read(t.Context(), id)
	if err != nil || got.MetadataAdmin["other"] != json.Number(huge) || got.Traits["n"] != json.Number(huge) || got.MetadataPublic["n"] != json.Number(long) {
		t.Errorf("%+v, %v", got, err)
	}
	if found, err := c.Find(t.Context(), "kim@example.org"); err != nil || found.Trait != "Kim@example.org" {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestPatch(t *testing.T) {
	c, seen := whole(t, nil)
	got, err := c.Patch(t.Context(), id, []jsonpatch.Op{{Op: "add", Path: "/traits/name", Value: "Kim"}, {Op: "replace", Path: "/verifiable_addresses/0/verified", Value: true}, {Op: "add", Path: "/metadata_public/plan"}})
	if err != nil || got.ID != id {
		t.Fatalf("%+v, %v", got, err)
	}
	want := `PATCH /admin/identities/` + id + ` [{"op":"add","path":"/traits/name","value":"Kim"},{"op":"replace","path":"/verifiable_addresses/0/verified","value":true},{"op":"add","path":"/metadata_public/plan","value":null}]`
	if strings.TrimSpace((*seen)[0]) != want {
		t.Errorf("sent %s, want %s", (*seen)[0], want)
	}
}

// TestPatchFaults: which errors are temporary.
func TestPatchFaults(t *testing.T) {
	for status, final := range map[int]bool{400: true, 404: true, 409: true, 401: false, 429: false, 500: false, 503: false} {
		c, _ := whole(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"error":{"message":"kim@example.org"}}`)
		})
		_, err := c.Patch(t.Context(), id, []jsonpatch.Op{{Op: "add", Path: "/traits/name", Value: "Kim"}})
		var fault *kratos.Error
		if !errors.As(err, &fault) || fault.Final() != final || fault.Status != status || strings.Contains(err.Error(), "kim@") {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestSchema: the admin API points to the public API, which does not get the token.
func TestSchema(t *testing.T) {
	c, seen := whole(t, nil)
	got, err := c.Schema(t.Context(), "person")
	if err != nil || string(got) != `{"$id":"x"}` {
		t.Fatalf("%s, %v", got, err)
	}
	if (*seen)[2] != "public /schemas/person " {
		t.Errorf("%q", *seen)
	}
}
