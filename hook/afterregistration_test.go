package hook_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-jsonnet"

	"ferry/hook"
	"ferry/mapping"
	"ferry/provision"
	"ferry/wire"
	"ferry/wiring"
)

// fakeSignUps answers every sign-up alike.
type fakeSignUps struct {
	answer provision.Answer
	err    error
	fault  any
	asked  provision.SignUp
}

func (f *fakeSignUps) SignUp(_ context.Context, up provision.SignUp) (provision.Answer, error) {
	f.asked = up
	if f.fault != nil {
		panic(f.fault)
	}
	return f.answer, f.err
}

const (
	plainSignUp  = `{"identity":{"schema_id":"person","traits":{"email":"canary@example.org","age":9007199254740993},"metadata_public":null,"verifiable_addresses":[{"value":"canary@example.org","via":"email","verified":false}]},"flow":{"id":"` + aliceID + `","type":"api"},"provider":null}`
	socialSignUp = `{"identity":{"schema_id":"person","traits":{"email":"canary@example.org"},"metadata_public":{"plan":"x","auth0":{"user_id":"google-oauth2|7"}},"verifiable_addresses":[]},"flow":{"id":"` + aliceID + `","type":"browser"},"provider":"google"}`
)

// TestAfterRegistration: with the key, the answer is 204 or what Kratos is to store, whatever
// happens. What the mapper passed on never stays in metadata_public.
func TestAfterRegistration(t *testing.T) {
	bound := &mapping.New{
		Traits: map[string]any{"email": "canary@example.org"}, MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": "google-oauth2|7"}},
		Addresses: []mapping.CurrentAddress{{Value: "canary@example.org", Via: "email", Verified: true}},
	}
	const stripped = `{"identity":{"metadata_public":{"plan":"x"}}}`
	for name, c := range map[string]struct {
		body    string
		signUps *fakeSignUps
		closed  bool
		outcome string
		want    string // empty: 204
	}{
		"off":                  {body: plainSignUp, outcome: "off"},
		"off, social":          {body: socialSignUp, outcome: "off", want: stripped},
		"closed":               {body: plainSignUp, signUps: &fakeSignUps{fault: "asked"}, closed: true, outcome: "off"},
		"nobody":               {body: plainSignUp, signUps: &fakeSignUps{answer: provision.Answer{Reason: provision.ReasonNoUser}}, outcome: "no_user"},
		"created":              {body: plainSignUp, signUps: &fakeSignUps{answer: provision.Answer{Reason: provision.EnsuredNow}}, outcome: "created"},
		"not ready":            {body: plainSignUp, signUps: &fakeSignUps{err: provision.ErrNotReady}, outcome: "not_ready"},
		"Auth0 down":           {body: plainSignUp, signUps: &fakeSignUps{err: errors.New("canary")}, outcome: "lookup_failed"},
		"Auth0 down, social":   {body: socialSignUp, signUps: &fakeSignUps{err: errors.New("down")}, outcome: "lookup_failed", want: stripped},
		"a panic":              {body: plainSignUp, signUps: &fakeSignUps{fault: "canary"}, outcome: "panic"},
		"no JSON":              {body: `{`, signUps: &fakeSignUps{fault: "asked"}, outcome: "bad_request"},
		"no traits":            {body: `{"identity":{}}`, signUps: &fakeSignUps{fault: "asked"}, outcome: "bad_request"},
		"traits twice":         {body: `{"identity":{"traits":{"email":"a@b.c"},"traits":{"email":"b@b.c"}}}`, signUps: &fakeSignUps{fault: "asked"}, outcome: "bad_request"},
		"traits are a list":    {body: `{"identity":{"traits":[]}}`, signUps: &fakeSignUps{fault: "asked"}, outcome: "bad_request"},
		"metadata is a list":   {body: `{"identity":{"traits":{},"metadata_public":[1]}}`, signUps: &fakeSignUps{fault: "asked"}, outcome: "bad_request"},
		"bound":                {body: socialSignUp, signUps: &fakeSignUps{answer: provision.Answer{Reason: provision.ReasonBound, Identity: bound}}, outcome: "bound", want: `{"identity":{"metadata_admin":{"auth0":{"user_id":"google-oauth2|7"}},"metadata_public":null,"traits":{"email":"canary@example.org"},"verifiable_addresses":[{"status":"completed","value":"canary@example.org","verified":true,"via":"email"}]}}`},
		"bound, blocked there": {body: socialSignUp, signUps: &fakeSignUps{answer: provision.Answer{Reason: provision.ReasonBound, Identity: &mapping.New{}, ExternalID: "google-oauth2|7", Inactive: true}}, outcome: "bound", want: `{"identity":{"external_id":"google-oauth2|7","metadata_admin":null,"metadata_public":null,"state":"inactive","traits":null}}`},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, alice(), func(o *hook.Options) {
				o.Closed = c.closed
				if c.signUps != nil {
					o.SignUps = c.signUps
				}
			})
			got := h.signUp(t, c.body)
			if c.want == "" && !got.silent() || c.want != "" && (got.status != http.StatusOK || got.body != c.want) {
				t.Errorf("%d, %s", got.status, got.body)
			}
			h.close()
			log := h.logged()
			if !strings.Contains(log, `"outcome":"`+c.outcome+`"`) || !strings.Contains(log, `"route":"after-registration"`) || strings.Contains(log, "canary@") {
				t.Errorf("the log: %s", log)
			}
		})
	}
}

func (h *harness) signUp(t *testing.T, body string, change ...func(*http.Request)) answer {
	t.Helper()
	return h.post(t, body, append(change, func(r *http.Request) { r.URL.Path = wire.AfterRegistrationPath })...)
}

// TestAfterRegistrationReads: the sign-up is read as the template has it, and numbers digit for
// digit.
func TestAfterRegistrationReads(t *testing.T) {
	asked := &fakeSignUps{}
	h := start(t, alice(), func(o *hook.Options) { o.SignUps = asked })
	h.signUp(t, socialSignUp)
	if up := asked.asked; up.Subject != "google-oauth2|7" || up.Provider != "google" || up.SchemaID != "person" || len(up.MetadataPublic) != 1 {
		t.Errorf("%+v", up)
	}
	asked.answer = provision.Answer{Reason: provision.ReasonBound, Identity: &mapping.New{}}
	h.signUp(t, plainSignUp)
	if number, ok := asked.asked.Traits["age"].(interface{ String() string }); !ok || number.String() != "9007199254740993" || asked.asked.Subject != "" {
		t.Errorf("%+v", asked.asked)
	}
	if got := h.signUp(t, plainSignUp, func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong") }); got.status != http.StatusUnauthorized || got.body != "" {
		t.Errorf("a wrong key: %d, %s", got.status, got.body)
	}
}

// TestAfterRegistrationTemplate: the template makes a body that ferry reads of anything that a
// Kratos may have in ctx.
func TestAfterRegistrationTemplate(t *testing.T) {
	for ctx, want := range map[string]provision.SignUp{
		`{}`: {},
		`{"identity":{"traits":{"email":"a@b.c"},"schema_id":"s","credentials":{"password":"canary"}},"request_cookies":{"a":"canary"},"request_url":"http://k/self-service/registration?flow=1"}`: {SchemaID: "s"},
		`{"identity":{"traits":{"email":"a@b.c"}},"flow":{"id":"f","active":"oidc"},"request_url":"http://k/base/self-service/methods/oidc/callback/git.hub-1?code=canary&state=2"}`:               {Provider: "git.hub-1"},
		`{"identity":{"traits":{"email":"a@b.c"},"verifiable_addresses":[{"value":"a@b.c","via":"email","verified":true,"id":"1"}]}}`:                                                              {Addresses: []mapping.CurrentAddress{{Value: "a@b.c", Via: "email", Verified: true}}},
	} {
		vm := jsonnet.MakeVM()
		body, err := vm.EvaluateAnonymousSnippet("t", "("+strings.TrimSuffix(wiring.AfterRegistrationJsonnet(), "\n")+")("+ctx+")")
		if err != nil || strings.Contains(body, "canary") {
			t.Fatalf("%s: %s, %v", ctx, body, err)
		}
		asked := &fakeSignUps{}
		h := start(t, alice(), func(o *hook.Options) { o.SignUps = asked })
		h.signUp(t, body)
		got := asked.asked
		if got.Provider != want.Provider || got.SchemaID != want.SchemaID || len(got.Addresses) != len(want.Addresses) {
			t.Errorf("%s: %+v", ctx, got)
		}
	}
}
