package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"ferry/config"
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
	// endWait is how long Stop waits for the background functions.
	endWait = 2 * time.Second
)

// server is ferry's listeners and its background functions.
type server struct {
	cfg        *config.Config
	log        *zap.Logger
	hooks      *http.Server
	admin      *http.Server
	gateway    *http.Server            // nil: there is none
	background []func(context.Context) // run until their context is done
	drain      func(context.Context)   // writes the queued profiles
	close      func() error

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
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      readTimeout + s.budget(),
		IdleTimeout:       idleTimeout,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12},
		ErrorLog:          zap.NewStdLog(s.log.Named("http")),
	}
}

// gatewayServer returns the server of the gateway, whose answers take as long as Kratos'.
func (s *server) gatewayServer(handler http.Handler) *http.Server {
	srv := s.httpServer(handler)
	srv.ReadTimeout, srv.WriteTimeout = gatewayReadTimeout, gatewayReadTimeout+gatewayKratosTimeout
	return srv
}

// Start listens, then serves. If it fails, nothing is left running.
func (s *server) Start(ctx context.Context) error {
	hooks, err := net.Listen("tcp", s.cfg.Listen) //nolint:noctx // it returns at once
	if err != nil {
		return fmt.Errorf("hooks listener: %w", err)
	}
	operator, err := net.Listen("tcp", s.cfg.AdminListen) //nolint:noctx // it returns at once
	if err != nil {
		return errors.Join(fmt.Errorf("admin listener: %w", err), hooks.Close())
	}
	var front net.Listener
	if s.gateway != nil {
		if front, err = net.Listen("tcp", s.cfg.GatewayListen); err != nil { //nolint:noctx // it returns at once
			return errors.Join(fmt.Errorf("gateway listener: %w", err), hooks.Close(), operator.Close())
		}
	}
	s.hooksAt = hooks.Addr().String()
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, run := range s.background {
		s.running.Go(func() { run(ctx) })
	}
	s.running.Go(func() { s.serve(s.hooks, hooks) })
	s.running.Go(func() { s.serve(s.admin, operator) })
	fields := []zap.Field{zap.Stringer("hooks", hooks.Addr()), zap.Stringer("admin", operator.Addr())}
	if s.gateway != nil {
		s.running.Go(func() { s.serve(s.gateway, front) })
		fields = append(fields, zap.Stringer("gateway", front.Addr()))
	}
	s.ready.Store(true)
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

// Stop closes the listeners, waits for the logins in flight, and returns within budget plus
// endWait. Kratos retries calls that it could not deliver; they did not reach Auth0. Stop is
// idempotent.
func (s *server) Stop(ctx context.Context) {
	s.ready.Store(false)
	ctx, cancel := context.WithTimeout(ctx, s.budget())
	defer cancel()
	s.log.Info("draining")
	// The gateway first: its logins still need the hooks.
	for _, srv := range []*http.Server{s.gateway, s.hooks, s.admin} {
		if srv == nil {
			continue
		}
		if err := srv.Shutdown(ctx); err != nil {
			s.log.Warn("closed connections that did not end in time", zap.Error(errors.Join(err, srv.Close())))
		}
	}
	s.drain(ctx)
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
	if err := s.close(); err != nil {
		s.log.Warn("close the state", zap.Error(err))
	}
	s.log.Info("stopped")
}
