package doctor

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"ferry/doctor"
	"ferry/test/auth0sim"
	"ferry/wire"
)

// TestBrokenSetUps: doctor reports every fault with its effect and its remedy, and
// prints no secret.
func TestBrokenSetUps(t *testing.T) {
	s := start(t)
	s.person(t, "ada", nil)
	for name, c := range brokenSetUps() {
		t.Run(name, func(t *testing.T) {
			u := s.sound(t)
			c.breaks(u)
			grants := s.grants()
			report := doctor.Examine(t.Context(), u.options())
			checkReport(t, report)
			found := find(t, report, c.want.check)
			if found.Status != c.want.status || !strings.Contains(found.Detail, c.want.detail) || !strings.Contains(found.Fix, c.want.fix) {
				t.Errorf("got %+v,\nwant %+v", found, c.want)
			}
			if c.want.status == doctor.Fail && !report.Failed() {
				t.Error("the report as a whole does not fail")
			}
			if n := s.grants() - grants; n > 1 || s.sim.Attempts("auth0|ada") != 0 {
				t.Errorf("Auth0 was asked for %d grants, %d of them for a user", n, s.sim.Attempts("auth0|ada"))
			}
		})
	}
}

// TestSound: every check of a valid set-up passes. Auth0 gets one grant, of no real
// user. doctor calls ferry, which does not ask Auth0.
func TestSound(t *testing.T) {
	s := start(t)
	s.person(t, "ada", nil)
	u := s.sound(t)
	u.opts.Mode = wire.ModeOn
	report := doctor.Examine(t.Context(), u.options())
	checkReport(t, report)
	for _, check := range report.Checks {
		if check.Status != doctor.OK || check.Fix != "" {
			t.Errorf("%+v", check)
		}
	}
	if scopes := find(t, report, "management.scopes"); !strings.Contains(scopes.Detail, "read:users, read:connections, read:clients, read:attack_protection") {
		t.Errorf("%+v", scopes)
	}
	if n := s.grants(); n != 1 || s.sim.Attempts("auth0|ada") != 0 {
		t.Errorf("Auth0 was asked for %d grants, %d of them for a user", n, s.sim.Attempts("auth0|ada"))
	}
	u = s.sound(t)
	u.opts.NoGrant, u.machine, u.noConfig = true, "", true
	u.opts.Settings.HookURL = s.ferry.HooksURL()
	u.opts.Settings.HookKeys = u.opts.Settings.HookKeys[1:]
	report = doctor.Examine(t.Context(), u.options())
	checkReport(t, report)
	if n := s.grants(); n != 1 {
		t.Errorf("--no-grant: Auth0 was asked %d times", n-1)
	}
	for name, want := range map[string]doctor.Status{
		"auth0.grant": doctor.Skip, "management.token": doctor.Skip, "kratos_config.hook": doctor.Skip, "kratos.pending": doctor.OK,
		"hook.round_trip": doctor.OK, "hook.after_login_round_trip": doctor.OK,
	} {
		if got := find(t, report, name); got.Status != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if report.Failed() {
		t.Error("a check that is not run must not fail")
	}
}

// TestTemplate: the template is valid where Kratos accepts one. 1.3.1 does not start
// with it, and does not forward the user's address whatever ferry's settings are.
func TestTemplate(t *testing.T) {
	s := start(t)
	u := s.sound(t)
	if !s.templates {
		u.template()
		u.allow()
	}
	report := doctor.Examine(t.Context(), u.options())
	checkReport(t, report)
	u.noConfig = true
	unseen := doctor.Examine(t.Context(), u.options())
	u.noConfig = false
	u.edit("\n            body: base64://", "\n            # body: base64://")
	without := doctor.Examine(t.Context(), u.options())
	for _, c := range []struct {
		report  doctor.Report
		name    string
		later   doctor.Status // of Kratos 25.4 and later
		first   doctor.Status // of Kratos 1.3.1
		fixedBy string
	}{
		{report, "kratos_config.template", doctor.OK, doctor.Fail, "`ferry kratos-config --kratos-version 1.3.1 --merge FILE`"},
		{report, "kratos.admin", doctor.OK, doctor.Warn, "unset FERRY_AUTH0_FORWARD_CLIENT_IP"},
		{unseen, "kratos.admin", doctor.OK, doctor.Warn, "unset FERRY_AUTH0_FORWARD_CLIENT_IP"},
		{unseen, "management.forwarded_ip", doctor.OK, doctor.Fail, "put this machine's public address on the allow lists"},
		{without, "kratos_config.template", doctor.Warn, doctor.Warn, "run Kratos 25.4 or later"},
	} {
		check := find(t, c.report, c.name)
		if s.templates && check.Status != c.later {
			t.Errorf("%+v", check)
		}
		if !s.templates && (check.Status != c.first || !strings.Contains(check.Fix, c.fixedBy)) {
			t.Errorf("%+v", check)
		}
	}
}

// TestNothing: without any settings every check is still reported.
func TestNothing(t *testing.T) {
	s := start(t)
	full := doctor.Examine(t.Context(), s.sound(t).options())
	u := s.sound(t)
	o := doctor.Options{Hooks: u.opts.Hooks, Now: time.Now, ID: u.opts.ID}
	report := doctor.Examine(t.Context(), o)
	checkReport(t, report)
	if len(report.Checks) != len(full.Checks) {
		t.Errorf("%d checks, %d in full", len(report.Checks), len(full.Checks))
	}
	for i, check := range report.Checks {
		if check.Name != full.Checks[i].Name {
			t.Errorf("check %d is %s, and %s in full", i, check.Name, full.Checks[i].Name)
		}
	}
}

// checkReport: every check has a message, every fault a fix, no check a secret; names
// are unique.
func checkReport(t *testing.T, report doctor.Report) {
	t.Helper()
	seen := map[string]bool{}
	for _, check := range report.Checks {
		bad := check.Status == doctor.Fail || check.Status == doctor.Warn
		if seen[check.Name] || check.Name == "" || check.Detail == "" || bad == (check.Fix == "") {
			t.Errorf("%+v", check)
		}
		seen[check.Name] = true
	}
	var words strings.Builder
	if err := report.Print(&words); err != nil {
		t.Fatal(err)
	}
	checkSilence(t, printed(t, report, words.String()))
	if err := report.Print(brokenWriter{}); err == nil {
		t.Error("a report that could not be written is not a success")
	}
}

func checkSilence(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if strings.Contains(line, "canary") || strings.Contains(line, "$2a$") || strings.Contains(line, "eyJ") {
			t.Errorf("a secret: %s", line)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("full") }

func find(t *testing.T, report doctor.Report, name string) doctor.Check {
	t.Helper()
	for _, check := range report.Checks {
		if check.Name == name {
			return check
		}
	}
	t.Fatalf("no check is called %s", name)
	return doctor.Check{}
}

// closedPort returns an address where nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// fault makes the simulator misbehave until the test ends.
func (u *setup) fault(f auth0sim.Fault) {
	u.t.Helper()
	id, err := u.sim.SetFault(f)
	if err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() {
		if err := u.sim.ClearFault(id); err != nil {
			u.t.Error(err)
		}
	})
}

// settings changes the tenant's settings until the test ends.
func (u *setup) settings(change func(*auth0sim.Settings)) {
	u.t.Helper()
	was := u.sim.Settings()
	if err := u.sim.Configure(change); err != nil {
		u.t.Fatal(err)
	}
	u.t.Cleanup(func() {
		if err := u.sim.SetSettings(was); err != nil {
			u.t.Error(err)
		}
	})
}

// grants returns how many passwords reached Auth0.
func (s *stack) grants() int {
	n := 0
	for _, request := range s.sim.Requests() {
		if strings.Contains(request.GrantType, "password") {
			n++
		}
	}
	return n
}
