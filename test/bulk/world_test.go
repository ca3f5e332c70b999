package bulk

import (
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"ferry/test/auth0sim"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
	"ferry/test/postgrestest"
)

const (
	worldKey       = "hook-key-0123456789-0123456789-0123456789"
	worldDirectory = "main"
)

// account is a user at Auth0 and what the test did to it.
type account struct {
	id, email, password string // as Auth0 has them now
	hashed              bool   // imported with a hash, not as pending
	early               bool   // logged in to Kratos before the changes
	own                 string // the password that the user set at Kratos
	reset               bool   // Auth0 has another password than at the import
	gone                bool   // deleted at Auth0
	what                string // what changed
	// out says why the user cannot log in to Kratos although Auth0 lets them in.
	out string
	// oldEmail and oldPassword were replaced at Auth0.
	oldEmail, oldPassword string
	// hash is the hash in the hash file, set at hashSetAt; empty: it has none.
	hash, hashSetAt string
}

// The answers of Auth0 to a login.
const (
	auth0In     = "in"
	auth0Out    = "out"
	auth0Factor = "second factor"
)

// expected says whether the user can log in to Kratos.
func (a *account) expected(auth0 string) bool {
	switch {
	case a.out != "":
		return false
	case auth0 == auth0Factor:
		return a.hashed // the hook passes no second factor
	}
	return auth0 == auth0In
}

// world is Auth0, Kratos and ferry with 2,000 users, or, unless FERRY_ALL_USERS is set, those
// of them who matter, and a third of the others.
type world struct {
	sim      *auth0sim.Server
	kratos   *kratostest.Kratos
	accounts []*account // by number; nil for those who are left out
}

// users are the accounts that there are.
func (w *world) users() iter.Seq[*account] {
	return func(yield func(*account) bool) {
		for _, a := range w.accounts {
			if a != nil && !yield(a) {
				return
			}
		}
	}
}

// allUsers reports whether the tests with the most users have all of them.
func allUsers() bool { return os.Getenv("FERRY_ALL_USERS") != "" }

// matters reports whether a user is special, or is changed.
func matters(i int) bool {
	return i%1000 < 180 || slices.ContainsFunc(changes(), func(c kindOfChange) bool { return c.from <= i && i < c.to })
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	limits := auth0sim.RelaxedSettings()
	tenant := &auth0sim.Tenant{
		DefaultDirectory: worldDirectory,
		Connections:      []auth0sim.Connection{{Name: worldDirectory}},
		Apps: []auth0sim.App{
			{ClientID: "ferry", ClientSecret: "secret"},
			{ClientID: "machine", ClientSecret: "machine-secret", ManagementScopes: []string{auth0sim.ScopeReadUsers}},
		},
	}
	for i := range 2000 {
		if allUsers() || matters(i) || i%3 == 0 {
			tenant.Users = append(tenant.Users, w.add(t, i))
		} else {
			w.accounts = append(w.accounts, nil)
		}
	}
	w.sim = auth0sim.Run(t, auth0sim.Config{Settings: &limits, Tenant: tenant})
	var target atomic.Pointer[url.URL]
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target.Load()) }})
	t.Cleanup(front.Close)
	w.kratos = kratostest.Run(t, kratostest.Options{
		DSN:     postgrestest.Run(t, postgrestest.Options{}).DSN(), // with SQLite, Kratos is slow to find one of thousands of identifiers
		HookURL: front.URL + "/hooks/password-migration", AfterLoginURL: front.URL + "/hooks/after-login", HookKey: worldKey,
	})
	server, err := ferrytest.Start(t.Context(), ferrytest.Options{Binary: built.Ferry(t), Env: w.env()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	hooks, err := url.Parse(server.HooksURL())
	if err != nil {
		t.Fatal(err)
	}
	target.Store(hooks)
	return w
}

// add adds an account: 1,000 with a hash, the others without. Some are blocked, have a
// second factor, or are to log in early.
func (w *world) add(t *testing.T, i int) auth0sim.User {
	t.Helper()
	a := &account{id: fmt.Sprintf("auth0|%024d", i), email: fmt.Sprintf("user%d@example.org", i), password: fmt.Sprintf("Passw0rd of user %d", i), hashed: i < 1000}
	w.accounts = append(w.accounts, a)
	user := auth0sim.User{ID: a.id, Connection: worldDirectory, Email: a.email, EmailVerified: true, PasswordHash: bcryptOf(t, a.password)}
	if a.hashed {
		a.hash, a.hashSetAt = user.PasswordHash, "2025-01-02T03:04:05.678Z"
	}
	switch n := i % 1000; {
	case i >= 2000:
	case n < 20:
		user.Blocked = true
	case n < 30:
		user.MFA, a.out = true, "the import skips users with a second factor"
	case n < 130 || n < 180 && !a.hashed:
		a.early = true
		if a.hashed && n < 50 {
			a.own = "An 0wn password of user " + a.id
		}
	}
	return user
}

func bcryptOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

// env returns ferry's settings.
func (w *world) env() []string {
	return []string{
		"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0", "FERRY_HOOK_KEYS=" + worldKey,
		"FERRY_AUTH0_DOMAIN=" + w.sim.Domain(), "FERRY_AUTH0_BASE_URL=" + w.sim.URL(),
		"FERRY_AUTH0_CLIENT_ID=ferry", "FERRY_AUTH0_CLIENT_SECRET=secret", "FERRY_AUTH0_REALMS=" + worldDirectory,
		"FERRY_AUTH0_MGMT_CLIENT_ID=machine", "FERRY_AUTH0_MGMT_CLIENT_SECRET=machine-secret",
		"FERRY_KRATOS_ADMIN_URL=" + w.kratos.AdminURL(),
	}
}

// atAuth0 logs a user in at Auth0.
func (w *world) atAuth0(t *testing.T, email, password string) (string, error) {
	t.Helper()
	form := url.Values{
		"grant_type": {auth0sim.GrantPasswordRealm}, "realm": {worldDirectory}, "client_id": {"ferry"}, "client_secret": {"secret"},
		"username": {email}, "password": {password}, "scope": {"openid"},
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.sim.URL()+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return "", err
	case resp.StatusCode == http.StatusOK:
		return auth0In, nil
	case strings.Contains(string(body), "mfa_required"):
		return auth0Factor, nil
	}
	return auth0Out, nil
}

// change makes the changes at Auth0 and returns how many there are.
func (w *world) change(t *testing.T) (n int) {
	t.Helper()
	for _, c := range changes() {
		for i := c.from; i < c.to; i++ {
			n++
			if i == len(w.accounts) {
				if _, err := w.sim.AddUser(w.add(t, i)); err != nil {
					t.Fatal(err)
				}
			}
			w.changeOne(t, c, w.accounts[i])
		}
	}
	return n
}

func (w *world) changeOne(t *testing.T, c kindOfChange, a *account) {
	t.Helper()
	a.what += c.what
	if a.gone = c.what == "deleted"; a.gone {
		if err := w.sim.DeleteUser(a.id); err != nil {
			t.Fatal(err)
		}
		return
	}
	user, err := w.sim.UpdateUser(a.id, func(u *auth0sim.User) { c.apply(t, a, u) })
	if err != nil {
		t.Fatal(err)
	}
	if a.reset && c.exported {
		a.hashSetAt = user.LastPasswordReset.Format(time.RFC3339Nano)
	}
}

// kindOfChange is a change that some users undergo.
type kindOfChange struct {
	what     string
	from, to int
	// exported says that the hash of a new password is in the newer hash file.
	exported bool
	// out says why the user cannot log in to Kratos afterwards.
	out string
}

// changes returns the 500 changes. The first thousand users were imported with a hash; of
// these 30 to 50 have set a password at Kratos. 1030 to 1180 have migrated.
func changes() []kindOfChange {
	return []kindOfChange{
		{what: "password", from: 30, to: 40, exported: true},
		{what: "password", from: 200, to: 235, exported: true},
		{what: "password", from: 235, to: 270},
		{what: "password", from: 1200, to: 1230},
		{what: "password", from: 1030, to: 1040, out: "the password was reset after it had moved: the user recovers the account"},
		{what: "address", from: 300, to: 340},
		{what: "address", from: 1300, to: 1340},
		{what: "address", from: 1040, to: 1050},
		{what: "address", from: 340, to: 345, out: "Auth0 did not verify the new address"},
		{what: "address", from: 1340, to: 1345, out: "Auth0 did not verify the new address"},
		{what: "blocked", from: 400, to: 430},
		{what: "blocked", from: 1400, to: 1430},
		{what: "unblocked", from: 0, to: 20},
		{what: "unblocked", from: 1000, to: 1020},
		{what: "factor", from: 450, to: 470},
		{what: "factor", from: 1450, to: 1470},
		{what: "linked", from: 500, to: 520},
		{what: "linked", from: 1500, to: 1520},
		{what: "deleted", from: 600, to: 625},
		{what: "deleted", from: 1600, to: 1625},
		{what: "signed up", from: 2000, to: 2050},
	}
}

func (c kindOfChange) apply(t *testing.T, a *account, u *auth0sim.User) {
	t.Helper()
	a.out += c.out
	switch c.what {
	case "password":
		a.reset, a.oldPassword = true, a.password
		a.password = "Another " + a.password
		u.PasswordHash = bcryptOf(t, a.password)
		if c.exported {
			a.hash = u.PasswordHash
		}
	case "address":
		a.oldEmail = a.email
		a.email = "new." + a.email
		u.Email, u.EmailVerified = a.email, c.out == ""
	case "blocked", "unblocked":
		u.Blocked = c.what == "blocked"
	case "factor":
		u.MFA = true
	case "linked":
		u.Identities = []auth0sim.Identity{{Provider: "google-oauth2", UserID: "google" + a.id[len(a.id)-4:], Connection: "google-oauth2", IsSocial: true}}
	}
}

// expectedFixes counts what reconcile has to fix.
func (w *world) expectedFixes() map[string]int {
	count := func(what string, is func(*account) bool) int {
		return w.count(func(a *account) bool { return a.what == what && a.out == "" && is(a) })
	}
	every := func(*account) bool { return true }
	return map[string]int{
		"identifier_differs": count("address", every),
		"unblocked":          count("unblocked", every),
		"linked":             count("linked", every),
		"extra":              count("deleted", every),
		// The import has deactivated those who are blocked, but for the pending ones, whose
		// logins the hook refuses, and has replaced the hashes that are newer in the file.
		"stale": count("password", func(a *account) bool { return a.hashed && a.own == "" && strings.HasPrefix(a.hashSetAt, "2025") }),
	}
}
