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

	"ferry/outcome"
	"ferry/recording"
	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/test/kratostest"
	"ferry/upstream"
)

// longestPassword is ferry's default: Auth0's and bcrypt's limit.
const longestPassword = 72

// longestIdentifier is what ferry looks up at most.
const longestIdentifier = 1024

// fixtures creates people for whom the recorded outcomes must come true.
type fixtures struct {
	stack *stack
	made  int
	// deliveries are the people of deliveries, so that one made again is of the same.
	deliveries map[string]recording.Login
	// people are those with an identifier of their own: of bodies.
	people map[string]fixture
	// identities are the made up ones, by the recorded id.
	identities map[string]string
	// expected is the outcome that must come of the latest body; empty: none.
	expected string
}

type fixture struct {
	user     string
	identity string
}

func newFixtures(s *stack) *fixtures {
	return &fixtures{stack: s, deliveries: map[string]recording.Login{}, people: map[string]fixture{}, identities: map[string]string{}}
}

// prepare empties the simulated tenant, and takes its limits off.
func (c *fixtures) prepare(ctx context.Context) error {
	if err := c.stack.sim.control.SetTenant(ctx, emptyTenant()); err != nil {
		return err
	}
	_, err := c.stack.sim.control.PatchSettings(ctx, relaxed())
	return err
}

// restore creates the person that a call needs: a recording.ReplayOptions.Restore.
func (c *fixtures) restore(ctx context.Context, call recording.ReplayCall) (recording.Login, string, error) {
	c.expected = ""
	named := identityOf(call.Record)
	switch {
	case call.Record.Route == recording.RouteAfterLogin:
		return recording.Login{IdentityID: c.identities[named]}, "", nil
	case !call.Recorded():
		return c.body(ctx, call.Record.Body, named)
	case call.Record.Outcome == recording.OutcomeCaller:
		return recording.Login{}, "", nil
	}
	const trigger = "Ory-Webhook-Trigger-Id"
	delivery := call.Record.Headers[trigger] + " " + call.Record.Identifier
	if login, again := c.deliveries[delivery]; again && call.Record.Headers[trigger] != "" {
		return login, "", nil
	}
	login, skip, err := c.recorded(ctx, call.Record, named)
	if skip == "" && err == nil {
		c.deliveries[delivery] = login
	}
	return login, skip, err
}

// identityOf is the id in a body's identity; empty where it names none.
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

// scene is the state that must exist before a call.
type scene struct {
	login    recording.Login
	user     auth0sim.User
	identity kratostest.NewIdentity
	fault    *auth0sim.Fault // what Auth0 answers about this user, once
}

// recorded creates a person for a record.
func (c *fixtures) recorded(ctx context.Context, line recording.Record, named string) (recording.Login, string, error) {
	c.made++
	email, subject := fmt.Sprintf("person%d@replay.test", c.made), fmt.Sprintf("auth0|replay%d", c.made)
	password := rand.Text()
	s := scene{
		login: recording.Login{Identifier: email, Password: secret.New(password)},
		user:  auth0sim.User{ID: subject, Connection: auth0sim.DemoConnection, Email: email, EmailVerified: true, Password: password},
		identity: kratostest.NewIdentity{
			Traits: map[string]any{"email": email}, MetadataAdmin: binding(subject, ""), Pending: true,
		},
	}
	if !s.arrange(line) {
		return recording.Login{}, "nobody can be made up for " + line.Outcome, nil
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
func (c *fixtures) enter(ctx context.Context, s scene) (fixture, error) {
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

// arrange changes the scene so that it leads to the line's outcome. It is false if no
// scene does.
func (s *scene) arrange(line recording.Record) bool {
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

func (s *scene) oversize(reason string) {
	if reason == "identifier_length" {
		s.login.Identifier = strings.Repeat("x", 2<<10)
		return
	}
	s.login.Password = secret.New(strings.Repeat("x", longestPassword+1))
}

// refuse arranges a refusal by Auth0, or by one of ferry's settings.
func (s *scene) refuse(line recording.Record) bool {
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
	if at < 0 { // what came in between; the outcome is the same
		at = slices.IndexFunc(rows, func(row upstream.Row) bool { return row.Outcome.String() == line.Outcome })
	}
	if at < 0 {
		return false
	}
	s.fault = answerOf(rows[at], line, s.user.Email)
	return true
}

// answersSo reports whether an answer of the recorded status and code fits a row.
func answersSo(row upstream.Row, line recording.Record) bool {
	status := slices.Contains(row.Statuses, line.UpstreamStatus) || slices.Contains(row.Statuses, line.UpstreamStatus/100)
	return status && (len(row.Codes) == 0 || slices.Contains(row.Codes, line.UpstreamCode))
}

// answerOf is Auth0's answer: the recorded status and code where they fit the row,
// and words of which the row's text holds.
func answerOf(row upstream.Row, line recording.Record, user string) *auth0sim.Fault {
	status, code, text := row.Statuses[0], "recorded_without_a_code", "recorded without its words"
	if status < 10 {
		status = status*100 + 3 // 403 and 503 are plain refusals; 203 and 303 no answer at all
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
		body = []byte("{}") // never: they are texts
	}
	return &auth0sim.Fault{
		Name: auth0sim.FaultAnswer, User: user, Times: 1, Status: status, Body: string(body),
		Headers: map[string]string{"Content-Type": "application/json"},
	}
}

// body creates a person with the identifier and password of a body.
func (c *fixtures) body(ctx context.Context, text []byte, named string) (recording.Login, string, error) {
	var typed struct{ Identifier, Password string }
	if json.Unmarshal(text, &typed) != nil || strings.TrimSpace(typed.Identifier) == "" || typed.Password == "" {
		return recording.Login{}, "identifier and password are no texts", nil
	}
	c.expected = outcome.Match.String()
	identifier := strings.ToLower(strings.TrimSpace(typed.Identifier))
	if len(typed.Password) > longestPassword || len(identifier) > longestIdentifier {
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
	if errors.Is(err, kratostest.ErrRefused) { // as a username everything short passes for one
		s.identity.Traits = map[string]any{"username": identifier}
		made.identity, err = c.stack.kratos.CreateIdentity(ctx, s.identity)
	}
	switch {
	case errors.Is(err, kratostest.ErrRefused):
		return recording.Login{}, "Kratos takes nobody with this identifier", nil
	case err != nil:
		return recording.Login{}, "", err
	}
	c.people[identifier] = made
	return c.as(named, made), "", nil
}

// as replaces the identity that a body names.
func (c *fixtures) as(named string, made fixture) recording.Login {
	if named != "" {
		c.identities[named] = made.identity
	}
	return recording.Login{IdentityID: made.identity}
}

// somebody has an e-mail address, a phone number or a username, whichever the
// identifier is.
func somebody(identifier, subject string) scene {
	user := auth0sim.User{ID: subject, Connection: auth0sim.DemoConnection}
	trait := "username"
	switch {
	case strings.Contains(identifier, "@"):
		trait, user.Email, user.EmailVerified = "email", identifier, true
	case strings.HasPrefix(identifier, "+"):
		trait, user.Phone, user.PhoneVerified = "phone", withoutMarks(identifier), true
		if user.Phone != identifier { // too short a number is asked about as it is
			user.Username = identifier
		}
	default:
		user.Username = identifier
	}
	return scene{user: user, identity: kratostest.NewIdentity{
		Traits: map[string]any{trait: identifier}, MetadataAdmin: binding(subject, ""), Pending: true,
	}}
}

// withoutMarks is a phone number as ferry asks Auth0 about it.
func withoutMarks(number string) string {
	return strings.NewReplacer(" ", "", "-", "", ".", "", "/", "", "(", "", ")", "", "\u00a0", "").Replace(number)
}
