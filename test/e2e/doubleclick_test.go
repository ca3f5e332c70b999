package e2e

import (
	"strings"
	"sync"
	"testing"

	"ferry/test/kratostest"
)

// TestDoubleClicks: two clicks on the login button are two logins with the same right
// password. Neither is told that the password is wrong.
func TestDoubleClicks(t *testing.T) {
	s := start(t)
	t.Run("one after the other", func(t *testing.T) { testLateClick(t, s) })
	seen := map[string]int{}
	for range 60 {
		p := s.person(t, nil)
		before := s.attempts()
		sees := make(chan string, 2)
		var clicks sync.WaitGroup
		for range 2 {
			clicks.Go(func() {
				got, err := s.kratos.LoginAPI(t.Context(), p.email, p.password)
				if err != nil {
					t.Error(err)
				}
				sees <- got.Sees()
			})
		}
		clicks.Wait()
		close(sees)
		in := false
		for one := range sees {
			seen[one]++
			in = in || one == kratostest.SeesSession
		}
		if n := s.attempts() - before; !in || n > 2 {
			t.Errorf("session %v, %d attempts", in, n)
		}
		p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 0, 0, true})
	}
	t.Logf("120 clicks: %v", seen)
	for what := range seen {
		// Kratos 26.2 answers 409 to a login that finds the identity being written.
		if what != kratostest.SeesSession && what != kratostest.SeesUnavailable && !strings.HasPrefix(what, "other: error 409") {
			t.Errorf("%d clicks see %q", seen[what], what)
		}
	}
	t.Run("no secrets in logs and answers", s.checkSilence)
}

// testLateClick: Kratos reads the identity as pending for both clicks, but calls ferry
// for the second only after the first has finished.
func testLateClick(t *testing.T, s *stack) {
	t.Helper()
	p := s.person(t, nil)
	hooks, attempts := s.tap.count(), s.attempts()
	release := s.tap.holdNext()
	defer release()
	late := make(chan string, 1)
	go func() {
		got, err := s.kratos.LoginAPI(t.Context(), p.email, p.password)
		if err != nil {
			t.Error(err)
		}
		late <- got.Sees()
	}()
	s.await(t, "the late click", func() bool { return s.tap.count() == hooks+1 })
	p.check(t, s.kratos.LoginAPI, p.email, p.password, expect{kratostest.SeesSession, 1, 1, true})
	release()
	if sees := <-late; sees != kratostest.SeesUnavailable {
		t.Errorf("the late click sees %q", sees)
	}
	if n := s.attempts() - attempts; n != 1 {
		t.Errorf("%d attempts", n)
	}
}
