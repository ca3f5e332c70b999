package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"ferry/test/kratostest"
)

const (
	clients     = 3 // of each user
	checkAtMost = time.Minute
)

// TestHistories lets clients of each user log in, change the password and recover the
// account at the same time, for FERRY_HISTORIES (4s), while ferry is killed and Redis
// restarted. Each history of a password must be one of a register.
func TestHistories(t *testing.T) {
	lasts := 4 * time.Second
	if text := os.Getenv("FERRY_HISTORIES"); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t)
	began := time.Now()
	hooks, hooksAt := newWitness(t, began, hostOfFerry(s))
	kratos, kratosAt := newWitness(t, began, host(t, s.kratos.AdminURL()))
	s.watch = hooks
	if err := errors.Join(s.toFerry.leadsTo(hooksAt), s.toKratos.leadsTo(kratosAt)); err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	ctx, cancel := context.WithTimeout(t.Context(), lasts+deadline)
	defer cancel()
	over := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		defer close(over)
		if err := s.unrest(ctx, rand.New(rand.NewPCG(seed, 0)), began.Add(lasts)); err != nil {
			t.Error(err)
		}
	})
	var histories atomic.Int64
	var happened steps
	for user := range users {
		all.Go(func() {
			for n := uint64(1); ctx.Err() == nil; n++ {
				select {
				case <-over:
					return
				default:
				}
				h, err := s.history(ctx, began, seed+uint64(user)<<32+n)
				if err != nil {
					t.Error(err)
					return
				}
				h.addPatches(kratos)
				histories.Add(1)
				happened.add(h)
				h.check(t)
			}
		})
	}
	all.Wait()
	t.Logf("%d histories, ferry was killed %d times", histories.Load(), len(s.kills))
	happened.check(t)
}

// steps counts the steps that certainly happened, by action.
type steps [patchWrites + 1]atomic.Int64

func (c *steps) add(h *history) {
	for _, o := range h.operations {
		if s, isStep := o.Input.(step); isStep && !s.unsure {
			c[s.is].Add(1)
		}
	}
}

// check fails the test if there are none of a kind: the histories would show nothing of it.
func (c *steps) check(t *testing.T) {
	t.Helper()
	decided, first, changed, patched := c[logsIn].Load(), c[firstWrites].Load(), c[changes].Load(), c[patchWrites].Load()
	t.Logf("%d logins by Kratos alone, %d first logins, %d changes, %d patches", decided, first, changed, patched)
	if decided == 0 || first == 0 || changed == 0 { // patches may come after the history
		t.Error("no login, first login or change is in the histories")
	}
}

// unrest kills ferry and restarts Redis, until the time is over.
func (s *stack) unrest(ctx context.Context, random *rand.Rand, until time.Time) error {
	for time.Now().Before(until) && ctx.Err() == nil {
		pause(ctx, time.Duration(300+random.IntN(700))*time.Millisecond)
		var err error
		if random.IntN(3) == 0 {
			err = errors.Join(s.redis.Stop(), s.redis.Restart(ctx))
		} else {
			err = errors.Join(s.kill(), s.startFerry(ctx))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// history is what the clients of one user did.
type history struct {
	stack  *stack
	person *person
	began  time.Time

	mu         sync.Mutex
	passwords  []string // by number
	operations []porcupine.Operation
	windows    int
}

// history creates a user and lets some clients of theirs act at the same time.
func (s *stack) history(ctx context.Context, began time.Time, seed uint64) (*history, error) {
	p, err := s.person(ctx)
	if err != nil {
		return nil, err
	}
	h := &history{stack: s, person: p, began: began, passwords: []string{p.password}}
	var acting sync.WaitGroup
	faults := make([]error, clients)
	for client := range clients {
		acting.Go(func() {
			faults[client] = h.act(ctx, client, rand.New(rand.NewPCG(seed, uint64(client))))
		})
	}
	acting.Wait()
	return h, errors.Join(append(faults, s.spared(p))...)
}

// act is one client. Its spelling of the address tells its hook calls from the others'.
func (h *history) act(ctx context.Context, client int, random *rand.Rand) error {
	typed := strings.Replace(h.person.email, "person", []string{"person", "Person", "PERSON"}[client], 1)
	var session kratostest.Login
	for range 4 {
		switch kind := random.IntN(10); {
		case kind < 6 || session.SessionID == "" && kind < 9:
			login, err := h.login(ctx, client, typed, h.any(random))
			if err != nil {
				return err
			}
			if login.Sees() == kratostest.SeesSession {
				session = login
			}
		case kind < 9:
			h.change(client, func(password string) error { return h.stack.kratos.ChangePassword(ctx, session, password) })
		default:
			h.change(client, func(password string) error { return h.stack.kratos.Recover(ctx, h.person.identity, password) })
		}
	}
	return nil
}

// any returns the number of a password; mostly the newest one or Auth0's.
func (h *history) any(random *rand.Rand) int8 {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch newest := len(h.passwords) - 1; random.IntN(5) {
	case 0:
		return int8(random.IntN(newest + 1))
	case 1, 2:
		return int8(newest)
	}
	return 0
}

func (h *history) password(number int8) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.passwords[number]
}

// login logs in and notes what came of it.
func (h *history) login(ctx context.Context, client int, typed string, number int8) (kratostest.Login, error) {
	from := time.Since(h.began)
	got, err := h.stack.kratos.LoginAPI(ctx, typed, h.password(number))
	to := time.Since(h.began)
	if err != nil {
		return got, err
	}
	called, hooked := h.stack.watch.hookedWithin(typed, from, to)
	if called {
		h.stack.allow(h.person, h.began.Add(from))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch sees := got.Sees(); {
	case hooked && number != 0:
		return got, fmt.Errorf("%s: password %d matched at Auth0", h.person.email, number)
	case hooked:
		h.window(client, firstReads, firstWrites, from, to, sees != kratostest.SeesSession)
	case sees == kratostest.SeesSession, sees == kratostest.SeesInvalidCredentials:
		h.add(client, step{is: logsIn, password: number}, from, to, sees == kratostest.SeesSession)
	case sees != kratostest.SeesUnavailable:
		return got, fmt.Errorf("%s: %s", h.person.email, sees)
	}
	return got, nil
}

// change sets a new password and notes it.
func (h *history) change(client int, set func(password string) error) {
	h.mu.Lock()
	number := int8(len(h.passwords))
	password := fmt.Sprintf("Another password %d of %s", number, h.person.subject)
	h.passwords = append(h.passwords, password)
	h.mu.Unlock()
	from := time.Since(h.began)
	err := set(password)
	to := time.Since(h.began)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.add(client, step{is: changes, password: number, unsure: err != nil}, from, to, true)
}

// addPatches adds the patches that a witness saw.
func (h *history) addPatches(w *witness) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range w.patchesOf(h.person.identity) {
		h.window(clients, patchReads, patchWrites, p.from, p.to, !p.ok)
	}
}

// window adds a read, and the write that belongs to it.
func (h *history) window(client int, reads, writes action, from, to time.Duration, unsure bool) {
	h.add(client, step{is: reads, window: h.windows}, from, to, true)
	h.add(client, step{is: writes, window: h.windows, unsure: unsure}, from, to, true)
	h.windows++
}

func (h *history) add(client int, s step, from, to time.Duration, ok bool) {
	h.operations = append(h.operations, porcupine.Operation{ClientId: client, Input: s, Call: int64(from), Output: ok, Return: int64(to)})
}

// check fails the test if no order of the operations explains the results.
func (h *history) check(t *testing.T) {
	t.Helper()
	if h.windows > maxWindows {
		t.Errorf("%s: %d windows", h.person.email, h.windows)
		return
	}
	if got := porcupine.CheckOperationsTimeout(passwords(), h.operations, checkAtMost); got != porcupine.Ok {
		t.Errorf("%s: %s", h.person.email, got)
		for _, o := range h.operations {
			t.Logf("client %d, %s to %s: %+v: %v", o.ClientId, time.Duration(o.Call), time.Duration(o.Return), o.Input, o.Output)
		}
	}
}

func hostOfFerry(s *stack) string { return strings.TrimPrefix(s.ferry.Load().HooksURL(), "http://") }
