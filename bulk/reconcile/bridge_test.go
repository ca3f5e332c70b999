package reconcile_test

import (
	"slices"
	"testing"

	"ferry/bulk/plan"
	"ferry/bulk/reconcile"
	"ferry/test/bulktest"
)

// A login at the bridge is as expected as those that are named. Whoever has it alone because of
// a second factor gets no login without the factor.
func TestBridge(t *testing.T) {
	t.Parallel()
	mfa := bulktest.With{"multifactor": []any{"sms"}}
	google := bulktest.With{"identities": []any{
		map[string]any{"connection": "users", "provider": "auth0", "user_id": "1"},
		map[string]any{"connection": "google-oauth2", "provider": "google-oauth2", "user_id": "117"},
	}}
	bridged := func(p bulktest.Identity) bulktest.Identity {
		p.Social = []string{"old:auth0|1"}
		return verified(p)
	}
	alone := bridged(bulktest.Marked(bulktest.Bound("auth0|1", "a@x.test"), bulktest.With{"import": map[string]any{"as": "created_bridge"}}))
	alone.Hash = ""
	options := func(o *reconcile.Options) { o.Bridge, o.Providers = "old", plan.Providers{"google-oauth2": "google"} }
	providersOnly := func(o *reconcile.Options) { o.Providers = plan.Providers{"google-oauth2": "google"} }
	only := func(logins ...string) func(bulktest.Identity) bool {
		return func(p bulktest.Identity) bool {
			slices.Sort(p.Social)
			return slices.Equal(p.Social, logins)
		}
	}
	for name, c := range map[string]change{
		"has it":                              {row: bulktest.Verified("1", "a@x.test"), person: bridged(hashed("a@x.test")), opts: options, able: 1, fixed: 1},
		"has it, and it is not asked for":     {row: bulktest.Verified("1", "a@x.test"), person: bridged(hashed("a@x.test")), able: 1, fixed: 1},
		"lacks it":                            {row: bulktest.Verified("1", "a@x.test"), person: verified(hashed("a@x.test")), opts: options, want: "1:linked!", able: 1, fixed: 1, check: only("old:auth0|1")},
		"lacks it, not verified":              {row: bulktest.User("1", "a@x.test"), person: hashed("a@x.test"), opts: options, able: 1, fixed: 1},
		"a second factor, alone":              {row: bulktest.Verified("1", "a@x.test", mfa, google), person: alone, opts: options, able: 1, fixed: 1},
		"a second factor, bridge not given":   {row: bulktest.Verified("1", "a@x.test", mfa, google), person: alone, opts: providersOnly, able: 1, fixed: 1},
		"the factor is gone":                  {row: bulktest.Verified("1", "a@x.test", google), person: alone, opts: options, want: "1:linked!", able: 1, fixed: 1, check: only("google:117", "old:auth0|1")},
		"a second factor since, pending":      {row: bulktest.Verified("1", "a@x.test", mfa), person: bridged(bulktest.Pending("auth0|1", "a@x.test")), opts: options, able: 1, fixed: 1},
		"a second factor since, own password": {row: bulktest.Verified("1", "a@x.test", mfa), person: bridged(ownPassword(hashed("a@x.test"))), opts: options, want: "1:second_factor", able: 1, fixed: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.isTold(t)
		})
	}
}
