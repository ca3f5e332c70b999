package bulk

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/kratos"
	"ferry/test/kratostest"
)

const (
	corpOrg = "11111111-1111-4111-8111-111111111111"
	acmeOrg = "22222222-2222-4222-8222-222222222222"
)

// enterpriseUsers log in with SAML, with OpenID Connect, and with a password.
const enterpriseUsers = `{"user_id":"samlp|corp-saml|kim@corp.example","email":"kim@corp.example","identities":[{"provider":"samlp","user_id":"corp-saml|kim@corp.example","connection":"corp-saml","isSocial":false}]}
{"user_id":"oidc|acme|7f3","email":"lee@acme.example","identities":[{"provider":"oidc","user_id":"acme|7f3","connection":"acme","isSocial":false}]}
{"user_id":"auth0|1","email":"ann@example.org","email_verified":true,"identities":[{"provider":"auth0","user_id":"1","connection":"users"},{"provider":"samlp","user_id":"corp-saml|S-1","connection":"corp-saml"}]}
{"user_id":"adfs|fab|x","email":"bo@fab.example","identities":[{"provider":"adfs","user_id":"fab|x","connection":"fab"}]}
{"user_id":"auth0|2","email":"cy@example.org","email_verified":true,"identities":[{"provider":"auth0","user_id":"2","connection":"users"}]}
`

// Enterprise users get their logins with SAML and OpenID Connect and their organization, as
// far as the running Kratos has them; what it does not have is left out and counted.
func TestEnterpriseUsers(t *testing.T) {
	t.Parallel()
	k := kratostest.Run(t, kratostest.Options{})
	users, results := filepath.Join(t.TempDir(), "users.ndjson"), filepath.Join(t.TempDir(), "results.ndjson")
	if err := os.WriteFile(users, []byte(enterpriseUsers), 0o600); err != nil {
		t.Fatal(err)
	}
	lacks := lacking(t, k, kratos.FieldSAML, kratos.FieldOrganization, kratos.FieldProviderOrganization)
	saml := !slices.Contains(lacks, kratos.FieldSAML)
	flags := []string{
		"--users", users, "--provider", "corp-saml=saml:corp", "--provider", "acme=acme-oidc", "--provider", "fab=saml:fab",
		"--organization", "corp-saml=" + corpOrg, "--organization", "acme=" + strings.ToUpper(acmeOrg),
	}
	said := ferry(t, adminURL(k), append([]string{"import", "--results", results}, flags...)...).want(t, 0)
	kim := "1 created_social |"
	if !saml {
		kim = "1 skipped no_login_method|"
	}
	var got []string
	ids := map[int]string{}
	for _, r := range readLines[result](t, results) {
		got = append(got, fmt.Sprintf("%d %s %s", r.Line, r.Outcome, r.word()))
		ids[r.Line] = r.IdentityID
	}
	slices.Sort(got)
	if want := kim + "2 created_social |3 created_pending no_hash|4 skipped no_login_method|5 created_pending no_hash"; strings.Join(got, "|") != want {
		t.Errorf("got %s, want %s", strings.Join(got, "|"), want)
	}
	for _, field := range lacks {
		if strings.Count(said.stderr, "this Kratos has no "+string(field)+":")+strings.Count(said.stderr, "this Kratos cannot import "+string(field)+":") != 1 {
			t.Errorf("without %s, ferry says %s", field, said.stderr)
		}
	}
	want := map[int]string{1: "corp:kim@corp.example " + corpOrg, 2: "acme-oidc:7f3 " + acmeOrg, 3: "corp:S-1 " + corpOrg, 5: " "}
	for line, id := range ids {
		if has := enterpriseLogin(t, k, id); id != "" && has != want[line] && (len(lacks) == 0 || line == 5) {
			t.Errorf("line %d has %q, want %q", line, has, want[line])
		}
	}
	ferry(t, adminURL(k), append([]string{"reconcile"}, flags[:8]...)...).want(t, 1, "0 missing")
	ferry(t, adminURL(k), append([]string{"import"}, flags...)...).want(t, 0, "0 created_social", "0 created_pending")
}

// lacking returns which of the fields this Kratos does not have.
func lacking(t *testing.T, k *kratostest.Kratos, fields ...kratos.Field) []kratos.Field {
	t.Helper()
	c, err := kratos.New(kratos.Options{AdminURL: k.AdminURL(), Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}})
	if err != nil {
		t.Fatal(err)
	}
	lacks, err := c.Lacks(t.Context(), fields...)
	if err != nil {
		t.Fatal(err)
	}
	return lacks
}

// enterpriseLogin returns the identifiers of SAML and OpenID Connect, and the organization.
func enterpriseLogin(t *testing.T, k *kratostest.Kratos, id string) string {
	t.Helper()
	if id == "" {
		return ""
	}
	text, _ := get(t, k.AdminURL()+"/admin/identities/"+id)
	var identity struct {
		Organization string `json:"organization_id"`
		Credentials  map[string]struct{ Identifiers []string }
	}
	if err := json.Unmarshal(text, &identity); err != nil {
		t.Fatal(err)
	}
	return strings.Join(append(identity.Credentials["saml"].Identifiers, identity.Credentials["oidc"].Identifiers...), ",") + " " + identity.Organization
}
