package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ferry/test/process"
)

// rig is what every measurement needs: the stubs, the bare handler, and how to start ferry.
type rig struct {
	opts  options
	dir   string
	admin *http.Client // for the parts' own addresses

	ca                     string // file; empty: plain HTTP
	upstream, kratos, bare *server
	nginx                  *server // in front of bare; nil where nginx is not installed
	next                   int     // number of the next login
}

// newRig starts the stubs and the bare handler. close stops them, also after an error.
func newRig(ctx context.Context, opts options, dir string) (r *rig, err error) {
	r = &rig{opts: opts, dir: dir}
	people := strconv.Itoa(opts.People)
	if !opts.HTTP1 {
		r.ca = filepath.Join(dir, "ca.pem")
	}
	if r.upstream, err = startPart(ctx, partUpstream, people, r.ca); err != nil {
		return r, err
	}
	if r.admin, err = trusting(r.ca); err != nil {
		return r, err
	}
	if r.kratos, err = startPart(ctx, partKratos, people); err != nil {
		return r, err
	}
	if r.bare, err = startPart(ctx, partBare, r.kratos.url, r.upstream.url, r.ca); err != nil {
		return r, err
	}
	if hasNginx() {
		r.nginx, err = startNginx(ctx, dir, "bare", r.bare.url)
	}
	return r, err
}

// close stops the parts.
func (r *rig) close() error {
	var errs []error
	for _, s := range []*server{r.nginx, r.bare, r.kratos, r.upstream} {
		if s != nil {
			errs = append(errs, s.stop())
		}
	}
	if r.admin != nil {
		r.admin.CloseIdleConnections()
	}
	return errors.Join(errs...)
}

// buildFerry builds the program ferry, unless the options name one.
func buildFerry(ctx context.Context, opts options, dir string) (path string, err error) {
	if opts.Ferry != "" {
		return opts.Ferry, nil
	}
	path = filepath.Join(dir, "ferry")
	if out, err := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", path, "ferry/cmd/ferry").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ferry: %w\n%s", err, out)
	}
	return path, dropCached(ctx, path)
}

// dropCached writes a file to the disk and drops it from the kernel's cache. A program that
// was just written is mapped in larger pieces than one that is read from a disk, and its
// resident memory is some 5 MiB more.
func dropCached(ctx context.Context, path string) error {
	for _, args := range [][]string{{"sync", path}, {"dd", "if=" + path, "iflag=nocache", "count=0", "status=none"}} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("drop %s from the cache: %w\n%s", path, err, out)
		}
	}
	return nil
}

// ferry is a running ferry.
type ferry struct {
	*server

	adminURL string
}

const anyPort = "127.0.0.1:0"

// startFerry starts ferry with its hooks at an address, and more settings.
func (r *rig) startFerry(ctx context.Context, hooksAt string, env ...string) (*ferry, error) {
	settings := []string{
		"FERRY_LISTEN=" + hooksAt, "FERRY_LOGINS_IN_FLIGHT=10000", "FERRY_ADMIN_LISTEN=" + anyPort, "FERRY_HOOK_KEYS=" + hookKey, "FERRY_KRATOS_ADMIN_URL=" + r.kratos.url,
		"FERRY_AUTH0_DOMAIN=" + strings.Trim(strings.TrimPrefix(issuer, "https://"), "/"), "FERRY_AUTH0_BASE_URL=" + r.upstream.url,
		"FERRY_AUTH0_CLIENT_ID=" + clientID, "FERRY_AUTH0_CLIENT_SECRET=" + clientSecret, "SSL_CERT_FILE=" + r.ca,
	}
	f := &ferry{}
	var err error
	command := process.Command{Path: r.opts.Ferry, Args: []string{"serve"}, Env: append(append(settings, env...), r.opts.FerryEnv...)}
	f.server, err = startServer(ctx, "ferry", command, func(printed string) (url string, ok bool) {
		for line := range strings.Lines(printed) {
			var said struct{ Msg, Hooks, Admin string }
			if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "listening" {
				f.adminURL = "http://" + said.Admin
				return "http://" + said.Hooks, true
			}
		}
		return "", false
	})
	return f, err
}

// setLatency sets the latency of the upstream.
func (r *rig) setLatency(ctx context.Context, latency time.Duration) error {
	_, err := r.request(ctx, http.MethodPut, r.upstream.url+latencyPath+"?is="+latency.String())
	return err
}

// grants returns what the upstream has counted.
func (r *rig) grants(ctx context.Context) (grants, error) {
	text, err := r.request(ctx, http.MethodGet, r.upstream.url+countPath)
	if err != nil {
		return grants{}, err
	}
	var g grants
	if err := json.Unmarshal(text, &g); err != nil {
		return grants{}, fmt.Errorf("read the count of grants: %w", err)
	}
	return g, nil
}

// request sends a request to a part and returns the body of the answer.
func (r *rig) request(ctx context.Context, method, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := r.admin.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: status %d", method, url, resp.StatusCode)
	}
	return text, err
}

// trusting returns a client that trusts the certificate in a file, if there is one.
func trusting(caFile string) (*http.Client, error) {
	transport, err := transportTo(caFile)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: transport, Timeout: answerWait}, nil
}

// tempDir makes a directory for the files of a run.
func tempDir() (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp("", "ferry-load-")
	return dir, func() error { return os.RemoveAll(dir) }, err
}
