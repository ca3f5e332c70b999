package provision_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/bulk/plan"
	"ferry/mapping"
	"ferry/provision"
	"ferry/wire"
)

// memory remembers everything.
type memory struct {
	mu    sync.Mutex
	known map[[32]byte]time.Duration
}

func (*memory) HashKey() [32]byte { return [32]byte{1} }

func (m *memory) Recall(_ context.Context, key [32]byte) (answer []byte, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok = m.known[key]
	return nil, ok, nil
}

func (m *memory) Remember(_ context.Context, key [32]byte, _ []byte, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[key] = ttl
	return nil
}

// signUps is a desk where people sign up.
type signUps struct {
	*desk
	*provision.SignUps

	budget   *provision.Budget
	memory   *memory
	register *provision.FileRegister
}

// newSignUps makes one whose register is complete. planned may change the plan.
func newSignUps(t *testing.T, planned func(*plan.Options), users ...map[string]any) *signUps {
	t.Helper()
	register, err := provision.OpenRegister("")
	if err != nil {
		t.Fatal(err)
	}
	if err := register.SetComplete(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	s := &signUps{register: register, memory: &memory{known: map[[32]byte]time.Duration{}}}
	s.budget = provision.NewBudget(1, s.memory) // one look-up, then one each second
	s.desk = newDesk(t, func(o *provision.Options) {
		o.Register = register
		load := o.Load
		o.Load = func(ctx context.Context) (plan.Options, error) {
			opts, err := load(ctx)
			if planned != nil {
				planned(&opts)
			}
			return opts, err
		}
	}, users...)
	if s.SignUps, err = provision.NewSignUps(s.Provisioner, s.budget); err != nil {
		t.Fatal(err)
	}
	return s
}

const (
	email  = "kim@example.org"
	google = "google-oauth2|7"
)

// signUp is a sign-up with an address, by a password or a code.
func signUp(email string) provision.SignUp {
	return provision.SignUp{
		Traits: map[string]any{"email": email}, MetadataPublic: map[string]any{"theme": "dark"},
		Addresses: []mapping.CurrentAddress{{Value: email, Via: "email"}},
	}
}

// social is a sign-up with a social login, whose mapper passed on the Auth0 user id.
func social(userID string) provision.SignUp {
	up := signUp(email)
	up.Provider, up.Subject = "google", userID
	return up
}

// signUpCase is a sign-up and what becomes of it.
type signUpCase struct {
	users   []map[string]any
	planned func(*plan.Options)
	before  func(*signUps)
	up      provision.SignUp // default: with the address

	reason string
	err    error
	user   string // the Auth0 user
	// inactive: the identity is, the created one or that of the sign-up.
	inactive bool
	asked    int // look-ups by address
}

// googleAccount links an account at Google to a user.
func googleAccount() map[string]any {
	return map[string]any{"provider": "google-oauth2", "user_id": "7", "connection": "google-oauth2", "isSocial": true}
}

// TestSignUps is what becomes of people who sign up with an address. Kratos is told only by an
// identity that ferry creates: the sign-up itself always goes on.
func TestSignUps(t *testing.T) {
	t.Parallel()
	blocked := map[string]any{"blocked": true}
	for name, c := range map[string]signUpCase{
		"no user":                    {reason: provision.ReasonNoUser, asked: 1},
		"Kratos has the address":     {users: []map[string]any{user(kim, email, true, nil)}, before: knowsEmail, reason: provision.ReasonKnown},
		"a user":                     {users: []map[string]any{user(kim, email, true, nil)}, reason: provision.EnsuredNow, user: kim, asked: 1},
		"a user, typed in capitals":  {users: []map[string]any{user(kim, email, true, nil)}, up: signUp(" KIM@Example.org"), reason: provision.EnsuredNow, user: kim, asked: 1},
		"a blocked user":             {users: []map[string]any{user(kim, email, true, blocked)}, reason: provision.EnsuredNow, user: kim, inactive: true, asked: 1},
		"an unverified user":         {users: []map[string]any{user(kim, email, false, nil)}, reason: provision.EnsuredNow, user: kim, asked: 1},
		"an unverified twin":         {users: []map[string]any{user(lee, email, false, nil), user(kim, email, true, nil)}, reason: provision.EnsuredNow, user: kim, asked: 1},
		"two unverified":             {users: []map[string]any{user(lee, email, false, nil), user(kim, email, false, nil)}, reason: provision.ReasonUnverifiedTwin, asked: 1},
		"a second factor":            {users: []map[string]any{user(kim, email, true, map[string]any{"multifactor": []any{"guardian"}})}, reason: "mfa", user: kim, asked: 1},
		"a user without a password":  {users: []map[string]any{user(google, email, true, nil)}, reason: "no_login_method", user: google, asked: 1},
		"a provider that is listed":  {users: []map[string]any{user(google, email, true, nil)}, planned: listed, reason: provision.EnsuredNow, user: google, asked: 1},
		"created before":             {users: []map[string]any{user(kim, email, true, nil)}, before: registered(kim), reason: provision.ReasonElsewhere, user: kim, asked: 1},
		"noted at Auth0":             {users: []map[string]any{user(kim, email, true, map[string]any{"app_metadata": map[string]any{"ferry": map[string]any{}}})}, reason: provision.ReasonElsewhere, user: kim, asked: 1},
		"known not to be at Auth0":   {users: []map[string]any{user(kim, email, true, nil)}, before: remembered, reason: provision.ReasonNoUser},
		"a username":                 {up: provision.SignUp{Traits: map[string]any{"username": "kim"}}, reason: provision.EnsuredNothing},
		"nothing":                    {up: provision.SignUp{Traits: map[string]any{}}, reason: provision.EnsuredNothing},
		"an address that is no text": {up: provision.SignUp{Traits: map[string]any{"email": 7}}, reason: provision.EnsuredNothing},
		"too long an address":        {up: signUp(strings.Repeat("k", wire.MaxEmailBytes) + "@example.org"), reason: provision.EnsuredNothing},
		"another schema":             {users: []map[string]any{user(kim, email, true, nil)}, up: otherSchema(), reason: provision.EnsuredNow, user: kim, asked: 1},
		"the limit is reached":       {users: []map[string]any{user(kim, email, true, nil)}, before: spent, reason: provision.EnsureLimited},
		"the limit, and Kratos has":  {before: func(s *signUps) { spent(s); knowsEmail(s) }, reason: provision.ReasonKnown},
		"Auth0 down":                 {users: []map[string]any{user(kim, email, true, nil)}, before: auth0Down, err: errDown, asked: 1},
		"Kratos' admin API down":     {users: []map[string]any{user(kim, email, true, nil)}, before: func(s *signUps) { s.people.err = errDown }, err: errDown},
		"no identity schema":         {users: []map[string]any{user(kim, email, true, nil)}, before: func(s *signUps) { s.failLoad(errDown) }, err: errDown},
		"Kratos refuses":             {users: []map[string]any{user(kim, email, true, nil)}, before: func(s *signUps) { s.people.status = 400 }, reason: provision.ReasonRefused, user: kim, asked: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.up.Traits == nil {
				c.up = signUp(email)
			}
			c.test(t)
		})
	}
}

// TestSocialSignUps: a social login that is that of an Auth0 user without a password binds the
// new identity to the user. Nobody else is bound.
func TestSocialSignUps(t *testing.T) {
	t.Parallel()
	twin := user("github|9", email, true, nil)
	for name, c := range map[string]signUpCase{
		"bound":                              {users: []map[string]any{user(google, email, true, nil)}, reason: provision.ReasonBound, user: google, asked: 1},
		"bound, a provider that is listed":   {users: []map[string]any{user(google, email, true, nil)}, planned: listed, reason: provision.ReasonBound, user: google, asked: 1},
		"not passed on":                      {users: []map[string]any{user(google, email, true, nil)}, up: social(""), reason: "no_login_method", user: google, asked: 1},
		"blocked":                            {users: []map[string]any{user(google, email, true, map[string]any{"blocked": true})}, reason: provision.ReasonBound, user: google, inactive: true, asked: 1},
		"a second factor":                    {users: []map[string]any{user(google, email, true, map[string]any{"multifactor": []any{"guardian"}})}, reason: "mfa", user: google, asked: 1},
		"unverified, alone":                  {users: []map[string]any{user(google, email, false, nil)}, reason: provision.ReasonBound, user: google, asked: 1},
		"unverified, with a twin":            {users: []map[string]any{user(google, email, false, nil), user(kim, email, true, nil)}, reason: provision.EnsuredNow, user: kim, asked: 1},
		"another user has the address":       {users: []map[string]any{twin}, reason: "no_login_method", user: "github|9", asked: 1},
		"a password user has the address":    {users: []map[string]any{user(kim, email, true, nil)}, reason: provision.EnsuredNow, user: kim, asked: 1},
		"a password user with it linked":     {users: []map[string]any{withGoogle(user(kim, email, true, nil))}, reason: provision.EnsuredNow, user: kim, asked: 1},
		"another address at Auth0":           {users: []map[string]any{user(google, "old@example.org", true, nil)}, reason: provision.ReasonBound, user: google, asked: 2},
		"another address, and a twin there":  {users: []map[string]any{user(google, "old@example.org", false, nil), user(kim, "old@example.org", true, nil)}, reason: provision.ReasonUnverifiedTwin, user: google, asked: 2},
		"another address, no user remembers": {users: []map[string]any{user(google, "old@example.org", true, nil)}, before: remembered, reason: provision.ReasonBound, user: google, asked: 1},
		"no such user":                       {reason: provision.ReasonNoUser, asked: 1},
		"created before":                     {users: []map[string]any{user(google, email, true, nil)}, before: registered(google), reason: provision.ReasonElsewhere, user: google, asked: 1},
		"Kratos has the address":             {users: []map[string]any{user(google, email, true, nil)}, before: knowsEmail, reason: provision.ReasonKnown},
		"Auth0 down":                         {users: []map[string]any{user(google, email, true, nil)}, before: auth0Down, err: errDown, asked: 1},
		"Auth0 down at the second look-up":   {before: func(s *signUps) { remembered(s); auth0Down(s) }, err: errDown},
		"the limit is reached":               {users: []map[string]any{user(google, email, true, nil)}, before: spent, reason: provision.EnsureLimited},
		"the bridge":                         {users: []map[string]any{user(kim, email, true, nil)}, planned: func(o *plan.Options) { o.Bridge = "google" }, up: social(""), reason: provision.ReasonBridge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.up.Traits == nil {
				c.up = social(google)
			}
			c.test(t)
		})
	}
}

func knowsEmail(s *signUps) { s.people.known[email] = true }
func auth0Down(s *signUps)  { s.directory.err = errDown }
func spent(s *signUps)      { s.budget.Allow() }

func remembered(s *signUps) {
	_ = s.budget.RememberNoUser(context.Background(), email) // this memory always answers
}

// registered notes the user as one whom Kratos has or had.
func registered(userID string) func(*signUps) {
	return func(s *signUps) { _ = s.register.Add(context.Background(), []string{userID}) } // in memory
}

func listed(o *plan.Options) { o.Providers = plan.Providers{"google-oauth2": "google"} }

func withGoogle(u map[string]any) map[string]any {
	accounts, _ := u["identities"].([]any)
	u["identities"] = append(accounts, googleAccount())
	return u
}

func otherSchema() provision.SignUp {
	up := signUp(email)
	up.SchemaID, up.Traits = "other", map[string]any{"mail": email}
	return up
}

func (c signUpCase) test(t *testing.T) {
	t.Helper()
	s := newSignUps(t, c.planned, c.users...)
	if c.before != nil {
		c.before(s)
	}
	answer, err := s.SignUp(t.Context(), c.up)
	if c.err != nil { // says nothing about the user
		answer = provision.Answer{}
	}
	if !errors.Is(err, c.err) || answer.Reason != c.reason || answer.UserID != c.user || len(s.directory.emails) != c.asked {
		t.Fatalf("%+v, %v after %q", answer, err, s.directory.emails)
	}
	if got := len(s.people.created); (got == 1) != (c.reason == provision.EnsuredNow) || (answer.Identity != nil) != (c.reason == provision.ReasonBound) {
		t.Fatalf("%d created, %+v", got, answer.Identity)
	}
	if known := len(s.memory.known) > 0; known != (c.reason == provision.ReasonNoUser) && c.up.Subject == "" {
		t.Errorf("remembered: %v", known)
	}
	switch c.reason {
	case provision.EnsuredNow:
		made := s.people.created[0]
		if m := made.Metadata.Auth0; m.UserID != c.user || m.Import.Run != "provision-registration" || (made.State == "inactive") != c.inactive {
			t.Errorf("%+v", made)
		}
	case provision.ReasonBound:
		c.checkBound(t, answer)
	}
}

// checkBound: the traits and metadata of the sign-up stay, and the binding is added.
func (c signUpCase) checkBound(t *testing.T, answer provision.Answer) {
	t.Helper()
	record, _ := answer.Identity.MetadataAdmin["auth0"].(map[string]any)
	if record["user_id"] != c.user || fmt.Sprint(record["user_ids"]) != "["+c.user+"]" || answer.ExternalID != c.user || answer.Inactive != c.inactive {
		t.Errorf("bound with %v, %+v", record, answer)
	}
	if answer.Identity.Traits["email"] != email || answer.Identity.MetadataPublic["theme"] != "dark" {
		t.Errorf("%+v", answer.Identity)
	}
}

// TestSubjects: the Auth0 user id is compared and looked up byte for byte.
func TestSubjects(t *testing.T) {
	t.Parallel()
	odd := []string{
		"google-oauth2|a|b", "google-oauth2|Kim Doe", "google-oauth2|../users?x=1&y#z", "google-oauth2|%2e%2F", "google-oauth2|kïm\u200b", "google-oauth2|\"'\\`",
	}
	for _, id := range odd {
		for _, address := range []string{email, "old@example.org"} { // found by the address, and by the id
			s := newSignUps(t, nil, user(id, address, true, nil))
			answer, err := s.SignUp(t.Context(), social(id))
			if err != nil || answer.Reason != provision.ReasonBound {
				t.Fatalf("%q: %+v, %v", id, answer, err)
			}
			signUpCase{user: id}.checkBound(t, answer)
		}
		for _, other := range []string{id + " ", strings.ToUpper(id), strings.TrimSuffix(id, id[len(id)-1:]), "google-oauth2|", "|", "google-oauth2"} {
			s := newSignUps(t, nil, user(id, "old@example.org", true, nil))
			if answer, err := s.SignUp(t.Context(), social(other)); err != nil || answer.Reason != provision.ReasonNoUser || answer.Identity != nil {
				t.Errorf("%q as %q: %+v, %v", id, other, answer, err)
			}
		}
	}
}

// TestSignUpRemembers: Auth0 is asked once in five minutes about an address that it does not
// have. An outage is not remembered.
func TestSignUpRemembers(t *testing.T) {
	t.Parallel()
	s := newSignUps(t, nil)
	auth0Down(s)
	if _, err := s.SignUp(t.Context(), signUp(email)); !errors.Is(err, errDown) || len(s.memory.known) != 0 {
		t.Fatalf("%v, remembered %v", err, s.memory.known)
	}
	s = newSignUps(t, nil)
	for range 3 {
		if answer, err := s.SignUp(t.Context(), signUp(email)); err != nil || answer.Reason != provision.ReasonNoUser || len(s.directory.emails) != 1 {
			t.Fatalf("%+v, %v after %q", answer, err, s.directory.emails)
		}
	}
	for _, ttl := range s.memory.known {
		if ttl != 5*time.Minute {
			t.Errorf("remembered for %s", ttl)
		}
	}
}

// TestSignUpsAtOnce: two clicks of one user make one identity.
func TestSignUpsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSignUps(t, nil, user(kim, email, true, nil))
	s.budget = provision.NewBudget(100, s.memory)
	ups, err := provision.NewSignUps(s.Provisioner, s.budget)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			answer, err := ups.SignUp(t.Context(), signUp(email))
			if err != nil || answer.Reason != provision.EnsuredNow && answer.Reason != provision.ReasonKnown {
				t.Errorf("%+v, %v", answer, err)
			}
		})
	}
	all.Wait()
	if len(s.people.created) != 1 {
		t.Errorf("%d created", len(s.people.created))
	}
}

// TestNotReady: until Kratos' identities are read, and without the Management API, no user is
// looked up.
func TestNotReady(t *testing.T) {
	t.Parallel()
	s := newSignUps(t, nil)
	d := newDesk(t, nil, user(kim, email, true, nil)) // its register is empty
	ups, err := provision.NewSignUps(d.Provisioner, s.budget)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := ups.SignUp(t.Context(), signUp(email)); !errors.Is(err, provision.ErrNotReady) || len(d.directory.emails) != 0 || len(d.people.created) != 0 {
		t.Errorf("%+v, %v", answer, err)
	}
	if _, err := provision.NewSignUps(newDesk(t, withoutDirectory).Provisioner, s.budget); err == nil {
		t.Error("sign-ups without the Management API")
	}
}
