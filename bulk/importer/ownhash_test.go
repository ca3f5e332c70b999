package importer_test

import (
	"strings"
	"testing"

	"ferry/bulk/plan"
	"ferry/test/bulktest"
)

const ownSHA256 = "d24e794fce503c3ddb1cd1ba1dd5d9b250cf9917336a0316fefd87fecf79200f"

// TestOwnHash: a hash in the row counts where the hash file has none of the user, and where
// the password was not reset since.
func TestOwnHash(t *testing.T) {
	t.Parallel()
	sha := bulktest.With{"custom_password_hash": map[string]any{
		"algorithm": "sha256", "hash": map[string]any{"value": ownSHA256, "encoding": "hex"}, "salt": map[string]any{"value": "abc123", "position": "suffix"},
	}}
	const shaForm = "$sha256$pf=e1BBU1NXT1JEfXtTQUxUfQ==$YWJjMTIz$0k55T85QPD3bHNG6HdXZslDPmRczagMW/v2H/s95IA8="
	text := bulktest.With{"password_hash": bulktest.BcryptHash}
	row := func(changes ...bulktest.With) string { return bulktest.Verified("1", "a@x.test", changes...) }
	reset := bulktest.Reset("2020-05-01T10:00:00Z")
	file := func(hash string) []string { return []string{bulktest.HashLine("1", hash, bulktest.SetAt)} }
	other := strings.Replace(bulktest.BcryptHash, "10", "11", 1)
	for name, c := range map[string]struct {
		row    string
		hashes []string
		mode   plan.Mode
		want   string
		detail string
		form   string // in the body
	}{
		"an object":                 {row: row(sha), want: "created_hash", form: shaForm},
		"an object as a text":       {row: row(bulktest.With{"custom_password_hash": `{"algorithm":"bcrypt","hash":{"value":"` + bulktest.BcryptHash + `"}}`}), want: "created_hash", form: bulktest.BcryptHash},
		"a text":                    {row: row(text), want: "created_hash", form: bulktest.BcryptHash},
		"by mode":                   {row: row(text), mode: plan.ModeHash, want: "created_hash", form: bulktest.BcryptHash},
		"nothing":                   {row: row(bulktest.With{"password_hash": ""}), want: "created_pending:no_hash"},
		"by the hook":               {row: row(text), mode: plan.ModeHook, want: "created_pending"},
		"reset":                     {row: row(text, reset), want: "created_pending:stale_hash"},
		"both":                      {row: row(text, sha), want: "created_pending:unusable_hash", detail: "there is a hash both as a text and as custom_password_hash"},
		"a number":                  {row: row(bulktest.With{"password_hash": 5}), want: "created_pending:unusable_hash", detail: "the hash is not in a form that ferry knows"},
		"a list":                    {row: row(bulktest.With{"custom_password_hash": []any{}}), want: "created_pending:unusable_hash", detail: "custom_password_hash is not an object as Auth0 documents it"},
		"unusable by mode":          {row: row(bulktest.With{"password_hash": "canary"}), mode: plan.ModeHash, want: "failed:unusable_hash", detail: "the hash is not in a form that ferry knows"},
		"and a hash file":           {row: row(text), hashes: file(other), want: "created_hash", form: other},
		"and an unusable hash file": {row: row(text), hashes: file("canary"), want: "created_pending:unusable_hash", detail: "the hash is not in a form that ferry knows"},
		"of a social user":          {row: bulktest.Verified("9", "a@x.test", bulktest.With{"user_id": "google-oauth2|9"}, linked("google-oauth2 google-oauth2 9", "users auth0 1"), text), want: "created_pending:no_hash"},
		"an object in the file": {
			row: row(), hashes: []string{strings.Replace(bulktest.HashLine("1", "", bulktest.SetAt), `"passwordHash":""`, `"custom_password_hash":{"algorithm":"bcrypt","hash":{"value":"`+other+`"}}`, 1)},
			want: "created_hash", form: other,
		},
		"both in the file": {
			row: row(), hashes: []string{strings.Replace(bulktest.HashLine("1", other, bulktest.SetAt), `"tenant"`, `"custom_password_hash":{},"tenant"`, 1)},
			want: "created_pending:unusable_hash", detail: "there is a hash both as a text and as custom_password_hash",
		},
		"and another's in the file":  {row: row(text), hashes: []string{bulktest.HashLine("2", other, bulktest.SetAt)}, mode: plan.ModeHook, want: "created_pending"},
		"and two hashes in the file": {row: row(text), hashes: append(file(other), file(bulktest.BcryptHash)...), want: "created_pending:unusable_hash", detail: "the hash file does not say which hash of the user is the newest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			im := newImport(t, f, c.row)
			if len(c.hashes) > 0 {
				im.opts.Hashes = bulktest.HashesFile(t, c.hashes...)
			}
			if c.mode != "" {
				mode(c.mode)(&im.opts)
			}
			_, done := im.must()
			if got := words(done); got != "1:"+c.want || done[0].Detail != c.detail {
				t.Errorf("got %s, %q", got, done[0].Detail)
			}
			if c.form == "" {
				return
			}
			if len(f.Bodies) != 1 || strings.Count(f.Bodies[0], `"hashed_password":"`+c.form+`"`) != 1 || strings.Contains(f.Bodies[0], ownSHA256) || strings.Contains(f.Bodies[0], "password_hash") {
				t.Errorf("created %q", f.Bodies)
			}
		})
	}
}

// TestOwnHashesDoNotVouch: hashes in the rows do not hide that the hash file is of another
// tenant.
func TestOwnHashesDoNotVouch(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	im := newImport(t, f, bulktest.Verified("1", "a@x.test", bulktest.With{"password_hash": bulktest.BcryptHash}))
	im.opts.Hashes = bulktest.HashesFile(t, bulktest.HashLine("2", bulktest.BcryptHash, bulktest.SetAt))
	if _, _, err := im.run(); err == nil || !strings.Contains(err.Error(), "no hash belongs to a user") || len(f.Bodies) != 0 {
		t.Errorf("%v, created %q", err, f.Bodies)
	}
}
