package hook_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"ferry/audit"
	"ferry/hook"
	"ferry/outcome"
	"ferry/secret"
	"ferry/upstream"
)

// trail keeps audit records.
type trail struct {
	mu      sync.Mutex
	records []audit.Record
}

func (tr *trail) record(r audit.Record) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.records = append(tr.records, r)
}

// all returns the records so far.
func (tr *trail) all() []audit.Record {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Clone(tr.records)
}

func audited(tr *trail) func(*hook.Options) {
	return func(o *hook.Options) { o.Audit = tr.record }
}

// TestAuditOfLogins: each decision is one record with who, what, and which key.
func TestAuditOfLogins(t *testing.T) {
	t.Parallel()
	hash := func(text string) string { return hook.Hash(secret.New("log-hash-key"), text) }
	ids := hook.KeyIDs(secret.New("log-hash-key"), []secret.String{secret.New(key), secret.New(oldKey)})
	match := audit.Record{
		Action: audit.Login, Actor: audit.Actor{Kind: audit.Caller, KeyID: ids[0]}, Outcome: "match", Mode: "on", Route: "password-migration", Status: 200,
		IdentityID: aliceID, IdentifierHash: hash(stored), SubjectHash: hash(aliceSub), Realm: "users", Auth0Asked: true,
	}
	refused := match
	refused.Outcome, refused.Reason, refused.Status, refused.SubjectHash = "mismatch", "wrong", 403, ""
	oversize := audit.Record{
		Action: audit.Login, Actor: audit.Actor{Kind: audit.Caller, KeyID: ids[1]}, Outcome: "oversize", Reason: "password_length", Mode: "on", Route: "password-migration", Status: 403,
	}
	for name, c := range map[string]struct {
		askErr error
		body   string
		key    string
		want   []audit.Record
	}{
		"match":         {nil, login(), key, []audit.Record{match}},
		"mismatch":      {&upstream.LoginError{Outcome: outcome.Mismatch, Reason: "wrong"}, login(), key, []audit.Record{refused}},
		"the other key": {nil, `{"identifier":"a@b.c","password":"` + strings.Repeat("x", 73) + `"}`, oldKey, []audit.Record{oversize}},
		"no key": {nil, login(), "another", []audit.Record{{
			Action: audit.AuthenticationFailure, Actor: audit.Actor{Kind: audit.Unknown}, Outcome: "caller", Mode: "on", Route: "password-migration", Status: 401,
		}}},
		"nothing decided": {nil, "{}", key, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, tr := alice(), &trail{}
			f.askErr = c.askErr
			h := start(t, f, audited(tr))
			h.post(t, c.body, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+c.key) })
			h.close()
			if got := tr.all(); !equalRecords(got, c.want) {
				t.Errorf("got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func equalRecords(got, want []audit.Record) bool {
	return slices.EqualFunc(got, want, func(a, b audit.Record) bool {
		return a.Action == b.Action && a.Actor == b.Actor && a.Outcome == b.Outcome && a.Reason == b.Reason && a.Mode == b.Mode && a.Route == b.Route &&
			a.Status == b.Status && a.IdentityID == b.IdentityID && a.IdentifierHash == b.IdentifierHash && a.SubjectHash == b.SubjectHash &&
			a.Realm == b.Realm && a.Auth0Asked == b.Auth0Asked
	})
}
