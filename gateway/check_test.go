package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"ferry/gateway"
	"ferry/test/proxytest"
)

// TestChecksUnsure: without Kratos' admin API, a proxy that asks lets no login pass: Kratos might
// call the right password of a user whom it does not have wrong.
func TestChecksUnsure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, path string
		header       []string
	}{
		"Traefik": {http.MethodGet, gateway.ForwardAuthPath, []string{"X-Forwarded-Method", http.MethodPost, "X-Forwarded-Uri", login}},
		"Envoy":   {http.MethodPost, gateway.ExtAuthzPath + login, nil},
	} {
		for want, err := range map[int]error{http.StatusOK: nil, http.StatusServiceUnavailable: errDown} {
			r := newRig(t, nil, nil)
			r.known["kim@example.org"], r.knowsErr = true, err
			checks := httptest.NewServer(r.gateway.Checks())
			t.Cleanup(checks.Close)
			got := proxytest.Send(t, c.method, checks.URL+c.path, passwordOf("kim@example.org", right), append(c.header, "Content-Type", "application/json")...)
			if got.Status != want || len(r.asked) != 0 {
				t.Errorf("%s, %v: %+v, want %d", name, err, got, want)
			}
		}
	}
}
