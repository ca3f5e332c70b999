package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"ferry/outcome"
	"ferry/recording"
	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/upstream"
	"ferry/wire"
)

func TestLogWatch(t *testing.T) {
	t.Parallel()
	w := newLogWatch()
	write := func(text string) {
		if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
	}
	write(`{"request_id":"early","outcome":"match"}` + "\n")
	w.watch()
	write(`{"request_id":"a","outcome":"mat`)
	done := make(chan logged)
	go func() {
		said, err := w.of(t.Context(), "a")
		if err != nil {
			t.Error(err)
		}
		done <- said
	}()
	write("ch\",\"reason\":\"why\"}\nno JSON\n{\"request_id\":\"b\",\"outcome\":\"denied\"}\n")
	if said := <-done; said.Outcome != "match" || said.Reason != "why" {
		t.Errorf("got %+v", said)
	}
	if said, err := w.of(t.Context(), "b"); err != nil || said.Outcome != "denied" {
		t.Errorf("got %+v, %v", said, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, id := range []string{"early", "b"} { // before the watch, and asked for already
		if said, err := w.of(ctx, id); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %+v, %v", id, said, err)
		}
	}
}

// TestArrange: there is a setup for every outcome of an open migration, and for every row
// of Auth0's contract an answer that is that row's.
func TestArrange(t *testing.T) {
	t.Parallel()
	fresh := func() loginSetup {
		return loginSetup{login: recording.Login{Identifier: "a", Password: secret.New("b")}, user: auth0sim.User{ID: "auth0|a", Email: "a@example.org"}}
	}
	for _, o := range outcome.All() {
		s := fresh()
		if ok := s.arrange(recording.Record{Outcome: o.String()}); ok != (o != outcome.Locked && o != outcome.Closed && o != outcome.Paused && o != outcome.Observed) {
			t.Errorf("%s: %v", o, ok)
		}
	}
	for _, row := range upstream.Contract() {
		line := recording.Record{Outcome: row.Outcome.String(), Reason: row.Reason, UpstreamStatus: row.Statuses[0]}
		if line.UpstreamStatus < 10 {
			line.UpstreamStatus = line.UpstreamStatus*100 + 17
		}
		if len(row.Codes) > 0 {
			line.UpstreamCode = row.Codes[len(row.Codes)-1]
		}
		s := fresh()
		if !s.arrange(line) || s.fault == nil || s.fault.User != s.user.Email || s.fault.Times != 1 {
			t.Fatalf("%s: %+v", row.Reason, s.fault)
		}
		if s.fault.Status != line.UpstreamStatus || line.UpstreamCode != "" && !strings.Contains(s.fault.Body, `"`+line.UpstreamCode+`"`) {
			t.Errorf("%s: answers %d %s", row.Reason, s.fault.Status, s.fault.Body)
		}
	}
}

func TestArrangeReasons(t *testing.T) {
	t.Parallel()
	for reason, holds := range map[string]func(loginSetup) bool{
		"realm_not_listed": func(s loginSetup) bool {
			return strings.Contains(fmt.Sprint(s.identity.MetadataAdmin), "another-connection")
		},
		"identity_differs":  func(s loginSetup) bool { return s.login.IdentityID != "" },
		"password_length":   func(s loginSetup) bool { return s.login.Password.Len() > wire.BcryptBytes },
		"identifier_length": func(s loginSetup) bool { return len(s.login.Identifier) > 1024 },
		"timeout":           func(s loginSetup) bool { return s.fault.Status >= http.StatusInternalServerError },
	} {
		word := map[string]string{
			"realm_not_listed": "misconfigured", "identity_differs": "garbled", "password_length": "oversize",
			"identifier_length": "oversize", "timeout": "unavailable",
		}[reason]
		var s loginSetup
		if !s.arrange(recording.Record{Outcome: word, Reason: reason}) || !holds(s) {
			t.Errorf("%s: %+v", reason, s)
		}
	}
}

func TestSomebody(t *testing.T) {
	t.Parallel()
	for identifier, trait := range map[string]string{"ada@example.org": "email", "+4915112345678": "phone", "ada": "username"} {
		s := somebody(identifier, "auth0|a")
		if traits := s.identity.Traits; len(traits) != 1 || traits[trait] != identifier || s.user.Email+s.user.Phone+s.user.Username != identifier {
			t.Errorf("%s: %+v, %+v", identifier, s.user, traits)
		}
	}
}
