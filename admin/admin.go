// Package admin is the admin listener: health, version and metrics, under
// Ory's names. Nothing it shows names a person or holds a secret.
package admin

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options are what the listener shows. Every field is required.
type Options struct {
	// Version of this ferry.
	Version string
	// Ready reports whether ferry takes logins. It says nothing of Auth0 or Kratos:
	// restarting ferry mends neither.
	Ready func() bool
	// Metrics are gathered for Prometheus.
	Metrics prometheus.Gatherer
	// Upstream says where passwords go.
	Upstream func() Upstream
}

// Upstream is where the passwords that this ferry is asked about go. `ferry replay`
// asks before it makes calls again.
type Upstream struct {
	// Loopback: to this machine alone, so to a simulator.
	Loopback bool `json:"loopback"`
	// Hooks is the address of the listener that this is true of, host:port.
	Hooks string `json:"hooks"`
	// Recordings is the absolute path of the directory that this ferry records into
	// (FERRY_RECORD_DIR); empty where it records nothing.
	Recordings string `json:"recordings,omitempty"`
}

// Echo is the listener's handler:
//
//	GET /health/alive        the process runs
//	GET /health/ready        it takes logins; 503 before and while it stops
//	GET /version
//	GET /upstream            whether passwords leave this machine: see Upstream
//	GET /metrics/prometheus
func Echo(opts Options) (*echo.Echo, error) {
	if opts.Version == "" || opts.Ready == nil || opts.Metrics == nil || opts.Upstream == nil {
		return nil, errors.New("admin: version, readiness, metrics and upstream are required")
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
	return e, nil
}
