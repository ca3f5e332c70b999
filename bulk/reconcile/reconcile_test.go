package reconcile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/bulk/kind"
	"ferry/bulk/reconcile"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/test/bulktest"
)

// reconciling runs a reconciliation of the rows, and returns its findings as
// line:finding:first word of the detail, with ! where it was fixed.
func reconciling(t *testing.T, f *bulktest.Kratos, rows []string, change func(*reconcile.Options)) (reconcile.Result, string, []reconcile.Finding) {
	t.Helper()
	s := bulktest.Schema(t)
	var out bytes.Buffer
	opts := reconcile.Options{
		Users: bulktest.UsersFile(t, strings.Join(rows, "\n")+"\n"), Kratos: f.Client(), Schema: s, Mapper: mapping.Default(s),
		Findings: &out, TempDir: t.TempDir(), Progress: &bulktest.Quiet{}, Now: time.Now,
	}
	if change != nil {
		change(&opts)
	}
	result, err := reconcile.Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	var findings []reconcile.Finding
	for line := range strings.Lines(out.String()) {
		bulktest.Documented(t, "../../docs/findings.schema.json", line)
		var finding reconcile.Finding
		if err := bulktest.Strict([]byte(line), &finding); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%d:%s", finding.Line, finding.Finding)
		if finding.Fixed {
			text += "!"
		}
		all, findings = append(all, text), append(findings, finding)
	}
	if left := bulktest.Files(t, opts.TempDir); len(left) > 0 {
		t.Errorf("temporary files were left: %v", left)
	}
	slices.Sort(all)
	return result, strings.Join(all, " "), findings
}

// reconciled holds the findings about the rows and the users.
type reconciled struct {
	rows   []string
	people []bulktest.Identity
	fix    bool
	want   string
	detail string
	kinds  string
	change func(*reconcile.Options)
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	one := bulktest.User("1", "a@x.test")
	asHash := bulktest.With{"import": map[string]any{"as": "created_hash", "password_set_at": bulktest.SetAt}}
	for name, c := range map[string]reconciled{
		"as it should be":     {rows: []string{one}, people: []bulktest.Identity{bulktest.Bound("auth0|1", "a@x.test")}, kinds: "map[imported_hash:1]"},
		"missing":             {rows: []string{one}, want: "1:missing", kinds: "map[]"},
		"extra":               {people: []bulktest.Identity{bulktest.Bound("auth0|1", "a@x.test")}, want: "0:extra", detail: "no such user", kinds: "map[]"},
		"native":              {people: []bulktest.Identity{{Traits: map[string]any{"email": "n@x.test"}}}, kinds: "map[]"},
		"duplicate":           {rows: []string{one}, people: []bulktest.Identity{bulktest.Bound("auth0|1", "a@x.test"), bulktest.Bound("auth0|1", "a@x.test")}, want: "1:duplicate", detail: "another identity", kinds: "map[imported_hash:1]"},
		"different":           {rows: []string{bulktest.User("1", "a@x.test", bulktest.With{"locale": "de"})}, people: []bulktest.Identity{bulktest.Bound("auth0|1", "a@x.test")}, want: "1:different", detail: "[/traits/locale]", kinds: "map[imported_hash:1]"},
		"different, fixed":    {rows: []string{bulktest.User("1", "a@x.test", bulktest.With{"locale": "de"})}, people: []bulktest.Identity{bulktest.Bound("auth0|1", "a@x.test")}, fix: true, want: "1:different!", kinds: "map[imported_hash:1]"},
		"different, pending":  {rows: []string{bulktest.User("1", "a@x.test", bulktest.With{"locale": "de"})}, people: []bulktest.Identity{bulktest.Pending("auth0|1", "a@x.test")}, fix: true, kinds: "map[pending:1]"},
		"pending, hook off":   {rows: []string{bulktest.User("1", "a@x.test", bulktest.With{"locale": "de"})}, people: []bulktest.Identity{bulktest.Pending("auth0|1", "a@x.test")}, fix: true, want: "1:different!", kinds: "map[pending:1]", change: func(o *reconcile.Options) { o.HookOff = true }},
		"blocked":             {rows: []string{bulktest.User("1", "a@x.test", bulktest.With{"blocked": true})}, people: []bulktest.Identity{bulktest.Bound("auth0|1", "a@x.test")}, want: "1:stale", detail: "blocked at Auth0", kinds: "map[imported_hash:1]"},
		"blocked, fixed":      {rows: []string{bulktest.User("1", "a@x.test", bulktest.With{"blocked": true})}, people: []bulktest.Identity{bulktest.Bound("auth0|1", "a@x.test")}, fix: true, want: "1:stale!", kinds: "map[inactive:1]"},
		"blocked, pending":    {rows: []string{bulktest.User("1", "a@x.test", bulktest.With{"blocked": true})}, people: []bulktest.Identity{bulktest.Pending("auth0|1", "a@x.test")}, fix: true, want: "1:stale!", kinds: "map[inactive:1]"},
		"blocked on both":     {rows: []string{bulktest.User("1", "a@x.test", bulktest.With{"blocked": true})}, people: []bulktest.Identity{bulktest.Inactive(bulktest.Bound("auth0|1", "a@x.test"))}, kinds: "map[inactive:1]"},
		"inactive here only":  {rows: []string{one}, people: []bulktest.Identity{bulktest.Inactive(bulktest.Bound("auth0|1", "a@x.test"))}, fix: true, kinds: "map[inactive:1]"},
		"reset since":         {rows: []string{bulktest.User("1", "a@x.test", bulktest.Reset("2024-05-01T10:00:01Z"))}, people: []bulktest.Identity{bulktest.Marked(bulktest.Bound("auth0|1", "a@x.test"), asHash)}, fix: true, want: "1:stale", detail: "after the hash was exported", kinds: "map[imported_hash:1]"},
		"reset at that time":  {rows: []string{bulktest.User("1", "a@x.test", bulktest.Reset(bulktest.SetAt))}, people: []bulktest.Identity{bulktest.Marked(bulktest.Bound("auth0|1", "a@x.test"), asHash)}, kinds: "map[imported_hash:1]"},
		"reset, date unknown": {rows: []string{bulktest.User("1", "a@x.test", bulktest.Reset(bulktest.SetAt))}, people: []bulktest.Identity{bulktest.Bound("auth0|1", "a@x.test")}, want: "1:stale", detail: "after the hash was exported", kinds: "map[imported_hash:1]"},
		"reset, unreadable":   {rows: []string{bulktest.User("1", "a@x.test", bulktest.Reset("soon"))}, people: []bulktest.Identity{bulktest.Bound("auth0|1", "a@x.test")}, want: "1:stale", detail: "cannot be read", kinds: "map[imported_hash:1]"},
		"reset after it migrated": {
			rows: []string{bulktest.User("1", "a@x.test", bulktest.Reset("2024-05-02T10:00:00Z"))}, people: []bulktest.Identity{bulktest.Marked(bulktest.Bound("auth0|1", "a@x.test"), bulktest.With{"migrated_at": bulktest.SetAt})},
			want: "1:stale", detail: "after it had migrated", kinds: "map[migrated:1]",
		},
		"reset before it migrated": {rows: []string{bulktest.User("1", "a@x.test", bulktest.Reset("2024-04-02T10:00:00Z"))}, people: []bulktest.Identity{bulktest.Marked(bulktest.Bound("auth0|1", "a@x.test"), bulktest.With{"migrated_at": bulktest.SetAt})}, kinds: "map[migrated:1]"},
		"skipped":                  {rows: []string{bulktest.User("1", "a@x.test", bulktest.With{"multifactor": []any{"sms"}})}, want: "1:unmapped", detail: "mfa", kinds: "map[]"},
		"unreadable":               {rows: []string{"{}"}, want: "1:unmapped", detail: "unreadable", kinds: "map[]"},
		"twins":                    {rows: []string{one, bulktest.User("2", "A@x.test")}, want: "1:unmapped 2:unmapped", detail: "identifier_twice", kinds: "map[]"},
		"a user twice":             {rows: []string{one, one}, people: []bulktest.Identity{bulktest.Bound("auth0|1", "a@x.test")}, want: "2:unmapped", detail: "duplicate_user: line 1", kinds: "map[imported_hash:1]"},
		"of another schema":        {rows: []string{bulktest.User("1", "a@x.test", bulktest.With{"locale": "de"})}, people: []bulktest.Identity{bulktest.Bound("auth0|1", "a@x.test")}, fix: true, want: "1:different", detail: "of the identity schema person, not other", kinds: "map[imported_hash:1]", change: func(o *reconcile.Options) { o.SchemaID = "other" }},
		"the mapper will not":      {rows: []string{one}, people: []bulktest.Identity{bulktest.Bound("auth0|1", "a@x.test")}, want: "1:unmapped", detail: "the mapper will not", kinds: "map[imported_hash:1]", change: func(o *reconcile.Options) { o.Mapper = bulktest.FailingMapper{} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.isFound(t)
		})
	}
}

func (c reconciled) isFound(t *testing.T) {
	t.Helper()
	f := bulktest.NewKratos(t)
	for _, p := range c.people {
		f.Add(p)
	}
	result, got, findings := reconciling(t, f, c.rows, func(o *reconcile.Options) {
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
	if !c.fix && f.Count("patch") > 0 {
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
	f := bulktest.NewKratos(t)
	f.Page = 2
	f.Add(bulktest.Bound("auth0|1", "a@x.test"))
	f.Add(bulktest.Pending("auth0|2", "b@x.test"))
	f.Add(bulktest.Inactive(bulktest.Bound("auth0|3", "c@x.test")))
	f.Add(bulktest.Identity{Traits: map[string]any{"email": "native@x.test"}})
	rows := []string{bulktest.User("1", "a@x.test"), bulktest.User("2", "b@x.test"), bulktest.User("3", "c@x.test", bulktest.With{"blocked": true}), bulktest.User("4", "d@x.test")}
	result, _, _ := reconciling(t, f, rows, nil)
	text, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"users":4,"identities":4,"native":1,"kinds":{"imported_hash":1,"inactive":1,"pending":1},"findings":{"missing":1},"fixed":{},"connections":{"users":{"users":4,"obstacles":{"missing":1},"no_identity":1,"lose_access_active_90_days":0}},"blocked":1,"refused":0,"stranded":0,"code_off":0,"second_factors":0,"unverified":{},"misnamed":{},"outdated":{},"deactivated":0,"gone":0}`
	if string(text) != want || result.Able() != 2 || result.Open() != 1 {
		t.Errorf("got  %s\nwant %s; %d are able, %d open", text, want, result.Able(), result.Open())
	}
}

func TestReconcileOverAPassword(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.Add(bulktest.Bound("auth0|1", "a@x.test"))
	f.Meanwhile = func(p *bulktest.Identity) { p.Hash = strings.Replace(bulktest.BcryptHash, "a", "b", 1) }
	_, got, findings := reconciling(t, f, []string{bulktest.User("1", "a@x.test", bulktest.With{"locale": "de"})}, func(o *reconcile.Options) { o.Fix = true })
	if got != "1:different!" || !strings.Contains(findings[0].Detail, "password_changed_meanwhile") {
		t.Errorf("found %s, %+v", got, findings)
	}
}

// A users file of another tenant is not compared: everybody would be missing, and everything
// extra.
func TestReconcileAnotherTenant(t *testing.T) {
	t.Parallel()
	user, err := mapping.Mark([]byte(bulktest.User("1", "a@x.test")), "acme.eu.auth0.com")
	if err != nil {
		t.Fatal(err)
	}
	f, s := bulktest.NewKratos(t), bulktest.Schema(t)
	f.Add(bulktest.Bound("auth0|1", "a@x.test"))
	for domain, want := range map[string]string{"acme.eu.auth0.com": "", "": "", "acme-dev.eu.auth0.com": `the users file is of the tenant "acme.eu.auth0.com"`} {
		result, err := reconcile.Run(t.Context(), reconcile.Options{
			Users: bulktest.UsersFile(t, string(user)), Kratos: f.Client(), Schema: s, Mapper: mapping.Default(s),
			Domain: domain, TempDir: t.TempDir(), Progress: &bulktest.Quiet{}, Now: time.Now,
		})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || (result.Identities == 1) != (want == "") {
			t.Errorf("for %q: %+v, %v", domain, result, err)
		}
	}
}

// CSV tells metadata leaf by leaf: what the identity has besides is neither different nor
// lost.
func TestReconcileCSV(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	id := f.Add(bulktest.Marked(bulktest.Bound("auth0|1", "a@x.test"), bulktest.With{"app_metadata": bulktest.With{"plan": "old", "roles": []any{"admin"}, "deep": bulktest.With{"a": 1, "b": 2}}, "user_metadata": bulktest.With{"x": "y"}}))
	csv := func(plan string) []string {
		return []string{"user_id,email,identities[0].connection,app_metadata.plan,app_metadata.deep.a", "auth0|1,a@x.test,users," + plan + ",1"}
	}
	if _, got, findings := reconciling(t, f, csv("old"), nil); got != "" {
		t.Errorf("found %s, %+v", got, findings)
	}
	if _, got, findings := reconciling(t, f, csv("new"), func(o *reconcile.Options) { o.Fix = true }); got != "2:different!" {
		t.Errorf("found %s, %+v", got, findings)
	}
	text, err := json.Marshal(f.People[id].Admin["auth0"])
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
		fault  bulktest.Fault
		want   string
		detail string
	}{
		"the read":  {"read", bulktest.Refuses503, "1:different!", "[/traits/locale]"},
		"the patch": {"patch", bulktest.Refuses429, "1:different!", "[/traits/locale]"},
		"lost":      {"patch", bulktest.Lost, "1:different!", "[/traits/locale]"},
		"broken":    {"patch", bulktest.Drops, "1:different!", "[/traits/locale]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			f.Add(bulktest.Bound("auth0|1", "a@x.test"))
			f.On = func(kind string, n int) bulktest.Fault {
				if kind == c.kind && n == 1 {
					return c.fault
				}
				return bulktest.Well
			}
			_, got, findings := reconciling(t, f, []string{bulktest.User("1", "a@x.test", bulktest.With{"locale": "de"})}, func(o *reconcile.Options) { o.Fix = true })
			if got != c.want || !strings.Contains(findings[0].Detail, c.detail) {
				t.Errorf("found %s, %+v", got, findings)
			}
		})
	}
}

func TestReconcileGoesWrong(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.Add(bulktest.Bound("auth0|1", "a@x.test"))
	f.On = func(kind string, _ int) bulktest.Fault {
		if kind == "page" {
			return bulktest.Refuses403
		}
		return bulktest.Well
	}
	s := bulktest.Schema(t)
	_, err := reconcile.Run(t.Context(), reconcile.Options{
		Users: bulktest.UsersFile(t, bulktest.Verified("1", "u1@x.test")), Kratos: f.Client(), Schema: s, Mapper: mapping.Default(s), TempDir: t.TempDir(), Progress: &bulktest.Quiet{}, Now: time.Now,
	})
	if err == nil || !strings.HasPrefix(err.Error(), "read the identities in Kratos: ") {
		t.Errorf("the error is %v", err)
	}
}

// Users who are blocked at Auth0 are not counted as able while they are pending, because the
// hook refuses them, and not once the reconciliation has deactivated the identities.
func TestReconcileBlockedCannot(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.Add(bulktest.Pending("auth0|1", "a@x.test"))
	f.Add(bulktest.Bound("auth0|2", "b@x.test"))
	rows := []string{bulktest.User("1", "a@x.test", bulktest.With{"blocked": true}), bulktest.User("2", "b@x.test", bulktest.With{"blocked": true})}
	for _, c := range []struct {
		fix                    bool
		able, blocked, refused int
	}{
		{false, 1, 0, 1}, {true, 0, 2, 0},
	} {
		result, _, _ := reconciling(t, f, rows, func(o *reconcile.Options) { o.Fix = c.fix })
		if result.Able() != c.able || result.Blocked != c.blocked || result.Refused != c.refused {
			t.Errorf("%+v: %d can log in: %+v", c, result.Able(), result)
		}
	}
}

// Identities that cannot migrate, or lack the verified address that Kratos requires, are not
// counted as able.
func TestReconcileHindrances(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	withVerified := func(p bulktest.Identity) bulktest.Identity {
		email, _ := p.Traits["email"].(string)
		p.Addresses = append(p.Addresses, kratos.Address{Value: email, Via: "email", Verified: true})
		return p
	}
	f.Add(withVerified(bulktest.Pending("auth0|1", "a@x.test")))
	f.Add(bulktest.Pending("auth0|2", "b@x.test"))
	f.Add(bulktest.Bound("auth0|3", "c@x.test"))
	f.Add(withVerified(bulktest.Pending("google-oauth2|4", "d@x.test")))
	rows := []string{
		bulktest.Verified("1", "a@x.test"), bulktest.User("2", "b@x.test"), bulktest.User("3", "c@x.test"),
		bulktest.User("4", "d@x.test", bulktest.With{"user_id": "google-oauth2|4", "identities": []any{
			map[string]any{"connection": "google-oauth2", "provider": "google-oauth2", "user_id": "4"},
			map[string]any{"connection": "users", "provider": "auth0", "user_id": "44", "profileData": map[string]any{"email": "own@x.test", "email_verified": true}},
		}}),
	}
	result, found, _ := reconciling(t, f, rows, nil)
	if result.Able() != 3 || result.Stranded != 1 || found != "4:identifier_differs 4:stranded" {
		t.Errorf("%d are able, found %s: %+v", result.Able(), found, result)
	}
	result, _, _ = reconciling(t, f, rows, func(o *reconcile.Options) { o.PasswordsNeedVerified = true })
	if result.Able() != 1 || result.NeedVerified() != 2 || result.Unverified[kind.Pending] != 1 || result.Unverified[kind.Hash] != 1 {
		t.Errorf("%d are able: %+v", result.Able(), result)
	}
	// Whoever is blocked is counted once, also after --fix has deactivated the identity.
	rows[2] = bulktest.User("3", "c@x.test", bulktest.With{"blocked": true})
	result, _, _ = reconciling(t, f, rows, func(o *reconcile.Options) { o.PasswordsNeedVerified, o.Fix = true, true })
	// The address that the linked account verified becomes the identifier.
	if result.Able() != 2 || result.NeedVerified() != 1 || result.Blocked != 1 || result.Stranded != 0 {
		t.Errorf("%d are able: %+v", result.Able(), result)
	}
}
