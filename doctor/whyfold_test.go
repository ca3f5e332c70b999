package doctor_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ferry/doctor"
	"ferry/kratos"
)

// foldingKratos is an admin API that finds an identity by any form of its identifiers.
func foldingKratos(t *testing.T, listed ...string) *kratos.Client {
	t.Helper()
	var identities []string
	for i, identifier := range listed {
		identities = append(identities, fmt.Sprintf(`{"id":"00000000-0000-4000-8000-%012d","schema_id":"person","state":"active","traits":{},`+
			`"credentials":{"password":{"identifiers":[%q],"config":{"hashed_password":"$2a$04$x"}}}}`, i, identifier))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/admin/identities" {
			_, _ = fmt.Fprintf(w, "[%s]", strings.Join(identities, ","))
			return
		}
		for i, identity := range identities {
			if strings.HasSuffix(r.URL.Path, fmt.Sprintf("%012d", i)) {
				_, _ = fmt.Fprint(w, identity)
			}
		}
	}))
	t.Cleanup(server.Close)
	client, err := kratos.New(kratos.Options{AdminURL: server.URL, Timeout: 10 * time.Second, Transport: http.DefaultTransport})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// A Kratos that folds identifiers lists them in another form than the user types. The
// same text goes before a form that folds to the same.
func TestWhyFoldedIdentifier(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		typed   string
		listed  []string
		holder  int // -1: none
		finding string
	}{
		"the same text":       {"Kim@example.org", []string{"kim@example.org"}, 0, ""},
		"full-width letters":  {"ｋｉｍ@example.org", []string{"kim@example.org"}, 0, ""},
		"a phone with blanks": {"+49 151 99990001", []string{"+4915199990001"}, 0, ""},
		"the same text first": {"ｋｉｍ@example.org", []string{"kim@example.org", "ｋｉｍ@example.org"}, 1, ""},
		"two that fold":       {"ｋｉｍ@example.org", []string{"kim@example.org", "kim@example.org"}, -1, "several_identities"},
		"another one":         {"kim@example.org", []string{"kimble"}, -1, "another_identifier"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := doctor.Why(t.Context(), doctor.Options{Kratos: foldingKratos(t, c.listed...)}, c.typed)
			var id string
			if c.holder >= 0 {
				id = fmt.Sprintf("00000000-0000-4000-8000-%012d", c.holder)
			}
			if got.IdentityID != id {
				t.Errorf("the identity is %q, want %q: %+v", got.IdentityID, id, got)
			}
			if c.finding != "" && (len(got.Findings) == 0 || got.Findings[0].Name != c.finding) || c.finding == "" && len(got.Findings) > 0 && got.Findings[0].Name == "another_identifier" {
				t.Errorf("findings: %+v", got.Findings)
			}
		})
	}
}
