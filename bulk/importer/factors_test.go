package importer_test

import (
	"strings"
	"testing"

	"ferry/bulk/factorfile"
	"ferry/bulk/importer"
	"ferry/bulk/plan"
	"ferry/test/bulktest"
)

const rpID = "login.example.org"

// keyOf returns a method with a key, as the Management API lists it.
func keyOf(kind, relyingParty, handle string) map[string]any {
	return map[string]any{
		"type": kind, "confirmed": true, "key_id": "aWQ", "public_key": "pQECAyYgASFYIA==", "relying_party_identifier": relyingParty,
		"user_handle": handle, "created_at": "2024-05-06T07:08:09.123Z", "credential_device_type": "multi_device", "credential_backed_up": true,
	}
}

func methods(all ...any) bulktest.With { return bulktest.With{"authentication_methods": all} }

// keepMFA makes the import one that keeps second factors.
func keepMFA(o *importer.Options) {
	o.KeepMFA, o.RelyingParties = true, plan.RelyingParties{Passkey: rpID, WebAuthn: rpID}
}

func factorRows() []string {
	totp := map[string]any{"totp": map[string]any{"secret": "JBSWY3DPEHPK3PXP"}}
	phone := map[string]any{"type": "phone", "confirmed": true}
	recovery := map[string]any{"type": "recovery-code", "confirmed": true}
	return []string{
		bulktest.Verified("1", "a@x.test", bulktest.With{"mfa_factors": []any{totp}, "multifactor": []any{"google-authenticator"}}),
		bulktest.Verified("2", "b@x.test", methods(keyOf("webauthn-roaming", rpID, ""), phone)),
		bulktest.Verified("3", "c@x.test", methods(keyOf("passkey", "Login.Example.org", "a2lt"))),
		bulktest.Verified("4", "d@x.test", methods(keyOf("webauthn-roaming", "other.example.org", ""))),
		bulktest.Verified("5", "e@x.test", methods(keyOf("webauthn-platform", "", ""))),
		bulktest.Verified("6", "f@x.test", bulktest.With{"multifactor": []any{"guardian"}}),
		bulktest.Verified("7", "g@x.test", methods(keyOf("passkey", rpID, ""))),
		bulktest.Verified("8", "h@x.test", methods(map[string]any{"type": "totp", "confirmed": true})),
		bulktest.Verified("9", "i@x.test"),
		bulktest.Verified("10", "j@x.test", bulktest.With{"mfa_factors": []any{totp}, "recovery_code": "K6LGLV3R"}, methods(map[string]any{"type": "totp"}, recovery)),
		bulktest.Verified("11", "k@x.test", methods(recovery)),
		bulktest.Verified("12", "l@x.test", bulktest.With{"recovery_code": "K6LGLV3R"}),
		bulktest.Verified("13", "m@x.test", methods(keyOf("passkey", rpID, "_w"))),
	}
}

// The release after 26.2 gets the factors that the file has and that are bound to its domain.
// A user none of whose second factors can come is skipped, and told why.
func TestImportFactors(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.Next = true
	im := newImport(t, f, factorRows()...)
	keepMFA(&im.opts)
	summary, done := im.must()
	checkFactors(t, words(done), "4:skipped:mfa", "5:skipped:mfa", "6:skipped:mfa", "8:skipped:mfa")
	for line, detail := range map[int]string{
		2: "left out: phone (Kratos has no such factor)", 4: "left out: webauthn-roaming (it is bound to another domain)", 5: "left out: webauthn-platform (the file does not have its domain)",
		6: "left out: guardian (the file has only its name)", 7: "left out: passkey (the file does not have the user handle)", 8: "left out: totp (the file does not have the secret)",
		10: "", 11: "left out: recovery-code (Auth0 does not export the code)", 12: "left out: recovery-code (no other second factor is imported with it)",
		13: "left out: passkey (its user handle is not UTF-8 text, which Kratos' database needs)",
	} {
		if done[line-1].Detail != detail {
			t.Errorf("line %d: %s, want %s", line, done[line-1].Detail, detail)
		}
	}
	a, b, c := f.Of("auth0|1").Factors, f.Of("auth0|2").Factors, f.Of("auth0|3").Factors
	if len(a) != 1 || a[0].Secret != "JBSWY3DPEHPK3PXP" || len(b) != 1 || string(b[0].ID) != "id" || b[0].Kind != "webauthn" ||
		len(c) != 1 || c[0].Kind != "passkey" || string(c[0].UserHandle) != "kim" || !c[0].Eligible ||
		c[0].AddedAt.Year() != 2024 {
		t.Errorf("%+v, %+v, %+v", a, b, c)
	}
	if codes := f.Of("auth0|10").Factors; len(codes) != 2 || codes[0].Kind != "totp" || codes[1].Secret != "K6LGLV3R" {
		t.Errorf("%+v", codes)
	}
	if summary.MFAKept != 3 || summary.MFADropped != 0 || len(im.told.Warned) != 0 {
		t.Errorf("%+v, warned %q", summary, im.told.Warned)
	}
}

// checkFactors fails the test unless these rows are skipped, and all others are created.
func checkFactors(t *testing.T, got string, skipped ...string) {
	t.Helper()
	for row := range strings.FieldsSeq(got) {
		isSkipped := false
		for _, one := range skipped {
			isSkipped = isSkipped || row == one
		}
		if !isSkipped && !strings.HasSuffix(row, ":created_pending:no_hash") {
			t.Errorf("%s of %s", row, got)
		}
	}
	if n := strings.Count(got, "skipped"); n != len(skipped) {
		t.Errorf("%d are skipped, want %d: %s", n, len(skipped), got)
	}
}

// Kratos up to 26.2 refuses the factors: users with one are skipped, as by default, and that
// is said once. Passkeys are left out.
func TestImportFactorsRefused(t *testing.T) {
	t.Parallel()
	for _, v131 := range []bool{false, true} {
		f := bulktest.NewKratos(t)
		f.V131 = v131
		im := newImport(t, f, factorRows()...)
		keepMFA(&im.opts)
		summary, done := im.must()
		checkFactors(t, words(done), "1:skipped:mfa", "2:skipped:mfa", "4:skipped:mfa", "5:skipped:mfa", "6:skipped:mfa", "8:skipped:mfa", "10:skipped:mfa")
		if done[2].Detail != "left out: passkey (this Kratos cannot import it)" || summary.MFAKept != 0 || len(im.told.Warned) != 4 || summary.Failed() > 0 {
			t.Errorf("%+v, %+v, warned %q", done[2], summary, im.told.Warned)
		}
	}
}

// Without --mfa keep, the factors stay where they are, whatever Kratos can take.
func TestImportFactorsNotAskedFor(t *testing.T) {
	t.Parallel()
	for _, drop := range []bool{false, true} {
		f := bulktest.NewKratos(t)
		f.Next = true
		im := newImport(t, f, factorRows()...)
		im.opts.DropMFA = drop
		summary, done := im.must()
		skipped := []string{"1:skipped:mfa", "2:skipped:mfa", "4:skipped:mfa", "5:skipped:mfa", "6:skipped:mfa", "8:skipped:mfa", "10:skipped:mfa"}
		if drop {
			skipped = nil
		}
		checkFactors(t, words(done), skipped...)
		if len(f.Of("auth0|3").Factors) > 0 || summary.MFAKept > 0 || f.Count("create") > 0 {
			t.Errorf("%+v", summary)
		}
	}
}

// The factors of a file of their own count as if they were in the users file: those that can
// come do, and a user none of whose factors can is skipped, although the users file tells of
// no factor. Accounts that are merged keep theirs.
func TestImportFactorsFile(t *testing.T) {
	t.Parallel()
	const file = `{"user_id":"auth0|1","mfa_factors":[{"totp":{"secret":"JBSWY3DPEHPK3PXP"}}]}
{"user_id":"auth0|2","authentication_methods":[{"type":"phone","confirmed":true}]}
{"user_id":"google-oauth2|4","authentication_methods":[{"type":"totp","totp_secret":"JBSWY3DPEHPK3PXP"}]}
{"user_id":"auth0|unknown","authentication_methods":[{"type":"phone","confirmed":true}]}
`
	path := t.TempDir() + "/factors"
	bulktest.WriteFile(t, path, file)
	index, err := factorfile.Open(t.Context(), path, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = index.Close() })
	f := bulktest.NewKratos(t)
	f.Next = true
	im := newImport(t, f,
		bulktest.Verified("1", "a@x.test"), bulktest.Verified("2", "b@x.test"), bulktest.Verified("3", "c@x.test"),
		bulktest.Verified("4", "c@x.test", bulktest.With{"user_id": "google-oauth2|4"}, linked("google-oauth2 google-oauth2 4")))
	keepMFA(&im.opts)
	im.opts.Factors, im.opts.Merge = index, true
	im.opts.Rules.TrustVerified = func(string, string) bool { return true }
	providers("google-oauth2=google")(&im.opts)
	summary, done := im.must()
	if got := words(done); got != "1:created_pending:no_hash 2:skipped:mfa 3:created_pending:no_hash 4:merged" {
		t.Errorf("got %s", got)
	}
	for _, user := range []string{"auth0|1", "auth0|3"} {
		if factors := f.Of(user).Factors; len(factors) != 1 || factors[0].Secret != "JBSWY3DPEHPK3PXP" {
			t.Errorf("%s has %+v", user, factors)
		}
	}
	if summary.MFAKept != 2 {
		t.Errorf("%+v", summary)
	}
}

// No two identities have passkeys with the same user handle: Kratos refuses the second, and the
// row says so.
func TestImportFactorsSameHandle(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.Next = true
	im := newImport(t, f,
		bulktest.Verified("1", "a@x.test", methods(keyOf("passkey", rpID, "a2lt"))),
		bulktest.Verified("2", "b@x.test", methods(keyOf("passkey", rpID, "a2lt"))))
	keepMFA(&im.opts)
	_, done := im.must()
	if got := words(done); got != "1:created_pending:no_hash 2:failed:identifier_taken" {
		t.Errorf("got %s", got)
	}
}
