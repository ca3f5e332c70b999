package main

import (
	"context"
	"fmt"
	"strings"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
)

// story is the steps and their results.
type story struct {
	stack *stack
	say   *narrator

	logins   int
	migrated map[string]bool // identities
	wrong    int             // facts that were not as expected
}

// person is a user at Auth0 with an identity in Kratos.
type person struct {
	name     string // given name
	user     auth0sim.User
	identity string
}

// facts are the measurements of one login.
type facts struct {
	sees      string // result for the user
	passwords int    // passwords that reached Auth0
	ferry     string
	kratos    string // state of the credential afterwards
}

// tell runs the steps. It returns an error if a step could not run or be measured. It
// counts wrong measurements, and continues.
func (t *story) tell(ctx context.Context) error {
	t.migrated = map[string]bool{}
	before, err := t.stack.read(ctx)
	if err != nil {
		return err
	}
	if err := t.ada(ctx); err != nil {
		return err
	}
	if err := t.grace(ctx); err != nil {
		return err
	}
	if err := t.gateway(ctx); err != nil {
		return err
	}
	if err := t.application(ctx); err != nil {
		return err
	}
	after, err := t.stack.read(ctx)
	if err != nil {
		return err
	}
	t.sumUp(after.since(before))
	return t.say.err
}

// ada migrates. Later logins do not ask Auth0.
func (t *story) ada(ctx context.Context) error {
	t.say.step("Ada is imported into Kratos without a password, bound to her Auth0 user.",
		"Her credential tells Kratos to ask ferry at her first login.")
	ada, err := t.stack.invite(ctx, demoUser(auth0sim.DemoAdaID))
	if err != nil {
		return err
	}
	c, err := t.stack.credential(ctx, ada.identity)
	if err != nil {
		return err
	}
	t.check("binding", c.subject(), ada.user.ID, "(metadata_admin.auth0.user_id)")
	t.check("Kratos", c.state(), pending, c.shown())

	password, mistyped := ada.user.Password, ada.user.Password+"r"
	for _, s := range []struct {
		done, why, password string
		want                facts
	}{
		{
			"Ada mistypes her password.", "Kratos has no hash to compare with. It asks ferry, and ferry asks Auth0.", mistyped,
			facts{kratostest.SeesInvalidCredentials, 1, calledOnce + "mismatch", pending},
		},
		{
			"Ada types her password.", "Auth0 confirms it, and Kratos stores a hash of it.", password,
			facts{kratostest.SeesSession, 1, calledOnce + "match", migrated},
		},
		{
			"Ada logs in again.", "Kratos compares it with its own hash. Auth0 is no longer asked.", password,
			facts{kratostest.SeesSession, 0, notCalled, migrated},
		},
		{
			"Ada mistypes her password once more.", "Kratos finds that out by itself, too.", mistyped,
			facts{kratostest.SeesInvalidCredentials, 0, notCalled, migrated},
		},
	} {
		t.say.step(s.done, s.why)
		if err := t.login(ctx, ada, s.password, s.want); err != nil {
			return err
		}
	}
	return nil
}

// grace logs in during an outage, and migrates after it.
func (t *story) grace(ctx context.Context) error {
	grace, err := t.stack.invite(ctx, demoUser(auth0sim.DemoGraceID))
	if err != nil {
		return err
	}
	control := t.stack.sim.control
	fault, err := control.SetFault(ctx, outage())
	if err != nil {
		return err
	}
	t.say.step("Auth0 goes down. Grace, pending as Ada was, types her password.",
		"No one can tell whether it is right. She sees an error, not \"wrong password\",\n   and stays pending.")
	if err := t.login(ctx, grace, grace.user.Password,
		facts{kratostest.SeesUnavailable, 0, calledOnce + "unavailable", pending}); err != nil {
		return err
	}
	if err := control.ClearFault(ctx, fault); err != nil {
		return err
	}
	t.say.step("Auth0 is back. Grace types the same password again.",
		"The outage locked no one out, and nothing was stored. She is migrated.")
	return t.login(ctx, grace, grace.user.Password,
		facts{kratostest.SeesSession, 1, calledOnce + "match", migrated})
}

// outage makes the simulator close every connection.
func outage() auth0sim.Fault {
	return auth0sim.Fault{Name: auth0sim.FaultResetBeforeRequest, Path: auth0sim.AnyPath}
}

// login logs in as a browser does, and compares the measurements.
func (t *story) login(ctx context.Context, p person, password string, want facts) error {
	before, err := t.stack.read(ctx)
	if err != nil {
		return err
	}
	seen, err := t.stack.kratos.LoginBrowser(ctx, p.user.Email, password)
	if err != nil {
		return err
	}
	after, err := t.stack.read(ctx)
	if err != nil {
		return err
	}
	c, err := t.stack.credential(ctx, p.identity)
	if err != nil {
		return err
	}
	t.logins++
	if c.state() == migrated {
		t.migrated[p.identity] = true
	}
	did := after.since(before)
	t.check(p.name+" sees", seen.Sees(), want.sees, fmt.Sprintf("(after %d ms)", seen.Duration.Milliseconds()))
	t.check("Auth0", reached(did.passwords), reached(want.passwords), "")
	t.check("ferry", did.said(), want.ferry, "")
	t.check("Kratos", c.state(), want.kratos, c.shown())
	return t.say.err
}

func reached(passwords int) string {
	if passwords == 1 {
		return "1 password reached it"
	}
	return fmt.Sprintf("%d passwords reached it", passwords)
}

func (t *story) check(about, got, want, detail string) {
	if !t.say.fact(about, got, want, detail) {
		t.wrong++
	}
}

// sumUp prints the totals.
func (t *story) sumUp(total reading) {
	line := fmt.Sprintf("%d users moved, in %d logins and a recovery.\n%d passwords reached Auth0, ferry was called %d times.",
		len(t.migrated), t.logins, total.passwords, total.calls())
	if t.wrong > 0 {
		t.say.printf("\n%s\n", t.say.paint(red, fmt.Sprintf("NOT AS EXPECTED: %d facts, marked above. %s", t.wrong, line)))
		return
	}
	t.say.printf("\n%s\n", t.say.paint(bold, "All as expected. "+line))
}

// demoUser returns a user of the simulator's demo tenant.
func demoUser(id string) auth0sim.User {
	for _, user := range auth0sim.DemoTenant().Users {
		if user.ID == id {
			return user
		}
	}
	return auth0sim.User{ID: id}
}

// invite imports an Auth0 user into Kratos, pending and bound.
func (s *stack) invite(ctx context.Context, user auth0sim.User) (person, error) {
	given, _, _ := strings.Cut(user.Name, " ")
	p := person{name: given, user: user}
	var err error
	p.identity, err = s.kratos.CreateIdentity(ctx, kratostest.IdentitySpec{
		Traits:        map[string]any{"email": user.Email, "name": user.Name},
		MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": user.ID}},
		Pending:       true,
	})
	return p, err
}
