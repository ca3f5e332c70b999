package faults

import (
	"fmt"
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"
)

// The password of an identity is a register. Two things replace it by an earlier value, each
// within a window that docs/design.md names under "Limits": a first login, which stores the
// password of Auth0 after it has asked ferry, and the patch after a login, which writes back
// the password that Kratos read just before. Each is two steps of the model, a read and a
// write.
//
// Passwords are numbers: 0 is Auth0's.

type action int

const (
	logsIn     action = iota // Kratos compares the password with the one it has
	changes                  // settings or recovery
	firstReads               // a login that finds the identity pending
	firstWrites
	patchReads
	patchWrites
)

// step is what is done to a register.
type step struct {
	is       action
	password int8
	// window is the number of a read and of the write that belongs to it.
	window int
	// unsure is true for a write that may not have happened.
	unsure bool
}

const maxWindows = 40

// register is the state of the model.
type register struct {
	password int8
	pending  bool
	// read holds what the windows have read: 0 is nothing yet, else the password plus 1.
	read [maxWindows]int8
}

// passwords is the model.
func passwords() porcupine.Model {
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{register{pending: true}} },
		Step: func(state, input, output any) []any {
			r, isRegister := state.(register)
			s, isStep := input.(step)
			ok, isResult := output.(bool)
			if !isRegister || !isStep || !isResult {
				return nil
			}
			return r.next(s, ok)
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %v", input, output) },
	}
	return model.ToModel()
}

// next returns the states that may follow; none if the step cannot have this result.
func (r register) next(s step, ok bool) []any {
	before := r
	switch s.is {
	case logsIn:
		if ok && (r.pending || r.password != s.password) || !ok && r.password == s.password {
			return nil
		}
		return []any{r}
	case changes:
		r.password, r.pending = s.password, false
	case firstReads:
		if !r.pending {
			return nil
		}
		r.read[s.window] = r.password + 1
		return []any{r}
	case patchReads:
		if r.pending {
			return nil
		}
		r.read[s.window] = r.password + 1
		return []any{r}
	case firstWrites, patchWrites:
		if r.read[s.window] == 0 {
			return nil
		}
		r.password, r.pending, r.read[s.window] = r.read[s.window]-1, false, 0
		before.read[s.window] = 0
	}
	if s.unsure {
		return []any{before, r}
	}
	return []any{r}
}

// TestRegister: the model accepts an earlier password within a window only.
func TestRegister(t *testing.T) {
	first := func(from, to int64) []porcupine.Operation {
		return []porcupine.Operation{
			{Input: step{is: firstReads}, Call: from, Output: true, Return: to},
			{Input: step{is: firstWrites}, Call: from, Output: true, Return: to},
		}
	}
	one := func(from, to int64, s step, ok bool) porcupine.Operation {
		return porcupine.Operation{ClientId: 1, Input: s, Call: from, Output: ok, Return: to}
	}
	patch := func(from, to int64) []porcupine.Operation {
		return []porcupine.Operation{
			one(from, to, step{is: patchReads, window: 1}, true), one(from, to, step{is: patchWrites, window: 1}, true),
		}
	}
	for name, c := range map[string]struct {
		history []porcupine.Operation
		want    bool
	}{
		"a change during a first login is lost": {
			append(first(0, 10), one(2, 4, step{is: changes, password: 1}, true), one(11, 12, step{is: logsIn}, true)), true,
		},
		"a change during a first login lasts": {
			append(first(0, 10), one(2, 4, step{is: changes, password: 1}, true), one(11, 12, step{is: logsIn, password: 1}, true)), true,
		},
		"a change after a first login is lost": {
			append(first(0, 10), one(12, 14, step{is: changes, password: 1}, true), one(15, 16, step{is: logsIn}, true)), false,
		},
		"a change during a patch is lost": {
			slices.Concat(first(0, 10), patch(11, 20), []porcupine.Operation{
				one(12, 14, step{is: changes, password: 1}, true), one(21, 22, step{is: logsIn}, true),
			}), true,
		},
		"a change before a patch is lost": {
			slices.Concat(first(0, 10), patch(15, 20), []porcupine.Operation{
				one(12, 14, step{is: changes, password: 1}, true), one(21, 22, step{is: logsIn}, true),
			}), false,
		},
		"the right password is called wrong": {append(first(0, 10), one(11, 12, step{is: logsIn}, false)), false},
		"a first login after a change":       {append(first(20, 30), one(2, 4, step{is: changes, password: 1}, true)), false},
		"a change that failed may have happened": {
			append(first(0, 10), one(12, 14, step{is: changes, password: 1, unsure: true}, true), one(15, 16, step{is: logsIn}, true)), true,
		},
	} {
		if got := porcupine.CheckOperations(passwords(), c.history); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
