package e2e

import (
	"fmt"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
)

// unknown is a user of Auth0 whom Kratos does not have.
type unknown struct {
	stack    *stack
	email    string
	password string
	subject  string
	verified bool
}

func (s *stack) unknown(t *testing.T, change func(*auth0sim.User)) *unknown {
	t.Helper()
	s.people++
	u := &unknown{
		stack: s, email: fmt.Sprintf("canary-unknown%d@example.org", s.people),
		password: fmt.Sprintf("canary-Passw0rd %d ö🔑", s.people), subject: fmt.Sprintf("auth0|unknown%d", s.people),
	}
	user := auth0sim.User{ID: u.subject, Connection: users, Email: u.email, EmailVerified: true, Password: u.password}
	if change != nil {
		change(&user)
	}
	if _, err := s.sim.AddUser(user); err != nil {
		t.Fatal(err)
	}
	u.email, u.password, u.verified = user.Email, user.Password, user.EmailVerified
	return u
}

// TestGatewayLogin: a user whom nobody imported logs in with the password of Auth0, by one
// attempt, whatever the client. Everything else is as if the user were unknown.
func TestGatewayLogin(t *testing.T) {
	s := start(t, "FERRY_GATEWAY_LISTEN=127.0.0.1:0")
	s.gatewayReady(t)
	for name, by := range map[string]login{"API": s.kratos.LoginAPI, "SPA": s.kratos.LoginSPA, "form": s.kratos.LoginBrowser} {
		t.Run(name, func(t *testing.T) {
			u := s.unknown(t, nil)
			attempts := s.attempts()
			got, err := by(t.Context(), u.email, u.password+"x")
			if err != nil || got.Sees() != kratostest.SeesInvalidCredentials || s.attempts() != attempts+1 {
				t.Fatalf("wrong password: %q, %v, %d attempts", got.Sees(), err, s.attempts()-attempts)
			}
			got, err = by(t.Context(), u.email, u.password)
			if err != nil || got.Sees() != kratostest.SeesSession || s.attempts() != attempts+2 {
				t.Fatalf("right password: %q, %v, %d attempts\n%s", got.Sees(), err, s.attempts()-attempts, s.ferry.Logs())
			}
			got, err = by(t.Context(), u.email, u.password)
			if err != nil || got.Sees() != kratostest.SeesSession || s.attempts() != attempts+2 {
				t.Fatalf("second login: %q, %v, %d attempts", got.Sees(), err, s.attempts()-attempts)
			}
		})
	}
}
