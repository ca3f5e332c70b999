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
	for name, c := range map[string]modeCase{
		"observe": {mode.Observe, provision.ReasonObserved, nil, provision.ReasonObserved, provision.ErrObserved},
		"off":     {mode.Off, "", provision.ErrOff, provision.EnsureOff, provision.ErrOff},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, c.test) })
	}
}

// modeCase is what becomes of a user in a mode.
type modeCase struct {
	mode    mode.Mode
	reason  string
	err     error // of a login
	ensured string
	fault   error // of ensure
}

func (c modeCase) test(t *testing.T) {
	const email = "kim@example.org"
	claims := map[string]any{"sub": kim, "email": email, "email_verified": true}
	d := newDesk(t, func(o *provision.Options) { o.Mode = func() mode.Mode { return c.mode } }, user(kim, email, true, nil))
	walkOnce(t, d.Provisioner)
	result, err := d.ByLogin(t.Context(), login(t, email, claims))
	if !errors.Is(err, c.err) || result.Created || result.Exists || result.Reason != c.reason {
		t.Errorf("a login: %+v, %v", result, err)
	}
	result, err = d.ByIdentifier(t.Context(), provision.DoorRecovery, email)
	if !errors.Is(err, c.err) || result.Created || result.Exists || result.Reason != c.reason {
		t.Errorf("a recovery: %+v, %v", result, err)
	}
	ensurer, err := provision.NewEnsurer(d.Provisioner, provision.NewBudget(100, noMemory{}))
	if err != nil {
		t.Fatal(err)
	}
	if word, err := ensurer.Ensure(t.Context(), email, false); word != c.ensured || !errors.Is(err, c.fault) {
		t.Errorf("ensure: %s, %v", word, err)
	}
	if len(d.people.created) > 0 {
		t.Error("an identity was created")
	}
	d.people.known[email] = true
	if word, err := ensurer.Ensure(t.Context(), email, false); word != provision.ReasonKnown || err != nil {
		t.Errorf("ensure, known: %s, %v", word, err)
	}
}
