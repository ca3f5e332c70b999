package provision_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"ferry/mode"
	"ferry/provision"
)

// noMemory remembers nothing.
type noMemory struct{}

func (noMemory) HashKey() (key [32]byte) { return key }

func (noMemory) Recall(context.Context, [32]byte) ([]byte, bool, error) { return nil, false, nil }

func (noMemory) Remember(context.Context, [32]byte, []byte, time.Duration) error { return nil }

// TestModes: only mode on creates an identity, whatever asks for it.
func TestModes(t *testing.T) {
	t.Parallel()
	const email = "kim@example.org"
	claims := map[string]any{"sub": kim, "email": email, "email_verified": true}
	for name, c := range map[string]struct {
		mode    mode.Mode
		reason  string
		err     error // of a login
		ensured string
		fault   error // of ensure
	}{
		"observe": {mode.Observe, provision.ReasonObserved, nil, provision.ReasonObserved, provision.ErrObserved},
		"off":     {mode.Off, "", provision.ErrOff, provision.EnsureOff, provision.ErrOff},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(t, func(o *provision.Options) { o.Mode = func() mode.Mode { return c.mode } }, user(kim, email, true, nil))
			walkOnce(t, d.Provisioner)
			result, err := d.ByLogin(t.Context(), login(t, email, claims))
			if !errors.Is(err, c.err) || result.Created || result.Exists || result.Reason != c.reason {
				t.Errorf("%s: a login: %+v, %v", name, result, err)
			}
			result, err = d.ByIdentifier(t.Context(), provision.DoorRecovery, email)
			if !errors.Is(err, c.err) || result.Created || result.Exists || result.Reason != c.reason {
				t.Errorf("%s: a recovery: %+v, %v", name, result, err)
			}
			ensurer, err := provision.NewEnsurer(d.Provisioner, provision.NewBudget(100, noMemory{}))
			if err != nil {
				t.Fatal(err)
			}
			if word, err := ensurer.Ensure(t.Context(), email, false); word != c.ensured || !errors.Is(err, c.fault) {
				t.Errorf("%s: ensure: %s, %v", name, word, err)
			}
			if len(d.people.created) > 0 {
				t.Errorf("%s: an identity was created", name)
			}
			d.people.known[email] = true
			if word, err := ensurer.Ensure(t.Context(), email, false); word != provision.ReasonKnown || err != nil {
				t.Errorf("%s: ensure, known: %s, %v", name, word, err)
			}
		})
	}
}
