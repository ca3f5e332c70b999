package doctor

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/doctor"
	"ferry/test/kratostest"
)

const outside = "https://login.example.org"

// startBehindGateway starts a stack whose Kratos writes the gateway's address into forms.
func startBehindGateway(t *testing.T) *stack {
	t.Helper()
	s := &stack{sim: startAuth0(t)}
	s.kratos = kratostest.Run(t, kratostest.Options{PublicBaseURL: outside + "/"})
	s.templates = takesTemplates(t, s.kratos)
	s.startFerry(t, s.kratos.AdminURL())
	return s
}

// behindGateway is a valid set-up with a gateway.
func (s *stack) behindGateway(t *testing.T) *setup {
	t.Helper()
	u := s.sound(t)
	u.realms, u.public = []string{users}, s.kratos.PublicURL()
	u.opts.Settings.ForwardClientIP = false
	u.opts.Settings.Gateway = &doctor.GatewaySettings{
		Listen: true, PublicURL: u.public, TrustedProxies: 1, DataDir: filepath.Join(t.TempDir(), "ferry", "data"),
	}
	u.opts.Settings.StateInMemory = true
	return u
}

// examine runs the checks.
func (u *setup) examine() doctor.Report {
	u.t.Helper()
	return doctor.Examine(u.t.Context(), u.options())
}

// TestGateway: the checks of a valid set-up pass and leave no file. Each fault is found.
func TestGateway(t *testing.T) {
	s := startBehindGateway(t)
	sound := s.behindGateway(t)
	report := sound.examine()
	checkReport(t, report)
	for _, name := range []string{
		"gateway.public_api", "gateway.base_url", "gateway.trusted_proxies", "gateway.realms", "gateway.schema", "gateway.lookups", "gateway.memory",
	} {
		if check := find(t, report, name); check.Status != doctor.OK {
			t.Errorf("%+v", check)
		}
	}
	if base := find(t, report, "gateway.base_url"); !strings.HasPrefix(base.Detail, "Kratos writes "+outside+" into forms") {
		t.Errorf("%+v", base)
	}
	memory := find(t, report, "gateway.memory").Detail
	for _, part := range []string{"FERRY_DATA_DIR", "app_metadata.ferry", "not covered", "external_id"} {
		if !strings.Contains(memory, part) {
			t.Errorf("%q does not name %s", memory, part)
		}
	}
	if off := strings.Contains(memory, "off: external_id"); off == s.templates {
		t.Errorf("external_id of this Kratos: %q", memory)
	}
	if _, err := os.Stat(filepath.Dir(sound.opts.Settings.Gateway.DataDir)); !os.IsNotExist(err) {
		t.Errorf("doctor made the directory: %v", err)
	}
	for name, c := range brokenGateways() {
		t.Run(name, func(t *testing.T) {
			u := s.behindGateway(t)
			c.breaks(u)
			report := u.examine()
			checkReport(t, report)
			found := find(t, report, c.want.check)
			if found.Status != c.want.status || !strings.Contains(found.Detail, c.want.detail) || !strings.Contains(found.Fix, c.want.fix) {
				t.Errorf("got %+v,\nwant %+v", found, c.want)
			}
		})
	}
}

// brokenGateways returns set-ups with one fault each.
func brokenGateways() map[string]struct {
	breaks func(*setup)
	want   wrong
} {
	type broken = struct {
		breaks func(*setup)
		want   wrong
	}
	gateway := func(change func(*doctor.GatewaySettings)) func(*setup) {
		return func(u *setup) { change(u.opts.Settings.Gateway) }
	}
	return map[string]broken{
		"Kratos does not answer": {
			func(u *setup) { u.opts.Settings.Gateway.PublicURL = "http://" + closedPort(u.t) },
			wrong{"gateway.public_api", doctor.Fail, "does not answer", "FERRY_KRATOS_PUBLIC_URL"},
		},
		"the admin API instead": {
			func(u *setup) { u.opts.Settings.Gateway.PublicURL = u.admin },
			wrong{"gateway.public_api", doctor.Fail, "is not Kratos' public API", "FERRY_KRATOS_PUBLIC_URL"},
		},
		"something else": {func(u *setup) {
			srv := httptest.NewServer(http.NotFoundHandler())
			u.t.Cleanup(srv.Close)
			u.opts.Settings.Gateway.PublicURL = srv.URL
		}, wrong{"gateway.public_api", doctor.Fail, "status 404", "FERRY_KRATOS_PUBLIC_URL"}},
		"the address of Kratos in forms": {func(u *setup) {
			u.opts.Settings.Gateway.PublicURL = outside // as if Kratos listened there
		}, wrong{"gateway.base_url", doctor.Fail, "which is Kratos itself", "serve.public.base_url"}},
		"no address in kratos.yml": {func(u *setup) {
			u.admin, u.yml = "http://"+closedPort(u.t), "serve: {public: {port: 4433}}"
		}, wrong{"gateway.base_url", doctor.Fail, "its own address", "serve.public.base_url"}},
		"the port of kratos.yml in forms": {func(u *setup) {
			u.admin, u.yml = "http://"+closedPort(u.t), "serve: {public: {port: 5533, base_url: 'http://localhost:5533/'}}"
		}, wrong{"gateway.base_url", doctor.Fail, "which is Kratos itself", "serve.public.base_url"}},
		"other proxies": {
			gateway(func(g *doctor.GatewaySettings) { g.InFront = 2 }),
			wrong{"gateway.trusted_proxies", doctor.Warn, "FERRY_TRUSTED_PROXIES is 1 and FERRY_GATEWAY_TRUSTED_PROXIES 2", "FERRY_TRUSTED_PROXIES to 2"},
		},
		"other proxies, and Auth0 is told the address": {func(u *setup) {
			u.opts.Settings.Gateway.TrustedProxies, u.opts.Settings.ForwardClientIP = 2, true
		}, wrong{"gateway.trusted_proxies", doctor.Fail, "tells Auth0 a wrong one", "FERRY_TRUSTED_PROXIES to 1"}},
		"a connection that is not asked": {
			func(u *setup) { u.realms = []string{users, legacy} },
			wrong{"gateway.realms", doctor.Warn, "in " + users + " only", "FERRY_GATEWAY_REALMS"},
		},
		"two connections without the Management API": {func(u *setup) {
			u.realms, u.machine = []string{users, legacy}, ""
			u.opts.Settings.Gateway.Realms = u.realms
		}, wrong{"gateway.realms", doctor.Warn, "not verified are not created", "FERRY_AUTH0_MGMT_CLIENT_ID"}},
		"a schema that is not there": {
			gateway(func(g *doctor.GatewaySettings) { g.SchemaID = "nope" }),
			wrong{"gateway.schema", doctor.Fail, "no identity schema nope", "FERRY_SCHEMA_ID"},
		},
		"several schemas": {func(u *setup) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(`[{"id":"person","schema":{}},{"id":"machine","schema":{}}]`))
			}))
			u.t.Cleanup(srv.Close)
			u.public = srv.URL
		}, wrong{"gateway.schema", doctor.Fail, "2 identity schemas", "person, machine"}},
		"no Management API": {
			func(u *setup) { u.machine = "" },
			wrong{"gateway.lookups", doctor.Warn, "only at a login with a password", "FERRY_AUTH0_MGMT_CLIENT_ID"},
		},
		"a scope that lacks": {
			func(u *setup) { u.machine = "blind" },
			wrong{"gateway.lookups", doctor.Fail, "lacks read:users", "read:users"},
		},
		"a register in memory": {
			gateway(func(g *doctor.GatewaySettings) { g.DataDir = "" }),
			wrong{"gateway.memory", doctor.Warn, "the users register is in memory", "FERRY_DATA_DIR"},
		},
		"a data directory that is a file": {func(u *setup) {
			file := filepath.Join(u.t.TempDir(), "file")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				u.t.Fatal(err)
			}
			u.opts.Settings.Gateway.DataDir = file
		}, wrong{"gateway.memory", doctor.Fail, "is not writable", "install -d"}},
		"no write-back": {
			func(u *setup) { u.opts.Settings.WriteBack, u.opts.Settings.Gateway.DataDir = false, "" },
			wrong{"gateway.memory", doctor.Warn, "(FERRY_WRITE_BACK)", "FERRY_DATA_DIR"},
		},
		"a Redis that does not answer": {func(u *setup) {
			u.opts.Settings.StateInMemory = false
			u.opts.Register = func(context.Context) (bool, error) { return false, errors.New("canary") }
		}, wrong{"gateway.memory", doctor.Fail, "cannot be read", "state"}},
		"a register that is not complete": {func(u *setup) {
			u.opts.Settings.StateInMemory = false
			u.opts.Register = func(context.Context) (bool, error) { return false, nil }
		}, wrong{"gateway.memory", doctor.Warn, "is not complete", "ferry serve"}},
	}
}

// TestGatewayPart: without a gateway there are no such checks; /hooks/ensure alone needs
// fewer.
func TestGatewayPart(t *testing.T) {
	s := startBehindGateway(t)
	u := s.behindGateway(t)
	count := func() (n int) {
		for _, check := range u.examine().Checks {
			if strings.HasPrefix(check.Name, "gateway.") {
				n++
			}
		}
		return n
	}
	for want, set := range map[int]doctor.GatewaySettings{7: {Listen: true}, 5: {Asked: true}, 3: {}} {
		u.opts.Settings.Gateway = &set
		if n := count(); n != want {
			t.Errorf("%+v: %d checks, want %d", set, n, want)
		}
	}
	u.opts.Settings.Gateway = nil
	if n := count(); n != 0 {
		t.Errorf("without a gateway: %d checks", n)
	}
}
