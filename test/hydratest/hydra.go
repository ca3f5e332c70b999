// Package hydratest starts the real Ory Hydra for ferry's tests and for the demo, on two free
// ports of 127.0.0.1: in memory, with a SQLite file or on PostgreSQL. It puts signing keys in
// that take no time to make, so that the first token does not wait for them. It asserts nothing.
package hydratest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"ferry/test/process"
	"ferry/test/program"
)

const (
	bootLimit    = 60 * time.Second      // migrations and start, all attempts together
	bootAttempts = 5                     // another process may take a chosen port
	readyTick    = 25 * time.Millisecond // between two readiness checks
	stopGrace    = 10 * time.Second      // from SIGTERM to SIGKILL
	callLimit    = time.Minute           // one HTTP call
	maxAnswer    = 16 << 20              // bytes
	inMemory     = "memory"
)

// Options configure a Hydra. The zero value starts one in memory.
type Options struct {
	// Binary is the path of Hydra; empty means the result of Binary.
	Binary string
	// Dir holds the configuration, and a SQLite database, and is kept. Empty means a temporary
	// folder, removed by Stop.
	Dir string
	// SQLite stores everything in the file hydra.sqlite in Dir, so that a later start with the
	// same Dir finds it again. Parallel flows fail there, as in memory: use PostgreSQL for them.
	SQLite bool
	// DSN is the database; empty means SQLite or memory. A second Hydra may use the same one.
	DSN string
	// Issuer is urls.self.issuer with its trailing slash, for clients that reach Hydra through a
	// proxy. Empty means that of Config, else PublicURL and a slash.
	Issuer string
	// Production leaves out --dev: cookies are Secure, and redirect URIs must be https. The
	// issuer must be https too.
	Production bool
	// Config is a hydra.yml to start with. Database and addresses are replaced, and what Hydra
	// needs to start is added.
	Config []byte
	// Edit changes the configuration last. Lists are []any, objects map[string]any.
	Edit func(config map[string]any)
	// Env is added to Hydra's environment ("NAME=value"), which does not inherit the caller's
	// variables.
	Env []string
	// Output receives Hydra's output as it is printed, in addition to Logs.
	Output io.Writer
	// Progress receives messages about a build of Hydra (see Binary).
	Progress io.Writer
}

// Hydra is a running Ory Hydra. Its methods may be called concurrently.
type Hydra struct {
	proc      *process.Process
	logs      *process.Log
	publicURL string
	adminURL  string
	issuer    string
	tempDir   string // removed by Stop; may be empty
	http      *http.Client

	stopOnce sync.Once
	stopErr  error
}

// Binary returns the path of a Hydra to run: HYDRA_BIN, or the one that it builds.
func Binary(ctx context.Context, progress io.Writer) (string, error) {
	return program.Hydra().Binary(ctx, progress)
}

// Run starts Hydra for a test and stops it when the test ends. If the test fails, the end of
// Hydra's output is logged.
func Run(tb testing.TB, opts Options) *Hydra {
	tb.Helper()
	if opts.Progress == nil {
		opts.Progress = tb.Output()
	}
	h, err := Start(tb.Context(), opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("end of hydra's output:\n%s", h.logs.Tail(20))
		}
		if err := h.Stop(); err != nil {
			tb.Errorf("stop hydra: %v", err)
		}
	})
	return h
}

// Start starts Hydra and returns when it answers on both its ports and has its signing keys. ctx
// bounds the start only: afterwards Hydra runs until Stop. The error of a failed start ends with
// Hydra's last output.
func Start(ctx context.Context, opts Options) (*Hydra, error) {
	b := boot{opts: opts, logs: &process.Log{Tee: opts.Output}}
	if err := b.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start hydra: %w", err), b.cleanUp())
	}
	ctx, cancel := context.WithTimeoutCause(ctx, bootLimit, fmt.Errorf("hydra is not ready after %s", bootLimit))
	defer cancel()
	h, err := b.start(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start hydra: %w\n%s", err, b.logs.Tail(12)), b.cleanUp())
	}
	return h, nil
}

// PublicURL is the base URL of the public API, without a trailing slash.
func (h *Hydra) PublicURL() string { return h.publicURL }

// AdminURL is the base URL of the admin API, without a trailing slash.
func (h *Hydra) AdminURL() string { return h.adminURL }

// Issuer is urls.self.issuer, the iss of ID tokens.
func (h *Hydra) Issuer() string { return h.issuer }

// Logs is Hydra's output so far, including its migrations.
func (h *Hydra) Logs() string { return h.logs.String() }

// Pid is Hydra's process id.
func (h *Hydra) Pid() int { return h.proc.Pid() }

// Done is closed when Hydra has ended.
func (h *Hydra) Done() <-chan struct{} { return h.proc.Done() }

// Stop ends Hydra within some seconds and removes its temporary folder. It is idempotent. It is
// an error if Hydra had ended by itself before.
func (h *Hydra) Stop() error {
	h.stopOnce.Do(func() {
		h.http.CloseIdleConnections()
		var crashed error
		if h.proc.Exited() {
			crashed = fmt.Errorf("hydra ended by itself: %w\n%s", h.proc.Ending(), h.logs.Tail(12))
		}
		h.stopErr = errors.Join(crashed, h.proc.Stop(stopGrace), os.RemoveAll(h.tempDir))
	})
	return h.stopErr
}

// CreateClient creates an OAuth2 client, with the fields of Hydra's admin API.
func (h *Hydra) CreateClient(ctx context.Context, client map[string]any) error {
	status, body, err := h.send(ctx, http.MethodPost, h.adminURL+"/admin/clients", client)
	switch {
	case err != nil:
		return fmt.Errorf("create client: %w", err)
	case status != http.StatusCreated:
		return fmt.Errorf("create client: status %d: %s", status, body)
	}
	return nil
}

// send sends a request with a JSON body, if any, and returns the whole answer. No status is an
// error.
func (h *Hydra) send(ctx context.Context, method, address string, content any) (status int, body []byte, err error) {
	var sent io.Reader
	if content != nil {
		text, err := json.Marshal(content)
		if err != nil {
			return 0, nil, err
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, address, sent)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Accept", "application/json")
	if content != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := h.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return response.StatusCode, body, err
}

// awaitReady returns nil once this Hydra answers on both ports, and errPortTaken if another
// process has one of them.
func (h *Hydra) awaitReady(ctx context.Context) error {
	ticker := time.NewTicker(readyTick)
	defer ticker.Stop()
	for {
		select {
		case <-h.proc.Done():
			if h.logs.Contains("address already in use") {
				return errPortTaken
			}
			return fmt.Errorf("hydra ended while it started: %w", h.proc.Ending())
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		ready, err := h.ready(ctx)
		var gone *url.Error
		if ready || err != nil && !errors.As(err, &gone) {
			return err
		}
		// It is not up yet, or has ended: the next round tells.
	}
}

// ready makes sure that both APIs are those of this Hydra: its issuer is that of the public API,
// which shows the keys that the admin API was given.
func (h *Hydra) ready(ctx context.Context) (bool, error) {
	status, _, err := h.send(ctx, http.MethodGet, h.adminURL+"/health/ready", nil)
	if err != nil || status != http.StatusOK {
		return false, err
	}
	var discovery struct {
		Issuer string `json:"issuer"`
	}
	_, body, err := h.send(ctx, http.MethodGet, h.publicURL+"/.well-known/openid-configuration", nil)
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(body, &discovery); err != nil || discovery.Issuer != h.issuer {
		return false, errPortTaken
	}
	if err := h.putKeys(ctx); err != nil {
		return false, err
	}
	return true, nil
}

func newHydra(proc *process.Process, logs *process.Log, public, admin, issuer string) *Hydra {
	return &Hydra{
		proc: proc, logs: logs, publicURL: public, adminURL: admin, issuer: issuer,
		http: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: 4},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       callLimit,
		},
	}
}

// makeFolder returns the folder to use, and the one to remove afterwards.
func makeFolder(given string) (dir, temporary string, err error) {
	if given == "" {
		dir, err = os.MkdirTemp("", "hydratest-")
		return dir, dir, err
	}
	if dir, err = filepath.Abs(given); err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	return dir, "", err
}
