package e2e

import (
	"slices"
	"testing"
	"time"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
)

// harmless returns the faults that the trust rules do not depend on: the login still
// matches.
func harmless() []auth0sim.FaultName {
	return []auth0sim.FaultName{
		auth0sim.FaultLatency, auth0sim.FaultSlowBytes,
		auth0sim.FaultMissingIDToken, auth0sim.FaultEmptyIDToken, // /userinfo names the user
		auth0sim.FaultIDTokenNoIssuedAt, auth0sim.FaultIDTokenNoKeyID, auth0sim.FaultIDTokenOtherEmail, auth0sim.FaultIDTokenEmailUnverified,
		auth0sim.FaultIDTokenHS256Secret, auth0sim.FaultIDTokenHS256PublicKey, // HS256: /userinfo names the user
		// The keys are fetched at the start and cached.
		auth0sim.FaultJWKSEmpty, auth0sim.FaultJWKSWrongKey, auth0sim.FaultJWKSNoKeyID, auth0sim.FaultJWKSEncUse,
	}
}

// testFaults tries every fault of the simulator with one login each. An outage is
// never reported as a wrong password, no hash is stored, and the password is sent
// once. When the fault ends, the same user is migrated.
func testFaults(t *testing.T, s *stack) {
	t.Helper()
	for _, name := range auth0sim.Faults() {
		t.Run(string(name), func(t *testing.T) { testFault(t, s, name) })
	}
}

func testFault(t *testing.T, s *stack, name auth0sim.FaultName) {
	t.Helper()
	p := s.person(t, nil)
	want := expect{kratostest.SeesUnavailable, 1, 1, false}
	switch {
	case slices.Contains(harmless(), name):
		want = expect{kratostest.SeesSession, 1, 1, true}
	case name == auth0sim.FaultResetBeforeRequest:
		want.attempts = 0 // the simulator does not read the request
	case name == auth0sim.FaultIDTokenOtherSubject:
		want.sees = kratostest.SeesInvalidCredentials // valid, but of another user
	}
	id, err := s.sim.SetFault(auth0sim.Fault{Name: name, Delay: delay(name), Answer: auth0sim.AnswerServerError, Size: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	p.check(t, s.kratos.LoginAPI, p.email, p.password, want)
	if err := s.sim.ClearFault(id); err != nil {
		t.Fatal(err)
	}
	if n := s.sim.PathRequests(auth0sim.PathRedirected); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
	switch {
	case want.stored:
	case name == auth0sim.FaultGlobalLimit, name == auth0sim.FaultTooManyRequests:
		if !getsIn(t, s.kratos.LoginAPI, p.email, p.password) {
			t.Error("the user does not get in afterwards")
		}
	case name == auth0sim.FaultIDTokenOtherSubject && !s.namesDeliveries(t):
		// Auth0 answered: an identical login gets this outcome for a while.
		p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{want.sees, 0, 1, false})
	default:
		p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
	}
}

// delay keeps the slow faults short, except those that must exceed ferry's timeout.
func delay(name auth0sim.FaultName) time.Duration {
	switch name {
	case auth0sim.FaultHang:
		return 20 * time.Second
	case auth0sim.FaultSlowBytes:
		return 100 * time.Microsecond
	case auth0sim.FaultIDTokenExpired, auth0sim.FaultIDTokenFuture:
		return 0
	}
	return time.Millisecond
}
