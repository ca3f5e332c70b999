package hook_test

import (
	"cmp"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"ferry/hook"
	"ferry/mapping"
	"ferry/mode"
	"ferry/outcome"
	"ferry/provision"
	"ferry/secret"
	"ferry/upstream"
)

// newSwitch returns a switch, and an option that uses it.
func newSwitch(t *testing.T, name string) (change func(string), option func(*hook.Options)) {
	t.Helper()
	var modes *mode.Switch
	change = func(to string) {
		if _, err := modes.Set(mode.Change{Mode: to}); err != nil {
			t.Error(err)
		}
	}
	return change, func(o *hook.Options) {
		var err error
		modes, err = mode.New(mode.Options{Mode: name, Cohort: "all", Key: secret.New("key"), Log: zap.NewNop(), Metrics: o.Metrics, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		o.Modes = modes
	}
}

// counted returns the counter of a family with these label values; 0: there is none.
func (h *harness) counted(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := h.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var values []string
			for _, label := range m.GetLabel() {
				values = append(values, label.GetValue())
			}
			if family.GetName() == name && strings.Join(values, " ") == strings.Join(labels, " ") {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestModes: off asks no one, observe asks and gives no match, and every other answer is as
// usual. The mode of the moment of the answer counts.
func TestModes(t *testing.T) {
	const paused = `{"status":"paused"}`
	refused := func(f *fakes) {
		f.askErr = &upstream.LoginError{Outcome: outcome.Mismatch, Reason: "wrong_credentials"}
	}
	lists := func(f *fakes) {
		f.identity.Listed, f.identity.AllTraits = []string{stored, "alice@example.com"}, map[string]any{"plan": "beta"}
	}
	long := `{"identifier":"alice","password":"` + strings.Repeat("x", 73) + `"}`
	for name, c := range map[string]modeCase{
		"on":                               {mode: "on", status: 200, answer: matched, outcome: outcome.Match, asked: 1},
		"off":                              {mode: "off", status: 424, answer: paused, outcome: outcome.Paused, reason: "mode_off"},
		"off, too long":                    {mode: "off", body: long, status: 424, answer: paused, outcome: outcome.Paused, reason: "mode_off"},
		"off and closed":                   {mode: "off", closed: true, status: 424, answer: paused, outcome: outcome.Paused, reason: "mode_off"},
		"observe":                          {mode: "observe", status: 424, answer: unavailable, outcome: outcome.Observed, asked: 1, counted: true},
		"observe, wrong password":          {mode: "observe", fakes: refused, status: 403, answer: noMatch, outcome: outcome.Mismatch, reason: "wrong_credentials", asked: 1, counted: true},
		"observe, too long":                {mode: "observe", body: long, status: 403, answer: noMatch, outcome: outcome.Oversize, reason: "password_length", counted: true},
		"observe, unbound":                 {mode: "observe", fakes: func(f *fakes) { f.identity.Binding.Subjects = nil }, status: 403, answer: noMatch, outcome: outcome.Unbound, counted: true},
		"off meanwhile":                    {mode: "on", then: "off", status: 424, answer: paused, outcome: outcome.Paused, reason: "mode_off", asked: 1},
		"observe meanwhile":                {mode: "on", then: "observe", status: 424, answer: unavailable, outcome: outcome.Observed, asked: 1, counted: true},
		"on meanwhile":                     {mode: "observe", then: "on", status: 200, answer: matched, outcome: outcome.Match, asked: 1},
		"in the cohort by what was typed":  {mode: "on", cohort: "@example.org", status: 200, answer: matched, outcome: outcome.Match, asked: 1},
		"in the cohort by another address": {mode: "on", cohort: "@example.com", fakes: lists, status: 200, answer: matched, outcome: outcome.Match, asked: 1},
		"in the cohort by a trait":         {mode: "on", cohort: "traits.plan=beta", fakes: lists, status: 200, answer: matched, outcome: outcome.Match, asked: 1},
		"outside the cohort":               {mode: "on", cohort: "0%,@example.net,traits.plan=gold", fakes: lists, status: 424, answer: paused, outcome: outcome.Paused, reason: "outside_cohort"},
		"outside the cohort, observe":      {mode: "observe", cohort: "0%", status: 424, answer: paused, outcome: outcome.Paused, reason: "outside_cohort"},
	} {
		t.Run(name, c.test)
	}
}

// modeCase is a login in a mode.
type modeCase struct {
	mode, then string // then: from when Auth0 is asked
	cohort     string // empty: all
	fakes      func(*fakes)
	body       string
	closed     bool
	status     int
	answer     string
	outcome    outcome.Outcome
	reason     string
	asked      int
	counted    bool // as observed
}

func (c modeCase) test(t *testing.T) {
	f := alice()
	if c.fakes != nil {
		c.fakes(f)
	}
	change, option := newSwitch(t, c.mode)
	if c.then != "" {
		f.ask = func() { change(c.then) }
	}
	body := c.body
	if body == "" {
		body = login()
	}
	r := startRecorded(t, f, option, func(o *hook.Options) {
		o.Closed = c.closed
		modes, isSwitch := o.Modes.(*mode.Switch)
		if !isSwitch {
			t.Fatal("no switch")
		}
		if _, err := modes.Set(mode.Change{Cohort: cmp.Or(c.cohort, "all")}); err != nil {
			t.Error(err)
		}
	})
	got := r.post(t, body)
	if got.status != c.status || got.body != c.answer || f.asked() != c.asked {
		t.Errorf("answered %d %s, Auth0 was asked %d times", got.status, got.body, f.asked())
	}
	if c.mode == "off" && len(f.identifier) > 0 {
		t.Error("Kratos was asked")
	}
	r.checkSilence(t, got)
	line := r.one(t)
	if line.Outcome != c.outcome.String() || line.Reason != c.reason {
		t.Errorf("recorded %s, %s", line.Outcome, line.Reason)
	}
	if sealed := line.Sealed != ""; sealed == (c.outcome == outcome.Match || c.outcome == outcome.Observed) {
		t.Errorf("sealed: %v", sealed)
	}
	want := 0.0
	if c.counted {
		want = 1
	}
	if n := r.counted(t, "ferry_observe_logins_total", c.outcome.String(), c.reason); n != want {
		t.Errorf("%v are counted as observed, want %v", n, want)
	}
	if n := r.counted(t, "ferry_hook_outcomes_total", c.outcome.String(), "password-migration"); n != 1 {
		t.Errorf("%v are counted", n)
	}
}

// TestObserveKeepsNoProfile: a match that is not given writes nothing after the login.
func TestObserveKeepsNoProfile(t *testing.T) {
	f := alice()
	_, option := newSwitch(t, "observe")
	h := start(t, f, option)
	if got := h.post(t, login()); got.status != http.StatusFailedDependency {
		t.Fatalf("%+v", got)
	}
	h.afterLogin(t, afterLoginBody("f-0"))
	h.close()
	if n := h.counted(t, "ferry_after_login_total", "nothing_kept"); n != 1 {
		t.Errorf("the after-login hook found a profile: %s", h.log)
	}
}

// TestModesOfSignUps: off looks no one up, and observe binds no sign-up.
func TestModesOfSignUps(t *testing.T) {
	bound := provision.Answer{Reason: provision.ReasonBound, Identity: &mapping.New{}}
	for name, c := range map[string]struct {
		mode, outcome string
		asked, bound  bool
	}{
		"on":      {mode: "on", outcome: "bound", asked: true, bound: true},
		"observe": {mode: "observe", outcome: "observed", asked: true},
		"off":     {mode: "off", outcome: "off"},
	} {
		_, option := newSwitch(t, c.mode)
		ups := &fakeSignUps{answer: bound}
		h := start(t, alice(), option, func(o *hook.Options) { o.SignUps = ups })
		got := h.signUp(t, plainSignUp)
		h.close()
		asked := ups.asked.SchemaID != ""
		if asked != c.asked || (got.status == http.StatusOK) != c.bound || !strings.Contains(h.logged(), `"outcome":"`+c.outcome+`"`) {
			t.Errorf("%s: asked %v, answered %d: %s", name, asked, got.status, h.logged())
		}
	}
}
