package e2e

import (
	"slices"
	"testing"
	"time"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
)

// harmless faults change nothing that the trust rules rest on: the login matches.
func harmless() []auth0sim.FaultName {
	return []auth0sim.FaultName{
		auth0sim.FaultLatency, auth0sim.FaultSlowBytes,
		auth0sim.FaultMissingIDToken, auth0sim.FaultEmptyIDToken, // /userinfo says who it is
		auth0sim.FaultIDTokenNoIssuedAt, auth0sim.FaultIDTokenNoKeyID, auth0sim.FaultIDTokenOtherEmail, auth0sim.FaultIDTokenEmailUnverified,
		auth0sim.FaultIDTokenHS256Secret, auth0sim.FaultIDTokenHS256PublicKey, // HS256: /userinfo says who it is
		// The keys are fetched at the start and kept.
		auth0sim.FaultJWKSEmpty, auth0sim.FaultJWKSWrongKey, auth0sim.FaultJWKSNoKeyID, auth0sim.FaultJWKSEncUse,
	}
}

// testFaults walks everything the simulator can do wrong, one login each: an outage
// is never a wrong password, nothing is stored, and the password is sent once. The
// same person crosses when it is over.
func testFaults(t *testing.T, s *stack) {
	t.Helper()
	for _, name := range auth0sim.Faults() {
		t.Run(string(name), func(t *testing.T) {
			p := s.person(t, nil)
			want := expect{kratostest.SeesUnavailable, 1, 1, false}
			switch {
			case slices.Contains(harmless(), name):
				want = expect{kratostest.SeesSession, 1, 1, true}
			case name == auth0sim.FaultResetBeforeRequest:
				want.attempts = 0 // the simulator never read it
			case name == auth0sim.FaultIDTokenOtherSubject:
				want.sees = kratostest.SeesInvalidCredentials // it is sound, but somebody else's
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
			case name == auth0sim.FaultIDTokenOtherSubject && !s.namesDeliveries(t):
				// It was an answer of Auth0's, which an identical login gets for a while.
				p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{want.sees, 0, 1, false})
			default:
				p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
			}
		})
	}
}

// delay keeps the slow faults short, but one that must outlast ferry's patience.
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
