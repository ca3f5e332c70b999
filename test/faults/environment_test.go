package faults

import (
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ferry/test/await"
)

// TestEnvironment: what else can be wrong with a machine or a network, with one login by the
// right and one by a wrong password, before and after it is repaired.
func TestEnvironment(t *testing.T) {
	s := start(t)
	tlsURL, certificate := tlsServer(t, s.sim.URL())
	recordings := filepath.Join(t.TempDir(), "recordings")
	for _, c := range []struct {
		name   string
		broken []string // settings
		breaks func() error
		mended []string // settings
		heals  func() error
		passes bool
		logs   string // what ferry says of it; empty: nothing
	}{
		{name: "Auth0's clock is fast", breaks: s.advance(time.Hour), heals: s.advance(-time.Hour), passes: true},
		{name: "Auth0's clock is slow", breaks: s.advance(-48 * time.Hour), heals: s.advance(48 * time.Hour), logs: "id_token_"},
		{name: "Auth0's name does not resolve", broken: []string{"FERRY_AUTH0_BASE_URL=https://auth0.invalid"}, mended: []string{}, logs: `"dns"`},
		{
			name: "Auth0's certificate is not trusted", broken: []string{"FERRY_AUTH0_BASE_URL=" + tlsURL},
			mended: []string{"FERRY_AUTH0_BASE_URL=" + tlsURL, "SSL_CERT_FILE=" + certificate}, logs: `"tls"`,
		},
		{
			name:   "recordings cannot be written",
			broken: []string{"FERRY_RECORD_DIR=" + recordings},
			breaks: func() error {
				if err := os.RemoveAll(recordings); err != nil {
					return err
				}
				return os.WriteFile(recordings, nil, 0o600)
			},
			mended: []string{}, passes: true, logs: "recording stopped",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.change(t, c.broken, c.breaks)
			testFault(t, s, c.passes, func() {
				if !await.True(func() bool { return strings.Contains(s.ferry.Load().Logs(), c.logs) }) {
					t.Errorf("the log does not say %q:\n%s", c.logs, s.ferry.Load().Logs())
				}
				s.change(t, c.mended, c.heals)
			})
		})
	}
	t.Run("the disk is full", func(t *testing.T) { testFullDisk(t, s) })
	t.Run("killed during a login", func(t *testing.T) { testKilledInFlight(t, s) })
}

// change restarts ferry with settings, unless they are nil, and does something else.
func (s *stack) change(t *testing.T, settings []string, also func() error) {
	t.Helper()
	if settings != nil {
		if err := s.ferry.Load().Stop(); err != nil {
			t.Fatal(err)
		}
		if err := s.startFerry(t.Context(), settings...); err != nil {
			t.Fatal(err)
		}
	}
	if also != nil {
		if err := also(); err != nil {
			t.Fatal(err)
		}
	}
}

// advance moves Auth0's clock.
func (s *stack) advance(by time.Duration) func() error {
	return func() error {
		s.sim.Advance(by)
		return nil
	}
}

// tlsServer serves Auth0 over TLS, with a certificate that only the file names.
func tlsServer(t *testing.T, to string) (address, certificate string) {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(target))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail
	server.StartTLS()
	t.Cleanup(server.Close)
	certificate = filepath.Join(t.TempDir(), "certificate.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(certificate, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(server.URL, "/"), certificate
}
