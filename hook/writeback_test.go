package hook_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/hook"
)

// writeBacks is an Auth0 that reports each write-back and blocks until hold is closed.
type writeBacks struct {
	done chan string
	hold chan struct{}
}

func (m writeBacks) MarkMigrated(ctx context.Context, userID, identityID string, _ time.Time) error {
	m.done <- userID + " " + identityID
	<-m.hold
	return ctx.Err()
}

// TestWriteBackAfterAnswer: the write-back happens after the answer, and a caller that
// disconnects does not cancel it.
func TestWriteBackAfterAnswer(t *testing.T) {
	f := withProfile()
	auth0 := writeBacks{make(chan string, 1), make(chan struct{})}
	h := start(t, f, func(o *hook.Options) { o.Sync.WriteBack = auth0 })
	h.post(t, login())
	if got := h.afterLogin(t, afterLoginBody("f")); !got.silent() || f.records.patched() != 1 {
		t.Fatalf("%+v", got)
	}
	if got := <-auth0.done; got != aliceSub+" "+aliceID {
		t.Errorf("reported %s", got)
	}
	close(auth0.hold)
	h.drain(t)
	if strings.Contains(h.logged(), "auth0 was not told") {
		t.Errorf("the log: %s", h.logged())
	}
}

// TestMigratedIsTold: the Auth0 users of an identity that has migrated are told once, and a
// failure is logged without them.
func TestMigratedIsTold(t *testing.T) {
	f := withProfile()
	var told []string
	h := start(t, f, func(o *hook.Options) {
		o.Sync.Migrated = func(_ context.Context, userIDs []string) error {
			told = append(told, userIDs...)
			return errors.New("not kept")
		}
	})
	h.post(t, login())
	if got := h.afterLogin(t, afterLoginBody("f")); !got.silent() || f.records.patched() != 1 {
		t.Fatalf("%+v", got)
	}
	h.drain(t)
	if !slices.Contains(told, aliceSub) {
		t.Errorf("told %q", told)
	}
	if log := h.logged(); strings.Count(log, "migrated user not remembered") != 1 || strings.Contains(log, aliceSub) {
		t.Errorf("the log: %s", log)
	}
}
