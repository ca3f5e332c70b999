package bulk_test

import (
	"slices"
	"strings"
	"testing"

	"ferry/bulk"
	"ferry/kratos"
	"ferry/mapping"
)

// usernameSchema lets several people have the same e-mail address.
const usernameSchema = `{"type":"object","properties":{"traits":{"type":"object","properties":{
	"email":{"type":"string","format":"email"},
	"username":{"type":"string","ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}}
},"additionalProperties":false}}}`

// Users who share an e-mail address are counted before anything is written, and why; a
// schema of usernames takes them.
func TestSharedEmail(t *testing.T) {
	t.Parallel()
	rows := []string{
		verified("1", "family@x.test", with{"username": "ann"}),
		auth0User("2", "family@x.test", with{"username": "bea"}),
		auth0User("3", "cyd@x.test", with{"username": "cyd"}),
		auth0User("4", "family@x.test", with{"username": "dan", "multifactor": []any{"sms"}}),
	}
	im := newImport(t, newFake(t), rows...)
	summary, results := im.must()
	if got := words(results); got != "1:created_pending:no_hash 2:failed:identifier_twice 3:created_pending:no_hash 4:skipped:mfa" {
		t.Errorf("got %s", got)
	}
	if summary.Shared != 1 || !slices.ContainsFunc(im.told.warned, func(text string) bool {
		return strings.HasPrefix(text, "1 rows have an identifier or address that another row has too")
	}) {
		t.Errorf("%d are shared, and it warns of %q", summary.Shared, im.told.warned)
	}

	s, err := mapping.ParseSchema([]byte(usernameSchema))
	if err != nil {
		t.Fatal(err)
	}
	im = newImport(t, newFake(t), rows[:3]...)
	im.opts.Schema, im.opts.Mapper, im.opts.DryRun, im.opts.Kratos = s, mapping.Default(s), true, nil
	summary, results = im.must()
	if got := words(results); got != "1:created_pending:no_hash 2:created_pending:no_hash 3:created_pending:no_hash" || summary.Shared != 0 || len(im.told.warned) > 0 {
		t.Errorf("got %s, %d are shared, and it warns of %q", got, summary.Shared, im.told.warned)
	}
}

// Identifiers that the next Kratos takes for one are listed; today they are two.
func TestFolding(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	im := newImport(t, f,
		verified("1", "a@x.test", with{"username": "finn"}),
		verified("2", "b@x.test", with{"username": "ﬁnn"}),
		verified("3", "c@x.test", with{"username": "jose\u0301"}),
		verified("4", "d@x.test", with{"username": "josé"}),
		verified("5", "e@x.test", with{"phone_number": "+49 151 99990001"}),
		verified("6", "f@x.test", with{"phone_number": "+4915199990001"}),
		verified("7", "g@x.test", with{"username": "g\u200bg"}),                         // alone
		verified("8", "h@x.test", with{"username": "ﬁnn", "multifactor": []any{"sms"}}), // no identity
		verified("9", "k@x.test", with{"username": "ſam"}),
		verified("10", "l@x.test", with{"username": "sa\u00adm"}),
	)
	summary, results := im.must()
	if n := summary.Created(); n != 6 || len(results) != 10 { // those that are the same today lose
		t.Errorf("%d are created: %s", n, words(results))
	}
	if summary.Folding != 2 || len(summary.FoldingLines) != 2 || !slices.Equal(summary.FoldingLines[0], []int{3, 4}) || !slices.Equal(summary.FoldingLines[1], []int{9, 10}) {
		t.Errorf("%d fold: %v", summary.Folding, summary.FoldingLines)
	}
	if !slices.ContainsFunc(im.told.warned, func(text string) bool {
		return strings.HasPrefix(text, "2 identifiers of several users would become one") && strings.HasSuffix(text, ": lines 3 and 4, 9 and 10")
	}) {
		t.Errorf("it warns of %q", im.told.warned)
	}
}

// Who has no verified address is counted, and left out where that is wanted.
func TestUnverified(t *testing.T) {
	t.Parallel()
	rows := []string{
		verified("1", "a@x.test"),
		auth0User("2", "b@x.test"),
		auth0User("3", "", with{"email": nil, "username": "cyd"}),
		verified("4", "d@x.test", with{"multifactor": []any{"sms"}}),
	}
	im := newImport(t, newFake(t), rows...)
	summary, results := im.must()
	if got := words(results); got != "1:created_pending:no_hash 2:created_pending:no_hash 3:created_pending:no_hash 4:skipped:mfa" {
		t.Errorf("got %s", got)
	}
	if summary.Unverified != 1 || summary.NoVerifiedAddress != 2 {
		t.Errorf("%d are unverified, %d have no verified address", summary.Unverified, summary.NoVerifiedAddress)
	}
	im = newImport(t, newFake(t), rows...)
	im.opts.SkipUnverified = true
	summary, results = im.must()
	if got := words(results); got != "1:created_pending:no_hash 2:skipped:unverified 3:created_pending:no_hash 4:skipped:mfa" || summary.Unverified != 0 || summary.NoVerifiedAddress != 1 {
		t.Errorf("got %s, %+v", got, summary)
	}
}

// Kratos' own reason stands in the results, also where it gives none to a batch.
func TestReasonOfKratos(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.v131 = true
	im := newImport(t, f, verified("1", "a@x.test", with{"nickname": refusedNickname}), verified("2", "b@x.test"))
	if _, results := im.must(); results[0].Detail != "it refuses the identity with 400: Kratos minds the nickname" || results[1].Outcome != bulk.CreatedPending {
		t.Errorf("%+v", results)
	}
}

// Identities that cannot cross, or lack the verified address that Kratos requires, are not
// counted as able.
func TestReconcileHindrances(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	withVerified := func(p fakePerson) fakePerson {
		email, _ := p.Traits["email"].(string)
		p.Addresses = append(p.Addresses, kratos.Address{Value: email, Via: "email", Verified: true})
		return p
	}
	f.have(withVerified(pendingOf("auth0|1", "a@x.test")))
	f.have(pendingOf("auth0|2", "b@x.test"))
	f.have(bound("auth0|3", "c@x.test"))
	f.have(withVerified(pendingOf("google-oauth2|4", "d@x.test")))
	rows := []string{
		verified("1", "a@x.test"), auth0User("2", "b@x.test"), auth0User("3", "c@x.test"),
		auth0User("4", "d@x.test", with{"user_id": "google-oauth2|4", "identities": []any{
			map[string]any{"connection": "google-oauth2", "provider": "google-oauth2", "user_id": "4"},
			map[string]any{"connection": "users", "provider": "auth0", "user_id": "44", "profileData": map[string]any{"email": "own@x.test", "email_verified": true}},
		}}),
	}
	result, found, _ := reconciling(t, f, rows, nil)
	if result.Able() != 3 || result.Stranded != 1 || found != "4:stranded" {
		t.Errorf("%d are able, found %s: %+v", result.Able(), found, result)
	}
	result, _, _ = reconciling(t, f, rows, func(o *bulk.ReconcileOptions) { o.PasswordsNeedVerified = true })
	if result.Able() != 1 || result.NeedVerified() != 2 || result.Unverified[bulk.KindPending] != 1 || result.Unverified[bulk.KindHash] != 1 {
		t.Errorf("%d are able: %+v", result.Able(), result)
	}
	// Whoever is blocked is counted once, also after --fix has deactivated the identity.
	rows[2] = auth0User("3", "c@x.test", with{"blocked": true})
	result, _, _ = reconciling(t, f, rows, func(o *bulk.ReconcileOptions) { o.PasswordsNeedVerified, o.Fix = true, true })
	if result.Able() != 1 || result.NeedVerified() != 1 || result.Blocked != 1 {
		t.Errorf("%d are able: %+v", result.Able(), result)
	}
}
