package export_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ferry/bulk/export"
	"ferry/bulk/factorfile"
	"ferry/bulk/userfile"
	"ferry/test/auth0sim"
	"ferry/test/bulktest"
	"ferry/upstream"
)

// factorMethods are the methods of users at the simulator.
func factorMethods() map[string][]auth0sim.AuthenticationMethod {
	at, yes, no := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC), true, false
	return map[string][]auth0sim.AuthenticationMethod{
		auth0sim.DemoAdaID: {
			{ID: "password|dev_1", Type: "password", Confirmed: &yes, CreatedAt: at},
			{ID: "totp|dev_2", Type: "totp", Confirmed: &yes, CreatedAt: at},
			{ID: "recovery-code|dev_3", Type: "recovery-code", Confirmed: &yes, CreatedAt: at},
			{ID: "phone|dev_4", Type: "phone", Confirmed: &no, CreatedAt: at},
		},
		"google-oauth2|1": {{
			ID: "passkey|dev_5", Type: "passkey", Confirmed: &yes, CreatedAt: at, KeyID: "aWQ", PublicKey: "cGs", RelyingParty: "login.example.org", DeviceType: "multi_device",
		}},
	}
}

// factorUsers is a users file with the users of the demo tenant, one of them twice, a line that
// is no user, and a user whom Auth0 does not know.
func factorUsers(t *testing.T, dir string) (path string, users []string) {
	t.Helper()
	var text strings.Builder
	text.WriteString("{\"email\":\"no id\"}\n")
	for _, user := range append(auth0sim.DemoTenant().Users, auth0sim.User{ID: "google-oauth2|1"}, auth0sim.User{ID: "auth0|gone"}) {
		users = append(users, user.ID)
		mfa := ""
		if user.ID == auth0sim.DemoAdaID {
			mfa = `,"multifactor":["google-authenticator"]`
		}
		fmt.Fprintf(&text, "{\"user_id\":%q%s}\n", user.ID, mfa)
	}
	fmt.Fprintf(&text, "{\"user_id\":%q}\n", users[0])
	path = filepath.Join(dir, "users.ndjson")
	bulktest.WriteFile(t, path, text.String())
	return path, users
}

func openUsers(t *testing.T, path string) *userfile.Source {
	t.Helper()
	users, err := userfile.Open(t.Context(), path, nil, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := users.Close(); err != nil {
			t.Error(err)
		}
	})
	return users
}

// withFactors is the simulator with the methods, and an export of them.
func withFactors(t *testing.T) (*auth0sim.Server, export.FactorOptions, []string) {
	t.Helper()
	sim, opts := simulated(t, 0)
	for id, methods := range factorMethods() {
		if _, err := sim.UpdateUser(id, func(u *auth0sim.User) { u.AuthenticationMethods = methods }); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Dir(opts.Out)
	path, users := factorUsers(t, dir)
	return sim, export.FactorOptions{
		Auth0: opts.Auth0, Users: openUsers(t, path), Out: filepath.Join(dir, "factors.ndjson"), PerSecond: 1000, Progress: opts.Progress,
	}, users
}

// linesOf are the user ids of a file of factors, in order.
func linesOf(t *testing.T, path string) string {
	t.Helper()
	var ids []string
	for line := range strings.Lines(bulktest.ReadFile(t, path)) {
		id, _, _ := strings.Cut(strings.TrimPrefix(line, `{"user_id":"`), `"`)
		ids = append(ids, id)
	}
	return strings.Join(ids, " ")
}

// Each user of the file gets a line, with what Auth0 says, and the import can read it.
func TestFactors(t *testing.T) {
	t.Parallel()
	sim, opts, users := withFactors(t)
	done, err := export.Factors(t.Context(), opts)
	want := export.FactorResult{Users: int64(len(users)), Enrolled: 2, NoSecret: 1, NoHandle: 1, RecoveryCode: 1, Gone: 1, Path: opts.Out}
	if err != nil || done != want {
		t.Fatalf("%+v, %v, want %+v", done, err, want)
	}
	if got := linesOf(t, opts.Out); got != strings.Join(users, " ") {
		t.Errorf("got %s, want %s", got, users)
	}
	text := bulktest.ReadFile(t, opts.Out)
	for _, line := range []string{
		`{"user_id":"google-oauth2|1","authentication_methods":[{"id":"passkey|dev_5","type":"passkey","confirmed":true,"key_id":"aWQ","public_key":"cGs","created_at":"2024-05-06T07:08:09Z","credential_device_type":"multi_device","relying_party_identifier":"login.example.org"}]}`,
		`{"user_id":"auth0|gone","authentication_methods":[]}`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%s lacks %s", text, line)
		}
	}
	if notes := strings.Join(done.Notes(), "\n"); strings.Count(notes, "1 users ") != 4 || !strings.Contains(notes, "Auth0's support") {
		t.Errorf("notes %s", notes)
	}
	index, err := factorfile.Open(t.Context(), opts.Out, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = index.Close() }()
	if methods, err := index.Find(auth0sim.DemoAdaID); err != nil || len(methods) != 2 || methods[0].Type != "totp" || methods[1].Type != "recovery-code" {
		t.Errorf("%+v, %v", methods, err)
	}
	if info, err := os.Stat(opts.Out); err != nil || info.Mode() != 0o600 || len(bulktest.Files(t, filepath.Dir(opts.Out))) != 2 {
		t.Errorf("%v, %v", bulktest.Files(t, filepath.Dir(opts.Out)), err)
	}
	if n := requestsOf(sim); n != len(users) {
		t.Errorf("asked %d times about %d users", n, len(users))
	}
}

// requestsOf is the number of requests for methods.
func requestsOf(sim *auth0sim.Server) (n int) {
	for path, times := range sim.Counters().Paths {
		if strings.HasSuffix(path, auth0sim.PathMethods) {
			n += times
		}
	}
	return n
}

// With OnlyMFA, only those are asked about whose second factor the users file shows.
func TestFactorsOnlyMFA(t *testing.T) {
	t.Parallel()
	_, opts, _ := withFactors(t)
	opts.OnlyMFA = true
	done, err := export.Factors(t.Context(), opts)
	if err != nil || done.Users != 1 || linesOf(t, opts.Out) != auth0sim.DemoAdaID {
		t.Errorf("%+v, %v", done, err)
	}
}

// What Auth0 refuses ends the export; the answers until then are kept, and the same call
// continues after them, also after a crash within a line.
func TestFactorsContinue(t *testing.T) {
	t.Parallel()
	sim, opts, users := withFactors(t)
	for _, stop := range []int{2, 4} {
		id, err := sim.SetFault(auth0sim.Fault{Name: auth0sim.FaultAnswer, Answer: auth0sim.AnswerManagementScope, Path: auth0sim.PathUsers, User: users[stop]})
		if err != nil {
			t.Fatal(err)
		}
		_, err = export.Factors(t.Context(), opts)
		var refusal *upstream.ManagementError
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), fmt.Sprintf("row %d: ", stop+2)) || !strings.Contains(err.Error(), "needs the scope read:authentication_methods") {
			t.Fatalf("%v", err)
		}
		if err := sim.ClearFault(id); err != nil {
			t.Fatal(err)
		}
		if got := linesOf(t, opts.Out+export.PartSuffix); !strings.HasPrefix(strings.Join(users[:stop], " "), got) {
			t.Errorf("got %s before %s", got, users[stop])
		}
		if _, err := os.Stat(opts.Out); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("an incomplete file is there: %v", err)
		}
	}
	part, err := os.OpenFile(opts.Out+export.PartSuffix, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = part.WriteString(`{"user_id":"auth0|`)
	if err := errors.Join(err, part.Close()); err != nil {
		t.Fatal(err)
	}
	done, err := export.Factors(t.Context(), opts)
	if err != nil || done.Users != int64(len(users)) || done.Enrolled != 2 || linesOf(t, opts.Out) != strings.Join(users, " ") {
		t.Errorf("%+v, %v, %s", done, err, linesOf(t, opts.Out))
	}
}

// TestFactorsRefuse: what is wrong before or at once leaves no file.
func TestFactorsRefuse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		users, err string
		change     func(*export.FactorOptions)
	}{
		"all are unknown": {users: "{\"user_id\":\"auth0|a\"}\n{\"user_id\":\"auth0|b\"}\n", err: "none of the first 2 users of the file is known to Auth0"},
		"no users":        {users: "{\"email\":\"a@x.test\"}\n", err: "has no user with a user_id"},
		"another tenant":  {users: "{\"user_id\":\"auth0|a\",\"auth0_tenant\":\"acme.eu.auth0.com\"}\n", err: `of the tenant "acme.eu.auth0.com", not of "other.eu.auth0.com"`},
		"there already":   {users: exportUsers, err: "exists; choose another name", change: func(o *export.FactorOptions) { o.Out = o.Out[:strings.LastIndex(o.Out, "/")] + "/users.ndjson" }},
		"no rate":         {users: exportUsers, err: "are required", change: func(o *export.FactorOptions) { o.PerSecond = 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, opts, _ := withFactors(t)
			path := filepath.Join(t.TempDir(), "users")
			bulktest.WriteFile(t, path, c.users)
			opts.Users, opts.Domain = openUsers(t, path), "other.eu.auth0.com"
			if c.change != nil {
				c.change(&opts)
			}
			_, err := export.Factors(t.Context(), opts)
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v", err)
			}
			for _, file := range bulktest.Files(t, filepath.Dir(opts.Out)) {
				if strings.HasSuffix(file, export.PartSuffix) && bulktest.ReadFile(t, opts.Out+export.PartSuffix) != "" {
					t.Errorf("%s is left", file)
				}
			}
		})
	}
}

// TestFactorsPatience: an outage and rate limits are waited out; an outage for good and an
// interruption keep what is there.
func TestFactorsPatience(t *testing.T) {
	t.Parallel()
	const one = `{"total":1,"authenticators":[{"type":"totp","id":"1"}]}`
	away := func(times int) http.HandlerFunc {
		left := times
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "auth0|2") {
				if left--; left >= 0 {
					answers([]int{429, 503, 500}[left%3], `{}`)(w, r)
					return
				}
			}
			answers(200, one)(w, r)
		}
	}
	for name, c := range map[string]patience{
		"for a while": {times: 9},
		"for good":    {times: 1000, err: "row 2: auth0 management: "},
		"interrupted": {times: 1000, cut: time.Minute, err: "context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inExport(t, &exportTenant{methods: away(c.times)}, func(b exportBubble) { b.waitsFor(c) })
		})
	}
}

// patience is an outage of so many answers, the time until an interruption, and the error.
type patience struct {
	times int
	cut   time.Duration
	err   string
}

// waitsFor exports the factors of two users.
func (b exportBubble) waitsFor(c patience) {
	b.Helper()
	dir := b.TempDir()
	bulktest.WriteFile(b.T, filepath.Join(dir, "users"), exportUsers)
	ctx := b.Context()
	if c.cut > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.cut)
		defer cancel()
	}
	out := filepath.Join(dir, "factors")
	done, err := export.Factors(ctx, export.FactorOptions{
		Auth0: b.opts.Auth0, Users: openUsers(b.T, filepath.Join(dir, "users")), Out: out, PerSecond: 2, Progress: b.progress,
	})
	switch {
	case c.err != "":
		if err == nil || !strings.Contains(err.Error(), c.err) || !strings.HasSuffix(err.Error(), "1 users are in "+out+".part: to continue, run the same command again") {
			b.Errorf("%v", err)
		}
	case err != nil || done.Users != 2 || done.NoSecret != 2 || len(b.progress.lines) != 2 || !strings.Contains(b.progress.lines[0], "2 of 2 users, at most 2 a second: 1s"):
		b.Errorf("%+v, %v, said %q", done, err, b.progress.lines)
	}
}
