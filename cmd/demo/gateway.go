package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/goccy/go-yaml"

	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/test/kratostest"
	"ferry/wiring"
)

// The application with which ferry reads users.
const (
	managementID     = "ferry-demo-management"
	managementSecret = "ferry-demo-management-secret-that-opens-nothing" //nolint:gosec // G101: of the simulator, which the demo starts
)

// Users who are not imported.
const (
	dorothyID = "auth0|5f7c8ec7c33c6c004bbafe87"
	maryID    = "auth0|5f7c8ec7c33c6c004bbafe88"
)

// bridge is the id of Kratos' provider that is the tenant itself.
const bridge = "auth0"

// The application with which Kratos sends users to the tenant.
const (
	bridgeID     = "ferry-demo-kratos"
	bridgeSecret = "ferry-demo-kratos-secret-that-opens-nothing" //nolint:gosec // G101: of the simulator, which the demo starts
)

// gatewayTenant is the demo tenant with the applications and the users of the second and third act.
// users is where they reach Kratos.
func gatewayTenant(users string) *auth0sim.Tenant {
	tenant := auth0sim.DemoTenant()
	tenant.Apps = append(tenant.Apps, notes(),
		auth0sim.App{ClientID: managementID, ClientSecret: managementSecret, ManagementScopes: []string{"read:users"}},
		auth0sim.App{
			ClientID: bridgeID, ClientSecret: bridgeSecret, GrantTypes: []string{auth0sim.GrantAuthorizationCode},
			AuthMethods: []string{auth0sim.AuthPost, auth0sim.AuthBasic}, Callbacks: []string{wiring.Bridge{ID: bridge}.Callback(users)},
		})
	tenant.Users = append(tenant.Users,
		auth0sim.User{
			ID: dorothyID, Connection: auth0sim.DemoConnection, Email: "dorothy@example.test", EmailVerified: true,
			Password: "thirty-two-west-computers", Name: "Dorothy Vaughan",
		},
		auth0sim.User{
			ID: maryID, Connection: auth0sim.DemoConnection, Email: "mary@example.test", EmailVerified: true,
			Password: "supersonic-pressure-tunnel", Name: "Mary Jackson",
		})
	return tenant
}

// addBridge adds to kratos.yml what `ferry kratos-config --bridge` prints, and lets users
// register at the provider.
func (s *stack) addBridge(config map[string]any) {
	var fragment map[string]any
	text := wiring.Fragment(wiring.Options{URL: "http://127.0.0.1", Bridge: wiring.Bridge{
		ID: bridge, Issuer: s.sim.url + "/", ClientID: bridgeID, ClientSecret: secret.New(bridgeSecret),
	}})
	selfservice, ok := config["selfservice"].(map[string]any)
	if yaml.Unmarshal([]byte(text), &fragment) != nil || !ok {
		return // Kratos then has no such provider, and the step says so
	}
	oidc, _ := wiring.Lookup(fragment, wiring.OIDCKeys()...)
	if methods, ok := selfservice["methods"].(map[string]any); ok {
		methods["oidc"] = oidc
	}
	if flows, ok := selfservice["flows"].(map[string]any); ok {
		registration, _ := flows["registration"].(map[string]any)
		registration["enabled"] = true
		registration["after"] = map[string]any{"oidc": map[string]any{"hooks": []any{map[string]any{"hook": "session"}}}}
	}
}

// gateway is the second act: users who were not imported.
func (t *story) gateway(ctx context.Context) error {
	t.say.printf("\n%s\n", t.say.paint(bold, "Now users who were not imported. They reach Kratos through ferry's gateway."))
	if err := t.dorothy(ctx); err != nil {
		return err
	}
	if err := t.mary(ctx); err != nil {
		return err
	}
	return t.barbara(ctx)
}

// dorothy logs in. The gateway creates her identity.
func (t *story) dorothy(ctx context.Context) error {
	t.say.step("Dorothy types her password. Kratos has never heard of her.",
		"The gateway asks Auth0, creates her identity, and passes her login on. Kratos\n   asks ferry, which has Auth0's answer already.")
	dorothy := person{name: "Dorothy", user: gatewayUser(dorothyID)}
	if err := t.unknown(ctx, dorothy); err != nil {
		return err
	}
	seen, did, err := t.measured(ctx, func() (kratostest.Login, error) {
		return t.stack.kratos.LoginBrowser(ctx, dorothy.user.Email, dorothy.user.Password)
	})
	if err != nil {
		return err
	}
	t.check("Dorothy sees", seen.Sees(), kratostest.SeesSession, fmt.Sprintf("(after %d ms)", seen.Duration.Milliseconds()))
	t.check("Auth0", reached(did.passwords), reached(1), "")
	t.check("ferry", did.said(), calledOnce+"match", "")
	return t.created(ctx, dorothy, migrated)
}

// mary has forgotten her password.
func (t *story) mary(ctx context.Context) error {
	t.say.step("Mary has forgotten her password, and asks Kratos for a new one.",
		"The gateway finds her at Auth0 by her address and creates her identity.\n   Kratos sends the mail. She types its code and chooses a new password.")
	mary := person{name: "Mary", user: gatewayUser(maryID)}
	if err := t.unknown(ctx, mary); err != nil {
		return err
	}
	before, err := t.stack.read(ctx)
	if err != nil {
		return err
	}
	sees := "a new password"
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if err := t.stack.kratos.RecoverByMail(ctx, t.stack.mail, mary.user.Email, "wind-tunnel-and-slide-rule"); err != nil {
		sees = "no mail"
	}
	after, err := t.stack.read(ctx)
	if err != nil {
		return err
	}
	did := after.since(before)
	t.check("Mary sees", sees, "a new password", "")
	t.check("Auth0", reached(did.passwords), reached(0), "")
	t.check("ferry", did.said(), notCalled, "")
	return t.created(ctx, mary, migrated)
}

// barbara has a second factor, which no hook can ask for.
func (t *story) barbara(ctx context.Context) error {
	barbara := person{name: "Barbara", user: gatewayUser(auth0sim.DemoBarbaraID)}
	t.say.step("Barbara has a second factor at Auth0. She types her password.",
		"Auth0 wants the factor, which ferry cannot ask for. Nothing is created.")
	if err := t.unknown(ctx, barbara); err != nil {
		return err
	}
	seen, did, err := t.measured(ctx, func() (kratostest.Login, error) {
		return t.stack.kratos.LoginBrowser(ctx, barbara.user.Email, barbara.user.Password)
	})
	if err != nil {
		return err
	}
	t.check("Barbara sees", seen.Sees(), kratostest.SeesInvalidCredentials, "")
	t.check("Auth0", reached(did.passwords), reached(1), "")
	t.check("ferry", did.said(), notCalled, "")

	t.say.step("She takes the bridge: \"continue with your previous login\".",
		"Kratos sends her to Auth0, which asks for both and sends her back. Kratos\n   creates her identity, bound to her Auth0 user. She can set a password now.")
	seen, did, err = t.measured(ctx, func() (kratostest.Login, error) {
		return t.stack.kratos.LoginProvider(ctx, bridge,
			url.Values{"connection": {auth0sim.DemoConnection}, "username": {barbara.user.Email}, "password": {barbara.user.Password}},
			url.Values{"code": {auth0sim.OneTimeCode}})
	})
	if err != nil {
		return err
	}
	t.check("Barbara sees", seen.Sees(), kratostest.SeesSession, "")
	t.check("ferry", did.said(), notCalled, "")
	return t.created(ctx, barbara, "neither pending nor a hash")
}

// measured runs a login and returns what it did.
func (t *story) measured(ctx context.Context, login func() (kratostest.Login, error)) (kratostest.Login, reading, error) {
	before, err := t.stack.read(ctx)
	if err != nil {
		return kratostest.Login{}, reading{}, err
	}
	seen, err := login()
	if err != nil {
		return kratostest.Login{}, reading{}, err
	}
	after, err := t.stack.read(ctx)
	t.logins++
	return seen, after.since(before), err
}

func gatewayUser(id string) auth0sim.User {
	for _, user := range gatewayTenant("").Users {
		if user.ID == id {
			return user
		}
	}
	return auth0sim.User{ID: id}
}

// unknown checks that Kratos does not have the user.
func (t *story) unknown(ctx context.Context, p person) error {
	ids, err := t.stack.identities(ctx, p.user.Email)
	if err != nil {
		return err
	}
	t.check("before", found(len(ids)), found(0), "")
	return t.say.err
}

// created checks the identity that the gateway created.
func (t *story) created(ctx context.Context, p person, state string) error {
	ids, err := t.stack.identities(ctx, p.user.Email)
	if err != nil {
		return err
	}
	t.check("after", found(len(ids)), found(1), "")
	if len(ids) != 1 {
		return t.say.err
	}
	c, err := t.stack.credential(ctx, ids[0])
	if err != nil {
		return err
	}
	if c.state() == migrated {
		t.migrated[ids[0]] = true
	}
	t.check("binding", c.subject(), p.user.ID, "")
	t.check("Kratos", c.state(), state, c.shown())
	return t.say.err
}

func found(identities int) string {
	if identities == 1 {
		return "1 identity in Kratos"
	}
	return fmt.Sprintf("%d identities in Kratos", identities)
}

// identities returns the ids that Kratos finds by an identifier.
func (s *stack) identities(ctx context.Context, identifier string) ([]string, error) {
	query := url.Values{"credentials_identifier": {identifier}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.kratos.AdminURL()+"/admin/identities?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("find an identity: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	var all []struct {
		ID string `json:"id"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&all); err != nil || resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("find an identity: %s", resp.Status), err)
	}
	var ids []string
	for _, one := range all {
		ids = append(ids, one.ID)
	}
	return ids, nil
}
