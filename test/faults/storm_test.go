package faults

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"ferry/test/auth0sim"
)

const (
	users    = 4                // at the same time
	deadline = 10 * time.Minute // for users to get in afterwards
)

// TestStorms lets random parts fail, one after the other, while users log in, for
// FERRY_STORM (3s) each.
func TestStorms(t *testing.T) {
	lasts := 3 * time.Second
	if text := os.Getenv("FERRY_STORM"); text != "" {
		var err error
		if lasts, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t)
	for _, w := range []weather{
		{name: "hooks and Kratos", hops: []*hop{s.toFerry, s.toKratos}},
		{name: "Auth0 and Kratos", hops: []*hop{s.toAuth0, s.toKratos}, auth0: true},
		// Kratos repeats a call whose answer is lost. ferry knows the outcome unless it got
		// none from Auth0, or Redis has lost it.
		{name: "everything", hops: s.hops(), auth0: true, redis: true, perLogin: deliveries},
	} {
		t.Run(w.name, func(t *testing.T) { testStorm(t, s, w, lasts) })
	}
}

// weather says what may fail in a storm.
type weather struct {
	name         string
	hops         []*hop
	auth0, redis bool
	// perLogin is how often Auth0 may be asked in one login; 0 is 1.
	perLogin int
}

func testStorm(t *testing.T, s *stack, w weather, lasts time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), lasts+deadline)
	defer cancel()
	s.perLogin = max(w.perLogin, 1)
	seed := rand.Uint64()
	over, gusts := make(chan struct{}), 0
	var storm sync.WaitGroup
	storm.Go(func() {
		defer close(over)
		random := rand.New(rand.NewPCG(seed, 0))
		for end := time.Now().Add(lasts); time.Now().Before(end) && ctx.Err() == nil; gusts++ {
			if err := s.gust(ctx, random, w); err != nil {
				t.Error(err)
				return
			}
		}
	})
	people, err := s.crossing(ctx, seed, func(int) bool {
		select {
		case <-over:
			return false
		default:
			return true
		}
	})
	storm.Wait()
	if err != nil {
		t.Error(err)
	}
	for _, p := range people {
		if err := s.recovers(ctx, p); err != nil {
			t.Error(err)
		}
	}
	t.Logf("seed %d: %d faults, %d users", seed, gusts, len(people))
}

// gust breaks something for a while, and repairs it.
func (s *stack) gust(ctx context.Context, random *rand.Rand, w weather) error {
	lasts := time.Duration(50+random.IntN(400)) * time.Millisecond
	switch {
	case w.auth0 && random.IntN(4) == 0:
		names := []auth0sim.FaultName{
			auth0sim.FaultUnavailable, auth0sim.FaultInternalError, auth0sim.FaultHTMLPage, auth0sim.FaultTooManyRequests,
			auth0sim.FaultEmptyBody, auth0sim.FaultCutJSON, auth0sim.FaultResetInBody, auth0sim.FaultCloseAfterRequest,
		}
		_, err := s.sim.SetFault(auth0sim.Fault{Name: names[random.IntN(len(names))], Path: auth0sim.AnyPath})
		pause(ctx, lasts)
		s.sim.ClearFaults()
		return err
	case w.redis && random.IntN(4) == 0:
		err := s.redis.Stop()
		pause(ctx, lasts)
		return errors.Join(err, s.redis.Restart(ctx))
	}
	h := w.hops[random.IntN(len(w.hops))]
	faults := hopFaults(shortHang)
	err := h.breaks(faults[random.IntN(len(faults))])
	pause(ctx, lasts)
	return errors.Join(err, h.heals())
}

// pause waits: a fault lasts for a while, whatever happens meanwhile.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// crossing lets people log in for the first time, several at once, as long as more returns
// true for the number of people so far. Some of them mistype their password before.
func (s *stack) crossing(ctx context.Context, seed uint64, more func(int) bool) ([]*person, error) {
	var mu sync.Mutex
	var people []*person
	var faults []error
	var all sync.WaitGroup
	next := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(faults) == 0 && more(len(people))
	}
	for user := range users {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(user+1)))
			for next() {
				p, err := s.person(ctx)
				if err == nil {
					mu.Lock()
					people = append(people, p)
					mu.Unlock()
					err = s.firstLogins(ctx, random, p)
				}
				if err != nil {
					mu.Lock()
					faults = append(faults, err)
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return people, errors.Join(faults...)
}

func (s *stack) firstLogins(ctx context.Context, random *rand.Rand, p *person) error {
	for random.IntN(4) == 0 {
		if err := s.loginWrong(ctx, p); err != nil {
			return err
		}
	}
	_, err := s.login(ctx, p)
	return err
}

// TestKill kills ferry again and again during FERRY_KILL_LOGINS (60) first logins. All
// users end pending or migrated with their own password.
func TestKill(t *testing.T) {
	logins := 60
	if text := os.Getenv("FERRY_KILL_LOGINS"); text != "" {
		var err error
		if logins, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(logins)*time.Second+deadline)
	defer cancel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	over := make(chan struct{})
	kills := 0
	var killer sync.WaitGroup
	killer.Go(func() {
		random := rand.New(rand.NewPCG(seed, 0))
		for ; ; kills++ {
			select {
			case <-over:
				return
			case <-time.After(time.Duration(100+random.IntN(500)) * time.Millisecond):
			}
			if err := errors.Join(s.kill(), s.startFerry(ctx)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	people, err := s.crossing(ctx, seed, func(n int) bool { return n < logins })
	close(over)
	killer.Wait()
	if err != nil {
		t.Error(err)
	}
	pending, extra := 0, 0
	for _, p := range people {
		extra += max(0, s.sim.Attempts(p.subject)-int(p.logins.Load()))
		identity, err := s.kratos.Get(ctx, p.identity)
		if err != nil {
			t.Fatal(err)
		}
		if identity.Pending {
			pending++
		}
		if err := s.recovers(ctx, p); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d users, ferry killed %d times: %d were still pending, %d attempts more than logins", len(people), kills, pending, extra)
}
