package upstream_test

import (
	"sync"
	"testing"
	"time"

	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/upstream"
)

func TestTokenIsKeptUntilShortlyBeforeExpiry(t *testing.T) {
	t.Parallel()
	sim := managed(t)
	m := newManagement(t, sim)
	for i, step := range []struct {
		by     time.Duration
		tokens int
	}{{0, 1}, {24*time.Hour - 61*time.Second, 1}, {time.Second, 2}, {time.Hour, 2}, {23 * time.Hour, 3}} {
		sim.Advance(step.by)
		if err := mark(t.Context(), m); err != nil || sim.TokenRequests() != step.tokens || sim.UserWrites(ada) != i+1 {
			t.Errorf("step %d: %v, %+v", i, err, sim.Counters())
		}
	}
}

func TestConcurrentCallsShareOneToken(t *testing.T) {
	t.Parallel()
	sim := managed(t)
	m := newManagement(t, sim)
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultLatency, Delay: 50 * time.Millisecond})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := mark(t.Context(), m); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if sim.TokenRequests() != 1 || sim.UserWrites(ada) != 8 {
		t.Errorf("got %+v", sim.Counters())
	}
}

// TestTokenNotTaken: a token that Auth0 no longer accepts is replaced, once per call.
func TestTokenNotTaken(t *testing.T) {
	t.Parallel()
	sim := managed(t)
	m := newManagement(t, sim, func(o *upstream.ManagementOptions) { o.Now = func() time.Time { return markedAt } })
	if err := mark(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	sim.Advance(25 * time.Hour) // only for Auth0
	if err := mark(t.Context(), m); err != nil || sim.TokenRequests() != 2 || sim.UserWrites(ada) != 3 {
		t.Errorf("%v, %+v", err, sim.Counters())
	}
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultAnswer, Answer: auth0sim.AnswerManagementBadToken, Path: auth0sim.PathUsers})
	want := upstream.ManagementError{Status: 401, Code: "invalid_token", Reason: "token_not_taken"}
	if got := failure(t, mark(t.Context(), m)); got != want || sim.TokenRequests() != 3 || sim.UserWrites(ada) != 5 {
		t.Errorf("%+v, %+v", got, sim.Counters())
	}
	sim.ClearFaults()
	if err := mark(t.Context(), m); err != nil || sim.TokenRequests() != 4 {
		t.Errorf("%v, %+v", err, sim.Counters())
	}
}

// TestMachineTokenAnswers: the error for each answer to the grant. No user is written.
func TestMachineTokenAnswers(t *testing.T) {
	t.Parallel()
	type want = upstream.ManagementError
	answer := func(status int, body string) auth0sim.Fault {
		return auth0sim.Fault{Name: auth0sim.FaultAnswer, Status: status, Body: body}
	}
	for name, c := range map[string]struct {
		fault auth0sim.Fault
		want  want
	}{
		"client refused":     {auth0sim.Fault{Name: auth0sim.FaultAnswer, Answer: auth0sim.AnswerClientUnauthorized}, want{Status: 401, Code: "access_denied", Reason: "token_refused"}},
		"no client grant":    {auth0sim.Fault{Name: auth0sim.FaultAnswer, Answer: auth0sim.AnswerNoClientGrant}, want{Status: 403, Code: "access_denied", Reason: "token_refused"}},
		"unknown code":       {answer(400, `{"error":"canary"}`), want{Status: 400, Reason: "token_refused"}},
		"limit as a 500":     {auth0sim.Fault{Name: auth0sim.FaultGlobalLimit}, want{Status: 500, Code: "access_denied", Temporary: true, Reason: "token_server_fault"}},
		"redirect":           {auth0sim.Fault{Name: auth0sim.FaultRedirect307}, want{Status: 307, Reason: "token_redirect"}},
		"keys twice":         {auth0sim.Fault{Name: auth0sim.FaultDuplicateKeys}, want{Status: 200, Reason: "token_malformed"}},
		"error with 200":     {auth0sim.Fault{Name: auth0sim.FaultErrorWith200}, want{Status: 200, Reason: "token_malformed"}},
		"empty":              {auth0sim.Fault{Name: auth0sim.FaultEmptyAccessToken}, want{Status: 200, Reason: "token_malformed"}},
		"missing":            {auth0sim.Fault{Name: auth0sim.FaultMissingAccessToken}, want{Status: 200, Reason: "token_malformed"}},
		"HTML":               {auth0sim.Fault{Name: auth0sim.FaultWrongMediaType}, want{Status: 200, Reason: "token_malformed"}},
		"no lifetime":        {answer(200, `{"access_token":"canary","token_type":"Bearer"}`), want{Status: 200, Reason: "token_malformed"}},
		"another type":       {answer(200, `{"access_token":"canary","token_type":"DPoP","expires_in":60}`), want{Status: 200, Reason: "token_malformed"}},
		"cannot be a header": {answer(200, `{"access_token":"canary\n","token_type":"Bearer","expires_in":60}`), want{Temporary: true, Reason: "connection_broken"}},
		"hang":               {auth0sim.Fault{Name: auth0sim.FaultHang}, want{Temporary: true, Reason: "token_timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := managed(t)
			m := newManagement(t, sim, func(o *upstream.ManagementOptions) {
				if c.fault.Name == auth0sim.FaultHang {
					o.Timeout = time.Second
				}
			})
			setFault(t, sim, c.fault)
			if got := failure(t, mark(t.Context(), m)); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if sim.UserWrites(ada) != 0 || sim.TokenRequests() != 1 || sim.PathRequests(auth0sim.PathRedirected) != 0 {
				t.Errorf("got %+v", sim.Counters())
			}
		})
	}
}

// TestMachineMisconfigured: the requests that the simulator refuses without an injected
// fault.
func TestMachineMisconfigured(t *testing.T) {
	t.Parallel()
	type want = upstream.ManagementError
	for name, c := range map[string]struct {
		change func(*upstream.ManagementOptions)
		user   string
		want   want
	}{
		"wrong secret": {func(o *upstream.ManagementOptions) { o.ClientSecret = secret.New("canary") }, ada, want{Status: 401, Code: "access_denied", Reason: "token_refused"}},
		"wrong client": {func(o *upstream.ManagementOptions) { o.ClientID = "canary" }, ada, want{Status: 403, Code: "unauthorized_client", Reason: "token_refused"}},
		"login client": {func(o *upstream.ManagementOptions) {
			o.ClientID, o.ClientSecret = auth0sim.DemoClientID, secret.New(auth0sim.DemoClientSecret)
		}, ada, want{Status: 403, Code: "unauthorized_client", Reason: "token_refused"}},
		"audience":      {func(o *upstream.ManagementOptions) { o.Audience = "https://canary.test/api/v2/" }, ada, want{Status: 403, Code: "access_denied", Reason: "token_refused"}},
		"missing scope": {func(o *upstream.ManagementOptions) { o.ClientID = "reader" }, ada, want{Status: 403, Code: "insufficient_scope", Reason: "refused"}},
		"unknown user":  {func(*upstream.ManagementOptions) {}, "auth0|canary", want{Status: 404, Code: "inexistent_user", Reason: "refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim := managed(t)
			if err := sim.AddApp(auth0sim.App{ClientID: "reader", ClientSecret: machineSecret, ManagementScopes: []string{auth0sim.ScopeReadUsers}}); err != nil {
				t.Fatal(err)
			}
			m := newManagement(t, sim, c.change)
			if got := failure(t, m.MarkMigrated(t.Context(), c.user, kratosID, markedAt)); got != c.want || sim.TokenRequests() != 1 {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}
