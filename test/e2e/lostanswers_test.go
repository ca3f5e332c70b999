package e2e

import (
	"fmt"
	"net/http"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/ferrytest"
	"ferry/test/kratostest"
	"ferry/test/redistest"
)

// TestLostAnswers loses the answer at every point between Kratos, ferry and Auth0 and
// counts the attempts: first with the real Kratos, which sends a delivery id from 25.4
// on, then with calls as each version makes them.
func TestLostAnswers(t *testing.T) {
	s := start(t)
	for name, wrong := range map[string]string{"right": "", "wrong": "x"} {
		for lost := 1; lost <= 2; lost++ {
			t.Run(fmt.Sprintf("%s password, Kratos loses %d answers", name, lost), func(t *testing.T) { testLostByKratos(t, s, wrong, lost) })
		}
	}
	t.Run("ferry is killed before it answers", func(t *testing.T) {
		// Without Redis the outcome is lost with the process.
		testKilledWithAnswer(t, s, 2)
	})
	t.Run("Auth0's answer is lost", func(t *testing.T) { testLostByAuth0(t, s) })
	for shape, delivery := range map[string]string{"1.3.1": "", "25.4": "0b0e3a0c-6d0b-4fd4-9d4c-6c1f2b7a0001"} {
		t.Run("calls of "+shape, func(t *testing.T) { testLostCalls(t, s, delivery) })
	}
	t.Run("no secrets in logs and answers", s.checkSilence)
}

// testLostByKratos: Kratos repeats its call up to three times.
func testLostByKratos(t *testing.T, s *stack, wrong string, lost int) {
	t.Helper()
	p := s.person(t, nil)
	want := expect{kratostest.SeesSession, 1, lost + 1, true}
	if wrong != "" {
		want = expect{kratostest.SeesInvalidCredentials, 1, lost + 1, false}
	}
	s.tap.cutNext(lost, nil)
	p.check(t, s.kratos.LoginAPI, p.email, p.password+wrong, want)
}

// testKilledWithAnswer kills ferry after Auth0 has answered and before Kratos has its
// answer.
func testKilledWithAnswer(t *testing.T, s *stack, attempts int, settings ...string) {
	t.Helper()
	p := s.person(t, nil)
	s.tap.cutNext(1, func() {
		if err := s.ferry.Kill(); err != nil {
			t.Error(err)
		}
		s.startFerry(settings...)
	})
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, attempts, 2, true})
}

// testLostByAuth0: ferry cannot know whether the password matched and reports an
// outage, which Kratos does not repeat. The next attempt is a new login.
func testLostByAuth0(t *testing.T, s *stack) {
	t.Helper()
	p := s.person(t, nil)
	s.fault(t, auth0sim.Fault{Name: auth0sim.FaultCloseAfterRequest, Times: 1})
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesUnavailable, 1, 1, false})
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
}

// testLostCalls makes each call three times, as Kratos does when answers are lost.
func testLostCalls(t *testing.T, s *stack, delivery string) {
	t.Helper()
	for name, c := range map[string]struct {
		wrong  string
		fault  auth0sim.Fault
		status int
		// attempts without and with a delivery id
		unnamed, named int
	}{
		"match":          {"", auth0sim.Fault{}, http.StatusOK, 1, 1},
		"mismatch":       {"x", auth0sim.Fault{}, http.StatusForbidden, 1, 1},
		"second factor":  {"", auth0sim.Fault{Name: auth0sim.FaultAnswer, Answer: auth0sim.AnswerMFARequired}, http.StatusForbidden, 1, 1},
		"blocked":        {"x", auth0sim.Fault{Name: auth0sim.FaultAnswer, Answer: auth0sim.AnswerBruteForce}, http.StatusForbidden, 1, 1},
		"limited":        {"", auth0sim.Fault{Name: auth0sim.FaultAnswer, Answer: auth0sim.AnswerTooManyLogins}, http.StatusFailedDependency, 3, 1},
		"no answer":      {"", auth0sim.Fault{Name: auth0sim.FaultCloseAfterRequest}, http.StatusFailedDependency, 3, 1},
		"half an answer": {"", auth0sim.Fault{Name: auth0sim.FaultCutJSON}, http.StatusFailedDependency, 3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := s.person(t, nil)
			if c.fault.Name != "" {
				c.fault.User = p.subject
				s.fault(t, c.fault)
			}
			header, want := []string(nil), c.unnamed
			if delivery != "" {
				header, want = []string{"Ory-Webhook-Trigger-Id", delivery}, c.named
			}
			before := s.attempts()
			for range 3 {
				if status := s.callHook(t, p.email, p.password+c.wrong, header...); status != c.status {
					t.Errorf("status %d, want %d", status, c.status)
				}
			}
			if n := s.attempts() - before; n != want {
				t.Errorf("%d attempts, want %d", n, want)
			}
		})
	}
}

// TestLostAnswersOfReplicas: with Redis, the outcome outlives the ferry that asked,
// with every version of Kratos.
func TestLostAnswersOfReplicas(t *testing.T) {
	redis := redistest.Run(t, redistest.Options{})
	settings := []string{"FERRY_STATE_URL=" + redis.URL(), "FERRY_STATE_KEY=" + stateKey}
	s := start(t, settings...)
	t.Run("killed before it answers", func(t *testing.T) { testKilledWithAnswer(t, s, 1, settings...) })
	second := s.anotherFerry(t, settings...)
	for name, header := range map[string][]string{"1.3.1": nil, "25.4": {"Ory-Webhook-Trigger-Id", "0b0e3a0c-6d0b-4fd4-9d4c-6c1f2b7a0002"}} {
		for wrong, want := range map[string]int{"": http.StatusOK, "x": http.StatusForbidden} {
			t.Run(fmt.Sprintf("%s, %d", name, want), func(t *testing.T) { testCallsAtBoth(t, s, second, wrong, want, header...) })
		}
	}
	t.Run("retry after an outage", func(t *testing.T) { testOutageAgain(t, s) })
	t.Run("no secrets in logs and answers", s.checkSilence)
}

// testCallsAtBoth: the second call reaches the other replica and costs no attempt.
func testCallsAtBoth(t *testing.T, s *stack, second *ferrytest.Ferry, wrong string, want int, header ...string) {
	t.Helper()
	p := s.person(t, nil)
	before, first := s.attempts(), s.ferry
	for range 2 {
		if status := s.callHook(t, p.email, p.password+wrong, header...); status != want {
			t.Errorf("status %d", status)
		}
		s.ferry = second
	}
	s.ferry = first
	if n := s.attempts() - before; n != 1 {
		t.Errorf("%d attempts", n)
	}
}

// testOutageAgain: a retry after an outage does not wait until the claim of the first
// attempt expires.
func testOutageAgain(t *testing.T, s *stack) {
	t.Helper()
	p := s.person(t, nil)
	s.fault(t, auth0sim.Fault{Name: auth0sim.FaultCloseAfterRequest, Times: 1})
	for _, want := range []int{http.StatusFailedDependency, http.StatusOK} {
		if status := s.callHook(t, p.email, p.password); status != want {
			t.Errorf("status %d, want %d", status, want)
		}
	}
}
