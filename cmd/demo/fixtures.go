package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"ferry/identifier"
	"ferry/outcome"
	"ferry/recording"
	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/test/kratostest"
	"ferry/upstream"
	"ferry/wire"
)

// fixtures creates users for whom ferry must give the recorded outcomes.
type fixtures struct {
	stack *stack
	made  int
	// deliveries are the logins of deliveries, so that a re-delivery gets the same one.
	deliveries map[string]recording.Login
	// people holds the users created from bodies, by identifier.
	people map[string]fixture
	// identities are the ids of the created identities, by recorded id.
	identities map[string]string
	// expected is the outcome that the last body must have, or empty.
	expected string
}

type fixture struct {
	user     string
	identity string
}

func newFixtures(s *stack) *fixtures {
	return &fixtures{stack: s, deliveries: map[string]recording.Login{}, people: map[string]fixture{}, identities: map[string]string{}}
}

// prepare removes the users and limits of the simulated tenant.
func (c *fixtures) prepare(ctx context.Context) error {
	if err := c.stack.sim.control.SetTenant(ctx, emptyTenant()); err != nil {
		return err
	}
	_, err := c.stack.sim.control.PatchSettings(ctx, relaxed())
	return err
}

// restore creates the user that a call needs. It is a recording.ReplayOptions.Restore.
func (c *fixtures) restore(ctx context.Context, call recording.ReplayCall) (recording.Login, string, error) {
	c.expected = ""
	named := identityOf(call.Record)
	switch {
	case call.Record.Route == wire.RouteAfterLogin:
		return recording.Login{IdentityID: c.identities[named]}, "", nil
	case !call.Recorded():
		return c.body(ctx, call.Record.Body, named)
	case call.Record.Outcome == recording.OutcomeCaller:
		return recording.Login{}, "", nil
	}
	delivery := call.Record.Headers[wire.HeaderTriggerID] + " " + call.Record.Identifier
	if login, again := c.deliveries[delivery]; again && call.Record.Headers[wire.HeaderTriggerID] != "" {
		return login, "", nil
	}
	login, skip, err := c.recorded(ctx, call.Record, named)
	if skip == "" && err == nil {
		c.deliveries[delivery] = login
	}
	return login, skip, err
}

// identityOf returns the identity id in a body, or empty.
func identityOf(line recording.Record) string {
	var body struct {
		Identity struct {
			ID string `json:"id"`
		} `json:"identity"`
	}
	if json.Unmarshal(line.Body, &body) != nil {
		return ""
	}
	return body.Identity.ID
}

// loginSetup is the state that a call needs.
type loginSetup struct {
	login    recording.Login
	user     auth0sim.User
	identity kratostest.IdentitySpec
	fault    *auth0sim.Fault // one answer of Auth0 about this user
}

// recorded creates a user for a record.
func (c *fixtures) recorded(ctx context.Context, line recording.Record, named string) (recording.Login, string, error) {
	c.made++
	email, subject := fmt.Sprintf("person%d@replay.test", c.made), fmt.Sprintf("auth0|replay%d", c.made)
	password := rand.Text()
	s := loginSetup{
		login: recording.Login{Identifier: email, Password: secret.New(password)},
		user:  auth0sim.User{ID: subject, Connection: auth0sim.DemoConnection, Email: email, EmailVerified: true, Password: password},
		identity: kratostest.IdentitySpec{
			Traits: map[string]any{"email": email}, MetadataAdmin: binding(subject, ""), Pending: true,
		},
	}
	if !s.arrange(line) {
		return recording.Login{}, "no user can be created for " + line.Outcome, nil
	}
	if s.fault != nil {
		if _, err := c.stack.sim.control.SetFault(ctx, *s.fault); err != nil {
			return recording.Login{}, "", err
		}
	}
	made, err := c.enter(ctx, s)
	if err != nil {
		return recording.Login{}, "", err
	}
	if s.login.IdentityID == "" {
		s.login.IdentityID = made.identity
	}
	if named != "" {
		c.identities[named] = made.identity
	}
	return s.login, "", nil
}

// enter puts the user into the simulator and the identity into Kratos.
func (c *fixtures) enter(ctx context.Context, s loginSetup) (fixture, error) {
	user, err := c.stack.sim.control.AddUser(ctx, s.user)
	if err != nil {
		return fixture{}, err
	}
	identity, err := c.stack.kratos.CreateIdentity(ctx, s.identity)
	return fixture{user.ID, identity}, err
}

func binding(subject, connection string) map[string]any {
	auth0 := map[string]any{"user_id": subject}
	if connection != "" {
		auth0["connection"] = connection
	}
	return map[string]any{"auth0": auth0}
}

// arrange changes the setup so that ferry gives the outcome of the record. It reports
// whether that is possible.
func (s *loginSetup) arrange(line recording.Record) bool {
	switch line.Outcome {
	case outcome.Match.String():
	case outcome.SubjectMismatch.String():
		s.identity.MetadataAdmin = binding("auth0|somebody-else", "")
	case outcome.Unbound.String():
		s.identity.MetadataAdmin = nil
	case outcome.Inactive.String():
		s.identity.State = "inactive"
	case outcome.NotPending.String():
		s.identity.Pending, s.identity.Password = false, rand.Text()
	case outcome.Oversize.String():
		s.oversize(line.Reason)
	default:
		return s.refuse(line)
	}
	return true
}

func (s *loginSetup) oversize(reason string) {
	if reason == "identifier_length" {
		s.login.Identifier = strings.Repeat("x", 2<<10)
		return
	}
	s.login.Password = secret.New(strings.Repeat("x", wire.BcryptBytes+1))
}

// refuse arranges a refusal by Auth0, or because of ferry's settings.
func (s *loginSetup) refuse(line recording.Record) bool {
	switch line.Reason {
	case "realm_not_listed":
		s.identity.MetadataAdmin = binding(s.user.ID, "another-connection")
		return true
	case "identity_differs":
		s.login.IdentityID = uuid.NewString()
		return true
	}
	rows := upstream.Contract()
	at := slices.IndexFunc(rows, func(row upstream.Row) bool {
		return row.Outcome.String() == line.Outcome && row.Reason == line.Reason && answersSo(row, line)
	})
	if at < 0 { // another reason with the same outcome
		at = slices.IndexFunc(rows, func(row upstream.Row) bool { return row.Outcome.String() == line.Outcome })
	}
	if at < 0 {
		return false
	}
	s.fault = answerOf(rows[at], line, s.user.Email)
	return true
}

// answersSo reports whether the recorded status and code match a row.
func answersSo(row upstream.Row, line recording.Record) bool {
	status := slices.Contains(row.Statuses, line.UpstreamStatus) || slices.Contains(row.Statuses, line.UpstreamStatus/100)
	return status && (len(row.Codes) == 0 || slices.Contains(row.Codes, line.UpstreamCode))
}

// answerOf returns an answer of Auth0 for a row: the recorded status and code if they match,
// and a text that matches.
func answerOf(row upstream.Row, line recording.Record, user string) *auth0sim.Fault {
	status, code, text := row.Statuses[0], "recorded_without_a_code", "recorded without its text"
	if status < 10 {
		status = status*100 + 3 // 403 and 503 are refusals; 203 and 303 are not valid answers
	}
	if len(row.Codes) > 0 {
		code = row.Codes[0]
	}
	if answersSo(row, line) {
		status, code = line.UpstreamStatus, line.UpstreamCode
	}
	switch {
	case row.Text.Is != "":
		text = row.Text.Is
	case row.Text.Begins != "":
		text = row.Text.Begins
	case row.Text.Contains != "":
		text = row.Text.Contains
	}
	fields := map[string]string{"error_description": text}
	if code != "" {
		fields["error"] = code
	}
	body, err := json.Marshal(fields)
	if err != nil {
		body = []byte("{}") // cannot happen: they are strings
	}
	return &auth0sim.Fault{
		Name: auth0sim.FaultAnswer, User: user, Times: 1, Status: status, Body: string(body),
		Headers: map[string]string{"Content-Type": "application/json"},
	}
}

// body creates a user with the identifier and password of a body.
func (c *fixtures) body(ctx context.Context, text []byte, named string) (recording.Login, string, error) {
	var typed struct{ Identifier, Password string }
	if json.Unmarshal(text, &typed) != nil || strings.TrimSpace(typed.Identifier) == "" || typed.Password == "" {
		return recording.Login{}, "identifier and password are not strings", nil
	}
	c.expected = outcome.Match.String()
	identifier := strings.ToLower(strings.TrimSpace(typed.Identifier))
	if len(typed.Password) > wire.BcryptBytes || len(identifier) > wire.MaxIdentifierBytes {
		c.expected = outcome.Oversize.String()
		return recording.Login{}, "", nil
	}
	made, known := c.people[identifier]
	if known {
		_, err := c.stack.sim.control.PatchUser(ctx, made.user, map[string]any{"password": typed.Password})
		return c.as(named, made), "", err
	}
	c.made++
	s := somebody(identifier, fmt.Sprintf("auth0|replay%d", c.made))
	s.user.Password = typed.Password
	made, err := c.enter(ctx, s)
	if errors.Is(err, kratostest.ErrRefused) { // any short identifier is a valid username
		s.identity.Traits = map[string]any{"username": identifier}
		made.identity, err = c.stack.kratos.CreateIdentity(ctx, s.identity)
	}
	switch {
	case errors.Is(err, kratostest.ErrRefused):
		return recording.Login{}, "Kratos accepts no identity with this identifier", nil
	case err != nil:
		return recording.Login{}, "", err
	}
	c.people[identifier] = made
	return c.as(named, made), "", nil
}

// as records the identity for the id in a body.
func (c *fixtures) as(named string, made fixture) recording.Login {
	if named != "" {
		c.identities[named] = made.identity
	}
	return recording.Login{IdentityID: made.identity}
}

// somebody returns a setup for a user whose e-mail address, phone number or username is
// the identifier.
func somebody(name, subject string) loginSetup {
	user := auth0sim.User{ID: subject, Connection: auth0sim.DemoConnection}
	trait := "username"
	switch {
	case strings.Contains(name, "@"):
		trait, user.Email, user.EmailVerified = "email", name, true
	case strings.HasPrefix(name, "+"):
		trait, user.Phone, user.PhoneVerified = "phone", identifier.CompactPhone(name), true
		if user.Phone != name { // ferry sends too short a number unchanged
			user.Username = name
		}
	default:
		user.Username = name
	}
	return loginSetup{user: user, identity: kratostest.IdentitySpec{
		Traits: map[string]any{trait: name}, MetadataAdmin: binding(subject, ""), Pending: true,
	}}
}
