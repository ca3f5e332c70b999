package reconcile_test

import (
	"fmt"
	"slices"
	"testing"

	"ferry/bulk/plan"
	"ferry/bulk/reconcile"
	"ferry/test/bulktest"
)

// withGoogle returns the identity with a login at Google, whose account is in the binding. Ferry
// noted that it gave the identity the logins of given.
func withGoogle(p bulktest.Identity, given ...string) bulktest.Identity {
	auth0, _ := p.Admin["auth0"].(map[string]any)
	note, _ := auth0["import"].(map[string]any)
	logins := map[string]any{}
	for _, login := range given {
		logins[login] = "google-oauth2|117"
	}
	note["logins"] = logins
	p = bulktest.Marked(p, bulktest.With{"import": note, "user_ids": []any{"auth0|1", "google-oauth2|117"}})
	p.Social = []string{"google:117"}
	return p
}

// An account that is no longer linked at Auth0 must not let its user into the identity. Only
// logins that ferry gave the identity are removed.
func TestUnlinked(t *testing.T) {
	t.Parallel()
	hasNoLogin := func(p bulktest.Identity) bool { return len(p.Social) == 0 }
	apart := bulktest.Verified("1", "a@x.test")
	pending := verified(bulktest.Pending("auth0|1", "a@x.test"))
	code := verified(passwordless("email|1", map[string]any{"email": "a@x.test"}, "a@x.test"))
	for name, c := range map[string]change{
		"unlinked":                    {row: apart, person: withGoogle(verified(hashed("a@x.test")), "google:117"), want: "1:unlinked!", able: 1, fixed: 1, check: hasNoLogin},
		"unlinked, pending":           {row: apart, person: withGoogle(pending, "google:117"), want: "1:unlinked!", able: 1, fixed: 1, check: func(p bulktest.Identity) bool { return hasNoLogin(p) && p.Hook }},
		"bound to another user since": {row: apart, person: bulktest.Marked(withGoogle(verified(hashed("a@x.test")), "google:117"), bulktest.With{"rebinds": []any{map[string]any{}}}), able: 1, fixed: 1},
		"still linked": {row: bulktest.Verified("1", "a@x.test", bulktest.With{"identities": []any{
			map[string]any{"connection": "users", "provider": "auth0", "user_id": "1"},
			map[string]any{"connection": "google-oauth2", "provider": "google-oauth2", "user_id": "117"},
		}}), person: withGoogle(verified(hashed("a@x.test")), "google:117"), able: 1, fixed: 1},
		"linked at Kratos by the user": {row: apart, person: withGoogle(verified(hashed("a@x.test"))), able: 1, fixed: 1},
		"accounts not in the file":     {row: bulktest.Verified("1", "a@x.test", bulktest.With{"identities": nil}), person: withGoogle(verified(hashed("a@x.test")), "google:117"), able: 1, fixed: 1},
		"the only login here":          {row: apart, person: withGoogle(withoutPassword(verified(hashed("a@x.test"))), "google:117"), want: "1:unlinked", detail: "no other login", able: 1, fixed: 1},
		"refused": {
			row: byEmail("a@x.test", true), person: withGoogle(code, "google:117"), opts: codeSchema(t), want: "1:unlinked", detail: "cannot remove the last first factor",
			able: 1, fixed: 1, check: func(p bulktest.Identity) bool { return len(p.Social) == 1 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.isTold(t)
		})
	}
}

func withoutPassword(p bulktest.Identity) bulktest.Identity {
	p.Hash = ""
	return p
}

// A login that --fix adds is noted as ferry's, so that it is removed once it is unlinked.
func TestLinkedThenUnlinked(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	id := f.Add(verified(hashed("a@x.test")))
	fix := func(o *reconcile.Options) { o.Fix, o.Providers = true, plan.Providers{"google-oauth2": "google"} }
	both := bulktest.With{"identities": []any{
		map[string]any{"connection": "users", "provider": "auth0", "user_id": "1"},
		map[string]any{"connection": "google-oauth2", "provider": "google-oauth2", "user_id": "117"},
	}}
	for _, c := range []struct {
		row, found, social string
	}{
		{bulktest.Verified("1", "a@x.test", both), "1:linked!", "[google:117]"},
		{bulktest.Verified("1", "a@x.test", both), "", "[google:117]"},
		{bulktest.Verified("1", "a@x.test"), "1:unlinked!", "[]"},
	} {
		_, found, _ := reconciling(t, f, []string{c.row}, fix)
		if found != c.found || fmt.Sprint(f.People[id].Social) != c.social || !slices.Contains(f.People[id].Identifiers, "a@x.test") {
			t.Errorf("found %q, want %q: %s", found, c.found, f.Text(id))
		}
	}
}
