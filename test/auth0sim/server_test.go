package auth0sim_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"ferry/test/auth0sim"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cfg  auth0sim.Config
		want string
	}{
		"domain": {auth0sim.Config{Domain: "https://x"}, `auth0sim: domain "https://x": want a host name, without scheme or path`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := auth0sim.New(tt.cfg); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestEmptyTenant(t *testing.T) {
	t.Parallel()
	sim := auth0sim.Run(t, auth0sim.Config{})
	if sim.Domain() != "sim.auth0.test" || sim.Issuer() != "https://sim.auth0.test/" {
		t.Errorf("got %s, %s", sim.Domain(), sim.Issuer())
	}
	want(t, post(t, sim, realmForm()), 403, `{"error":"unauthorized_client","error_description":"invalid client"}`)
	if time.Since(sim.Now()).Abs() > time.Minute {
		t.Errorf("got time %v", sim.Now())
	}
}

func TestClockIsTheTokens(t *testing.T) {
	t.Parallel()
	sim := start(t)
	sim.Advance(time.Hour)
	claims := segment(t, mustTokens(t, post(t, sim, realmForm())).IDToken, 1)
	if claims["iat"] != float64(frozen().Add(time.Hour).Unix()) {
		t.Errorf("got iat %v", claims["iat"])
	}
}

func TestHandlerWithoutConnection(t *testing.T) {
	t.Parallel()
	sim, err := auth0sim.New(auth0sim.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []auth0sim.FaultName{auth0sim.FaultResetBeforeRequest, auth0sim.FaultCloseAfterRequest} {
		sim.ClearFaults()
		setFault(t, sim, auth0sim.Fault{Name: name})
		recorder := httptest.NewRecorder()
		sim.Handler().ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, auth0sim.PathToken, nil))
		if recorder.Code != http.StatusInternalServerError {
			t.Errorf("%s: got %d", name, recorder.Code)
		}
	}
	if err := sim.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	sim := start(t, func(cfg *auth0sim.Config) { cfg.Log = &log })
	body := mustTokens(t, post(t, sim, realmForm()))
	userinfo(t, sim, body.AccessToken)
	post(t, sim, realmForm("password", "canary-password", "realm", "line\nbreak"))
	text := log.String()
	if strings.Count(text, "\n") != 3 || !strings.Contains(text, "outcome=success") || !strings.Contains(text, "user="+auth0sim.DemoAdaID) {
		t.Errorf("got log %s", text)
	}
	for _, secret := range []string{
		adaPassword, "canary-password", adaEmail, auth0sim.DemoClientSecret, body.AccessToken, body.IDToken,
	} {
		if strings.Contains(text, secret) {
			t.Errorf("the log contains %q", secret)
		}
	}
}

// lockedBuffer is a buffer for several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Everything at once, for the race detector; the counters must add up.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	sim := start(t, func(cfg *auth0sim.Config) {
		settings := auth0sim.RelaxedSettings()
		cfg.Settings = &settings
	})
	const workers, rounds = 8, 10
	client := newClient(t)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range rounds {
				got, err := try(t.Context(), client, http.MethodPost, sim.URL()+auth0sim.PathToken, formType, realmForm().Encode(), nil)
				if err != nil || got.status != 200 {
					t.Errorf("got %d %s, %v", got.status, got.body, err)
				}
				_, _ = sim.AddUser(auth0sim.User{Email: fmt.Sprintf("%d-%d@example.test", w, i), Password: "p"})
				_, _ = sim.UpdateUser(auth0sim.DemoAdaID, func(u *auth0sim.User) { u.Name = fmt.Sprint(i) })
				_ = sim.Requests()
				sim.Advance(time.Millisecond)
				if err := sim.Configure(func(s *auth0sim.Settings) { s.RetryAfter = i }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if sim.Attempts(auth0sim.DemoAdaID) != workers*rounds || len(sim.Users()) != 5+workers*rounds {
		t.Errorf("got %+v and %d users", sim.Counters(), len(sim.Users()))
	}
}

// brokenTB notes what Run says of a configuration that cannot work.
type brokenTB struct {
	*testing.T

	fatal string
}

func (b *brokenTB) Fatalf(format string, args ...any) {
	b.fatal = fmt.Sprintf(format, args...)
	panic(b)
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	tb := &brokenTB{T: t}
	defer func() {
		if recover() != tb || tb.fatal != `auth0sim: domain "/": want a host name, without scheme or path` {
			t.Errorf("got %q", tb.fatal)
		}
	}()
	auth0sim.Run(tb, auth0sim.Config{Domain: "/"})
}

// Closing does not wait longer than its context for a request in flight.
func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	sim := start(t)
	setFault(t, sim, auth0sim.Fault{Name: auth0sim.FaultSlowBytes, Delay: time.Minute})
	ended := make(chan struct{})
	client := newClient(t)
	go func() {
		defer close(ended)
		_, _ = try(t.Context(), client, http.MethodPost, sim.URL()+auth0sim.PathToken, formType, realmForm().Encode(), nil)
	}()
	if err := sim.WaitForRequests(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// Either the request got out of the way in time, or it was cut off.
	if err := sim.Close(ctx); err != nil && !strings.Contains(err.Error(), "drain http://") {
		t.Error(err)
	}
	<-ended
}
