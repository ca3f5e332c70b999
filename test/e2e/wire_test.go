package e2e

import (
	"context"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"ferry/test/faultyhttp"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
)

// TestAnswersSentTwice: Auth0's and the admin API's answers arrive twice or not at
// all. No identity gets another user's password, and no right password is reported as
// wrong.
func TestAnswersSentTwice(t *testing.T) {
	s := start(t)
	var faulty atomic.Bool
	s.restartFerry(t, "FERRY_AUTH0_BASE_URL="+faultyWay(t, s.sim.URL(), &faulty), "FERRY_KRATOS_ADMIN_URL="+faultyWay(t, s.admin, &faulty))
	var people []*person
	for range 20 {
		people = append(people, s.person(t, nil))
	}
	faulty.Store(true)
	told := 0
	for _, p := range people {
		if got := p.sees(t, p.password+"x"); got == kratostest.SeesSession {
			t.Error("a wrong password matched")
		} else if got != kratostest.SeesUnavailable {
			told++
		}
		if got := p.sees(t, p.password); got == kratostest.SeesInvalidCredentials {
			t.Error("a right password was called wrong")
		} else if got != kratostest.SeesUnavailable {
			told++
		}
	}
	if told == 0 || told == 2*len(people) {
		t.Errorf("%d of %d logins got a verdict", told, 2*len(people))
	}
	faulty.Store(false)
	for _, p := range people {
		if wrong, right := p.sees(t, p.password+"x"), p.sees(t, p.password); wrong != kratostest.SeesInvalidCredentials || right != kratostest.SeesSession {
			t.Errorf("afterwards a wrong password sees %q, the right one %q", wrong, right)
		}
	}
	s.checkSilence(t)
}

// sees returns what the user sees after a login.
func (p *person) sees(t *testing.T, password string) string {
	t.Helper()
	got, err := p.stack.kratos.LoginAPI(t.Context(), p.email, password)
	if err != nil {
		t.Fatal(err)
	}
	return got.Sees()
}

// faultyWay is a proxy that repeats or loses answers while faulty is true.
func faultyWay(t *testing.T, to string, faulty *atomic.Bool) string {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{DisableKeepAlives: true}
	var hits atomic.Int64
	return faultyhttp.Run(t, proxy, func(*http.Request) faultyhttp.Fault {
		if !faulty.Load() {
			return faultyhttp.None
		}
		return map[int64]faultyhttp.Fault{2: faultyhttp.Twice, 6: faultyhttp.TwiceLater, 10: faultyhttp.Lost}[hits.Add(1)%11]
	}).URL
}

// TestSwitchingProtocols: Auth0 and the admin API answer everything with 101. Every
// login is answered, and ferry stops when asked to.
func TestSwitchingProtocols(t *testing.T) {
	never := func(http.ResponseWriter, *http.Request) {}
	identity := func(w http.ResponseWriter, r *http.Request) {
		one := `{"id":"7f4c3b1e-0f57-4b4c-8f5e-0c5a2a1d9a01","schema_id":"person","schema_url":"","state":"active","traits":{},"metadata_admin":{"auth0":{"user_id":"auth0|kim"}},` +
			`"credentials":{"password":{"type":"password","identifiers":["kim@example.org"],"config":{"use_password_migration_hook":true}}}}`
		if strings.HasSuffix(r.URL.Path, "/identities") {
			one = "[" + one + "]"
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, one)
	}
	always := func(fault faultyhttp.Fault) func(*http.Request) faultyhttp.Fault {
		return func(*http.Request) faultyhttp.Fault { return fault }
	}
	for name, admin := range map[string]faultyhttp.Fault{"Auth0": faultyhttp.None, "both": faultyhttp.Switch} {
		t.Run(name, func(t *testing.T) {
			auth0 := faultyhttp.Run(t, http.HandlerFunc(never), always(faultyhttp.Switch))
			kratos := faultyhttp.Run(t, http.HandlerFunc(identity), always(admin))
			ferry, err := ferrytest.Start(t.Context(), ferrytest.Options{Binary: built.Ferry(t), Env: []string{
				"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0", "FERRY_HOOK_KEYS=" + hookKey,
				"FERRY_AUTH0_DOMAIN=tenant.example", "FERRY_AUTH0_BASE_URL=" + auth0.URL, "FERRY_AUTH0_TIMEOUT=20s",
				"FERRY_AUTH0_CLIENT_ID=c", "FERRY_AUTH0_CLIENT_SECRET=s", "FERRY_KRATOS_ADMIN_URL=" + kratos.URL,
			}})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if got := hookCall(t.Context(), t, ferry.HooksURL()); got != http.StatusFailedDependency {
					t.Errorf("answered %d", got)
				}
			}
			if !strings.Contains(ferry.Logs(), `protocol_switch"`) {
				t.Error("the log does not say why")
			}
			if err := ferry.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// hookCall calls the migration hook.
func hookCall(ctx context.Context, t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/hooks/password-migration", strings.NewReader(`{"identifier":"kim@example.org","password":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+hookKey)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
