package bulk_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"

	"ferry/bulk"
)

func rebinding(id, subject string) bulk.Rebinding {
	return bulk.Rebinding{IdentityID: id, Subject: subject, Reason: "ticket 7", By: "olga"}
}

func TestRebind(t *testing.T) {
	t.Parallel()
	const audit = `{"at":"2026-11-22T12:00:00Z","by":"olga","from":["auth0|1"],"reason":"ticket 7","to":"auth0|2"}`
	for name, c := range map[string]struct {
		person  fakePerson
		subject string
		admin   string // then
		changed bool
	}{
		"another user": {
			bound("auth0|1", "a@x.test"), "auth0|2",
			`{"auth0":{"import":{"as":"created_hash","run":"earlier"},"rebinds":[` + audit + `],"user_id":"auth0|2","user_ids":["auth0|2"]}}`, true,
		},
		"once more": {
			marked(bound("auth0|1", "a@x.test"), with{"rebinds": []any{"earlier"}, "import": nil}), "auth0|2",
			`{"auth0":{"import":null,"rebinds":["earlier",` + audit + `],"user_id":"auth0|2","user_ids":["auth0|2"]}}`, true,
		},
		"the same user": {marked(bound("auth0|1", "a@x.test"), with{"import": nil, "user_ids": nil}), "auth0|1", `{"auth0":{"import":null,"user_id":"auth0|1","user_ids":null}}`, false},
		"unbound": {
			fakePerson{Traits: map[string]any{"email": "a@x.test"}},
			"auth0|2",
			`{"auth0":{"rebinds":[` + strings.Replace(audit, `["auth0|1"]`, "[]", 1) + `],"user_id":"auth0|2","user_ids":["auth0|2"]}}`, true,
		},
		"unbound, with other metadata": {
			fakePerson{Admin: map[string]any{"crm": "7"}},
			"auth0|2",
			`{"auth0":{"rebinds":[` + strings.Replace(audit, `["auth0|1"]`, "[]", 1) + `],"user_id":"auth0|2","user_ids":["auth0|2"]},"crm":"7"}`, true,
		},
		"bound by its external id": {
			fakePerson{ExternalID: "auth0|1"}, "auth0|2", `{"auth0":{"rebinds":[` + audit + `],"user_id":"auth0|2","user_ids":["auth0|2"]}}`, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			id := f.have(c.person)
			other := f.have(bound("auth0|9", "z@x.test"))
			before := f.text(other)
			f.page = 1
			done, err := bulk.Rebind(t.Context(), f.client(), rebinding(id, c.subject), &quiet{}, statusNow)
			if err != nil {
				t.Fatal(err)
			}
			admin, err := json.Marshal(f.people[id].Admin)
			if err != nil || string(admin) != c.admin {
				t.Errorf("got  %s\nwant %s, %v", admin, c.admin, err)
			}
			if done.Changed != c.changed || done.PasswordChanged || done.To != c.subject || f.people[id].Hash != c.person.Hash {
				t.Errorf("%+v", done)
			}
			if f.text(other) != before {
				t.Errorf("another identity became %s", f.text(other))
			}
			again, err := bulk.Rebind(t.Context(), f.client(), rebinding(id, c.subject), &quiet{}, statusNow)
			if err != nil || again.Changed {
				t.Errorf("again: %+v, %v", again, err)
			}
		})
	}
}

// The connection alone can be changed, and what it was before stays.
func TestRebindConnection(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	id := f.have(marked(bound("auth0|1", "a@x.test"), with{"connection": "old", "user_ids": []any{"auth0|1"}}))
	r := rebinding(id, "auth0|1")
	r.Connection = "new"
	for _, changed := range []bool{true, false} {
		done, err := bulk.Rebind(t.Context(), f.client(), r, &quiet{}, statusNow)
		if err != nil || done.Changed != changed || (done.Connection == "new") != changed || (done.FromConnection == "old") != changed {
			t.Errorf("%+v, %v", done, err)
		}
	}
	auth0, _ := f.people[id].Admin["auth0"].(map[string]any)
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
	f := newFake(t)
	id := f.have(bound("auth0|1", "a@x.test"))
	f.meanwhile = func(p *fakePerson) { p.Hash = strings.Replace(bcryptHash, "a", "b", 1) }
	done, err := bulk.Rebind(t.Context(), f.client(), rebinding(id, "auth0|2"), &quiet{}, statusNow)
	if err != nil || !done.Changed || !done.PasswordChanged {
		t.Errorf("%+v, %v", done, err)
	}
	f.meanwhile = func(p *fakePerson) { p.Admin = nil }
	if _, err := bulk.Rebind(t.Context(), f.client(), rebinding(id, "auth0|3"), &quiet{}, statusNow); err == nil || !strings.Contains(err.Error(), "another binding") {
		t.Errorf("the error is %v", err)
	}
}

func TestRebindIsRefused(t *testing.T) {
	t.Parallel()
	linkedTo := bound("auth0|8", "b@x.test")
	linkedTo = marked(linkedTo, with{"user_ids": []any{"auth0|8", "auth0|2"}})
	for name, c := range map[string]struct {
		subject string
		other   fakePerson
		unknown bool
		says    string
	}{
		"bound to another":   {"auth0|2", bound("auth0|2", "b@x.test"), false, "is bound to that user already"},
		"linked to another":  {"auth0|2", linkedTo, false, "is bound to that user already"},
		"of another's id":    {"auth0|2", fakePerson{ExternalID: "auth0|2"}, false, "is bound to that user already"},
		"no such identity":   {"auth0|2", bound("auth0|8", "b@x.test"), true, "Kratos has none of the id "},
		"no subject":         {"", fakePerson{}, false, "an Auth0 user id such as"},
		"an address":         {"b@x.test", fakePerson{}, false, "an Auth0 user id such as"},
		"no provider":        {"|2", fakePerson{}, false, "an Auth0 user id such as"},
		"no id":              {"auth0|", fakePerson{}, false, "an Auth0 user id such as"},
		"a blank":            {"auth0|2 ", fakePerson{}, false, "an Auth0 user id such as"},
		"another case":       {"Auth0|2", fakePerson{}, false, "an Auth0 user id such as"},
		"the line is broken": {"auth0|2\n", fakePerson{}, false, "an Auth0 user id such as"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.have(c.other)
			id := f.have(bound("auth0|1", "a@x.test"))
			before := f.text(id)
			asked := id
			if c.unknown {
				asked = uuid.NewString()
			}
			_, err := bulk.Rebind(t.Context(), f.client(), rebinding(asked, c.subject), &quiet{}, statusNow)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "x.test") {
				t.Errorf("the error is %v", err)
			}
			if f.text(id) != before || f.count("patch") > 0 {
				t.Error("something was written")
			}
		})
	}
}
