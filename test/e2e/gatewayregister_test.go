package e2e

import (
	"net/http"
	"testing"

	"ferry/test/await"
	"ferry/test/kratostest"
	"ferry/test/redistest"
)

// TestGatewayRegister: gateways share the users register in Redis: who was created through
// one of them and deleted is not created by the other. Without Redis nobody is created, and
// nobody hears of wrong credentials; a Redis that comes back empty is filled again.
func TestGatewayRegister(t *testing.T) {
	redis := redistest.Run(t, redistest.Options{})
	settings := []string{"FERRY_GATEWAY_LISTEN=127.0.0.1:0", "FERRY_STATE_URL=" + redis.URL(), "FERRY_STATE_KEY=" + stateKey}
	s := start(t, settings...)
	deleted := s.unknown(t, nil)
	got, err := s.kratos.LoginAPI(t.Context(), deleted.email, deleted.password)
	if err != nil || got.Sees() != kratostest.SeesSession {
		t.Fatalf("%q, %v\n%s", got.Sees(), err, s.ferry.Logs())
	}
	if err := s.kratos.Delete(t.Context(), got.IdentityID); err != nil {
		t.Fatal(err)
	}
	second := s.anotherFerry(t, settings...)
	s.front.forwardTo(t, second.GatewayURL())
	if got, err = s.kratos.LoginAPI(t.Context(), deleted.email, deleted.password); err != nil || got.Sees() != kratostest.SeesInvalidCredentials {
		t.Fatalf("deleted: %q, %v\n%s", got.Sees(), err, second.Logs())
	}

	fresh := s.unknown(t, nil)
	if err := redis.Stop(); err != nil {
		t.Fatal(err)
	}
	attempts := s.attempts()
	if got, err = s.kratos.LoginAPI(t.Context(), fresh.email, fresh.password); err != nil || got.ErrorCode != http.StatusServiceUnavailable || s.attempts() != attempts {
		t.Fatalf("without Redis: %q, %v, %d attempts", got.Sees(), err, s.attempts()-attempts)
	}
	if err := redis.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	back := await.True(func() bool {
		got, err = s.kratos.LoginAPI(t.Context(), fresh.email, fresh.password)
		return err != nil || got.ErrorCode != http.StatusServiceUnavailable
	})
	if !back || err != nil || got.Sees() != kratostest.SeesSession {
		t.Fatalf("after that: %q, %v\n%s", got.Sees(), err, second.Logs())
	}
	s.checkSilence(t)
}
