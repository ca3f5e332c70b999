package reconcile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ferry/bulk/kind"
	"ferry/bulk/plan"
	"ferry/bulk/reconcile"
	"ferry/provenance"
	"ferry/test/bulktest"
)

// change is what became of a user and an identity since the import.
type change struct {
	row    string
	person bulktest.Identity
	opts   func(*reconcile.Options)
	want   string // with --fix
	detail string
	able   int // without --fix
	fixed  int // with --fix
	check  func(bulktest.Identity) bool
}

// hashed returns an identity that this release imported with a hash.
func hashed(email string, marks ...bulktest.With) bulktest.Identity {
	p := bulktest.Marked(bulktest.Bound("auth0|1", email), bulktest.With{
		"import":             map[string]any{"as": "created_hash", "password_set_at": bulktest.SetAt, "password_sha256": provenance.Digest(bulktest.BcryptHash)},
		"identifiers_sha256": provenance.IdentifiersDigest([]string{email}),
	})
	for _, mark := range marks {
		p = bulktest.Marked(p, mark)
	}
	return p
}

func rearm(o *reconcile.Options) { o.Rearm = true }

func TestChangesAtAuth0(t *testing.T) {
	t.Parallel()
	const later = "2024-05-02T10:00:00Z"
	blockedByFerry := bulktest.With{"deactivated": map[string]any{"at": "2026-11-22T00:00:00Z", "why": "blocked"}}
	linkedGoogle := bulktest.With{"identities": []any{
		map[string]any{"connection": "users", "provider": "auth0", "user_id": "1"},
		map[string]any{"connection": "google-oauth2", "provider": "google-oauth2", "user_id": "117"},
	}}
	google := func(o *reconcile.Options) { o.Providers = plan.Providers{"google-oauth2": "google"} }
	for name, c := range map[string]change{
		"another address": {
			row: bulktest.Verified("1", "new@x.test"), person: hashed("a@x.test"), want: "1:identifier_differs!", fixed: 1,
			check: func(p bulktest.Identity) bool {
				return slices.Equal(p.Identifiers, []string{"new@x.test"}) && p.Addresses[0].Verified && p.Hash == bulktest.BcryptHash
			},
		},
		"another address, pending": {
			row: bulktest.Verified("1", "new@x.test"), person: bulktest.Pending("auth0|1", "a@x.test"), want: "1:identifier_differs!", fixed: 1,
			check: func(p bulktest.Identity) bool { return p.Identifiers[0] == "new@x.test" && p.Hook },
		},
		"another address, not verified": {row: bulktest.User("1", "new@x.test"), person: hashed("a@x.test"), want: "1:identifier_differs", detail: "did not verify"},
		"another address here": {
			row: bulktest.Verified("1", "a@x.test"), person: hashed("mine@x.test", bulktest.With{"identifiers_sha256": provenance.IdentifiersDigest([]string{"a@x.test"})}),
			want: "1:identifier_differs", detail: "changed at Kratos",
		},
		"the address in capitals": {row: bulktest.Verified("1", "A@x.test"), person: verified(hashed("a@x.test")), able: 1, fixed: 1},
		"blocked, then unblocked": {
			row: bulktest.Verified("1", "a@x.test"), person: verified(bulktest.Inactive(hashed("a@x.test", blockedByFerry))), want: "1:unblocked!", fixed: 1,
			check: func(p bulktest.Identity) bool { return p.State == "active" },
		},
		"imported as blocked": {
			row: bulktest.Verified("1", "a@x.test"), person: createdInactive(verified(bulktest.Pending("auth0|1", "a@x.test"))), want: "1:unblocked!", fixed: 1,
			check: func(p bulktest.Identity) bool { return p.State == "active" && p.Hook },
		},
		"deactivated by an operator": {row: bulktest.Verified("1", "a@x.test"), person: verified(bulktest.Inactive(hashed("a@x.test")))},
		"deactivated by an operator, after ferry did": {
			row:    bulktest.Verified("1", "a@x.test"),
			person: verified(bulktest.Inactive(hashed("a@x.test", bulktest.With{"deactivated": map[string]any{"at": "2026-11-20T00:00:00Z", "why": "blocked"}}))),
		},
		"deactivated by an operator, after ferry activated": {
			row: bulktest.Verified("1", "a@x.test"),
			person: verified(bulktest.Inactive(hashed("a@x.test", bulktest.With{
				"deactivated": map[string]any{"at": "2026-11-22T00:00:00Z", "why": "blocked", "until": "2026-11-22T00:00:00Z"},
			}))),
		},
		"a second factor, pending":        {row: bulktest.Verified("1", "a@x.test", bulktest.With{"multifactor": []any{"sms"}}), person: verified(bulktest.Pending("auth0|1", "a@x.test")), want: "1:second_factor", detail: "the migration hook refuses"},
		"a second factor, not asked":      {row: bulktest.Verified("1", "a@x.test", bulktest.With{"multifactor": []any{"sms"}}), person: verified(bulktest.Pending("auth0|1", "a@x.test")), opts: func(o *reconcile.Options) { o.DropMFA = true }, able: 1, fixed: 1},
		"a second factor, with a hash":    {row: bulktest.Verified("1", "a@x.test", bulktest.With{"multifactor": []any{"sms"}}), person: verified(hashed("a@x.test")), want: "1:second_factor", detail: "Kratos does not have it", able: 1, fixed: 1},
		"a second factor that Kratos has": {row: bulktest.Verified("1", "a@x.test", bulktest.With{"multifactor": []any{"totp"}}), person: verified(withFactor(hashed("a@x.test"), "totp")), able: 1, fixed: 1},
		"a second factor that Kratos has, pending": {
			row: bulktest.Verified("1", "a@x.test", bulktest.With{"multifactor": []any{"totp"}}), person: verified(withFactor(bulktest.Pending("auth0|1", "a@x.test"), "totp")),
			want: "1:second_factor", detail: "the migration hook refuses",
		},
		"a second factor that Kratos has, pending, not asked": {
			row: bulktest.Verified("1", "a@x.test", bulktest.With{"multifactor": []any{"totp"}}), person: verified(withFactor(bulktest.Pending("auth0|1", "a@x.test"), "totp")),
			opts: func(o *reconcile.Options) { o.KeepMFA = true }, able: 1, fixed: 1,
		},
		"a second factor, pending, not asked, not in Kratos": {
			row: bulktest.Verified("1", "a@x.test", bulktest.With{"multifactor": []any{"totp"}}), person: verified(bulktest.Pending("auth0|1", "a@x.test")),
			opts: func(o *reconcile.Options) { o.KeepMFA = true }, want: "1:second_factor", detail: "Kratos does not have it",
		},
		"imported security keys": {
			row:    bulktest.Verified("1", "a@x.test", bulktest.With{"multifactor": []any{"webauthn"}}),
			person: verified(withFactor(hashed("a@x.test", bulktest.With{"import": bulktest.With{"as": "created_hash", "password_set_at": bulktest.SetAt, "password_sha256": provenance.Digest(bulktest.BcryptHash), "security_keys": true}}), "webauthn")),
			able:   1, fixed: 1,
		},
		"security keys that the schema alone tells of": {
			row: bulktest.Verified("1", "a@x.test", bulktest.With{"multifactor": []any{"webauthn"}}), person: verified(withFactor(hashed("a@x.test"), "webauthn")), want: "1:second_factor", able: 1, fixed: 1,
		},
		"linked":                       {row: bulktest.Verified("1", "a@x.test", linkedGoogle), person: verified(hashed("a@x.test")), opts: google, want: "1:linked!", able: 1, fixed: 1, check: hasGoogle},
		"linked, provider not named":   {row: bulktest.Verified("1", "a@x.test", linkedGoogle), person: verified(hashed("a@x.test")), able: 1, fixed: 1},
		"linked, address not verified": {row: bulktest.User("1", "a@x.test", linkedGoogle), person: hashed("a@x.test"), opts: google, able: 1, fixed: 1},
		"reset": {
			row: bulktest.Verified("1", "a@x.test", bulktest.Reset(later)), person: verified(hashed("a@x.test")), opts: rearm, want: "1:stale!", fixed: 1,
			check: func(p bulktest.Identity) bool {
				return p.Hook && p.Hash == "" && strings.Contains(fmt.Sprint(p.Admin), "rearmed_at")
			},
		},
		"reset, without rearm":         {row: bulktest.Verified("1", "a@x.test", bulktest.Reset(later)), person: verified(hashed("a@x.test")), want: "1:stale"},
		"reset, own password since":    {row: bulktest.Verified("1", "a@x.test", bulktest.Reset(later)), person: verified(ownPassword(hashed("a@x.test"))), opts: rearm, want: "1:stale", detail: "not the one that was imported", able: 1, fixed: 1},
		"reset, imported long ago":     {row: bulktest.Verified("1", "a@x.test", bulktest.Reset(later)), person: verified(bulktest.Bound("auth0|1", "a@x.test")), opts: rearm, want: "1:stale", detail: "earlier release"},
		"reset, after it had migrated": {row: bulktest.Verified("1", "a@x.test", bulktest.Reset(later)), person: verified(hashed("a@x.test", bulktest.With{"migrated_at": bulktest.SetAt})), opts: rearm, want: "1:stale", detail: "has logged in since"},
		"reset and another address": {
			row: bulktest.Verified("1", "new@x.test", bulktest.Reset(later)), person: hashed("a@x.test"), opts: rearm, want: "1:identifier_differs! 1:stale!", fixed: 1,
			check: func(p bulktest.Identity) bool {
				return p.Hook && p.Identifiers[0] == "new@x.test" && p.Addresses[0].Verified
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.isTold(t)
		})
	}
}

func (c change) isTold(t *testing.T) {
	t.Helper()
	f := bulktest.NewKratos(t)
	id := f.Add(c.person)
	before := f.Text(id)
	run := func(fix bool) (reconcile.Result, string, []reconcile.Finding) {
		return reconciling(t, f, []string{c.row}, func(o *reconcile.Options) {
			if c.opts != nil {
				c.opts(o)
			}
			if o.Fix = fix; !fix {
				o.Rearm = false
			}
		})
	}
	if result, found, _ := run(false); result.Able() != c.able || found != strings.ReplaceAll(c.want, "!", "") || f.Text(id) != before {
		t.Errorf("without --fix %d are able, found %q: %s", result.Able(), found, f.Text(id))
	}
	result, found, findings := run(true)
	if result.Able() != c.fixed || found != c.want {
		t.Errorf("%d are able, want %d; found %q, want %q: %+v", result.Able(), c.fixed, found, c.want, findings)
	}
	for _, one := range findings {
		if !strings.Contains(one.Detail, c.detail) || strings.Contains(one.Detail, "x.test") {
			t.Errorf("the detail is %q, want %q in it", one.Detail, c.detail)
		}
	}
	if c.check != nil && !c.check(f.All()[0]) || c.check == nil && f.Text(id) != before {
		t.Errorf("the identity is %s", f.Text(id))
	}
	again, found, _ := run(true)
	if again.Able() != c.fixed || strings.Contains(found, "!") {
		t.Errorf("again, %d are able, found %q", again.Able(), found)
	}
}

// verified returns the identity with its address verified.
func verified(p bulktest.Identity) bulktest.Identity {
	email, _ := p.Traits["email"].(string)
	p.Addresses = append(p.Addresses, bulktest.VerifiedAddress(email))
	return p
}

func withFactor(p bulktest.Identity, kind string) bulktest.Identity {
	p.Factors = []bulktest.Factor{{Kind: kind}}
	return p
}

func createdInactive(p bulktest.Identity) bulktest.Identity {
	p.State = "inactive"
	return p
}

func ownPassword(p bulktest.Identity) bulktest.Identity {
	p.Hash = strings.Replace(bulktest.BcryptHash, "a", "b", 1)
	return p
}

func hasGoogle(p bulktest.Identity) bool {
	return slices.Equal(p.Social, []string{"google:117"}) && p.Hash == bulktest.BcryptHash
}

// A verified address that another identity or another row has is not moved.
func TestContestedAddress(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.Add(hashed("a@x.test"))
	f.Add(bulktest.Identity{Traits: map[string]any{"email": "new@x.test"}})
	_, found, findings := reconciling(t, f, []string{bulktest.Verified("1", "new@x.test")}, func(o *reconcile.Options) { o.Fix = true })
	if found != "1:identifier_differs" || !strings.Contains(findings[0].Detail, "kratos: it refuses the identity with 409") {
		t.Errorf("found %s: %+v", found, findings)
	}
	f.Add(bulktest.Marked(bulktest.Pending("auth0|2", "b@x.test"), bulktest.With{"identifiers_sha256": provenance.IdentifiersDigest([]string{"b@x.test"})}))
	rows := []string{bulktest.Verified("1", "third@x.test"), bulktest.Verified("2", "Third@x.test")}
	_, found, findings = reconciling(t, f, rows, func(o *reconcile.Options) { o.Fix = true })
	if found != "1:identifier_differs! 2:identifier_differs" || !strings.Contains(fmt.Sprint(findings), "another user in the file has them") {
		t.Errorf("found %s: %+v", found, findings)
	}
}

// Users who were deleted at Auth0 are deactivated, unless the file seems to be a part.
func TestExtra(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	var rows []string
	for i := range 40 {
		id := fmt.Sprint(i)
		f.Add(verified(bulktest.Bound("auth0|"+id, id+"@x.test")))
		rows = append(rows, bulktest.Verified(id, id+"@x.test"))
	}
	deactivate := func(o *reconcile.Options) { o.Fix, o.DeactivateExtra = true, true }
	for name, c := range map[string]struct {
		rows   []string
		detail string
	}{
		"a part":      {rows[:37], "3 of 40 active identities are extra"},
		"half a line": {append(slices.Clone(rows[:39]), "{}"), "1 rows of the file cannot be read"},
	} {
		result, _, findings := reconciling(t, f, c.rows, deactivate)
		if result.Fixed[reconcile.Extra] != 0 || result.Findings[reconcile.Extra] == 0 || !strings.Contains(fmt.Sprint(findings), c.detail) {
			t.Errorf("%s: %+v, %+v", name, result, findings)
		}
	}
	result, _, _ := reconciling(t, f, rows[:38], deactivate)
	if result.Fixed[reconcile.Extra] != 2 || result.Open() != 0 {
		t.Errorf("%+v", result)
	}
	if result, found, _ := reconciling(t, f, rows[:38], deactivate); found != "" || result.Gone != 2 || result.Able() != 38 {
		t.Errorf("again: %s, %+v", found, result)
	}
	// They are back, as after a file that had a part of the users.
	result, _, _ = reconciling(t, f, rows, deactivate)
	if result.Fixed[reconcile.Unblocked] != 2 || result.Able() != 40 || result.Kinds[kind.Inactive] != 0 {
		t.Errorf("back again: %+v", result)
	}
}
