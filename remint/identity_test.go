package remint_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"ferry/kratos"
	"ferry/provenance"
	"ferry/provision"
	"ferry/remint"
)

// TestIDToken: an ID token that is not Auth0's, for this application and now, makes nobody.
func TestIDToken(t *testing.T) {
	t.Parallel()
	for name, claims := range map[string]map[string]any{
		"another application": {"aud": "web"}, "another issuer": {"iss": "https://evil.example.com/"}, "expired": {"exp": 1}, "no subject": {"sub": ""},
		"another party": {"aud": []string{"app", "web"}, "azp": "web"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.auth0.set(func(a *fakeAuth0) { a.claims = claims })
			p := w.start(0, false)
			if a := p.refresh("old"); a.Status != 503 || w.hydra.granted != nil {
				t.Errorf("%s %v", errorOf(a), p.reasons())
			}
		})
	}
}

// TestIdentity: tokens are for the one active identity that is bound to the user.
func TestIdentity(t *testing.T) {
	t.Parallel()
	one := func(id, user string, active bool) kratos.Record {
		return kratos.Record{Identity: kratos.Identity{ID: id, Active: active, Binding: provenance.Binding{Subjects: []string{user}}}}
	}
	created := func(string) (provision.Result, error) {
		return provision.Result{Created: true, Exists: true, IdentityID: "new"}, nil
	}
	for name, c := range map[string]struct {
		records []kratos.Record
		users   func(string) (provision.Result, error)
		want    string
	}{
		"one":             {[]kratos.Record{one(identity, subject, true)}, nil, "200 reminted"},
		"the same twice":  {[]kratos.Record{one(identity, subject, true), one(identity, subject, true)}, nil, "200 reminted"},
		"beside another":  {[]kratos.Record{one("other", "auth0|bob", true), one(identity, subject, true)}, nil, "200 reminted"},
		"inactive":        {[]kratos.Record{one(identity, subject, false)}, created, "403 refused inactive"},
		"two":             {[]kratos.Record{one(identity, subject, true), one("other", subject, true)}, created, "403 refused several_identities"},
		"of another user": {[]kratos.Record{one("other", "auth0|bob", true)}, nil, "403 refused no_identity"},
		"none":            {nil, nil, "403 refused no_identity"},
		"by another name of the profile": {nil, func(string) (provision.Result, error) {
			return provision.Result{Reason: "created_before", Identifiers: []string{"alice-by-name"}}, nil
		}, "200 reminted"},
		"by social login":   {nil, nil, "200 reminted"},
		"created":           {nil, created, "200 reminted"},
		"not to be created": {nil, func(string) (provision.Result, error) { return provision.Result{Reason: "second_factor"}, nil }, "403 refused second_factor"},
		"by another name": {nil, func(string) (provision.Result, error) {
			return provision.Result{Reason: "known", Identifiers: []string{"alice@example.com"}}, nil
		}, "403 refused known"},
		"only observed": {nil, func(string) (provision.Result, error) { return provision.Result{Reason: provision.ReasonObserved}, nil }, "503 paused"},
		"Auth0 is down": {nil, func(string) (provision.Result, error) { return provision.Result{}, errors.New("down") }, "503 unavailable lookup_failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.records, w.users = c.records, c.users
			if name == "by another name of the profile" || name == "by social login" {
				w.byName = []kratos.Record{one(identity, subject, true)}
			}
			if name == "by social login" {
				w.options = func(o *remint.Options) { o.Logins = func(string) []string { return []string{"google:alice"} } }
			}
			p := w.start(0, false)
			a := p.refresh("old")
			if got := fmt.Sprint(a.Status, " ", strings.Join(p.reasons(), ", ")); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if want := map[bool]string{true: "new", false: identity}[name == "created"]; a.Status == 200 && w.hydra.granted["subject"] != want {
				t.Errorf("tokens for %v", w.hydra.granted["subject"])
			}
		})
	}
}
