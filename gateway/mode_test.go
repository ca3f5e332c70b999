package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"

	"ferry/gateway"
	"ferry/mode"
	"ferry/outcome"
	"ferry/provision"
	"ferry/secret"
	"ferry/test/proxytest"
)

// withMode is an option with a mode and a cohort.
func withMode(t *testing.T, name, cohort string) func(*gateway.Options) {
	t.Helper()
	return func(o *gateway.Options) {
		modes, err := mode.New(mode.Options{Mode: name, Cohort: cohort, Key: secret.New("key"), Log: zap.NewNop(), Metrics: o.Metrics, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		o.Modes = modes
	}
}

// TestModes: what becomes of a login of a user whom Kratos does not have. It is never passed
// on to be called wrong credentials, unless Auth0 said so.
func TestModes(t *testing.T) {
	t.Parallel()
	observed := func(w *world) { w.result = provision.Result{Reason: provision.ReasonObserved} }
	for name, c := range map[string]struct {
		mode, cohort string
		login        loginCase
	}{
		"on":                      {"on", "all", loginCase{result: "created", asked: 1, created: true, kept: true}},
		"off":                     {"off", "all", loginCase{status: 503, result: "paused"}},
		"off, known":              {"off", "all", loginCase{set: func(w *world) { w.known["kim@example.org"] = true }, result: "known"}},
		"off, Kratos' admin down": {"off", "all", loginCase{set: func(w *world) { w.knowsErr = errDown }, result: "kratos_unavailable"}},
		"observe":                 {"observe", "all", loginCase{set: observed, status: 503, result: "observed", asked: 1, created: true}},
		"observe, wrong password": {"observe", "all", loginCase{password: "wrong", result: "mismatch", asked: 1}},
		"observe, Auth0 down":     {"observe", "all", loginCase{set: func(w *world) { w.outcomes[""] = outcome.Unavailable }, status: 503, result: "unavailable", asked: 1}},
		"off meanwhile":           {"on", "all", loginCase{set: func(w *world) { w.resultErr = provision.ErrOff }, status: 503, result: "not_created", asked: 1, created: true}},
		"in the cohort":           {"on", "@example.org", loginCase{result: "created", asked: 1, created: true, kept: true}},
		"outside the cohort":      {"on", "@example.com", loginCase{status: 503, result: "outside_cohort"}},
		"a cohort by trait":       {"on", "traits.plan=beta", loginCase{status: 503, result: "outside_cohort"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.login.options = withMode(t, c.mode, c.cohort)
			c.login.test(t)
		})
	}
}

// TestModesWithoutAPassword: no one is looked up while ferry is off or only for others.
// Recovery passes on, and a login by code is an outage.
func TestModesWithoutAPassword(t *testing.T) {
	t.Parallel()
	const recovery = "/self-service/recovery?flow=" + flow
	for name, c := range map[string]struct {
		mode, cohort, result string
		set                  func(*world)
		looked               int
	}{
		"off":                {"off", "all", "paused", nil, 0},
		"outside the cohort": {"on", "1%,@example.com", "outside_cohort", nil, 0},
		"observe":            {"observe", "all", "observed", func(w *world) { w.result = provision.Result{Reason: provision.ReasonObserved} }, 2},
	} {
		r := newRig(t, nil, withMode(t, c.mode, c.cohort))
		if c.set != nil {
			c.set(r.world)
		}
		if got := r.post(t, recovery, `{"method":"code","email":"kim@example.org"}`); got.Status != http.StatusOK {
			t.Errorf("%s: recovery gets %d", name, got.Status)
		}
		if got := r.post(t, login, `{"method":"code","identifier":"kim@example.org"}`); got.Status != http.StatusServiceUnavailable {
			t.Errorf("%s: a login by code gets %d", name, got.Status)
		}
		if len(r.looked) != c.looked || r.counted(t, "recovery", c.result, "passed") != 1 || r.counted(t, "login", c.result, "refused") != 1 {
			t.Errorf("%s: looked up %q", name, r.looked)
		}
	}
}

// TestObserveCounts: the logins that the gateway decides are counted as those of the hook.
func TestObserveCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil, withMode(t, "observe", "all"))
	r.result = provision.Result{Reason: provision.ReasonObserved}
	r.post(t, login, passwordOf("kim@example.org", right))
	r.post(t, login, passwordOf("kim@example.org", "wrong"))
	r.result = provision.Result{Reason: provision.ReasonElsewhere}
	r.post(t, login, passwordOf("lee@example.org", right))
	for _, want := range []map[string]string{
		{"outcome": "observed", "reason": ""}, {"outcome": "mismatch", "reason": "test"}, {"outcome": "denied", "reason": provision.ReasonElsewhere},
	} {
		if n := proxytest.Counter(t, r.metrics, "ferry_observe_logins_total", want); n != 1 {
			t.Errorf("%v are counted as %v", n, want)
		}
	}
}
