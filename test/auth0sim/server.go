package auth0sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	readTimeout  = 30 * time.Second
	writeTimeout = 5 * time.Minute // beyond any fault's delay
	idleTimeout  = 2 * time.Minute
	maxHeader    = 64 << 10
)

// Server is a simulated tenant. It is safe for concurrent use.
type Server struct {
	cfg     Config
	log     *slog.Logger
	clock   *clock
	keys    *keyRing
	dir     *directory
	limits  *limits
	tokens  *tokenStore
	refresh *refreshStore
	faults  *faultList
	journal *journal
	exports *exportStore
	// authorizations are the logins in browsers.
	authorizations *authorizations

	settingsMu sync.RWMutex
	settings   Settings

	closing   chan struct{}
	closeOnce sync.Once

	mu      sync.Mutex
	main    *listener
	control *listener
}

// listener is an address being served.
type listener struct {
	url  string
	srv  *http.Server
	done chan error
}

// New returns a simulator of cfg. It does not listen: see [Server.Start], or
// serve [Server.Handler] otherwise.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("auth0sim: %w", err)
	}
	s := &Server{
		cfg:     cfg,
		log:     slog.New(slog.NewTextHandler(cfg.Log, nil)),
		clock:   newClock(cfg.Clock),
		keys:    newKeyRing(processKeys),
		tokens:  newTokenStore(),
		refresh: newRefreshStore(),
		faults:  newFaultList(),
		journal: newJournal(),
		exports: newExportStore(),

		authorizations: newAuthorizations(),

		closing: make(chan struct{}),
	}
	s.limits = newLimits(s.clock.now)
	s.dir = newDirectory(s.clock.now)
	if err := cfg.Settings.check(); err != nil {
		return nil, fmt.Errorf("auth0sim: %w", err)
	}
	s.settings = cfg.Settings.clone()
	if err := s.dir.load(*cfg.Tenant); err != nil {
		return nil, fmt.Errorf("auth0sim: %w", err)
	}
	if err := s.seedRefreshTokens(cfg.Tenant.RefreshTokens); err != nil {
		return nil, fmt.Errorf("auth0sim: %w", err)
	}
	return s, nil
}

// Start listens on addr and serves. Only loopback addresses are allowed; port 0
// picks a free one.
func (s *Server) Start(addr string) error {
	return s.start(&s.main, addr, s.Handler())
}

// StartControl serves [Server.ControlHandler] on addr, loopback too.
func (s *Server) StartControl(addr string) error {
	return s.start(&s.control, addr, s.ControlHandler())
}

// URL is the simulator's base URL, without a trailing slash; empty before Start.
func (s *Server) URL() string { return s.urlOf(&s.main) }

// ControlURL is the base URL of the control API; empty before StartControl.
func (s *Server) ControlURL() string { return s.urlOf(&s.control) }

// Issuer is the iss of its tokens.
func (s *Server) Issuer() string { return s.cfg.Issuer }

// Domain is the tenant's domain.
func (s *Server) Domain() string { return s.cfg.Domain }

// Close stops listening, lets hanging requests go and waits for those in flight
// until ctx ends; then it closes their connections. Close is idempotent.
func (s *Server) Close(ctx context.Context) error {
	s.closeOnce.Do(func() { close(s.closing) })
	s.mu.Lock()
	listeners := []*listener{s.main, s.control}
	s.main, s.control = nil, nil
	s.mu.Unlock()
	var errs []error
	for _, l := range listeners {
		if l != nil {
			errs = append(errs, l.stop(ctx))
		}
	}
	return errors.Join(errs...)
}

func (s *Server) urlOf(slot **listener) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *slot == nil {
		return ""
	}
	return (*slot).url
}

func (s *Server) start(slot **listener, addr string, handler http.Handler) error {
	if err := requireLoopback(addr); err != nil {
		return fmt.Errorf("auth0sim: listen: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closing:
		return fmt.Errorf("auth0sim: listen on %s: %w", addr, http.ErrServerClosed)
	default:
	}
	if *slot != nil {
		return fmt.Errorf("auth0sim: listen on %s: already listening on %s", addr, (*slot).url)
	}
	l, err := listen(addr, handler)
	if err != nil {
		return fmt.Errorf("auth0sim: %w", err)
	}
	*slot = l
	return nil
}

// requireLoopback refuses every address that another machine could reach.
func requireLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address %q: %w", addr, err)
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("address %q: not a loopback address", addr)
	}
	return nil
}

func listen(addr string, handler http.Handler) (*listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	l := &listener{
		url: "http://" + ln.Addr().String(),
		srv: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: readTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeader,
			ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		},
		done: make(chan error, 1),
	}
	go func() { l.done <- l.srv.Serve(ln) }()
	return l, nil
}

// stop drains until ctx ends, closes the remaining connections and waits for the listening
// goroutine.
func (l *listener) stop(ctx context.Context) error {
	err := l.srv.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("drain %s: %w", l.url, err), l.srv.Close())
	}
	if served := <-l.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve %s: %w", l.url, served))
	}
	return err
}
