package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"ferry/test/auth0sim"
	"ferry/wire"
)

// katherine is a user for the reader to log in.
func katherine() auth0sim.User {
	return auth0sim.User{
		ID: "auth0|5f7c8ec7c33c6c004bbafe86", Connection: auth0sim.DemoConnection,
		Email: "katherine@example.test", EmailVerified: true,
		Password: "orbits worked out by hand", Name: "Katherine Johnson", // no quotes: it goes through a shell
	}
}

// keepRunning prints what to try, then ferry's log, until ctx ends.
func keepRunning(ctx context.Context, s *stack, n *narrator) error {
	user, err := s.sim.control.AddUser(ctx, katherine())
	if err != nil {
		return err
	}
	user.Password = katherine().Password // the answer does not contain it
	guest, err := s.invite(ctx, user)
	if err != nil {
		return err
	}
	n.printf("\n%s\n\n", n.paint(bold, "Everything stays up."))
	for _, at := range []struct{ what, url string }{
		{"Kratos, public", s.kratos.PublicURL()},
		{"Kratos, admin", s.kratos.AdminURL()},
		{"ferry, hooks", s.ferry.HooksURL()},
		{"ferry, admin", s.ferry.AdminURL()},
		{"ferry, tokens", strings.TrimSuffix(s.hydra.Issuer(), "/")},
		{"Hydra, public", s.hydra.PublicURL()},
		{"Hydra, admin", s.hydra.AdminURL()},
		{"simulator", s.sim.url},
		{"its control API", s.sim.control.URL},
	} {
		n.printf("  %-16s %s\n", at.what, at.url)
	}
	n.printf("\n%s is pending: %s, password: %s\n", guest.name, guest.user.Email, guest.user.Password)
	lines, err := s.recipes(guest)
	if err != nil {
		return err
	}
	for _, r := range lines {
		n.printf("\n# %s\n", r.what)
		for _, line := range r.lines {
			n.printf("%s\n", line)
		}
	}
	n.printf("\n%s\n", n.paint(bold, "Ctrl-C stops everything. ferry's log, from here on:"))
	if n.err != nil {
		return n.err
	}
	s.ferryLog.open.Store(true)
	return s.awaitEnd(ctx)
}

// recipe is an example: lines for a shell with curl.
type recipe struct {
	what  string
	lines []string
}

func (s *stack) recipes(guest person) ([]recipe, error) {
	const asJSON = "-H 'Content-Type: application/json' "
	question := map[string]string{"identifier": guest.user.Email, "password": guest.user.Password}
	hook, err := json.Marshal(question)
	if err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	question["method"] = "password"
	login, err := json.Marshal(question)
	if err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	down, err := json.Marshal(outage())
	if err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	faults := s.sim.control.URL + "/faults"
	return []recipe{
		{"what Kratos has of " + guest.name + ": look at credentials.password.config", []string{
			"curl -sw '\\n' '" + identityURL(s.kratos.AdminURL(), guest.identity) + "'",
		}},
		{"take Auth0 away", []string{"curl -sw '\\n' " + asJSON + "-d '" + string(down) + "' " + faults}},
		{"bring Auth0 back", []string{"curl -s -X DELETE " + faults}},
		{"what Kratos asks ferry; asking stores nothing", []string{
			"curl -sw '\\n' -H 'Authorization: Bearer " + s.hookKey + "' " + asJSON + "-d '" + string(hook) + "' " + s.ferry.HooksURL() + wire.MigrationPath,
		}},
		{"log in as an app does: get a login flow, then send the password there", []string{
			"action=$(curl -s " + s.kratos.PublicURL() + "/self-service/login/api | grep -o 'http[^\"]*login?flow=[^\"]*')",
			"curl -sw '\\n' " + asJSON + "-d '" + string(login) + "' \"$action\"",
		}},
		{"how many requests for a token reached Auth0, one of them for the Management API; an identical call within 100 s is answered without asking again", []string{"curl -sw '\\n' " + s.sim.control.URL + "/counters"}},
		{"what ferry answered so far", []string{
			"curl -s " + s.ferry.AdminURL() + "/metrics/prometheus | grep '^ferry_hook_outcomes.* [1-9]'",
		}},
	}, nil
}
