package upstream_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"ferry/outcome"
	"ferry/secret"
	"ferry/test/faultyhttp"
	"ferry/upstream"
)

// faulty is a tenant whose answers at one path have a fault.
func faulty(t *testing.T, path string, fault faultyhttp.Fault) (*tenant, *faultyhttp.Server) {
	t.Helper()
	tn, _ := newTenant(t)
	return tn, faultyhttp.Run(t, http.HandlerFunc(tn.serve), func(r *http.Request) faultyhttp.Fault {
		if r.URL.Path == path {
			return fault
		}
		return faultyhttp.None
	})
}

// endings returns the faults that must not count as an answer, with their outcomes.
func endings() map[string]struct {
	fault faultyhttp.Fault
	want  outcome.Outcome
} {
	return map[string]struct {
		fault faultyhttp.Fault
		want  outcome.Outcome
	}{
		"101":                {faultyhttp.Switch, outcome.InvalidResponse},
		"body without end":   {faultyhttp.EndlessBody, outcome.Unavailable},
		"header without end": {faultyhttp.EndlessHeader, outcome.Unavailable},
		"103 without end":    {faultyhttp.EndlessInformational, outcome.Unavailable},
		"lost":               {faultyhttp.Lost, outcome.Unavailable},
		"twice":              {faultyhttp.Twice, outcome.InvalidResponse},
	}
}

// TestEveryLoginEnds: no login outlives its deadline, and a faulty answer never
// decides a login.
func TestEveryLoginEnds(t *testing.T) {
	t.Parallel()
	for name, c := range endings() {
		for _, path := range []string{"/oauth/token", "/userinfo"} {
			t.Run(name+" "+path, func(t *testing.T) {
				t.Parallel()
				tn, srv := faulty(t, path, c.fault)
				if path == "/userinfo" {
					tn.token = sendJSON(http.StatusOK, `{"access_token":"at-1"}`)
					tn.userinfo = sendJSON(http.StatusOK, `{"sub":"auth0|alice"}`)
				}
				_, loginErr := ask(t, newClient(t, srv.URL, upstream.NewTransport(), 200*time.Millisecond))
				if loginErr == nil || loginErr.Outcome != c.want {
					t.Errorf("%v, want %s", loginErr, c.want)
				}
				if n := tn.count("/oauth/token"); n != 1 {
					t.Errorf("the password was sent %d times", n)
				}
			})
		}
	}
}

// TestKeysWithAFault: keys with a faulty answer count as unavailable, for this login
// and the next. /userinfo decides, on a connection of its own.
func TestKeysWithAFault(t *testing.T) {
	t.Parallel()
	for name, c := range endings() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fault := c.fault
			tn, _ := newTenant(t)
			tn.userinfo = sendJSON(http.StatusOK, `{"sub":"auth0|alice"}`)
			srv := faultyhttp.Run(t, http.HandlerFunc(tn.serve), func(r *http.Request) faultyhttp.Fault {
				if r.URL.Path == "/.well-known/jwks.json" {
					return fault
				}
				return faultyhttp.None
			})
			client := newClient(t, srv.URL, upstream.NewTransport(), 8*time.Second)
			if profile, loginErr := ask(t, client); loginErr != nil || profile.Subject != alice {
				t.Fatalf("%+v, %v", profile, loginErr)
			}
			if n := tn.count("/userinfo"); n != 1 {
				t.Errorf("/userinfo was asked %d times", n)
			}
			fault = faultyhttp.None
			if _, loginErr := ask(t, client); loginErr != nil || tn.count("/userinfo") != 1 {
				t.Errorf("%v, /userinfo was asked %d times", loginErr, tn.count("/userinfo"))
			}
		})
	}
}

// TestManagementEnds: the same for calls of the Management API.
func TestManagementEnds(t *testing.T) {
	t.Parallel()
	token := sendJSON(http.StatusOK, `{"access_token":"at-1","token_type":"Bearer","expires_in":86400}`)
	for name, c := range endings() {
		for _, path := range []string{"/oauth/token", "/api/v2/users/auth0|1"} {
			t.Run(name+" "+path, func(t *testing.T) {
				t.Parallel()
				tn, srv := faulty(t, path, c.fault)
				tn.token = token
				m, err := upstream.NewManagement(upstream.ManagementOptions{
					BaseURL: srv.URL, Audience: issuer + "api/v2/", ClientID: "machine", ClientSecret: secret.New("secret"),
					Timeout: 200 * time.Millisecond, Transport: upstream.NewTransport(), Now: time.Now, PerSecond: 1000,
				})
				if err != nil {
					t.Fatal(err)
				}
				var fault *upstream.ManagementError
				if _, err := m.LookUpUser(t.Context(), "auth0|1"); !errors.As(err, &fault) {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// TestUnknownKeysAreNoMatch: a token that was not signed by a key of the tenant is not
// a match, even after the limit of key fetches is used up. /userinfo is not asked.
func TestUnknownKeysAreNoMatch(t *testing.T) {
	t.Parallel()
	tn, client := newTenant(t)
	tn.userinfo = sendJSON(http.StatusOK, `{"sub":"auth0|alice"}`)
	if _, loginErr := ask(t, client); loginErr != nil {
		t.Fatal(loginErr)
	}
	for i := range 50 {
		tn.token = sendJSON(http.StatusOK, tokens(sign(t, jose.RS256, fmt.Sprint("unknown ", i), foreignKey(), payload(t, nil))))
		_, loginErr := ask(t, client)
		if loginErr == nil || loginErr.Outcome != outcome.InvalidResponse || loginErr.Reason != "id_token_untrusted" {
			t.Fatalf("%d: %v", i, loginErr)
		}
	}
	if n := tn.count("/userinfo"); n != 0 {
		t.Errorf("/userinfo was asked %d times", n)
	}
	if n := tn.count("/.well-known/jwks.json"); n > 10 {
		t.Errorf("the keys were fetched %d times", n)
	}
	tn.token = sendJSON(http.StatusOK, tokens(idToken(t, nil)))
	if _, loginErr := ask(t, client); loginErr != nil {
		t.Errorf("the tenant's own key: %v", loginErr)
	}
}
