package status_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"ferry/bulk/kind"
	"ferry/bulk/status"
	"ferry/kratos"
	"ferry/test/bulktest"
)

// statusOptions read it at bulktest.Now().
func statusOptions(f *bulktest.Kratos, csv io.Writer) status.Options {
	return status.Options{Kratos: f.Client(), Stragglers: csv, Progress: &bulktest.Quiet{}, Now: bulktest.Now}
}

// readStatus reads the status at bulktest.Now().
func readStatus(t *testing.T, f *bulktest.Kratos) (status.Status, string) {
	t.Helper()
	var csv bytes.Buffer
	s, err := status.Read(t.Context(), statusOptions(f, &csv))
	if err != nil {
		t.Fatal(err)
	}
	return s, csv.String()
}

// bridged returns an identity of auth0|b with these logins and no password.
func bridged(logins ...string) bulktest.Identity {
	p := bulktest.Bound("auth0|b", "b@x.test")
	p.Hash, p.Social = "", logins
	return p
}

func TestStatusKinds(t *testing.T) {
	t.Parallel()
	own := bulktest.Bound("auth0|o", "o@x.test")
	own.Admin = nil
	imported := bulktest.Bound("auth0|h", "h@x.test")
	unnoted := bulktest.Marked(bulktest.Bound("auth0|u", "u@x.test"), bulktest.With{"import": map[string]any{"as": "created_pending"}})
	for name, c := range map[string]struct {
		person bulktest.Identity
		want   kind.Kind
	}{
		"migrated":             {bulktest.Migrated(1, bulktest.Now()), kind.Migrated},
		"recovered":            {unnoted, kind.Unnoted}, // or migrated, without the note of the after-login hook
		"a hash":               {imported, kind.Hash},
		"an own password":      {own, kind.Own},
		"social":               {bulktest.Identity{Social: []string{"google:1"}}, kind.Social},
		"the bridge":           {bridged("old:auth0|b"), kind.Bridge},
		"the bridge and more":  {bridged("old:auth0|b", "google:1"), kind.Social},
		"another's bridge":     {bridged("old:auth0|c"), kind.Social},
		"pending":              {bulktest.Pending("auth0|p", "p@x.test"), kind.Pending},
		"inactive":             {bulktest.Inactive(bulktest.Pending("auth0|i", "i@x.test")), kind.Inactive},
		"none":                 {bulktest.Identity{Traits: map[string]any{"email": "n@x.test"}}, kind.None},
		"a date that is none":  {bulktest.Marked(imported, bulktest.With{"migrated_at": "soon"}), kind.Hash},
		"a mark that is none":  {bulktest.Marked(imported, bulktest.With{"import": "x"}), kind.Own},
		"metadata of somebody": {bulktest.Identity{Hash: bulktest.BcryptHash, Admin: map[string]any{"auth0": "x"}}, kind.Own},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			f.Add(c.person)
			s, csv := readStatus(t, f)
			if s.Total != 1 || len(s.Kinds) != 1 || s.Kinds[c.want] != 1 {
				t.Errorf("got %v, want %s", s.Kinds, c.want)
			}
			if want := strings.Count(name, "inactive"); s.InactivePending != want {
				t.Errorf("%d are inactive and pending, want %d", s.InactivePending, want)
			}
			if stragglers := strings.Count(csv, "\n") - 1; stragglers != s.Kinds[kind.Pending] {
				t.Errorf("%d stragglers: %s", stragglers, csv)
			}
			listed := false
			for _, kind := range kind.All() {
				listed = listed || kind == c.want
			}
			if !listed {
				t.Errorf("%s is not among the kinds", c.want)
			}
		})
	}
}

func TestStatusForecast(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	done := func(days float64) *time.Time {
		at := bulktest.Now().Add(time.Duration(days * float64(day)))
		return &at
	}
	for name, c := range map[string]struct {
		ago     []time.Duration // since the migrated users migrated
		pending int
		want    status.Status
	}{
		"nobody":                 {},
		"no one has migrated":    {pending: 2},
		"all have migrated":      {ago: []time.Duration{2 * day}, want: status.Status{Share: 1, LastWeek: 1, PerDay: 0.5, Done: done(0)}},
		"a long time ago":        {ago: []time.Duration{30 * day}, pending: 1, want: status.Status{Share: 0.5}},
		"one a minute ago":       {ago: []time.Duration{time.Minute}, pending: 24, want: status.Status{Share: 0.04, LastDay: 1, LastWeek: 1}},
		"some in the first day":  {ago: []time.Duration{time.Hour, 23 * time.Hour}, pending: 2, want: status.Status{Share: 0.5, LastDay: 2, LastWeek: 2}},
		"after a day":            {ago: []time.Duration{time.Hour, day}, pending: 2, want: status.Status{Share: 0.5, LastDay: 1, LastWeek: 2, PerDay: 2, Done: done(1)}},
		"two in two days":        {ago: []time.Duration{time.Hour, 2 * day}, pending: 2, want: status.Status{Share: 0.5, LastDay: 1, LastWeek: 2, PerDay: 1, Done: done(2)}},
		"over more than a week":  {ago: []time.Duration{2 * day, 8 * day}, pending: 2, want: status.Status{Share: 0.5, LastWeek: 1, PerDay: 1.0 / 7, Done: done(14)}},
		"a clock that runs fast": {ago: []time.Duration{-time.Minute}, want: status.Status{Share: 1, LastDay: 1, LastWeek: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			f.Page = 3
			for i, ago := range c.ago {
				f.Add(bulktest.Migrated(i, bulktest.Now().Add(-ago)))
			}
			for i := range c.pending {
				f.Add(bulktest.Pending(fmt.Sprintf("auth0|p%d", i), fmt.Sprintf("p%d@x.test", i)))
			}
			got, _ := readStatus(t, f)
			c.want.At, c.want.Total, c.want.Kinds = bulktest.Now(), len(c.ago)+c.pending, got.Kinds
			c.want.Connections, c.want.LastMigratedAt, c.want.Days, c.want.Hours = got.Connections, got.LastMigratedAt, got.Days, got.Hours
			g, err := json.Marshal(got)
			w, err2 := json.Marshal(c.want)
			if err != nil || err2 != nil || string(g) != string(w) {
				t.Errorf("got  %s\nwant %s", g, w)
			}
		})
	}
}

// A user who registered at Kratos counts neither as migrated nor as pending.
func TestStatusShareWithoutNatives(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.Add(bulktest.Migrated(1, bulktest.Now()))
	f.Add(bulktest.Pending("auth0|p", "p@x.test"))
	recovered := bulktest.Marked(bulktest.Bound("auth0|r", "r@x.test"), bulktest.With{"import": nil})
	f.Add(recovered)
	f.Add(bulktest.Pending("auth0|q", "q@x.test"))
	for i := range 8 {
		f.Add(bulktest.Identity{Traits: map[string]any{"email": fmt.Sprintf("n%d@x.test", i)}, Hash: bulktest.BcryptHash})
	}
	s, _ := readStatus(t, f)
	if s.Kinds[kind.Own] != 9 || s.Unbound != 8 || s.Share != 0.5 {
		t.Errorf("%v of %v no longer need Auth0", s.Share, s.Kinds)
	}
}

// A spreadsheet does not evaluate a name as a formula.
func TestStragglersAreNoFormulas(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"=1+1": "'=1+1", "@sum(a1)": "'@sum(a1)", "-2+3": "'-2+3", "+1+cmd|a": "'+1+cmd|a",
		`=hyperlink("http://x.test","a")`: `"'=hyperlink(""http://x.test"",""a"")"`,
		"+491511":                         "+491511", "+49 1511": "+49 1511", "a=b": "a=b", "'a": "'a", "a\n=1": "\"a\n=1\"",
		"\x00=1": "'\x00=1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			p := bulktest.Marked(bulktest.Pending("auth0|1", ""), bulktest.With{"connection": "\t=c"})
			p.Traits = map[string]any{"username": name}
			f.Add(p)
			_, csv := readStatus(t, f)
			_, row, _ := strings.Cut(csv, "\n")
			if !strings.HasPrefix(row, want+",false,") || !strings.Contains(row, ",'\t=c,") {
				t.Errorf("got %s, want %s", row, want)
			}
		})
	}
}

// The stragglers are those who are pending and active, each by the best address.
func TestStragglers(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	pending := func(id string, traits map[string]any, verified ...kratos.Address) {
		p := bulktest.Pending("auth0|"+id, "")
		p = bulktest.Marked(p, bulktest.With{"connection": "users", "import": map[string]any{"as": "created_pending", "at": "2026-11-01T00:00:00+01:00"}})
		p.ID, p.Traits, p.Addresses = "00000000-0000-4000-8000-00000000000"+id, traits, verified
		f.Add(p)
	}
	both := map[string]any{"email": "b@x.test", "phone": "+491"}
	pending("1", map[string]any{"email": "a@x.test"}, kratos.Address{Value: "a@x.test", Via: "email", Verified: true})
	pending("2", both)
	pending("3", map[string]any{"email": "c@x.test", "phone": "+492"}, kratos.Address{Value: "+492", Via: "sms", Verified: true})
	pending("4", map[string]any{"username": "dee, the second"})
	f.Add(bulktest.Inactive(bulktest.Pending("auth0|5", "e@x.test")))
	_, csv := readStatus(t, f)
	want := "address,verified,identity_id,user_id,connection,imported_at,last_login,locale,name\n"
	for i, start := range []string{"a@x.test,true", "b@x.test,false", "+492,true", `"dee, the second",false`} {
		want += fmt.Sprintf("%s,00000000-0000-4000-8000-00000000000%d,auth0|%d,users,2026-10-31T23:00:00Z,,,\n", start, i+1, i+1)
	}
	if csv != want {
		t.Errorf("got\n%s\nwant\n%s", csv, want)
	}
}

// A users file adds the last login, the locale and the name; who logged in last comes
// first, and who never did last.
func TestStragglersOfAnExport(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	for i, traits := range []map[string]any{
		{"email": "1@x.test"},
		{"email": "2@x.test", "name": "Traits Win", "locale": "de"},
		{"email": "3@x.test", "name": map[string]any{"first": "Ann", "last": "Lee"}},
		{"email": "4@x.test", "given_name": "Bo"},
		{"email": "5@x.test"},
	} {
		p := bulktest.Pending(fmt.Sprintf("auth0|%d", i+1), "")
		p.ID, p.Traits = fmt.Sprintf("00000000-0000-4000-8000-00000000000%d", i+1), traits
		f.Add(p)
	}
	f.Add(bulktest.Migrated(6, bulktest.Now()))
	users := bulktest.UsersFile(t, strings.Join([]string{
		bulktest.User("1", "1@x.test", bulktest.With{"last_login": "2026-01-01T01:00:00+01:00", "name": "=1+1", "locale": " en"}),
		bulktest.User("2", "2@x.test", bulktest.With{"last_login": "2025-01-01T00:00:00.123Z", "name": "Auth0", "locale": "en"}),
		"not a user",
		bulktest.User("3", "3@x.test"),
		bulktest.User("4", "4@x.test", bulktest.With{"last_login": map[string]any{"$date": "2026-02-01T00:00:00Z"}, "user_metadata": map[string]any{"locale": "fr"}}),
		bulktest.User("6", "m6@x.test", bulktest.With{"last_login": "2026-03-01T00:00:00Z"}),
	}, "\n")+"\n")
	for range 2 { // a watch reads the file again
		var csv bytes.Buffer
		opts := statusOptions(f, &csv)
		opts.Users = users
		if _, err := status.Read(t.Context(), opts); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"4@x.test,2026-02-01T00:00:00Z,fr,Bo", "1@x.test,2026-01-01T00:00:00Z,en,'=1+1", "2@x.test,2025-01-01T00:00:00Z,de,Traits Win",
			"3@x.test,,,Ann Lee", "5@x.test,,,",
		}
		var got []string
		for _, line := range strings.Split(strings.TrimSpace(csv.String()), "\n")[1:] {
			cells := strings.Split(line, ",")
			got = append(got, strings.Join(append(cells[:1], cells[6:]...), ","))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	opts := statusOptions(f, io.Discard)
	opts.Users, opts.Now = users, func() time.Time { cancel(); return bulktest.Now() }
	if _, err := status.Read(ctx, opts); err == nil {
		t.Error("a list that was cut off is no error")
	}
}

func TestStatusGoesWrong(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.Add(bulktest.Pending("auth0|1", "a@x.test"))
	if _, err := status.Read(t.Context(), statusOptions(f, &bulktest.BrokenWriter{})); err == nil {
		t.Error("stragglers that nobody could write are no error")
	}
	if s, err := status.Read(t.Context(), statusOptions(f, nil)); err != nil || s.Total != 1 || s.Unbound != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	f.On = func(string, int) bulktest.Fault { return bulktest.Refuses403 }
	if _, err := status.Read(t.Context(), statusOptions(f, nil)); err == nil || !strings.HasPrefix(err.Error(), "read the identities in Kratos: ") {
		t.Errorf("the error is %v", err)
	}
}
