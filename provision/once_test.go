package provision_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ferry/provision"
)

// TestOnce: those who need an identity at the same time share one act, by identifier and by
// login; the act ends although the first of them goes away.
func TestOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil, user(kim, "kim@example.org", true, nil))
		d.people.hold = make(chan struct{})
		gone, goAway := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := d.ByLogin(gone, login(t, "kim@example.org", map[string]any{"sub": kim})); !errors.Is(err, context.Canceled) {
				t.Errorf("the first: %v", err)
			}
		})
		synctest.Wait()
		for range 4 {
			all.Go(func() {
				result, err := d.ByLogin(t.Context(), login(t, "kim@example.org", map[string]any{"sub": kim}))
				if err != nil || !result.Exists {
					t.Errorf("%+v, %v", result, err)
				}
			})
		}
		synctest.Wait()
		goAway()
		synctest.Wait()
		close(d.people.hold)
		all.Wait()
		if d.people.creates != 1 || len(d.people.created) != 1 {
			t.Errorf("%d creates, %d identities", d.people.creates, len(d.people.created))
		}
	})
}

// TestTwoIdentifiers: a login at the same time by an identifier that the identity does not
// have gets no result of the other.
func TestTwoIdentifiers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, nil, user(kim, "kim@example.org", true, nil))
		d.people.hold = make(chan struct{})
		var all sync.WaitGroup
		for identifier, exists := range map[string]bool{"kim@example.org": true, "kim": false} {
			all.Go(func() {
				result, err := d.ByLogin(t.Context(), login(t, identifier, map[string]any{"sub": kim}))
				if err != nil || result.Exists != exists {
					t.Errorf("%s: %+v, %v", identifier, result, err)
				}
			})
		}
		synctest.Wait()
		close(d.people.hold)
		all.Wait()
	})
}

// TestActEnds: an act ends although Auth0 does not answer.
func TestActEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, func(o *provision.Options) { o.Directory = hanging{} })
		started := time.Now()
		_, err := d.ByLogin(t.Context(), login(t, "kim@example.org", map[string]any{"sub": kim}))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(started) > 25*time.Second {
			t.Errorf("%v after %s", err, time.Since(started))
		}
	})
}

// hanging is a Management API that does not answer.
type hanging struct{}

func (hanging) LookUpUser(ctx context.Context, _ string) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (hanging) LookUpEmail(ctx context.Context, _ string) ([][]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// panicking is one that panics.
type panicking struct{ hanging }

func (panicking) LookUpUser(context.Context, string) ([]byte, error) { panic("canary") }

// TestPanic: a panic is an error of one act. The log leaves out its value, which may quote the
// user's data.
func TestPanic(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	d := newDesk(t, func(o *provision.Options) { o.Directory, o.Log = panicking{}, zap.New(core) })
	if result, err := d.ByLogin(t.Context(), login(t, "kim@example.org", map[string]any{"sub": kim})); err == nil || result.Exists {
		t.Errorf("%+v, %v", result, err)
	}
	lines := logs.FilterMessage("panic").All()
	if len(lines) != 1 || lines[0].ContextMap()["type"] != "string" || strings.Contains(fmt.Sprint(lines[0].ContextMap()), "canary") {
		t.Errorf("logged %v", lines)
	}
}
