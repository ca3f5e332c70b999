// Package admin serves the admin listener: health, version and metrics, under Ory's
// names, and the page. Its answers contain no user data and no secrets.
// With a key, an operator changes the mode there.
package admin

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ferry/audit"
	"ferry/secret"
)

// Options configure the listener. ModeKey and Audit may be empty, everything else is required.
type Options struct {
	// Version is ferry's version.
	Version string
	// Ready reports whether ferry takes logins. It must not depend on Auth0 or Kratos,
	// because restarting ferry fixes neither.
	Ready func() bool
	// Metrics provides the metrics.
	Metrics prometheus.Gatherer
	// Upstream returns where ferry sends passwords.
	Upstream func() Upstream
	// Modes reads and changes the mode, for callers with ModeKey. Without a key there are no
	// such routes.
	Modes   modes
	ModeKey secret.String
	// Audit takes an audit record of each call without a valid key; nil: there are none. It must
	// not block.
	Audit func(audit.Record)
	// Page is the page for the operator; nil: there is none.
	Page http.Handler
}

// Upstream is where ferry sends the passwords of its callers. `ferry replay` asks for it
// before it repeats calls.
type Upstream struct {
	// Loopback is true if they stay on this machine, so that Auth0 is a simulator.
	Loopback bool `json:"loopback"`
	// Hooks is the address of the hooks listener, host:port.
	Hooks string `json:"hooks"`
	// Recordings is the absolute path of the directory that this ferry records into
	// (FERRY_RECORD_DIR); empty if it does not record.
	Recordings string `json:"recordings,omitempty"`
	// Auth0 says whether ferry asks Auth0 at the moment.
	Auth0 Auth0 `json:"auth0"`
}

// Auth0 is the state of the limits towards Auth0.
type Auth0 struct {
	// Breakers are the states of the circuit breakers by connection, from its first login on:
	// closed, half-open or open.
	Breakers map[string]string `json:"breakers"`
	// WaitsUntil is when Auth0's rate limit resets; empty if it is not used up.
	WaitsUntil string `json:"waits_until,omitempty"`
}

// Echo returns the listener's handler:
//
//	GET /health/alive        the process runs
//	GET /health/ready        ferry takes logins; 503 before it starts and while it stops
//	GET /version
//	GET /upstream            where passwords go, and whether Auth0 is asked: see Upstream
//	GET /metrics/prometheus
//	GET /mode                the mode; only with a key
//	PUT /mode                changes the mode
//	GET /, /page/…           the page: see package page
func Echo(opts Options) (*echo.Echo, error) {
	if opts.Version == "" || opts.Ready == nil || opts.Metrics == nil || opts.Upstream == nil || opts.Modes == nil {
		return nil, errors.New("admin: version, readiness, metrics, upstream and modes are required")
	}
	e := echo.New()
	e.GET("/health/alive", func(c echo.Context) error {
		return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
	})
	e.GET("/health/ready", func(c echo.Context) error {
		if !opts.Ready() {
			return c.JSON(http.StatusServiceUnavailable, map[string]string{"status": "not ready"})
		}
		return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
	})
	e.GET("/version", func(c echo.Context) error {
		return c.JSON(http.StatusOK, map[string]string{"version": opts.Version})
	})
	e.GET("/upstream", func(c echo.Context) error { return c.JSON(http.StatusOK, opts.Upstream()) })
	e.GET("/metrics/prometheus", echo.WrapHandler(promhttp.HandlerFor(opts.Metrics, promhttp.HandlerOpts{})))
	if !opts.ModeKey.Empty() {
		modeRoutes(e, opts.Modes, opts.ModeKey, opts.Audit)
	}
	if opts.Page != nil {
		e.Any("/", echo.WrapHandler(opts.Page))
		e.Any("/page/*", echo.WrapHandler(opts.Page))
	}
	return e, nil
}
