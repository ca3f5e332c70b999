package attempt_test

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"ferry/attempt"
	"ferry/secret"
	"ferry/state"
	"ferry/upstream"
)

// counting is an Auth0 that confirms every password.
type counting struct{ asked atomic.Int64 }

func (c *counting) Verify(context.Context, upstream.Credentials) (upstream.Profile, error) {
	c.asked.Add(1)
	return upstream.Profile{Subject: "auth0|asked"}, nil
}

// TestKeep: a kept result answers the same login once, at any replica and from any address,
// and no other login.
func TestKeep(t *testing.T) {
	now := time.Now()
	shared := state.NewMemory(state.Options{Now: func() time.Time { return now }})
	auth0 := &counting{}
	replica := func() *attempt.Attempts {
		return attempt.New(attempt.Options{
			Verifier: auth0, Store: shared, ClaimFor: time.Minute, Now: func() time.Time { return now },
			StateFault: func(operation string) { t.Error("fault: ", operation) }, Panicked: func(fault any) { t.Error(fault) },
		})
	}
	login := func(change func(*attempt.Login)) attempt.Login {
		l := attempt.Login{
			IdentityID: "id-1", Delivery: "t-1", Arrived: now,
			Credentials: upstream.Credentials{Username: "kim@example.org", Password: secret.New("pass"), Realm: "users"},
		}
		if change != nil {
			change(&l)
		}
		return l
	}
	keep := func() {
		t.Helper()
		if err := replica().Keep(t.Context(), login(nil), upstream.Profile{Subject: "auth0|kept"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		change func(*attempt.Login)
		after  time.Duration
		want   string
	}{
		{"another password", func(l *attempt.Login) { l.Credentials.Password = secret.New("pass ") }, 0, "auth0|asked"},
		{"another identifier", func(l *attempt.Login) { l.Credentials.Username = "kim@example.com" }, 0, "auth0|asked"},
		{"another realm", func(l *attempt.Login) { l.Credentials.Realm = "legacy" }, 0, "auth0|asked"},
		{"another identity", func(l *attempt.Login) { l.IdentityID = "id-2" }, 0, "auth0|asked"},
		{"no identity", func(l *attempt.Login) { l.IdentityID = "" }, 0, "auth0|asked"},
		{"too late", nil, attempt.KeptFor, "auth0|asked"},
		{"the same", nil, attempt.KeptFor - time.Second, "auth0|kept"},
		{"from an address", func(l *attempt.Login) { l.IP = netip.MustParseAddr("198.51.100.1") }, 0, "auth0|kept"},
	} {
		t.Run(c.name, func(t *testing.T) {
			keep()
			now = now.Add(c.after)
			first := login(c.change)
			first.Delivery = c.name
			if got, err := replica().Verify(t.Context(), first); err != nil || got.Profile.Subject != c.want {
				t.Errorf("%+v, %v; want %s", got, err, c.want)
			}
			again := login(c.change)
			again.Delivery = c.name + ", once more"
			if got, err := replica().Verify(t.Context(), again); err != nil || got.Profile.Subject != "auth0|asked" {
				t.Errorf("once more: %+v, %v", got, err)
			}
		})
	}
}
