package finish

import (
	"encoding/json"
	"testing"

	"ferry/test/auth0sim"
	"ferry/test/kratostest"
)

// TestUndoDuringLogin: ferry undo deletes an identity whose login Kratos has not stored yet.
// The login fails, Kratos does not create the identity anew, and after another import the
// user logs in with the same password.
func TestUndoDuringLogin(t *testing.T) {
	s := start(t)
	const email, password = "held@example.org", "Passw0rd of held"
	if _, err := s.sim.AddUser(auth0sim.User{ID: "auth0|held", Connection: directory, Email: email, EmailVerified: true, Password: password}); err != nil {
		t.Fatal(err)
	}
	s.run(t, []string{"export", "--out", "users.ndjson.gz"})
	s.run(t, []string{"import", "--users", "users.ndjson.gz"}, "1 created_pending")
	var list struct{ Runs []struct{ Run string } }
	if err := json.Unmarshal([]byte(s.run(t, []string{"runs", "--json"}).stdout), &list); err != nil || len(list.Runs) != 1 {
		t.Fatalf("the runs are %+v, %v", list, err)
	}
	waiting, release := s.front.hold()
	defer release()
	sees := make(chan string, 1)
	go func() {
		login, err := s.kratos.LoginAPI(t.Context(), email, password)
		if err != nil {
			t.Error(err)
		}
		sees <- login.Sees()
	}()
	<-waiting
	s.front.pass()
	s.run(t, []string{"undo", "--run", list.Runs[0].Run, "--yes"}, "1 deleted", "the run is undone")
	release()
	if got := <-sees; got == kratostest.SeesSession {
		t.Error("the login succeeds without an identity")
	} else {
		t.Log("the login sees", got)
	}
	s.run(t, []string{"runs"}, "0 identities in Kratos")
	s.run(t, []string{"import", "--users", "users.ndjson.gz"}, "1 created_pending")
	s.sees(t, email, password, kratostest.SeesSession)
}
