package bulk

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferry/kratos"
	"ferry/test/kratostest"
)

// On a Kratos that cannot import second factors, --mfa keep skips users who have one, as by
// default, and says so once; nobody gets an identity without the factor.
func TestFactorsNeedANewerKratos(t *testing.T) {
	t.Parallel()
	k := kratostest.Run(t, kratostest.Options{})
	users, factors := filepath.Join(t.TempDir(), "users.ndjson"), filepath.Join(t.TempDir(), "factors.ndjson")
	for path, text := range map[string]string{
		users: `{"user_id":"auth0|1","email":"kim@example.org","email_verified":true}
{"user_id":"auth0|2","email":"lee@example.org","email_verified":true}
{"user_id":"auth0|3","email":"ann@example.org","email_verified":true,"multifactor":["guardian"]}
`,
		factors: `{"user_id":"auth0|1","mfa_factors":[{"totp":{"secret":"JBSWY3DPEHPK3PXP"}}]}` + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lacks := lacking(t, k, kratos.FieldTOTP)
	said := ferry(t, adminURL(k), "import", "--users", users, "--factors", factors, "--mfa", "keep").want(t, 0)
	warned := strings.Count(said.stderr, "this Kratos cannot import totp")
	if slices.Contains(lacks, kratos.FieldTOTP) {
		said.want(t, 0, "1 created_pending", "2 mfa")
		if warned != 1 || !strings.Contains(said.stdout, "left out: totp (this Kratos cannot import it)") || len(everybody(t, k)) != 1 {
			t.Errorf("ferry says %s%s", said.stdout, said.stderr)
		}
		return
	}
	said.want(t, 0, "2 created_pending", "1 mfa", "1 users keep a second factor")
	if warned > 0 || len(everybody(t, k)) != 2 {
		t.Errorf("ferry says %s%s", said.stdout, said.stderr)
	}
}
