package main

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"testing"

	"ferry/config"
	"ferry/secret"
	"ferry/test/faultyhttp"
	"ferry/transport"
)

// TestAnswersOfFerryAndKratos: the commands that call a hook, or an admin listener, end at 101
// Switching Protocols, and believe no answer that is sent twice.
func TestAnswersOfFerryAndKratos(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault faultyhttp.Fault
		want  error
	}{"101": {faultyhttp.Switch, transport.ErrSwitched}, "twice": {faultyhttp.Twice, transport.ErrSurplus}} {
		srv := faultyhttp.Run(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"status":"closed"}`)
		}), func(*http.Request) faultyhttp.Fault { return c.fault })
		at, err := url.Parse(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		cfg := &config.Config{HookKeys: []secret.String{secret.New("hook-key")}}
		target, err := newReplayTarget(srv.URL, srv.URL, cfg)
		if err != nil {
			t.Fatal(err)
		}
		probe, err := hookProbe(cfg, at)
		if err != nil {
			t.Fatal(err)
		}
		checks, err := new(doctorFlags).options()
		if err != nil {
			t.Fatal(err)
		}
		for command, ask := range map[string]func() error{
			"doctor": func() error { return read(t, checks.Hooks, srv.URL) },
			"finish": func() error { return probe.Closed(t.Context()) },
			"status": func() error { return read(t, metricsClient().Transport, srv.URL) },
			"replay": func() error {
				_, err := target.upstream(t.Context())
				return err
			},
		} {
			if err := ask(); !errors.Is(err, c.want) {
				t.Errorf("%s, %s: %v", command, name, err)
			}
		}
	}
}

// read sends a request and reads the answer.
func read(t *testing.T, via http.RoundTripper, url string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := via.RoundTrip(req)
	if err != nil {
		return err
	}
	_, err = io.ReadAll(resp.Body)
	return errors.Join(err, resp.Body.Close())
}
