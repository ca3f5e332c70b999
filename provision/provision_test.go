package provision_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ferry/bulk/plan"
	"ferry/provision"
)

const kim, lee = "auth0|kim", "auth0|lee"

// TestByLogin: a login creates the identity that an import of the user would create, or
// says why not.
func TestByLogin(t *testing.T) {
	t.Parallel()
	const email = "kim@example.org"
	claims := map[string]any{"sub": kim, "iss": "https://tenant.example/", "aud": "ferry", "exp": 1, "iat": 1, "email": email, "email_verified": true}
	for name, c := range map[string]loginCase{
		"with the Management API":    {users: []map[string]any{user(kim, email, true, nil)}},
		"blocked meanwhile":          {users: []map[string]any{user(kim, email, true, map[string]any{"blocked": true})}, inactive: true},
		"a second factor":            {users: []map[string]any{user(kim, email, true, map[string]any{"multifactor": []any{"guardian"}})}, reason: "mfa"},
		"deleted at Auth0 meanwhile": {reason: provision.ReasonNoUser},
		"the Management API down":    {before: func(d *desk) { d.directory.err = errDown }, err: errDown},
		"Kratos' admin API down": {
			users: []map[string]any{user(kim, email, true, nil)}, before: func(d *desk) { d.people.err = errDown }, err: errDown,
		},
		"Kratos refuses the identity": {
			users: []map[string]any{user(kim, email, true, nil)}, before: func(d *desk) { d.people.status = http.StatusBadRequest }, reason: provision.ReasonRefused,
		},
		"unverified": {users: []map[string]any{user(kim, email, false, nil)}},
		"an unverified twin": {
			users:  []map[string]any{user(kim, email, false, nil), user(lee, email, true, nil)},
			reason: provision.ReasonUnverifiedTwin,
		},
		"a twin whose provider's word does not count": {
			users: []map[string]any{user(kim, email, false, nil), user("google-oauth2|lee", email, true, nil)},
		},
		"an unverified twin, in other letters": {
			users:  []map[string]any{user(kim, "Kim@Example.org", false, nil), user(lee, "Kim@Example.org", true, nil)},
			reason: provision.ReasonUnverifiedTwin,
		},
		"an unverified twin, and another in lower case": {
			users:  []map[string]any{user(kim, "Kim@Example.org", false, nil), user(lee, email, true, nil)},
			reason: provision.ReasonUnverifiedTwin,
		},
		"verified, with an unverified twin": {users: []map[string]any{user(kim, email, true, nil), user(lee, email, false, nil)}},
		"noted at Auth0 as created before": {
			users:  []map[string]any{user(kim, email, true, map[string]any{"app_metadata": map[string]any{"ferry": map[string]any{"identity_id": "x"}}})},
			reason: provision.ReasonElsewhere,
		},
		"by another identifier": {
			users: []map[string]any{user(kim, email, true, nil)}, identifier: "kim", reason: provision.ReasonNotByIdentifier,
		},
		"created by somebody else meanwhile": {
			users: []map[string]any{user(kim, email, true, nil)}, before: func(d *desk) { d.people.known[email] = true },
			reason: provision.ReasonKnown, exists: true,
		},
		"another identity has the username": {
			users:  []map[string]any{user(kim, email, true, map[string]any{"username": "kim"})},
			before: func(d *desk) { d.people.known["kim"] = true }, reason: provision.ReasonElsewhere,
		},
		"from the token":                    {change: withoutDirectory, claims: claims},
		"from the token, unverified":        {change: withoutDirectory, claims: map[string]any{"sub": kim, "email": email}, reason: provision.ReasonUnverifiedTwin},
		"from the token, no e-mail address": {change: withoutDirectory, claims: map[string]any{"sub": kim, "email_verified": true}, reason: "no_identifier"},
		"from the token, unverified in the only connection": {
			change: func(o *provision.Options) { o.Directory, o.AskUnverified = nil, true }, claims: map[string]any{"sub": kim, "email": email},
		},
		"from the token, by username": {change: withoutDirectory, claims: claims, identifier: "kim", username: "Kim"},
		"from the token, garbled":     {change: withoutDirectory, claims: map[string]any{"sub": "", "email": email, "email_verified": true}, reason: "unreadable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.test(t, email)
		})
	}
}

type loginCase struct {
	change     func(*provision.Options)
	users      []map[string]any
	identifier string // default: that of the test
	claims     map[string]any
	before     func(*desk)
	reason     string // empty: created
	err        error
	exists     bool
	username   any
	inactive   bool
}

func (c loginCase) test(t *testing.T, email string) {
	t.Helper()
	d := newDesk(t, c.change, c.users...)
	if c.before != nil {
		c.before(d)
	}
	if c.claims == nil {
		c.claims = map[string]any{"sub": kim}
	}
	asked := login(t, cmp.Or(c.identifier, email), c.claims)
	asked.Username = "Kim"
	result, err := d.ByLogin(t.Context(), asked)
	created := c.reason == "" && c.err == nil
	if !errors.Is(err, c.err) || result.Reason != c.reason || result.Exists != (c.exists || created) || result.Created != created {
		t.Fatalf("%+v, %v", result, err)
	}
	if got := len(d.people.created); (got == 1) != created {
		t.Fatalf("%d created", got)
	}
	if created {
		c.check(t, d.people.created[0])
	}
}

func (c loginCase) check(t *testing.T, made identity) {
	t.Helper()
	if m := made.Metadata.Auth0; m.UserID != kim || m.Connection != "db" || m.Import.Run != "provision-login" {
		t.Errorf("created with %+v", m)
	}
	if made.ExternalID != kim || made.Traits["username"] != c.username || !made.Credentials.Password.Config.Hook || (made.State == "inactive") != c.inactive {
		t.Errorf("created %+v", made)
	}
}

// TestConnectionOfTheToken: the identity of a user whom only a token describes records the
// connection that confirmed the password, also that of a directory: the hook asks it next.
func TestConnectionOfTheToken(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]string{kim: "db", "ad|corp|kim": "db", "auth0-adldap|kim": "db", "google-oauth2|1": ""} {
		d := newDesk(t, withoutDirectory)
		asked := login(t, "kim@example.org", map[string]any{"sub": subject, "email": "kim@example.org", "email_verified": true})
		result, err := d.ByLogin(t.Context(), asked)
		if err != nil || result.Created != (want != "") {
			t.Fatalf("%s: %+v, %v", subject, result, err)
		}
		if want == "" {
			continue // no password of its own is known
		}
		if made := d.people.created[0].Metadata.Auth0; made.UserID != subject || made.Connection != want {
			t.Errorf("%s: created with %+v", subject, made)
		}
	}
}

// TestByIdentifier: a look-up creates the identity of the user who would get the address in
// an import of all of them.
func TestByIdentifier(t *testing.T) {
	t.Parallel()
	const email = "kim@example.org"
	mfa := map[string]any{"multifactor": []any{"guardian"}}
	for name, c := range map[string]identifierCase{
		"verified":                             {users: []map[string]any{user(kim, email, true, nil)}, user: kim, pends: true},
		"unverified":                           {users: []map[string]any{user(kim, email, false, nil)}, user: kim, pends: true},
		"recovery, verified":                   {door: provision.DoorRecovery, users: []map[string]any{user(kim, email, true, nil)}, user: kim, pends: true},
		"recovery, unverified":                 {door: provision.DoorRecovery, users: []map[string]any{user(kim, email, false, nil)}, user: kim},
		"the verified one of two":              {users: []map[string]any{user(kim, email, false, nil), user(lee, email, true, nil)}, user: lee, pends: true},
		"the first of two verified ones":       {users: []map[string]any{user(kim, email, true, nil), user(lee, email, true, nil)}, user: kim, pends: true},
		"two unverified ones":                  {users: []map[string]any{user(kim, email, false, nil), user(lee, email, false, nil)}, reason: provision.ReasonUnverifiedTwin},
		"the one that an import does not skip": {users: []map[string]any{user(kim, email, true, mfa), user(lee, email, false, nil)}, user: lee, pends: true},
		"a second factor":                      {users: []map[string]any{user(kim, email, true, mfa)}, reason: "mfa"},
		"unknown":                              {users: []map[string]any{user(kim, "other@example.org", true, nil)}, reason: provision.ReasonNoUser},
		"no e-mail address":                    {email: "kim", reason: provision.ReasonNoUser},
		"the Management API down":              {err: errDown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.test(t, email)
		})
	}
	t.Run("without the Management API", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, withoutDirectory)
		if result, err := d.ByIdentifier(t.Context(), provision.DoorRecovery, email); err != nil || result.Reason != provision.ReasonNoUser || d.CanLookUp() {
			t.Errorf("%+v, %v", result, err)
		}
	})
}

type identifierCase struct {
	door   provision.Door // default: DoorIdentifier
	users  []map[string]any
	email  string // default: that of the test
	err    error
	reason string // empty: created
	user   string // the one that is created
	pends  bool
}

func (c identifierCase) test(t *testing.T, email string) {
	t.Helper()
	d := newDesk(t, nil, c.users...)
	d.directory.err = c.err
	door := cmp.Or(c.door, provision.DoorIdentifier)
	result, err := d.ByIdentifier(t.Context(), door, cmp.Or(c.email, email))
	if !errors.Is(err, c.err) || result.Reason != c.reason || result.Created != (c.user != "") {
		t.Fatalf("%+v, %v", result, err)
	}
	if c.user == "" {
		return
	}
	made := d.people.created[0]
	if m := made.Metadata.Auth0; m.UserID != c.user || made.Credentials.Password.Config.Hook != c.pends || m.Import.Run != "provision-"+string(door) {
		t.Errorf("created %+v", made)
	}
}

// TestNobodyTwice: a user whom Kratos has or had is not created again, whatever the address,
// nor is one of the accounts that are linked to the user.
func TestNobodyTwice(t *testing.T) {
	t.Parallel()
	linked := user("google-oauth2|1", "new@example.org", true, nil)
	linked["identities"] = []any{
		map[string]any{"provider": "google-oauth2", "user_id": "1", "connection": "google-oauth2", "isSocial": true},
		map[string]any{"provider": "auth0", "user_id": "kim", "connection": "db", "isSocial": false},
	}
	for name, u := range map[string]map[string]any{"the user": user(kim, "new@example.org", true, nil), "linked to another account": linked} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, nil, u)
				d.people.bound = [][]string{{"auth0|other", kim}}
				walkOnce(t, d.Provisioner)
				result, err := d.ByIdentifier(t.Context(), provision.DoorIdentifier, "new@example.org")
				if err != nil || result.Reason != provision.ReasonElsewhere || len(d.people.created) != 0 {
					t.Errorf("%+v, %v, created %+v", result, err, d.people.created)
				}
			})
		})
	}
	t.Run("created and deleted", func(t *testing.T) {
		t.Parallel()
		d := newDesk(t, nil, user(kim, "kim@example.org", true, nil))
		for _, want := range []string{"", provision.ReasonElsewhere} {
			result, err := d.ByIdentifier(t.Context(), provision.DoorIdentifier, "kim@example.org")
			if err != nil || result.Reason != want {
				t.Errorf("%+v, %v", result, err)
			}
			d.people.known = map[string]bool{}
		}
	})
}

// walkOnce lets the Provisioner walk Kratos once. It runs in a synctest bubble.
func walkOnce(t *testing.T, p *provision.Provisioner) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	synctest.Wait()
	cancel()
	running.Wait()
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestReady: nobody is created before the schema was read and Kratos walked; both are tried
// again.
func TestReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil)
		d.people.err = errDown
		d.failLoad(errDown)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { d.Run(ctx) })
		check := func(when string, want error) {
			synctest.Wait()
			if err := d.Ready(ctx); !errors.Is(err, want) {
				t.Errorf("%s: %v", when, err)
			}
			<-time.After(10 * time.Second)
		}
		check("without a schema", provision.ErrNotReady)
		d.failLoad(nil)
		check("before a walk", provision.ErrNotReady)
		check("before a walk", provision.ErrNotReady)
		d.people.mu.Lock()
		d.people.err = nil
		d.people.mu.Unlock()
		<-time.After(10 * time.Second)
		check("at the end", nil)
		cancel()
		running.Wait()
	})
}

// TestTraits: only traits that are identifiers or addresses are read in a registration.
func TestTraits(t *testing.T) {
	t.Parallel()
	d := newDesk(t, nil)
	if got := d.Traits(t.Context()); !slices.Equal(got, []string{"email", "username"}) {
		t.Errorf("%q", got)
	}
	d = newDesk(t, func(o *provision.Options) {
		o.Load = func(context.Context) (plan.Options, error) { return plan.Options{}, errDown }
	})
	if got := d.Traits(t.Context()); got != nil {
		t.Errorf("without a schema: %q", got)
	}
}

// TestMark: an identity that was not created by a login is noted at Auth0, and nobody waits
// for that.
func TestMark(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		marked := make(chan string)
		d := newDesk(t, func(o *provision.Options) {
			o.Mark = func(_ context.Context, userID, identityID string, _ time.Time) error {
				marked <- userID + " " + identityID
				return errDown
			}
		}, user(kim, "kim@example.org", true, nil), user(lee, "lee@example.org", true, nil))
		if _, err := d.ByLogin(t.Context(), login(t, "lee@example.org", map[string]any{"sub": lee})); err != nil {
			t.Fatal(err)
		}
		if result, err := d.ByIdentifier(t.Context(), provision.DoorRecovery, "kim@example.org"); err != nil || !result.Created {
			t.Fatalf("%+v, %v", result, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { d.Run(ctx) })
		if got := <-marked; got != kim+" identity-"+kim {
			t.Errorf("noted %q", got)
		}
		cancel()
		running.Wait()
	})
}

// TestNew: what is missing is named.
func TestNew(t *testing.T) {
	t.Parallel()
	if _, err := provision.New(provision.Options{}); err == nil {
		t.Error("without anything")
	}
	if _, err := provision.New(provision.Options{Identities: &people{}, Register: &provision.FileRegister{}, Load: func(context.Context) (plan.Options, error) { return plan.Options{}, nil }}); err == nil {
		t.Error("without a log")
	}
}
