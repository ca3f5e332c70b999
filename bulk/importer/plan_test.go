package importer_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ferry/bulk/importer"
	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/mapping"
	"ferry/test/bulktest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// linked are a user's identities: connection, provider and id, with spaces between.
func linked(all ...string) bulktest.With {
	var identities []any
	for _, one := range all {
		var connection, provider, id string
		if _, err := fmt.Sscan(one, &connection, &provider, &id); err != nil {
			return nil
		}
		identities = append(identities, map[string]any{"connection": connection, "provider": provider, "user_id": id})
	}
	return bulktest.With{"identities": identities}
}

// social is a user without a password.
func social(provider, id string, changes ...bulktest.With) string {
	all := []bulktest.With{{"user_id": provider + "|" + id}, linked(provider + " " + provider + " " + id)}
	return bulktest.User(id, "s@x.test", append(all, changes...)...)
}

// planned is one row of a plan, and what becomes of it.
type planned struct {
	row    string
	hashes []string
	opts   func(*importer.Options)
	want   string
	// body is a golden file with what creates the identity.
	body string
}

func mode(m plan.Mode) func(*importer.Options) { return func(o *importer.Options) { o.Mode = m } }

func providers(pairs ...string) func(*importer.Options) {
	return func(o *importer.Options) {
		var err error
		if o.Providers, _, err = plan.ParseProviders(pairs); err != nil {
			o.Warn(err.Error())
		}
	}
}

func dropMFA(o *importer.Options) { o.DropMFA = true }

func plans() map[string]planned {
	fresh := []string{bulktest.HashLine("1", bulktest.BcryptHash, bulktest.SetAt)}
	mfa := bulktest.With{"multifactor": []any{"guardian"}}
	return map[string]planned{
		"pending":               {row: bulktest.Verified("1", "a@x.test"), want: "created_pending:no_hash", body: "pending"},
		"pending by mode":       {row: bulktest.Verified("1", "a@x.test"), hashes: fresh, opts: mode(plan.ModeHook), want: "created_pending", body: "pending"},
		"unverified":            {row: bulktest.User("1", "A@x.test"), want: "created_pending:no_hash", body: "unverified"},
		"verified as a text":    {row: bulktest.User("1", "a@x.test", bulktest.With{"email_verified": "true"}), want: "created_pending:no_hash", body: "pending"},
		"unverified as a text":  {row: bulktest.User("1", "A@x.test", bulktest.With{"email_verified": "false"}), want: "created_pending:no_hash", body: "unverified"},
		"a hash":                {row: bulktest.Verified("1", "a@x.test"), hashes: fresh, want: "created_hash", body: "hash"},
		"a hash by mode":        {row: bulktest.Verified("1", "a@x.test"), hashes: fresh, opts: mode(plan.ModeHash), want: "created_hash", body: "hash"},
		"a hash without a date": {row: bulktest.Verified("1", "a@x.test"), hashes: []string{bulktest.HashLine("1", bulktest.BcryptHash, "")}, want: "created_hash"},
		"a hash of the reset":   {row: bulktest.Verified("1", "a@x.test", bulktest.Reset(bulktest.SetAt)), hashes: fresh, want: "created_hash"},
		"a newer hash":          {row: bulktest.Verified("1", "a@x.test", bulktest.Reset(bulktest.With{"$date": "2024-05-01T09:59:59.999Z"})), hashes: fresh, want: "created_hash"},
		"an older hash":         {row: bulktest.Verified("1", "a@x.test", bulktest.Reset("2024-05-01T10:00:00.001Z")), hashes: fresh, want: "created_pending:stale_hash"},
		"an older hash by mode": {row: bulktest.Verified("1", "a@x.test", bulktest.Reset("2024-05-01T10:00:00.001Z")), hashes: fresh, opts: mode(plan.ModeHash), want: "failed:stale_hash"},
		"a reset, and a hash without a date": {
			row: bulktest.Verified("1", "a@x.test", bulktest.Reset("2020-05-01T10:00:00Z")), hashes: []string{bulktest.HashLine("1", bulktest.BcryptHash, "")}, want: "created_pending:stale_hash",
		},
		"a reset in seconds":                 {row: bulktest.Verified("1", "a@x.test", bulktest.Reset(1714557600)), hashes: fresh, want: "created_pending:stale_hash"},
		"a reset in milliseconds":            {row: bulktest.Verified("1", "a@x.test", bulktest.Reset(1714557600000-1)), hashes: fresh, want: "created_hash"},
		"a reset of which nobody knows when": {row: bulktest.Verified("1", "a@x.test", bulktest.Reset("yesterday")), hashes: fresh, want: "created_pending:stale_hash"},
		"a hash of no known form":            {row: bulktest.Verified("1", "a@x.test"), hashes: []string{bulktest.HashLine("1", "$argon2id$canary", bulktest.SetAt)}, want: "created_pending:unusable_hash"},
		"a hash at no cost":                  {row: bulktest.Verified("1", "a@x.test"), hashes: []string{bulktest.HashLine("1", strings.Replace(bulktest.BcryptHash, "10", "03", 1), bulktest.SetAt)}, want: "created_pending:unusable_hash"},
		"two hashes of one date": {
			row: bulktest.Verified("1", "a@x.test"), hashes: []string{bulktest.HashLine("1", bulktest.BcryptHash, bulktest.SetAt), bulktest.HashLine("1", strings.Replace(bulktest.BcryptHash, "a", "b", 1), bulktest.SetAt)},
			want: "created_pending:unusable_hash",
		},
		"no hash":         {row: bulktest.Verified("1", "a@x.test"), hashes: []string{bulktest.HashLine("2", bulktest.BcryptHash, bulktest.SetAt)}, opts: mode(plan.ModeHook), want: "created_pending"},
		"no hash by mode": {row: bulktest.Verified("1", "a@x.test"), opts: mode(plan.ModeHash), want: "failed:no_hash"},
		"a hash of a linked account": {
			row: bulktest.Verified("9", "a@x.test", bulktest.With{"user_id": "google-oauth2|9"}, linked("google-oauth2 google-oauth2 9", "users auth0 1")), hashes: fresh, want: "created_hash",
		},
		"blocked":        {row: bulktest.Verified("1", "a@x.test", bulktest.With{"blocked": true}), want: "created_pending:no_hash", body: "blocked"},
		"a number":       {row: bulktest.Verified("1", "a@x.test", bulktest.With{"phone_number": "+49 151 23456789", "phone_verified": true}), want: "created_pending:no_hash", body: "number"},
		"another number": {row: bulktest.Verified("1", "a@x.test", bulktest.With{"phone_number": "0151 23456789", "phone_verified": true}), want: "created_pending:no_hash"},
		"metadata":       {row: bulktest.Verified("1", "a@x.test", bulktest.With{"app_metadata": bulktest.With{"plan": "pro"}, "user_metadata": bulktest.With{"colour": "green"}}), want: "created_pending:no_hash", body: "metadata"},
		"an external id": {row: bulktest.Verified("1", "a@x.test"), opts: func(o *importer.Options) { o.ExternalID = true }, want: "created_pending:no_hash", body: "external"},

		"a second factor":         {row: bulktest.Verified("1", "a@x.test", mfa), want: "skipped:mfa"},
		"a second factor dropped": {row: bulktest.Verified("1", "a@x.test", mfa), opts: dropMFA, want: "created_pending:no_hash", body: "pending"},
		"a factor and no method":  {row: social("github", "1", mfa), opts: dropMFA, want: "skipped:no_login_method"},

		"social":                  {row: social("github", "1"), opts: providers("github=gh"), want: "created_social", body: "social"},
		"social, not named":       {row: social("github", "1"), opts: providers("google-oauth2=google"), want: "skipped:no_login_method"},
		"linked":                  {row: bulktest.Verified("1", "a@x.test", linked("users auth0 1", "google-oauth2 google-oauth2 117", "gh github 4242")), opts: providers("google-oauth2=google"), want: "created_pending:no_hash", body: "linked"},
		"linked, unverified":      {row: bulktest.User("1", "a@x.test", linked("users auth0 1", "google-oauth2 google-oauth2 117")), opts: providers("google-oauth2=google"), want: "created_pending:no_hash", body: "linkedunverified"},
		"linked twice":            {row: bulktest.Verified("1", "a@x.test", linked("users auth0 1", "google-oauth2 google-oauth2 117", "google-oauth2 google-oauth2 117", "gh github 4242")), opts: providers("google-oauth2=google"), want: "created_pending:no_hash", body: "linked"},
		"linked to codes":         {row: bulktest.User("1", "a@x.test", bulktest.With{"user_id": "sms|1"}, linked("sms sms 1", "google-oauth2 google-oauth2 117")), opts: providers("google-oauth2=google"), want: "skipped:no_login_method"},
		"codes, verified":         {row: bulktest.Verified("1", "a@x.test", bulktest.With{"user_id": "email|1"}, linked("email email 1", "google-oauth2 google-oauth2 117")), opts: providers("google-oauth2=google"), want: "created_social"},
		"no subject":              {row: bulktest.User("1", "a@x.test", bulktest.With{"user_id": "waad|1"}, linked("corp waad corp|")), opts: providers("corp=azure"), want: "skipped:no_login_method"},
		"a user without an id":    {row: bulktest.User("1", "a@x.test", bulktest.With{"user_id": "github|", "identities": nil}), opts: providers("github=gh"), want: "failed:unreadable"},
		"blocked as a text":       {row: bulktest.Verified("1", "a@x.test", bulktest.With{"blocked": "true"}), want: "created_pending:no_hash", body: "blocked"},
		"blocked as another text": {row: bulktest.Verified("1", "a@x.test", bulktest.With{"blocked": "yes"}), want: "failed:unreadable"},
		"enterprise":              {row: bulktest.User("1", "a@x.test", bulktest.With{"user_id": "waad|1"}, linked("corp waad corp|Raw:Subject")), opts: providers("corp=azure"), want: "created_social", body: "enterprise"},
		"enterprise, of another":  {row: bulktest.User("1", "a@x.test", bulktest.With{"user_id": "waad|1"}, linked("corp waad corp|x")), opts: providers("other=azure"), want: "skipped:no_login_method"},
		"no identifier":           {row: bulktest.User("1", "", bulktest.With{"email": nil}), want: "failed:no_identifier"},
		"invalid":                 {row: bulktest.Verified("1", "a@x.test", bulktest.With{"locale": "de", "nickname": strings.Repeat("n", 31)}), want: "failed:invalid"},
		"no address":              {row: bulktest.Verified("1", "not an address"), want: "failed:invalid"},
		"no JSON":                 {row: `{"user_id":"auth0|1",`, want: "failed:unreadable"},
		"no user":                 {row: `{}`, want: "failed:unreadable"},
		"a key twice":             {row: `{"user_id":"auth0|1","email":"a@x.test","email":"b@x.test"}`, want: "failed:unreadable"},
		"a mapper that refuses":   {row: bulktest.Verified("1", "a@x.test"), opts: func(o *importer.Options) { o.Mapper = bulktest.FailingMapper{} }, want: "failed:invalid"},
		"a believed source":       {row: bulktest.User("1", "a@x.test", bulktest.With{"user_id": "waad|1", "email_verified": true}, linked("corp waad 1")), opts: corp(true), want: "created_social", body: "believed"},
		"a source not believed":   {row: bulktest.User("1", "a@x.test", bulktest.With{"user_id": "waad|1", "email_verified": true}, linked("corp waad 1")), opts: corp(false), want: "created_social", body: "notbelieved"},
		"a Kelvin sign, verified": {row: bulktest.Verified("1", "\u212aim@x.test"), want: "created_pending:no_hash", body: "kelvin"},
	}
}

// corp takes over the accounts of corp, and believes what it verified, or not.
func corp(believed bool) func(*importer.Options) {
	return func(o *importer.Options) {
		providers("corp=azure")(o)
		o.Rules.TrustVerified = func(connection, _ string) bool { return believed && connection == "corp" }
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	for name, c := range plans() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.becomes(t, name)
		})
	}
}

func (c planned) becomes(t *testing.T, name string) {
	t.Helper()
	f := bulktest.NewKratos(t)
	im := newImport(t, f, c.row)
	im.opts.Now = func() time.Time { return time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC) }
	if len(c.hashes) > 0 {
		im.opts.Hashes = bulktest.HashesFile(t, c.hashes...)
	}
	if c.opts != nil {
		c.opts(&im.opts)
	}
	summary, done := im.must()
	if got := words(done); got != "1:"+c.want {
		t.Errorf("got %s, want %s", got, c.want)
	}
	if dropped := summary.MFADropped > 0; dropped != (name == "a second factor dropped") {
		t.Errorf("%d factors were dropped", summary.MFADropped)
	}
	said := fmt.Sprint(done, im.told.Warned)
	if strings.Contains(said, "$") || strings.Contains(said, "x.test") {
		t.Errorf("said %s", said)
	}
	if created := strings.HasPrefix(c.want, "created"); created != (len(f.Bodies) == 1) {
		t.Fatalf("created %q", f.Bodies)
	}
	if c.body != "" {
		golden(t, "bodies/"+c.body+".json", f.Bodies[0])
	}
}

var runID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

// golden compares a body, but for the run's id, with a file.
func golden(t *testing.T, name, body string) {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(runID.ReplaceAllString(body, "RUN")), "", "  "); err != nil {
		t.Fatal(err)
	}
	out.WriteByte('\n')
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := bulktest.ReadFile(t, path); out.String() != want {
		t.Errorf("%s:\n%s\nwant\n%s", name, out.String(), want)
	}
}

// The identifiers of a row that is not taken over collide all the same.
func TestPlanClaims(t *testing.T) {
	t.Parallel()
	mfa := bulktest.With{"multifactor": []any{"guardian"}}
	google := func(id string) bulktest.With { return linked("users auth0 "+id, "google-oauth2 google-oauth2 117") }
	for name, c := range map[string]struct {
		rows []string
		opts func(*importer.Options)
		want string
	}{
		"none verified":         {[]string{bulktest.User("1", "a@x.test"), bulktest.User("2", "a@x.test")}, nil, "1:failed:identifier_twice 2:failed:identifier_twice"},
		"case":                  {[]string{bulktest.User("1", "a@x.test"), bulktest.User("2", " A@X.test")}, nil, "1:failed:identifier_twice 2:failed:identifier_twice"},
		"the second verified":   {[]string{bulktest.User("1", "A@x.test"), bulktest.Verified("2", "a@x.test")}, nil, "1:failed:identifier_twice 2:created_pending:no_hash"},
		"both verified":         {[]string{bulktest.Verified("1", "a@x.test"), bulktest.Verified("2", "a@x.test")}, nil, "1:created_pending:no_hash 2:failed:identifier_twice"},
		"a Kelvin twin":         {[]string{bulktest.Verified("1", "\u212aim@x.test"), bulktest.Verified("2", "kim@x.test")}, nil, "1:failed:identifier_twice 2:created_pending:no_hash"},
		"a Kelvin twin alone":   {[]string{bulktest.Verified("1", "\u212aim@x.test"), bulktest.User("2", "kim@x.test")}, nil, "1:failed:identifier_twice 2:failed:identifier_twice"},
		"a name as an address":  {[]string{bulktest.Verified("1", "a@x.test"), bulktest.User("2", "b@x.test", bulktest.With{"username": "A@x.test"})}, nil, "1:created_pending:no_hash 2:failed:identifier_twice"},
		"a user twice":          {[]string{bulktest.Verified("1", "a@x.test"), bulktest.Verified("1", "b@x.test")}, nil, "1:created_pending:no_hash 2:failed:duplicate_user"},
		"a user twice, skipped": {[]string{bulktest.Verified("1", "a@x.test", mfa), bulktest.Verified("1", "b@x.test")}, nil, "1:skipped:mfa 2:failed:duplicate_user"},
		"skipped, verified":     {[]string{bulktest.Verified("1", "a@x.test", mfa), bulktest.User("2", "a@x.test")}, nil, "1:skipped:mfa 2:failed:identifier_twice"},
		"skipped, unverified":   {[]string{bulktest.User("1", "a@x.test", mfa), bulktest.User("2", "a@x.test")}, nil, "1:skipped:mfa 2:failed:identifier_twice"},
		"no method":             {[]string{social("github", "1", bulktest.With{"email": "a@x.test"}), bulktest.User("2", "a@x.test")}, nil, "1:skipped:no_login_method 2:failed:identifier_twice"},
		"invalid":               {[]string{bulktest.Verified("1", "a@x.test", bulktest.With{"nickname": strings.Repeat("n", 31)}), bulktest.User("2", "a@x.test")}, nil, "1:failed:invalid 2:failed:identifier_twice"},
		"mapper":                {[]string{bulktest.Verified("1", "a@x.test"), bulktest.User("2", "a@x.test"), bulktest.Verified("3", "c@x.test")}, func(o *importer.Options) { o.Mapper = failingFor{"auth0|1", o.Mapper} }, "1:failed:invalid 2:failed:identifier_twice 3:created_pending:no_hash"},
		"hash mode":             {[]string{bulktest.Verified("1", "a@x.test"), bulktest.User("2", "a@x.test")}, mode(plan.ModeHash), "1:failed:no_hash 2:failed:no_hash"},
		"social":                {[]string{bulktest.Verified("1", "a@x.test", google("1")), bulktest.Verified("2", "b@x.test", google("2"))}, providers("google-oauth2=google"), "1:failed:identifier_twice 2:failed:identifier_twice"},
		"social, skipped":       {[]string{bulktest.Verified("1", "a@x.test", google("1"), mfa), bulktest.Verified("2", "b@x.test", google("2"))}, providers("google-oauth2=google"), "1:skipped:mfa 2:failed:identifier_twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			im := newImport(t, f, c.rows...)
			if c.opts != nil {
				c.opts(&im.opts)
			}
			_, done := im.must()
			if got := words(done); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			checkThere(t, f, done, 0)
		})
	}
}

// Whoever named the provider is not told to name it.
func TestNoLoginMethod(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ row, says string }{
		{social("github", "1", linked("github github 1", "github github 2")), "no password at Auth0, and no provider is named for github"},
		{bulktest.User("1", "a@x.test", bulktest.With{"user_id": "sms|1"}, linked("sms sms 1", "g google-oauth2 117")), "no password at Auth0, and the address of the passwordless login is not verified; the others need a verified e-mail address"},
		{bulktest.Verified("1", "a@x.test", bulktest.With{"user_id": "email|1"}, linked("email email 1", "github github 2")), "no password at Auth0, and no provider is named for github; no trait has the address of the passwordless login as an identifier of the credential code"},
		{bulktest.User("1", "a@x.test", bulktest.With{"user_id": "google-oauth2|g|"}, linked("g google-oauth2 g|")), "no password at Auth0, and the accounts have no subject"},
	} {
		im := newImport(t, bulktest.NewKratos(t), c.row)
		providers("google-oauth2=google")(&im.opts)
		if _, done := im.must(); done[0].Outcome != results.Skipped || done[0].Detail != c.says {
			t.Errorf("%+v, want %s", done[0], c.says)
		}
	}
}

// Only users who get an identity lose their second factor, in every part of a run.
func TestFactorsDropped(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	mfa := bulktest.With{"multifactor": []any{"guardian"}}
	f.Add(bulktest.Identity{Traits: map[string]any{"email": "c@x.test"}})
	rows := []string{
		bulktest.Verified("1", "a@x.test", mfa), bulktest.User("2", "a@x.test", mfa), bulktest.Verified("3", "c@x.test", mfa),
		bulktest.Verified("4", "d@x.test", mfa), bulktest.Verified("5", "e@x.test"),
	}
	path := filepath.Join(t.TempDir(), "results.ndjson")
	for part := range 2 {
		im := newImport(t, f, rows...)
		im.opts.DropMFA = true
		summary, err := im.into(path)
		if err != nil || summary.MFADropped != 2 || summary.Created() != 3 {
			t.Errorf("part %d: %+v, %v", part, summary, err)
		}
	}
	im := newImport(t, f, rows...)
	im.opts.DropMFA = true
	if summary, _ := im.must(); summary.MFADropped != 0 || summary.Created() != 0 {
		t.Errorf("the second time: %+v", summary)
	}
}

// failingFor fails for one user.
type failingFor struct {
	userID string
	mapping.Mapper
}

func (g failingFor) Map(p mapping.Profile) (mapping.Identity, error) {
	if p.UserID == g.userID {
		return bulktest.FailingMapper{}.Map(p)
	}
	return g.Mapper.Map(p)
}

func TestHashFileOfAnother(t *testing.T) {
	t.Parallel()
	other := strings.Replace(bulktest.HashLine("2", bulktest.BcryptHash, bulktest.SetAt), "canary", "other", 1)
	for name, c := range map[string]struct {
		hashes []string
		opts   func(*importer.Options)
		says   string
	}{
		"tenant":     {[]string{other}, func(o *importer.Options) { o.Tenant = "canary" }, `of the tenant "other", not of "canary"`},
		"two":        {[]string{other, bulktest.HashLine("1", bulktest.BcryptHash, bulktest.SetAt)}, nil, "of several tenants"},
		"not one":    {[]string{other}, nil, "no hash belongs to a user"},
		"no hashes":  {[]string{many(1)[0], "canary"}, nil, "none of the 2 entries of the hash file is a hash"},
		"nothing":    {[]string{""}, nil, ""},
		"this one":   {[]string{bulktest.HashLine("1", bulktest.BcryptHash, bulktest.SetAt)}, func(o *importer.Options) { o.Tenant = "canary" }, ""},
		"not needed": {[]string{other}, mode(plan.ModeHook), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			im := newImport(t, f, many(1)...)
			im.opts.Hashes = bulktest.HashesFile(t, c.hashes...)
			if c.opts != nil {
				c.opts(&im.opts)
			}
			_, _, err := im.run()
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v", err)
			}
			if (len(f.All()) == 0) != (err != nil) {
				t.Error("something was written, or nothing")
			}
		})
	}
}

// A users file that names its tenant is refused for another one, and with the hashes of
// another one.
func TestUsersFileOfAnother(t *testing.T) {
	t.Parallel()
	users := marked(t, many(1)[0], "canary.eu.auth0.com")
	twice := users + "\n" + strings.ReplaceAll(strings.Replace(users, "canary.", "other.", 1), "auth0|1", "auth0|2")
	other := strings.Replace(bulktest.HashLine("1", bulktest.BcryptHash, bulktest.SetAt), "canary", "other", 1)
	for name, c := range map[string]struct {
		tenant, domain, hash, users string
		says                        string
	}{
		"this one":                  {tenant: "canary", domain: "Canary.eu.auth0.com", hash: bulktest.HashLine("1", bulktest.BcryptHash, bulktest.SetAt)},
		"any":                       {},
		"this one by name":          {tenant: "canary"},
		"another":                   {tenant: "other", says: `the users file is of the tenant "canary", not of "other": nothing was written`},
		"another region":            {tenant: "canary", domain: "canary.us.auth0.com", says: `the users file is of the tenant "canary.eu.auth0.com", not of "canary.us.auth0.com"`},
		"two":                       {users: twice, says: `the users file is of several tenants, "canary.eu.auth0.com" and "other.eu.auth0.com"`},
		"with hashes of a stranger": {hash: other, says: `the hash file is of the tenant "other", and the users file of "canary"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			im := newImport(t, f)
			im.opts.Users = bulktest.UsersFile(t, cmp.Or(c.users, users))
			im.opts.Tenant, im.opts.Domain = c.tenant, c.domain
			if c.hash != "" {
				im.opts.Hashes = bulktest.HashesFile(t, c.hash)
			}
			_, _, err := im.run()
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) || (len(f.All()) == 0) != (err != nil) {
				t.Errorf("the error is %v; %d identities", err, len(f.All()))
			}
		})
	}
}

func TestUnreadableHashesAreTold(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	im := newImport(t, f, many(1)...)
	im.opts.Hashes = bulktest.HashesFile(t, bulktest.HashLine("1", bulktest.BcryptHash, bulktest.SetAt), "canary", "canary")
	summary, _ := im.must()
	if want := "[2 entries of the hash file cannot be read, the first is number 2: it is not a JSON object with the fields of a hash]"; fmt.Sprint(im.told.Warned) != want {
		t.Errorf("warned %q", im.told.Warned)
	}
	if summary.HashesTotal != 1 || summary.HashesUsed != 1 {
		t.Errorf("the summary is %+v", summary)
	}
}
