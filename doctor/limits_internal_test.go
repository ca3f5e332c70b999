package doctor

import (
	"context"
	"errors"
	"testing"
)

// TestLocked: what `ferry doctor why` finds about ferry's own limits.
func TestLocked(t *testing.T) {
	answer := func(locked bool, err error) func(context.Context, string, string) (bool, error) {
		return func(_ context.Context, identityID, identifier string) (bool, error) {
			if identityID != "id-1" || identifier != "ada@example.org" {
				t.Errorf("asked about %s %s", identityID, identifier)
			}
			return locked, err
		}
	}
	for name, c := range map[string]struct {
		locked func(context.Context, string, string) (bool, error)
		want   Status
	}{
		"in memory":             {nil, OK},
		"not locked":            {answer(false, nil), OK},
		"locked":                {answer(true, nil), Warn},
		"Redis does not answer": {answer(false, errors.New("no answer")), Skip},
	} {
		t.Run(name, func(t *testing.T) {
			q := &userCheck{doctor: newDoctor(Options{Locked: c.locked}), identifier: "ada@example.org"}
			q.locked(t.Context(), "id-1")
			found := append(append(q.out.Findings, q.out.Looked...), q.out.NotLooked...)
			if len(found) != 1 || found[0].Name != "locked" || found[0].Status != c.want || (found[0].Fix == "") != (c.want == OK) {
				t.Errorf("%+v", found)
			}
		})
	}
}
