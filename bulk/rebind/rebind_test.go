package rebind_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"

	"ferry/bulk/rebind"
	"ferry/test/bulktest"
)

func rebinding(id, subject string) rebind.Request {
	return rebind.Request{IdentityID: id, Subject: subject, Reason: "ticket 7", By: "olga"}
}

func TestRebind(t *testing.T) {
	t.Parallel()
	const audit = `{"at":"2026-11-22T12:00:00Z","by":"olga","from":["auth0|1"],"reason":"ticket 7","to":"auth0|2"}`
	for name, c := range map[string]struct {
		person  bulktest.Identity
		subject string
		admin   string // then
		changed bool
	}{
		"another user": {
			bulktest.Bound("auth0|1", "a@x.test"), "auth0|2",
			`{"auth0":{"import":{"as":"created_hash","run":"earlier"},"rebinds":[` + audit + `],"user_id":"auth0|2","user_ids":["auth0|2"]}}`, true,
		},
		"once more": {
			bulktest.Marked(bulktest.Bound("auth0|1", "a@x.test"), bulktest.With{"rebinds": []any{"earlier"}, "import": nil}), "auth0|2",
			`{"auth0":{"import":null,"rebinds":["earlier",` + audit + `],"user_id":"auth0|2","user_ids":["auth0|2"]}}`, true,
		},
		"the same user": {bulktest.Marked(bulktest.Bound("auth0|1", "a@x.test"), bulktest.With{"import": nil, "user_ids": nil}), "auth0|1", `{"auth0":{"import":null,"user_id":"auth0|1","user_ids":null}}`, false},
		"unbound": {
			bulktest.Identity{Traits: map[string]any{"email": "a@x.test"}},
			"auth0|2",
			`{"auth0":{"rebinds":[` + strings.Replace(audit, `["auth0|1"]`, "[]", 1) + `],"user_id":"auth0|2","user_ids":["auth0|2"]}}`, true,
		},
		"unbound, with other metadata": {
			bulktest.Identity{Admin: map[string]any{"crm": "7"}},
			"auth0|2",
			`{"auth0":{"rebinds":[` + strings.Replace(audit, `["auth0|1"]`, "[]", 1) + `],"user_id":"auth0|2","user_ids":["auth0|2"]},"crm":"7"}`, true,
		},
		"bound by its external id": {
			bulktest.Identity{ExternalID: "auth0|1"}, "auth0|2", `{"auth0":{"rebinds":[` + audit + `],"user_id":"auth0|2","user_ids":["auth0|2"]}}`, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			id := f.Add(c.person)
			other := f.Add(bulktest.Bound("auth0|9", "z@x.test"))
			before := f.Text(other)
			f.Page = 1
			done, err := rebind.Run(t.Context(), f.Client(), rebinding(id, c.subject), &bulktest.Quiet{}, bulktest.Now())
			if err != nil {
				t.Fatal(err)
			}
			admin, err := json.Marshal(f.People[id].Admin)
			if err != nil || string(admin) != c.admin {
				t.Errorf("got  %s\nwant %s, %v", admin, c.admin, err)
			}
			if done.Changed != c.changed || done.PasswordChanged || done.To != c.subject || f.People[id].Hash != c.person.Hash {
				t.Errorf("%+v", done)
			}
			if f.Text(other) != before {
				t.Errorf("another identity became %s", f.Text(other))
			}
			again, err := rebind.Run(t.Context(), f.Client(), rebinding(id, c.subject), &bulktest.Quiet{}, bulktest.Now())
			if err != nil || again.Changed {
				t.Errorf("again: %+v, %v", again, err)
			}
		})
	}
}

// The connection alone can be changed, and what it was before stays.
func TestRebindConnection(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	id := f.Add(bulktest.Marked(bulktest.Bound("auth0|1", "a@x.test"), bulktest.With{"connection": "old", "user_ids": []any{"auth0|1"}}))
	r := rebinding(id, "auth0|1")
	r.Connection = "new"
	for _, changed := range []bool{true, false} {
		done, err := rebind.Run(t.Context(), f.Client(), r, &bulktest.Quiet{}, bulktest.Now())
		if err != nil || done.Changed != changed || (done.Connection == "new") != changed || (done.FromConnection == "old") != changed {
			t.Errorf("%+v, %v", done, err)
		}
	}
	auth0, _ := f.People[id].Admin["auth0"].(map[string]any)
	audits, err := json.Marshal(auth0["rebinds"])
	want := `[{"at":"2026-11-22T12:00:00Z","by":"olga","from":["auth0|1"],"from_connection":"old","reason":"ticket 7","to":"auth0|1"}]`
	if auth0["connection"] != "new" || auth0["user_id"] != "auth0|1" || string(audits) != want || err != nil {
		t.Errorf("%v\n%s", auth0, audits)
	}
}

// An identity whose binding does not hold tells so, and one whose password changed
// meanwhile.
func TestRebindMeanwhile(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	id := f.Add(bulktest.Bound("auth0|1", "a@x.test"))
	f.Meanwhile = func(p *bulktest.Identity) { p.Hash = strings.Replace(bulktest.BcryptHash, "a", "b", 1) }
	done, err := rebind.Run(t.Context(), f.Client(), rebinding(id, "auth0|2"), &bulktest.Quiet{}, bulktest.Now())
	if err != nil || !done.Changed || !done.PasswordChanged {
		t.Errorf("%+v, %v", done, err)
	}
	f.Meanwhile = func(p *bulktest.Identity) { p.Admin = nil }
	if _, err := rebind.Run(t.Context(), f.Client(), rebinding(id, "auth0|3"), &bulktest.Quiet{}, bulktest.Now()); err == nil || !strings.Contains(err.Error(), "another binding") {
		t.Errorf("the error is %v", err)
	}
}

func TestRebindIsRefused(t *testing.T) {
	t.Parallel()
	linkedTo := bulktest.Bound("auth0|8", "b@x.test")
	linkedTo = bulktest.Marked(linkedTo, bulktest.With{"user_ids": []any{"auth0|8", "auth0|2"}})
	for name, c := range map[string]struct {
		subject string
		other   bulktest.Identity
		unknown bool
		says    string
	}{
		"bound to another":   {"auth0|2", bulktest.Bound("auth0|2", "b@x.test"), false, "is bound to that user already"},
		"linked to another":  {"auth0|2", linkedTo, false, "is bound to that user already"},
		"of another's id":    {"auth0|2", bulktest.Identity{ExternalID: "auth0|2"}, false, "is bound to that user already"},
		"no such identity":   {"auth0|2", bulktest.Bound("auth0|8", "b@x.test"), true, "Kratos has no identity with the id "},
		"no subject":         {"", bulktest.Identity{}, false, "an Auth0 user id such as"},
		"an address":         {"b@x.test", bulktest.Identity{}, false, "an Auth0 user id such as"},
		"no provider":        {"|2", bulktest.Identity{}, false, "an Auth0 user id such as"},
		"no id":              {"auth0|", bulktest.Identity{}, false, "an Auth0 user id such as"},
		"a blank":            {"auth0|2 ", bulktest.Identity{}, false, "an Auth0 user id such as"},
		"another case":       {"Auth0|2", bulktest.Identity{}, false, "an Auth0 user id such as"},
		"the line is broken": {"auth0|2\n", bulktest.Identity{}, false, "an Auth0 user id such as"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			f.Add(c.other)
			id := f.Add(bulktest.Bound("auth0|1", "a@x.test"))
			before := f.Text(id)
			asked := id
			if c.unknown {
				asked = uuid.NewString()
			}
			_, err := rebind.Run(t.Context(), f.Client(), rebinding(asked, c.subject), &bulktest.Quiet{}, bulktest.Now())
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "x.test") {
				t.Errorf("the error is %v", err)
			}
			if f.Text(id) != before || f.Count("patch") > 0 {
				t.Error("something was written")
			}
		})
	}
}
