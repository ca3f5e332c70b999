package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/audit"
	"ferry/config"
	"ferry/gateway"
	"ferry/mode"
	"ferry/secret"
	"ferry/tracing/otlp"
	"ferry/upstream"
)

const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	// idleTimeout is longer than Kratos keeps idle connections (90 s). If ferry closed one
	// first, Kratos would have to retry.
	idleTimeout = 120 * time.Second
	// slack is the time of a login besides waiting for Kratos and Auth0.
	slack = 5 * time.Second
	// gatewayReadTimeout is for a whole request to the gateway, and gatewayKratosTimeout for
	// Kratos' answer, which may wait for three calls of a hook.
	gatewayReadTimeout   = 60 * time.Second
	gatewayKratosTimeout = 120 * time.Second
	// endWait is how long Stop waits for the background functions, and closeWait for the state
	// to close.
	endWait   = 2 * time.Second
	closeWait = time.Second
)

// server is ferry's listeners and its background functions.
type server struct {
	cfg        *config.Config
	log        *zap.Logger
	hooks      *http.Server
	admin      *http.Server
	gateway    *http.Server            // nil: there is none
	checks     *http.Server            // of the gateway; nil: there are none
	tokens     *http.Server            // of the token front; nil: there is none
	background []func(context.Context) // run until their context is done
	doors      *doors                  // nil: no identity is created
	modes      *mode.Switch
	drain      func(context.Context) // writes the queued profiles
	close      func() error
	guard      *upstream.Guard
	traces     *otlp.Traces  // nil: there are none
	audit      *audit.Writer // nil: there is no audit log
	hashKey    secret.String
	metrics    *prometheus.Registry

	hooksAt string // address of the hooks listener
	ready   atomic.Bool
	failed  chan error
	stop    context.CancelFunc
	running sync.WaitGroup
}

// budget is the maximum duration of one login.
func (s *server) budget() time.Duration { return kratosTimeout + s.cfg.Auth0Timeout + slack }

func (s *server) httpServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           closesAfterChunks(handler),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      readTimeout + s.budget(),
		IdleTimeout:       idleTimeout,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12},
		ErrorLog:          zap.NewStdLog(s.log.Named("http")),
	}
}

// closesAfterChunks closes the connection after a request in chunks. net/http ignores the
// Content-Length of such a request, and then does not tell that there was one; a proxy in
// front that goes by it would take the rest of the body for the next request (RFC 9112, 6.1).
// Kratos sends no chunks.
func closesAfterChunks(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// gatewayServer returns the server of the gateway, whose answers take as long as Kratos'.
func (s *server) gatewayServer(handler http.Handler) *http.Server {
	srv := s.httpServer(handler)
	srv.ReadTimeout, srv.WriteTimeout = gatewayReadTimeout, gatewayReadTimeout+gatewayKratosTimeout
	return srv
}

// addGateway adds the listeners of the gateway.
func (s *server) addGateway(front *gateway.Gateway) {
	if s.cfg.GatewayListen != "" {
		s.gateway = s.gatewayServer(tracedGateway(s.traces, front, s.cfg.GatewayTrustedProxies > 0))
	}
	if s.cfg.ForwardAuthListen != "" {
		s.checks = s.gatewayServer(tracedGateway(s.traces, front.Checks(), true))
	}
}

// listener is a server and where it listens.
type listener struct {
	name    string // in the log
	address string
	server  *http.Server
	net.Listener
}

// listeners are those that ferry has, the gateway first: its logins need the hooks.
func (s *server) listeners() []*listener {
	all := []*listener{
		{name: "gateway", address: s.cfg.GatewayListen, server: s.gateway},
		{name: "forward_auth", address: s.cfg.ForwardAuthListen, server: s.checks},
		{name: "token_front", address: s.cfg.TokenListen, server: s.tokens},
		{name: "hooks", address: s.cfg.Listen, server: s.hooks},
		{name: "admin", address: s.cfg.AdminListen, server: s.admin},
	}
	return slices.DeleteFunc(all, func(l *listener) bool { return l.server == nil })
}

// Start listens, then serves. If it fails, nothing is left running.
func (s *server) Start(ctx context.Context) error {
	listeners := s.listeners()
	for i, l := range listeners {
		var err error
		if l.Listener, err = net.Listen("tcp", l.address); err != nil { //nolint:noctx // it returns at once
			err = fmt.Errorf("%s listener: %w", l.name, err)
			for _, open := range listeners[:i] {
				err = errors.Join(err, open.Close())
			}
			return err
		}
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, run := range s.background {
		s.running.Go(func() { run(ctx) })
	}
	var fields []zap.Field
	for _, l := range listeners {
		if l.server == s.hooks {
			s.hooksAt = l.Addr().String()
		}
		s.running.Go(func() { s.serve(l.server, l) })
		fields = append(fields, zap.Stringer(l.name, l.Addr()))
	}
	s.ready.Store(true)
	s.auditServe(audit.Start)
	s.log.Info("listening", append(fields, zap.Bool("tls", s.cfg.TLS()), zap.String("version", buildVersion()))...)
	return nil
}

func (s *server) serve(srv *http.Server, listener net.Listener) {
	var err error
	if s.cfg.TLS() {
		err = srv.ServeTLS(listener, s.cfg.TLSCertFile, s.cfg.TLSKeyFile)
	} else {
		err = srv.Serve(listener)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		s.failed <- fmt.Errorf("serve %s: %w", listener.Addr(), err)
	}
}

// Stop closes the listeners, waits for the logins in flight, and returns within budget, endWait
// and closeWait, whatever hangs. Kratos retries calls that it could not deliver; they did not
// reach Auth0. Stop is idempotent.
func (s *server) Stop(ctx context.Context) {
	s.ready.Store(false)
	ctx, cancel := context.WithTimeout(ctx, s.budget())
	defer cancel()
	s.log.Info("draining")
	for _, l := range s.listeners() {
		if err := l.server.Shutdown(ctx); err != nil {
			s.log.Warn("closed connections that did not end in time", zap.Error(errors.Join(err, l.server.Close())))
		}
	}
	s.drain(ctx)
	s.auditServe(audit.Stop)
	s.stop()
	ended := make(chan struct{})
	go func() {
		s.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(endWait):
		s.log.Warn("background work did not end in time")
	}
	closed := make(chan error, 1)
	go func() { closed <- s.close() }()
	select {
	case err := <-closed:
		if err != nil {
			s.log.Warn("close the state", zap.Error(err))
		}
	case <-time.After(closeWait):
		s.log.Warn("the state did not close in time")
	}
	s.log.Info("stopped")
}
