package hook_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ferry/attempt"
	"ferry/hook"
	"ferry/kratos"
	"ferry/outcome"
	"ferry/provenance"
	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/test/await"
	"ferry/upstream"
	"ferry/wire"
)

// The groups of logins whose times are compared: the first asks Auth0, the others do not.
const (
	groupWrong     = "pending-wrong"
	groupUnbound   = "unbound"
	groupInactive  = "inactive"
	groupMigrated  = "not-pending"
	groupLocked    = "locked"
	groupOversize  = "oversize"
	samplesOfGroup = 150
	// rounds is how often times of real logins are compared at most: while the load of the machine
	// changes, the times of wrong passwords do too.
	rounds = 5
)

func groups() []string {
	return []string{groupWrong, groupUnbound, groupInactive, groupMigrated, groupLocked, groupOversize}
}

// crowd is a Kratos with a user for each group, whose limits refuse the locked one. The
// identifier begins with the group.
type crowd struct{ *fakes }

func (c crowd) Find(_ context.Context, identifier string) (kratos.Identity, error) {
	group, _, _ := strings.Cut(identifier, ".")
	i := kratos.Identity{ID: group, Identifier: identifier, Lists: true, Active: group != groupInactive, Pending: group != groupMigrated}
	if group != groupUnbound {
		i.Binding = provenance.Binding{Subjects: []string{"auth0|" + group}}
	}
	return i, nil
}

func (crowd) Admit(_ context.Context, l attempt.Login) (settle func(context.Context, error) error, refusal *upstream.LoginError) {
	if l.IdentityID == groupLocked {
		return nil, &upstream.LoginError{Outcome: outcome.Locked, Reason: "test"}
	}
	return func(_ context.Context, err error) error { return err }, nil
}

// auth0Takes is how long one answer of Auth0 takes.
func auth0Takes() time.Duration {
	return 15*time.Millisecond + time.Duration(min(rand.ExpFloat64(), 5)*float64(10*time.Millisecond))
}

// slow is a transport to Auth0 whose time varies, as the real one's.
type slow struct{ next http.RoundTripper }

func (s slow) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(auth0Takes()):
		return s.next.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// slowAuth0 is the client of a simulator behind such a transport.
func slowAuth0(t *testing.T) *upstream.Client {
	t.Helper()
	relaxed := auth0sim.RelaxedSettings()
	sim := auth0sim.Run(t, auth0sim.Config{Settings: &relaxed, Tenant: &auth0sim.Tenant{
		DefaultDirectory: "users", Connections: []auth0sim.Connection{{Name: "users"}, {Name: "legacy"}},
		Apps: []auth0sim.App{{ClientID: "ferry", ClientSecret: "canary-client-secret"}},
	}})
	next := upstream.NewTransport()
	client, err := upstream.New(upstream.Options{
		Issuer: "https://" + sim.Domain() + "/", BaseURL: sim.URL(), ClientID: "ferry",
		ClientAuth: upstream.SecretPost("ferry", secret.New("canary-client-secret")), Scope: "openid",
		Timeout: 10 * time.Second, Transport: slow{next}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// timed measures logins of each group, in random order, some at once.
func timed(t *testing.T, h *harness, of []string, samples int) map[string][]float64 {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 10}}
	defer client.CloseIdleConnections()
	logins := make(chan string, len(of)*samples)
	order := slices.Repeat(of, samples)
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for _, group := range order {
		logins <- group
	}
	close(logins)
	var mu sync.Mutex
	took := map[string][]float64{}
	var workers sync.WaitGroup
	for range 10 {
		workers.Go(func() {
			for group := range logins {
				one := loginTime(t, client, h.url, group)
				mu.Lock()
				took[group] = append(took[group], one)
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return took
}

// loginOf is a login of a group with a new wrong password.
func loginOf(t *testing.T, url, group string) *http.Request {
	t.Helper()
	password := fmt.Sprint("wrong ", rand.Uint64())
	if group == groupOversize {
		password = strings.Repeat("x", 73)
	}
	body := fmt.Sprintf(`{"identifier":"%s.user@example.org","password":%q}`, group, password)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+wire.MigrationPath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	return req
}

// loginTime is the time of one login, in seconds.
func loginTime(t *testing.T, client *http.Client, url, group string) float64 {
	t.Helper()
	req := loginOf(t, url, group)
	started := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	checkStatus(t, group, resp.StatusCode)
	return time.Since(started).Seconds()
}

func checkStatus(t *testing.T, group string, status int) {
	t.Helper()
	want := http.StatusForbidden
	if group == groupMigrated {
		want = http.StatusFailedDependency
	}
	if status != want {
		t.Errorf("%s: status %d", group, status)
	}
}

// smirnov is the statistic of the two-sample Kolmogorov-Smirnov test: the greatest distance of
// the two empirical distribution functions.
func smirnov(a, b []float64) float64 {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	greatest, i, j := 0.0, 0, 0
	for i < len(a) && j < len(b) {
		at := min(a[i], b[j])
		for i < len(a) && a[i] <= at {
			i++
		}
		for j < len(b) && b[j] <= at {
			j++
		}
		greatest = max(greatest, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	return greatest
}

// critical is the distance that two samples of the same distribution exceed once in a million
// tests: with 150 samples each, 0.31.
func critical(n, m int) float64 {
	const alpha = 1e-6
	return math.Sqrt(-math.Log(alpha/2)/2) * math.Sqrt(float64(n+m)/float64(n*m))
}

// TestSmirnov: the statistic of known samples.
func TestSmirnov(t *testing.T) {
	for _, c := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3, 4}, []float64{4, 3, 2, 1}, 0},
		{[]float64{1, 2, 3, 4}, []float64{5, 6}, 1},
		{[]float64{1, 2, 3, 4}, []float64{3, 4, 5, 6}, 0.5},
		{[]float64{1, 1, 1, 2}, []float64{1, 2, 2, 2}, 0.5},
	} {
		if got := smirnov(c.a, c.b); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v %v: %v, want %v", c.a, c.b, got, c.want)
		}
	}
	if got := critical(200, 200); math.Abs(got-0.269) > 0.001 {
		t.Errorf("critical %v", got)
	}
}

// TestTimeTellsNothing: the times of refusals without a request to Auth0 are distributed as
// those of wrong passwords. Without the delay the test can tell them apart. If real logins do
// not show that in one of some rounds, they do not show it.
func TestTimeTellsNothing(t *testing.T) {
	auth0 := slowAuth0(t)
	for name, delay := range map[string]bool{"delayed": true, "at once": false} {
		t.Run(name, func(t *testing.T) {
			samples := samplesOfGroup
			if !delay {
				samples /= 2
			}
			left := groups()[1:]
			for round := 0; len(left) > 0; round++ {
				if round == rounds {
					t.Fatalf("told apart: %v, in each of %d rounds: %s", !delay, rounds, left)
				}
				c := crowd{alice()}
				h := start(t, c.fakes, func(o *hook.Options) {
					o.Identities, o.Upstream, o.Limits, o.DelayRefusals = c, auth0, c, delay
				})
				of := append([]string{groupWrong}, left...)
				timed(t, h, of, samples) // ferry learns how long wrong passwords take, under the same load
				took := timed(t, h, of, samples)
				left = toldApart(t, took, left, samples, !delay)
			}
		})
	}
}

// toldApart returns the groups that can be told from wrong passwords by their times, or, if want
// is true, those that cannot.
func toldApart(t *testing.T, took map[string][]float64, of []string, samples int, want bool) (others []string) {
	t.Helper()
	for _, group := range of {
		distance := smirnov(took[groupWrong], took[group])
		t.Logf("%s: distance %.3f, critical %.3f", group, distance, critical(samples, samples))
		if told := distance > critical(samples, samples); told != want {
			others = append(others, group)
		}
	}
	return others
}

// answersSlowly is an Auth0 that takes as long as slow, and refuses each password.
type answersSlowly struct{}

func (answersSlowly) Verify(context.Context, upstream.Credentials) (upstream.Profile, error) {
	<-time.After(auth0Takes())
	return upstream.Profile{}, &upstream.LoginError{Outcome: outcome.Mismatch}
}

// TestTimeTellsNothingExactly: the same in time that stands still while a program runs, however
// busy the machine is. So many logins show much smaller differences.
func TestTimeTellsNothingExactly(t *testing.T) {
	const samples = 2000
	for name, delay := range map[string]bool{"delayed": true, "at once": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := crowd{alice()}
				h := start(t, c.fakes, func(o *hook.Options) {
					o.Identities, o.Upstream, o.Limits, o.DelayRefusals = c, answersSlowly{}, c, delay
				})
				h.close() // there is no network in the bubble
				login := func(group string) float64 {
					recorder, began := httptest.NewRecorder(), time.Now()
					h.handler.Echo().ServeHTTP(recorder, loginOf(t, "http://ferry", group))
					checkStatus(t, group, recorder.Code)
					return time.Since(began).Seconds()
				}
				for range 1024 {
					login(groupWrong)
				}
				took := map[string][]float64{}
				for range samples {
					for _, group := range groups() {
						took[group] = append(took[group], login(group))
					}
				}
				if others := toldApart(t, took, groups()[1:], samples, !delay); len(others) > 0 {
					t.Errorf("told apart: %v: %s", delay, others)
				}
			})
		})
	}
}

// TestDelayEnds: the delay of a refusal ends when its caller leaves, and when ferry drains.
func TestDelayEnds(t *testing.T) {
	// The wrong password takes an hour, by the clock: the delay is the longest.
	f := alice()
	clock := &clock{now: time.Now()}
	f.askErr = &upstream.LoginError{Outcome: outcome.Mismatch}
	f.ask = func() { clock.advance(time.Hour) }
	h := start(t, f, func(o *hook.Options) { o.Now, o.DelayRefusals = clock.Now, true })
	h.post(t, login())
	f.identity.Active = false

	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+wire.MigrationPath, strings.NewReader(login()))
		if err != nil {
			left <- err
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+key)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		left <- err
	}()
	asked := func() int { f.mu.Lock(); defer f.mu.Unlock(); return len(f.identifier) }
	if !await.True(func() bool { return asked() == 2 }) {
		t.Fatal("no second login")
	}
	leave()
	if err := <-left; err == nil {
		t.Error("answered before its time")
	}
	if !await.True(func() bool { return strings.Contains(h.logged(), `"outcome":"inactive"`) }) {
		t.Error("still delayed after the caller left")
	}
	answered := make(chan answer)
	go func() { answered <- h.post(t, login()) }()
	if !await.True(func() bool { return asked() == 3 }) {
		t.Fatal("no third login")
	}
	h.handler.StopDelays()
	if got := <-answered; got.status != http.StatusForbidden {
		t.Errorf("status %d", got.status)
	}
	h.handler.StopDelays()
	if got := h.post(t, login()); got.status != http.StatusForbidden {
		t.Errorf("status %d", got.status)
	}
	if !strings.Contains(h.logged(), `"waited":5`) {
		t.Error("the log does not say that the answer was delayed")
	}
}
