package e2e

import (
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
)

// throughGateway names the variable that sends all users of this package's tests through
// the gateway: `make test-gateway`.
const throughGateway = "FERRY_TEST_GATEWAY"

// front forwards connections to the gateway. Kratos must know its own outside address before
// the gateway listens.
type front struct {
	listener net.Listener

	mu      sync.Mutex
	to      string
	running sync.WaitGroup
}

// startFront listens for users.
func startFront(t *testing.T) *front {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{listener: listener}
	f.running.Go(f.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		f.running.Wait()
	})
	return f
}

func (f *front) url() string { return "http://" + f.listener.Addr().String() }

// forwardTo sets the URL to forward to.
func (f *front) forwardTo(t *testing.T, to string) {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil || u.Host == "" {
		t.Fatalf("forward to %q: %v", to, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.to = u.Host
}

func (f *front) serve() {
	for {
		user, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.running.Go(func() { f.forward(user) })
	}
}

func (f *front) forward(user net.Conn) {
	defer func() { _ = user.Close() }()
	f.mu.Lock()
	to := f.to
	f.mu.Unlock()
	gateway, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = gateway.Close() }()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(user, gateway)
		_ = user.Close()
	})
	_, _ = io.Copy(gateway, user)
	_ = gateway.Close()
	back.Wait()
}

// gatewaySettings are ferry's settings with a gateway, if it is in the same process.
func (s *stack) gatewaySettings(settings []string) []string {
	if s.front == nil || s.apart != nil {
		return settings
	}
	return append(s.gatewayOn(), settings...)
}

// gatewayOn are the settings of a gateway.
func (s *stack) gatewayOn() []string {
	return []string{"FERRY_GATEWAY_LISTEN=127.0.0.1:0", "FERRY_KRATOS_PUBLIC_URL=" + s.kratos.PublicURL(), "FERRY_GATEWAY_TRUSTED_PROXIES=1"}
}

// startGateway starts the gateway as a process of its own if the whole suite goes through it:
// tests kill ferry, and the way to Kratos must stay.
func (s *stack) startGateway(settings []string) {
	s.t.Helper()
	if s.front == nil || namesGateway(settings) {
		return
	}
	gateway, err := ferrytest.Start(s.t.Context(), ferrytest.Options{Binary: built.Ferry(s.t), Env: s.settings(append(s.gatewayOn(), settings...))})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := gateway.Stop(); err != nil {
			s.t.Error(err)
		}
	})
	s.apart = gateway
	s.front.forwardTo(s.t, gateway.GatewayURL())
}

// wantsGateway reports whether the stack has a gateway.
func wantsGateway(settings []string) bool {
	return os.Getenv(throughGateway) != "" || namesGateway(settings)
}

func namesGateway(settings []string) bool {
	return slices.ContainsFunc(settings, func(s string) bool { return strings.HasPrefix(s, "FERRY_GATEWAY_LISTEN=") })
}
