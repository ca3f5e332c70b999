package importer_test

import (
	"slices"
	"strings"
	"testing"

	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/mapping"
	"ferry/test/bulktest"
)

// usernameSchema lets several users have the same e-mail address.
const usernameSchema = `{"type":"object","properties":{"traits":{"type":"object","properties":{
	"email":{"type":"string","format":"email"},
	"username":{"type":"string","ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}}
},"additionalProperties":false}}}`

// Users who share an e-mail address are counted before anything is written, and why; a
// schema of usernames takes them.
func TestSharedEmail(t *testing.T) {
	t.Parallel()
	rows := []string{
		bulktest.Verified("1", "family@x.test", bulktest.With{"username": "ann"}),
		bulktest.User("2", "family@x.test", bulktest.With{"username": "bea"}),
		bulktest.User("3", "cyd@x.test", bulktest.With{"username": "cyd"}),
		bulktest.User("4", "family@x.test", bulktest.With{"username": "dan", "multifactor": []any{"sms"}}),
	}
	im := newImport(t, bulktest.NewKratos(t), rows...)
	summary, done := im.must()
	if got := words(done); got != "1:created_pending:no_hash 2:failed:identifier_twice 3:created_pending:no_hash 4:skipped:mfa" {
		t.Errorf("got %s", got)
	}
	if summary.Shared != 1 || !slices.ContainsFunc(im.told.Warned, func(text string) bool {
		return strings.HasPrefix(text, "1 rows have an identifier or address that another row has too")
	}) {
		t.Errorf("%d are shared, and it warns of %q", summary.Shared, im.told.Warned)
	}

	s, err := mapping.ParseSchema([]byte(usernameSchema))
	if err != nil {
		t.Fatal(err)
	}
	im = newImport(t, bulktest.NewKratos(t), rows[:3]...)
	im.opts.Schema, im.opts.Mapper, im.opts.DryRun, im.opts.Kratos = s, mapping.Default(s), true, nil
	summary, done = im.must()
	if got := words(done); got != "1:created_pending:no_hash 2:created_pending:no_hash 3:created_pending:no_hash" || summary.Shared != 0 || len(im.told.Warned) > 0 {
		t.Errorf("got %s, %d are shared, and it warns of %q", got, summary.Shared, im.told.Warned)
	}
}

// Identifiers that the next Kratos takes for one are listed; today they are two.
func TestFolding(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	im := newImport(t, f,
		bulktest.Verified("1", "a@x.test", bulktest.With{"username": "finn"}),
		bulktest.Verified("2", "b@x.test", bulktest.With{"username": "ﬁnn"}),
		bulktest.Verified("3", "c@x.test", bulktest.With{"username": "jose\u0301"}),
		bulktest.Verified("4", "d@x.test", bulktest.With{"username": "josé"}),
		bulktest.Verified("5", "e@x.test", bulktest.With{"phone_number": "+49 151 99990001"}),
		bulktest.Verified("6", "f@x.test", bulktest.With{"phone_number": "+4915199990001"}),
		bulktest.Verified("7", "g@x.test", bulktest.With{"username": "g\u200bg"}),                         // alone
		bulktest.Verified("8", "h@x.test", bulktest.With{"username": "ﬁnn", "multifactor": []any{"sms"}}), // no identity
		bulktest.Verified("9", "k@x.test", bulktest.With{"username": "ſam"}),
		bulktest.Verified("10", "l@x.test", bulktest.With{"username": "sa\u00adm"}),
	)
	summary, done := im.must()
	if n := summary.Created(); n != 6 || len(done) != 10 { // those that are the same today lose
		t.Errorf("%d are created: %s", n, words(done))
	}
	if summary.Folding != 2 || len(summary.FoldingLines) != 2 || !slices.Equal(summary.FoldingLines[0], []int{3, 4}) || !slices.Equal(summary.FoldingLines[1], []int{9, 10}) {
		t.Errorf("%d fold: %v", summary.Folding, summary.FoldingLines)
	}
	if !slices.ContainsFunc(im.told.Warned, func(text string) bool {
		return strings.HasPrefix(text, "2 identifiers of several users would become one") && strings.HasSuffix(text, ": lines 3 and 4, 9 and 10")
	}) {
		t.Errorf("it warns of %q", im.told.Warned)
	}
}

// Who has no verified address is counted, and left out where that is wanted.
func TestUnverified(t *testing.T) {
	t.Parallel()
	rows := []string{
		bulktest.Verified("1", "a@x.test"),
		bulktest.User("2", "b@x.test"),
		bulktest.User("3", "", bulktest.With{"email": nil, "username": "cyd"}),
		bulktest.Verified("4", "d@x.test", bulktest.With{"multifactor": []any{"sms"}}),
	}
	im := newImport(t, bulktest.NewKratos(t), rows...)
	summary, done := im.must()
	if got := words(done); got != "1:created_pending:no_hash 2:created_pending:no_hash 3:created_pending:no_hash 4:skipped:mfa" {
		t.Errorf("got %s", got)
	}
	if summary.Unverified != 1 || summary.NoVerifiedAddress != 2 {
		t.Errorf("%d are unverified, %d have no verified address", summary.Unverified, summary.NoVerifiedAddress)
	}
	im = newImport(t, bulktest.NewKratos(t), rows...)
	im.opts.SkipUnverified = true
	summary, done = im.must()
	if got := words(done); got != "1:created_pending:no_hash 2:skipped:unverified 3:created_pending:no_hash 4:skipped:mfa" || summary.Unverified != 0 || summary.NoVerifiedAddress != 1 {
		t.Errorf("got %s, %+v", got, summary)
	}
}

// An identity without a password is not among those whose password does not let them in.
func TestUnverifiedWithoutPassword(t *testing.T) {
	t.Parallel()
	im := newImport(t, bulktest.NewKratos(t), `{"user_id":"google-oauth2|1","email":"a@x.test","email_verified":true,"identities":[{"provider":"google-oauth2","user_id":"1"},`+
		`{"provider":"auth0","user_id":"2","connection":"db","profileData":{"email":"b@x.test","email_verified":false}}]}`)
	im.opts.Providers = plan.Providers{"google-oauth2": "google"}
	summary, done := im.must()
	if got := words(done); got != "1:created_social:linked_email" || summary.NoVerifiedAddress != 0 {
		t.Errorf("got %s, %d have no verified address", got, summary.NoVerifiedAddress)
	}
}

// Kratos' own reason stands in the results, also where it gives none to a batch.
func TestReasonOfKratos(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.V131 = true
	im := newImport(t, f, bulktest.Verified("1", "a@x.test", bulktest.With{"nickname": bulktest.RefusedNickname}), bulktest.Verified("2", "b@x.test"))
	if _, done := im.must(); done[0].Detail != "it refuses the identity with 400: Kratos minds the nickname" || done[1].Outcome != results.CreatedPending {
		t.Errorf("%+v", done)
	}
}
