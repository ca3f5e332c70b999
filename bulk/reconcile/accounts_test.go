package reconcile_test

import (
	"testing"

	"ferry/bulk/reconcile"
	"ferry/provenance"
	"ferry/test/bulktest"
)

// merged returns an identity into which an import merged accounts of auth0|1 and others.
func merged(email string, others ...any) bulktest.Identity {
	return bulktest.Marked(bulktest.Bound("auth0|1", email), bulktest.With{
		"user_ids": append([]any{"auth0|1"}, others...),
		"import":   map[string]any{"as": "created_hash", "password_set_at": bulktest.SetAt, "password_sha256": provenance.Digest(bulktest.BcryptHash), "merged": others},
	})
}

// A user whose account an import merged into another user's identity is not missing, and can
// log in as that one; with another address by now, it is a user of its own.
func TestMergedAccounts(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.Add(merged("a@x.test", "auth0|2", "auth0|3"))
	result, got, _ := reconciling(t, f, []string{bulktest.User("2", "a@x.test"), bulktest.User("1", "a@x.test"), bulktest.User("3", "c@x.test")}, nil)
	if got != "3:missing" || result.Accounts != 1 || result.Able() != 2 {
		t.Errorf("found %s, %+v", got, result)
	}
}

// A merged identity is active only while Auth0 blocks none of its accounts.
func TestBlockedAccountOfAnIdentity(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	id := f.Add(verified(merged("a@x.test", "auth0|2")))
	fix := func(o *reconcile.Options) { o.Fix = true }
	rows := func(blocked bool) []string {
		return []string{bulktest.Verified("1", "a@x.test"), bulktest.Verified("2", "a@x.test", bulktest.With{"blocked": blocked})}
	}
	for _, c := range []struct {
		name    string
		blocked bool
		opts    func(*reconcile.Options)
		found   string
		state   string
		able    int
	}{
		{"blocked", true, nil, "1:stale", "active", 2},
		{"blocked, fixed", true, fix, "1:stale!", "inactive", 0},
		{"still blocked", true, fix, "", "inactive", 0},
		{"unblocked", false, fix, "1:unblocked!", "active", 2},
	} {
		result, found, _ := reconciling(t, f, rows(c.blocked), c.opts)
		if found != c.found || f.People[id].State != c.state || result.Able() != c.able {
			t.Errorf("%s: found %q, %d are able, the identity is %s: %+v", c.name, found, result.Able(), f.People[id].State, result)
		}
	}
}

// An account that was linked at Auth0 at the time of the import, and not merged, says nothing
// about the identity once it is a user of its own.
func TestBlockedAccountOfAnother(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	id := f.Add(verified(bulktest.Marked(hashed("a@x.test"), bulktest.With{"user_ids": []any{"auth0|1", "auth0|2"}})))
	rows := []string{bulktest.Verified("1", "a@x.test"), bulktest.Verified("2", "b@x.test", bulktest.With{"blocked": true})}
	result, found, _ := reconciling(t, f, rows, func(o *reconcile.Options) { o.Fix = true })
	if found != "2:missing" || f.People[id].State != "active" || result.Able() != 1 {
		t.Errorf("found %s: %+v", found, result)
	}
}
