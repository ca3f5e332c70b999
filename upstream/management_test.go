package upstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/upstream"
)

const (
	ada           = auth0sim.DemoAdaID
	kratosID      = "9f425a8d-7efc-4768-8f23-7647a74fdf13"
	machineID     = "ferry-machine"
	machineSecret = "canary-machine-secret"
)

var markedAt = time.Date(2026, 5, 6, 7, 8, 9, 10, time.FixedZone("", 3600))

// managedTenant is the demo tenant with an application for ferry's writes.
func managedTenant(scopes ...string) *auth0sim.Tenant {
	tenant := auth0sim.DemoTenant()
	tenant.Apps = append(tenant.Apps, auth0sim.App{ClientID: machineID, ClientSecret: machineSecret, ManagementScopes: scopes})
	tenant.Users[0].AppMetadata = map[string]any{"plan": "free", "Plan": "twin", "ferry": map[string]any{"old": true}}
	tenant.Users[0].UserMetadata = map[string]any{"colour": "red"}
	return tenant
}

// managed starts a simulator whose clock stands still.
func managed(t *testing.T) *auth0sim.Server {
	t.Helper()
	return auth0sim.Run(t, auth0sim.Config{Tenant: managedTenant(auth0sim.ScopeUpdateAppMetadata), Clock: func() time.Time { return markedAt }})
}

func newManagement(t *testing.T, sim *auth0sim.Server, change ...func(*upstream.ManagementOptions)) *upstream.Management {
	t.Helper()
	transport := upstream.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	opts := upstream.ManagementOptions{
		BaseURL: sim.URL(), Audience: sim.ManagementAudience(), ClientID: machineID, ClientSecret: secret.New(machineSecret),
		Timeout: 5 * time.Second, Transport: transport, Now: sim.Now, PerSecond: 10_000,
	}
	for _, c := range change {
		c(&opts)
	}
	m, err := upstream.NewManagement(opts)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mark(ctx context.Context, m *upstream.Management) error {
	return m.MarkMigrated(ctx, ada, kratosID, markedAt)
}

// failure returns the fields of an error, and fails if its text contains a secret.
// Every error of these tests goes through it.
func failure(t *testing.T, err error) upstream.ManagementError {
	t.Helper()
	var e *upstream.ManagementError
	if !errors.As(err, &e) {
		t.Fatalf("no ManagementError: %v", err)
	}
	_, id, _ := strings.Cut(ada, "|")
	for _, text := range []string{fmt.Sprintf("%v", err), fmt.Sprintf("%+v", *e), fmt.Sprintf("%#v", *e)} {
		for _, canary := range []string{machineSecret, machineID, id, kratosID, "Bearer", "canary", "127.0.0.1"} {
			if strings.Contains(text, canary) {
				t.Errorf("%s in %s", canary, text)
			}
		}
	}
	return upstream.ManagementError{Status: e.Status, Code: e.Code, Temporary: e.Temporary, Reason: e.Reason}
}

func setFault(t *testing.T, sim *auth0sim.Server, f auth0sim.Fault) {
	t.Helper()
	if _, err := sim.SetFault(f); err != nil {
		t.Fatal(err)
	}
}

func TestMarkMigrated(t *testing.T) {
	t.Parallel()
	sim := managed(t)
	before, _ := sim.User(ada)
	sim.Advance(time.Minute)
	m := newManagement(t, sim)
	for range 3 {
		if err := mark(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	after, _ := sim.User(ada)
	if want := before.UpdatedAt.Add(time.Minute); !after.UpdatedAt.Equal(want) {
		t.Errorf("updated at %s, want %s", after.UpdatedAt, want)
	}
	before.UpdatedAt = after.UpdatedAt
	before.AppMetadata["ferry"] = map[string]any{"identity_id": kratosID, "migrated_at": "2026-05-06T06:08:09Z"}
	if !reflect.DeepEqual(before, after) {
		t.Errorf("got  %+v\nwant %+v", after, before)
	}
	if sim.TokenRequests() != 1 || sim.UserWrites(ada) != 3 || sim.Counters().Total() != 0 {
		t.Errorf("got %+v", sim.Counters())
	}
	got := sim.Requests()[0]
	if got.GrantType != "client_credentials" || got.ClientAuth != auth0sim.AuthPost || got.Audience != sim.ManagementAudience() ||
		fmt.Sprint(got.Parameters) != "[audience client_id client_secret grant_type]" {
		t.Errorf("got %+v", got)
	}
}

func TestUserIDIsEscaped(t *testing.T) {
	t.Parallel()
	sim := managed(t)
	m := newManagement(t, sim)
	for _, id := range []string{"samlp|corp|a/b?c#d", "oidc|%41", "auth0|ü .", "sms|+1", "oauth2|x|.."} {
		if _, err := sim.AddUser(auth0sim.User{ID: id}); err != nil {
			t.Fatal(err)
		}
		if err := m.MarkMigrated(t.Context(), id, kratosID, markedAt); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if user, _ := sim.User(id); user.AppMetadata["ferry"] == nil || sim.UserWrites(id) != 1 {
			t.Errorf("%s: got %+v", id, user)
		}
	}
	for _, id := range []string{"", "..", "auth0|", "|1", "ada"} {
		if got := failure(t, m.MarkMigrated(t.Context(), id, kratosID, markedAt)); got.Reason != "bad_id" {
			t.Errorf("%q: %+v", id, got)
		}
	}
	if got := failure(t, m.MarkMigrated(t.Context(), ada, "", markedAt)); got.Reason != "bad_id" {
		t.Errorf("%+v", got)
	}
}

// TestManagementAnswers: the error for each answer to a write, with one write each.
func TestManagementAnswers(t *testing.T) {
	t.Parallel()
	type want = upstream.ManagementError
	answer := func(status int, body string) auth0sim.Fault {
		return auth0sim.Fault{Name: auth0sim.FaultAnswer, Status: status, Body: body}
	}
	row := func(name auth0sim.AnswerName) auth0sim.Fault {
		return auth0sim.Fault{Name: auth0sim.FaultAnswer, Answer: name}
	}
	user := fmt.Sprintf(`{"user_id":%q`, ada)
	for name, c := range map[string]struct {
		fault auth0sim.Fault
		want  want
	}{
		"no such user":      {row(auth0sim.AnswerManagementNoUser), want{Status: 404, Code: "inexistent_user", Reason: "refused"}},
		"bad body":          {row(auth0sim.AnswerManagementBadBody), want{Status: 400, Code: "invalid_body", Reason: "refused"}},
		"conflict":          {row(auth0sim.AnswerManagementConflict), want{Status: 400, Code: "auth0_idp_error", Reason: "refused"}},
		"profile too large": {row(auth0sim.AnswerManagementProfileTooLarge), want{Status: 413, Reason: "profile_too_large"}},
		"too large, as 400": {answer(400, `{"message":"User profile exceeds the 10KB limit"}`), want{Status: 400, Reason: "profile_too_large"}},
		"unknown code":      {answer(400, `{"errorCode":"canary"}`), want{Status: 400, Reason: "refused"}},
		"code not a string": {answer(400, `{"errorCode":7}`), want{Status: 400, Reason: "refused"}},
		"code twice":        {answer(403, `{"errorCode":"insufficient_scope","errorCode":"x"}`), want{Status: 403, Reason: "refused"}},
		"code twice, case":  {answer(403, `{"errorCode":"insufficient_scope","errorcode":"x"}`), want{Status: 403, Reason: "refused"}},
		"unknown keys":      {answer(403, `{"errorCode":"insufficient_scope","x":{"y":1}}`), want{Status: 403, Code: "insufficient_scope", Reason: "refused"}},
		"503":               {auth0sim.Fault{Name: auth0sim.FaultUnavailable}, want{Status: 503, Temporary: true, Reason: "server_fault"}},
		"500 text":          {auth0sim.Fault{Name: auth0sim.FaultInternalError}, want{Status: 500, Temporary: true, Reason: "server_fault"}},
		"gateway page":      {auth0sim.Fault{Name: auth0sim.FaultHTMLPage}, want{Status: 502, Temporary: true, Reason: "server_fault"}},
		"firewall page":     {auth0sim.Fault{Name: auth0sim.FaultHTMLPage, Status: 403}, want{Status: 403, Reason: "refused"}},
		"redirect 302":      {auth0sim.Fault{Name: auth0sim.FaultRedirect302}, want{Status: 302, Reason: "redirect"}},
		"redirect 307":      {auth0sim.Fault{Name: auth0sim.FaultRedirect307}, want{Status: 307, Reason: "redirect"}},
		"redirect 308":      {auth0sim.Fault{Name: auth0sim.FaultRedirect308}, want{Status: 308, Reason: "redirect"}},
		"204":               {answer(204, ""), want{Status: 204, Reason: "refused"}},
		"200 empty":         {auth0sim.Fault{Name: auth0sim.FaultEmptyBody}, want{Status: 200, Reason: "malformed"}},
		"200 truncated":     {auth0sim.Fault{Name: auth0sim.FaultCutJSON}, want{Status: 200, Reason: "malformed"}},
		"200 keys twice":    {auth0sim.Fault{Name: auth0sim.FaultDuplicateKeys}, want{Status: 200, Reason: "malformed"}},
		"200 keys in case":  {auth0sim.Fault{Name: auth0sim.FaultCaseVariantKeys}, want{Status: 200, Reason: "malformed"}},
		"200 wrong types":   {auth0sim.Fault{Name: auth0sim.FaultWrongTypes}, want{Status: 200, Reason: "malformed"}},
		"200 trailing":      {auth0sim.Fault{Name: auth0sim.FaultTrailingData}, want{Status: 200, Reason: "malformed"}},
		"200 a list":        {auth0sim.Fault{Name: auth0sim.FaultNotAnObject}, want{Status: 200, Reason: "malformed"}},
		"200 HTML":          {auth0sim.Fault{Name: auth0sim.FaultWrongMediaType}, want{Status: 200, Reason: "malformed"}},
		"200 no media type": {auth0sim.Fault{Name: auth0sim.FaultNoMediaType}, want{Status: 200, Reason: "malformed"}},
		"200 oversized":     {auth0sim.Fault{Name: auth0sim.FaultOversizedBody, Size: 2 << 20}, want{Status: 200, Reason: "answer_too_large"}},
		"200 another user":  {answer(200, `{"user_id":"auth0|canary"}`), want{Status: 200, Reason: "another_user"}},
		"200 without user":  {answer(200, `{}`), want{Status: 200, Reason: "another_user"}},
		"200 unknown keys":  {answer(200, user+`,"x":[{"a":1}],"identities":[{"profileData":{"A":1,"a":2}}]}`), want{}},
		"200 late":          {auth0sim.Fault{Name: auth0sim.FaultLatency, Delay: time.Millisecond}, want{}},
		"reset after":       {auth0sim.Fault{Name: auth0sim.FaultResetAfterRequest}, want{Temporary: true, Reason: "connection_broken"}},
		"reset in body":     {auth0sim.Fault{Name: auth0sim.FaultResetInBody}, want{Status: 200, Temporary: true, Reason: "connection_broken"}},
		"closed":            {auth0sim.Fault{Name: auth0sim.FaultCloseAfterRequest}, want{Temporary: true, Reason: "connection_broken"}},
		"hang":              {auth0sim.Fault{Name: auth0sim.FaultHang}, want{Temporary: true, Reason: "timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := managed(t)
			m := newManagement(t, sim, func(o *upstream.ManagementOptions) {
				if c.fault.Name == auth0sim.FaultHang {
					o.Timeout = time.Second
				}
			})
			c.fault.Path = auth0sim.PathUsers
			setFault(t, sim, c.fault)
			err := mark(t.Context(), m)
			if c.want == (want{}) && err == nil {
				return
			}
			if got := failure(t, err); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if sim.UserWrites(ada) != 1 || sim.TokenRequests() != 1 {
				t.Errorf("got %+v", sim.Counters())
			}
		})
	}
}

// TestManagementCallerGone: a canceled call returns the error of its context. A later
// call gets its answer.
func TestManagementCallerGone(t *testing.T) {
	t.Parallel()
	sim := managed(t)
	m := newManagement(t, sim)
	for _, path := range []string{auth0sim.PathToken, auth0sim.PathUsers} {
		sim.Reset()
		setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultHang, Path: path, Times: 1})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- mark(ctx, m) }()
		if path == auth0sim.PathToken {
			if err := sim.WaitForRequests(ctx, 1); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		err := <-done
		if !errors.Is(err, context.Canceled) || !failure(t, err).Temporary {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestNewManagementNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	whole := upstream.ManagementOptions{
		BaseURL: "https://x.test", Audience: "a", ClientID: "b", ClientSecret: secret.New("c"),
		Timeout: time.Second, Transport: http.DefaultTransport, Now: time.Now, PerSecond: 1,
	}
	if _, err := upstream.NewManagement(whole); err != nil {
		t.Fatal(err)
	}
	value := reflect.ValueOf(whole)
	for i := range value.NumField() {
		less := reflect.New(value.Type()).Elem()
		less.Set(value)
		less.Field(i).SetZero()
		if _, err := upstream.NewManagement(less.Interface().(upstream.ManagementOptions)); err == nil {
			t.Errorf("made without %s", value.Type().Field(i).Name)
		}
	}
}

// stub answers without a network: first a token, then as the test says.
type stub func(*http.Request) *http.Response

func (s stub) RoundTrip(r *http.Request) (*http.Response, error) { return s(r), nil }

// FuzzManagement: for any answer, a user counts as marked only after a 200 that names
// the user, and no error quotes the answer.
func FuzzManagement(f *testing.F) {
	f.Add(200, "application/json", "", fmt.Sprintf(`{"user_id":%q}`, ada))
	f.Add(200, "application/json", "", `{"user_id":"auth0|x"}`)
	f.Add(403, "application/json", "", `{"statusCode":403,"errorCode":"insufficient_scope"}`)
	f.Add(429, "application/json", "7", `{"errorCode":"too_many_requests"}`)
	f.Add(503, "text/html", "Wed, 21 Oct 2015 07:28:00 GMT", `<html>`)
	f.Fuzz(func(t *testing.T, status int, mediaType, retryAfter, body string) {
		writes := 0
		m, err := upstream.NewManagement(upstream.ManagementOptions{
			BaseURL: "http://x.test", Audience: "a", ClientID: machineID, ClientSecret: secret.New(machineSecret),
			Timeout: time.Second, Now: time.Now, PerSecond: 1e6,
			Transport: stub(func(r *http.Request) *http.Response {
				if r.URL.Path == auth0sim.PathToken {
					return recorded(200, "application/json", "", `{"access_token":"canary","token_type":"bearer","expires_in":60}`)
				}
				writes++
				return recorded(status, mediaType, retryAfter, body)
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond) // less than the shortest pause
		defer cancel()
		if err := mark(ctx, m); err != nil {
			failure(t, err)
			if writes > 2 {
				t.Fatalf("%d writes", writes)
			}
			return
		}
		var user struct {
			ID string `json:"user_id"`
		}
		if status != 200 || json.Unmarshal([]byte(body), &user) != nil || user.ID != ada {
			t.Fatalf("marked, by %d %s", status, body)
		}
	})
}
