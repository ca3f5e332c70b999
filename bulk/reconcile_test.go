package bulk_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/bulk"
	"ferry/mapping"
)

// reconciling runs a reconciliation of the rows, and returns its findings as
// line:finding:first word of the detail, with ! where it was fixed.
func reconciling(t *testing.T, f *fakeKratos, rows []string, change func(*bulk.ReconcileOptions)) (bulk.Reconciled, string, []bulk.Finding) {
	t.Helper()
	s := schema(t)
	var out bytes.Buffer
	opts := bulk.ReconcileOptions{
		Users: usersFile(t, strings.Join(rows, "\n")+"\n"), Kratos: f.client(), Schema: s, Mapper: mapping.Default(s),
		Findings: &out, TempDir: t.TempDir(), Progress: &quiet{}, Now: time.Now,
	}
	if change != nil {
		change(&opts)
	}
	result, err := bulk.Reconcile(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	var findings []bulk.Finding
	for line := range strings.Lines(out.String()) {
		documented(t, "findings", line)
		var finding bulk.Finding
		if err := strict([]byte(line), &finding); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%d:%s", finding.Line, finding.Finding)
		if finding.Fixed {
			text += "!"
		}
		all, findings = append(all, text), append(findings, finding)
	}
	if left := files(t, opts.TempDir); len(left) > 0 {
		t.Errorf("temporary files were left: %v", left)
	}
	slices.Sort(all)
	return result, strings.Join(all, " "), findings
}

// marked changes what is noted below metadata_admin.auth0 of an identity.
func marked(p fakePerson, marks with) fakePerson {
	auth0 := maps.Clone(p.Admin["auth0"].(map[string]any))
	maps.Copy(auth0, marks)
	p.Admin = map[string]any{"auth0": auth0}
	return p
}

func pendingOf(userID, email string) fakePerson {
	p := bound(userID, email)
	p.Hash, p.Hook = "", true
	return marked(p, with{"import": map[string]any{"as": "created_pending"}})
}

func inactive(p fakePerson) fakePerson {
	p.State = "inactive"
	return p
}

// reconciled is what is found of the rows and the people.
type reconciled struct {
	rows   []string
	people []fakePerson
	fix    bool
	want   string
	detail string
	kinds  string
	change func(*bulk.ReconcileOptions)
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	one := auth0User("1", "a@x.test")
	asHash := with{"import": map[string]any{"as": "created_hash", "password_set_at": setAt}}
	for name, c := range map[string]reconciled{
		"as it should be":     {rows: []string{one}, people: []fakePerson{bound("auth0|1", "a@x.test")}, kinds: "map[imported_hash:1]"},
		"missing":             {rows: []string{one}, want: "1:missing", kinds: "map[]"},
		"extra":               {people: []fakePerson{bound("auth0|1", "a@x.test")}, want: "0:extra", detail: "no such user", kinds: "map[]"},
		"native":              {people: []fakePerson{{Traits: map[string]any{"email": "n@x.test"}}}, kinds: "map[]"},
		"duplicate":           {rows: []string{one}, people: []fakePerson{bound("auth0|1", "a@x.test"), bound("auth0|1", "b@x.test")}, want: "1:duplicate", detail: "another identity", kinds: "map[imported_hash:1]"},
		"different":           {rows: []string{auth0User("1", "a@x.test", with{"locale": "de"})}, people: []fakePerson{bound("auth0|1", "a@x.test")}, want: "1:different", detail: "[/traits/locale]", kinds: "map[imported_hash:1]"},
		"different, fixed":    {rows: []string{auth0User("1", "a@x.test", with{"locale": "de"})}, people: []fakePerson{bound("auth0|1", "a@x.test")}, fix: true, want: "1:different!", kinds: "map[imported_hash:1]"},
		"different, pending":  {rows: []string{auth0User("1", "a@x.test", with{"locale": "de"})}, people: []fakePerson{pendingOf("auth0|1", "a@x.test")}, fix: true, kinds: "map[pending:1]"},
		"pending, hook off":   {rows: []string{auth0User("1", "a@x.test", with{"locale": "de"})}, people: []fakePerson{pendingOf("auth0|1", "a@x.test")}, fix: true, want: "1:different!", kinds: "map[pending:1]", change: func(o *bulk.ReconcileOptions) { o.HookOff = true }},
		"blocked":             {rows: []string{auth0User("1", "a@x.test", with{"blocked": true})}, people: []fakePerson{bound("auth0|1", "a@x.test")}, want: "1:stale", detail: "blocked at Auth0", kinds: "map[imported_hash:1]"},
		"blocked, fixed":      {rows: []string{auth0User("1", "a@x.test", with{"blocked": true})}, people: []fakePerson{bound("auth0|1", "a@x.test")}, fix: true, want: "1:stale!", kinds: "map[imported_hash:0 inactive:1]"},
		"blocked, pending":    {rows: []string{auth0User("1", "a@x.test", with{"blocked": true})}, people: []fakePerson{pendingOf("auth0|1", "a@x.test")}, fix: true, want: "1:stale", detail: "not fixed: pending", kinds: "map[pending:1]"},
		"blocked on both":     {rows: []string{auth0User("1", "a@x.test", with{"blocked": true})}, people: []fakePerson{inactive(bound("auth0|1", "a@x.test"))}, kinds: "map[inactive:1]"},
		"inactive here only":  {rows: []string{one}, people: []fakePerson{inactive(bound("auth0|1", "a@x.test"))}, fix: true, kinds: "map[inactive:1]"},
		"reset since":         {rows: []string{auth0User("1", "a@x.test", reset("2024-05-01T10:00:01Z"))}, people: []fakePerson{marked(bound("auth0|1", "a@x.test"), asHash)}, fix: true, want: "1:stale", detail: "after the hash was exported", kinds: "map[imported_hash:1]"},
		"reset at that time":  {rows: []string{auth0User("1", "a@x.test", reset(setAt))}, people: []fakePerson{marked(bound("auth0|1", "a@x.test"), asHash)}, kinds: "map[imported_hash:1]"},
		"reset, date unknown": {rows: []string{auth0User("1", "a@x.test", reset(setAt))}, people: []fakePerson{bound("auth0|1", "a@x.test")}, want: "1:stale", detail: "after the hash was exported", kinds: "map[imported_hash:1]"},
		"reset, unreadable":   {rows: []string{auth0User("1", "a@x.test", reset("soon"))}, people: []fakePerson{bound("auth0|1", "a@x.test")}, want: "1:stale", detail: "cannot be read", kinds: "map[imported_hash:1]"},
		"reset after it crossed": {
			rows: []string{auth0User("1", "a@x.test", reset("2024-05-02T10:00:00Z"))}, people: []fakePerson{marked(bound("auth0|1", "a@x.test"), with{"migrated_at": setAt})},
			want: "1:stale", detail: "after it had crossed", kinds: "map[migrated:1]",
		},
		"reset before it crossed": {rows: []string{auth0User("1", "a@x.test", reset("2024-04-02T10:00:00Z"))}, people: []fakePerson{marked(bound("auth0|1", "a@x.test"), with{"migrated_at": setAt})}, kinds: "map[migrated:1]"},
		"skipped":                 {rows: []string{auth0User("1", "a@x.test", with{"multifactor": []any{"sms"}})}, want: "1:unmapped", detail: "mfa", kinds: "map[]"},
		"unreadable":              {rows: []string{"{}"}, want: "1:unmapped", detail: "unreadable", kinds: "map[]"},
		"twins":                   {rows: []string{one, auth0User("2", "A@x.test")}, want: "1:unmapped 2:unmapped", detail: "identifier_twice", kinds: "map[]"},
		"a user twice":            {rows: []string{one, one}, people: []fakePerson{bound("auth0|1", "a@x.test")}, want: "2:unmapped", detail: "duplicate_user: line 1", kinds: "map[imported_hash:1]"},
		"of another schema":       {rows: []string{auth0User("1", "a@x.test", with{"locale": "de"})}, people: []fakePerson{bound("auth0|1", "a@x.test")}, fix: true, want: "1:different", detail: "of the identity schema person, not other", kinds: "map[imported_hash:1]", change: func(o *bulk.ReconcileOptions) { o.SchemaID = "other" }},
		"the mapper will not":     {rows: []string{one}, people: []fakePerson{bound("auth0|1", "a@x.test")}, want: "1:unmapped", detail: "the mapper will not", kinds: "map[imported_hash:1]", change: func(o *bulk.ReconcileOptions) { o.Mapper = grumpy{} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.isFound(t)
		})
	}
}

func (c reconciled) isFound(t *testing.T) {
	t.Helper()
	f := newFake(t)
	for _, p := range c.people {
		f.have(p)
	}
	result, got, findings := reconciling(t, f, c.rows, func(o *bulk.ReconcileOptions) {
		o.Fix = c.fix
		if c.change != nil {
			c.change(o)
		}
	})
	if got != c.want || fmt.Sprint(result.Kinds) != c.kinds {
		t.Errorf("found %q, %v, want %q, %s", got, result.Kinds, c.want, c.kinds)
	}
	for _, finding := range findings {
		if !strings.Contains(finding.Reason+": "+finding.Detail, c.detail) || strings.Contains(finding.Detail, "x.test") {
			t.Errorf("the detail is %q, want %q in it", finding.Detail, c.detail)
		}
	}
	if result.Users != len(c.rows) || result.Identities != len(c.people) || result.Open() != strings.Count(got, ":")-strings.Count(got, "!") {
		t.Errorf("counted %+v", result)
	}
	if !c.fix && f.count("patch") > 0 {
		t.Error("something was written")
	}
	if c.fix {
		if _, again, _ := reconciling(t, f, c.rows, c.change); strings.Contains(got, "!") && again != "" {
			t.Errorf("fixed, there is still %s", again)
		}
	}
}

// The verdict is told by numbers that add up.
func TestReconcileVerdict(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.page = 2
	f.have(bound("auth0|1", "a@x.test"))
	f.have(pendingOf("auth0|2", "b@x.test"))
	f.have(inactive(bound("auth0|3", "c@x.test")))
	f.have(fakePerson{Traits: map[string]any{"email": "native@x.test"}})
	rows := []string{auth0User("1", "a@x.test"), auth0User("2", "b@x.test"), auth0User("3", "c@x.test", with{"blocked": true}), auth0User("4", "d@x.test")}
	result, _, _ := reconciling(t, f, rows, nil)
	text, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"users":4,"identities":4,"native":1,"kinds":{"imported_hash":1,"inactive":1,"pending":1},"findings":{"missing":1},"fixed":{},"blocked":1,"refused":0,"stranded":0,"unverified":{}}`
	if string(text) != want || result.Able() != 2 || result.Open() != 1 {
		t.Errorf("got  %s\nwant %s; %d are able, %d open", text, want, result.Able(), result.Open())
	}
}

func TestReconcileOverAPassword(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.have(bound("auth0|1", "a@x.test"))
	f.meanwhile = func(p *fakePerson) { p.Hash = strings.Replace(bcryptHash, "a", "b", 1) }
	_, got, findings := reconciling(t, f, []string{auth0User("1", "a@x.test", with{"locale": "de"})}, func(o *bulk.ReconcileOptions) { o.Fix = true })
	if got != "1:different!" || !strings.Contains(findings[0].Detail, "password_changed_meanwhile") {
		t.Errorf("found %s, %+v", got, findings)
	}
}

// CSV tells metadata leaf by leaf: what the identity has besides is neither different nor
// lost.
func TestReconcileCSV(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	id := f.have(marked(bound("auth0|1", "a@x.test"), with{"app_metadata": with{"plan": "old", "roles": []any{"admin"}, "deep": with{"a": 1, "b": 2}}, "user_metadata": with{"x": "y"}}))
	csv := func(plan string) []string {
		return []string{"user_id,email,identities[0].connection,app_metadata.plan,app_metadata.deep.a", "auth0|1,a@x.test,users," + plan + ",1"}
	}
	if _, got, findings := reconciling(t, f, csv("old"), nil); got != "" {
		t.Errorf("found %s, %+v", got, findings)
	}
	if _, got, findings := reconciling(t, f, csv("new"), func(o *bulk.ReconcileOptions) { o.Fix = true }); got != "2:different!" {
		t.Errorf("found %s, %+v", got, findings)
	}
	text, err := json.Marshal(f.people[id].Admin["auth0"])
	want := `"app_metadata":{"deep":{"a":1,"b":2},"plan":"new","roles":["admin"]}`
	if err != nil || !strings.Contains(string(text), want) || !strings.Contains(string(text), `"user_metadata":{"x":"y"}`) {
		t.Errorf("it is now %s", text)
	}
}

// A moment in which Kratos does not answer does not end a reconciliation.
func TestReconcileThroughFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind   string
		fault  fault
		want   string
		detail string
	}{
		"the read":  {"read", refuses503, "1:different!", "[/traits/locale]"},
		"the patch": {"patch", refuses429, "1:different!", "[/traits/locale]"},
		"lost":      {"patch", lost, "1:different!", "[/traits/locale]"},
		"broken":    {"patch", drops, "1:different!", "[/traits/locale]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.have(bound("auth0|1", "a@x.test"))
			f.on = func(kind string, n int) fault {
				if kind == c.kind && n == 1 {
					return c.fault
				}
				return well
			}
			_, got, findings := reconciling(t, f, []string{auth0User("1", "a@x.test", with{"locale": "de"})}, func(o *bulk.ReconcileOptions) { o.Fix = true })
			if got != c.want || !strings.Contains(findings[0].Detail, c.detail) {
				t.Errorf("found %s, %+v", got, findings)
			}
		})
	}
}

func TestReconcileGoesWrong(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.have(bound("auth0|1", "a@x.test"))
	f.on = func(kind string, _ int) fault {
		if kind == "page" {
			return refuses403
		}
		return well
	}
	s := schema(t)
	_, err := bulk.Reconcile(t.Context(), bulk.ReconcileOptions{
		Users: usersFile(t, many(1)[0]), Kratos: f.client(), Schema: s, Mapper: mapping.Default(s), TempDir: t.TempDir(), Progress: &quiet{}, Now: time.Now,
	})
	if err == nil || !strings.HasPrefix(err.Error(), "compare with the identities in Kratos: ") {
		t.Errorf("the error is %v", err)
	}
}

// Who is blocked at Auth0 is not counted among those who can log in: not as pending,
// for the hook asks there, and not once the reconciliation has switched him off.
func TestReconcileBlockedCannot(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.have(pendingOf("auth0|1", "a@x.test"))
	f.have(bound("auth0|2", "b@x.test"))
	rows := []string{auth0User("1", "a@x.test", with{"blocked": true}), auth0User("2", "b@x.test", with{"blocked": true})}
	for _, c := range []struct {
		fix, hookOff           bool
		able, blocked, refused int
	}{
		{false, false, 1, 0, 1}, {true, false, 0, 1, 1}, {true, true, 0, 2, 0},
	} {
		result, _, _ := reconciling(t, f, rows, func(o *bulk.ReconcileOptions) { o.Fix, o.HookOff = c.fix, c.hookOff })
		if result.Able() != c.able || result.Blocked != c.blocked || result.Refused != c.refused {
			t.Errorf("%+v: %d can log in: %+v", c, result.Able(), result)
		}
	}
}
