package main

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"ferry/config"
	"ferry/front"
	"ferry/hydra"
	"ferry/tracing/otlp"
	"ferry/transport"
	"ferry/upstream"
)

// tokenHydraTimeout limits one request of the token front to Hydra, besides those that it passes on.
const tokenHydraTimeout = 10 * time.Second

// newHydra returns the client of Hydra. wrap, if not nil, wraps its transport.
func newHydra(cfg *config.Config, wrap func(http.RoundTripper) http.RoundTripper) (*hydra.Client, error) {
	return hydra.New(hydra.Options{
		AdminURL: cfg.HydraAdminURL, PublicURL: cfg.HydraPublicURL, AdminToken: cfg.HydraAdminToken,
		Timeout: tokenHydraTimeout, Transport: wrapped(transport.New(transport.Options{}), wrap),
	})
}

// addTokenFront adds the listener of the token front, if there is one.
func (s *server) addTokenFront(by remintDeps) error {
	if s.cfg.TokenListen == "" {
		return nil
	}
	public, err := url.Parse(strings.TrimRight(s.cfg.HydraPublicURL, "/"))
	if err != nil {
		return config.Faults{{Name: config.Prefix + "HYDRA_PUBLIC_URL", Problem: "is not a URL"}}
	}
	issuer, err := newHydra(s.cfg, s.traces.Client(otlp.PeerHydra, true))
	if err != nil {
		return err
	}
	auth0, err := url.Parse(s.cfg.BaseURL())
	if err != nil {
		return config.Faults{{Name: config.Prefix + "AUTH0_BASE_URL", Problem: "is not a URL"}}
	}
	reminter, err := s.newReminter(issuer, by)
	if err != nil {
		return err
	}
	opts := front.Options{
		Auth0: auth0, Auth0Transport: wrapped(upstream.NewTransport(), s.traces.Client(otlp.PeerAuth0, false)),
		Hydra: public, Transport: wrapped(transport.New(transport.Options{}), s.traces.Client(otlp.PeerHydra, true)), Registry: issuer,
		TrustedProxies: s.cfg.TokenTrustedProxies, PerMinute: s.cfg.TokenPerMinute, Closed: s.cfg.MigrationClosed,
		Log: s.log, Metrics: s.metrics, Now: time.Now,
	}
	if reminter != nil {
		opts.Remint, opts.RemintClients = reminter, s.cfg.RemintClients
	}
	tokens, err := front.New(opts)
	if err != nil {
		return err
	}
	s.background = append(s.background, tokens.Run)
	s.tokens = s.gatewayServer(s.traces.Handler(tokens, front.RouteOf, func(*http.Request) bool { return s.cfg.TokenTrustedProxies > 0 }))
	return nil
}
