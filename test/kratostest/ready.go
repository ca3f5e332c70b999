package kratostest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ferry/test/process"
)

// maxAnswer bounds how much of an answer is read.
const maxAnswer = 16 << 20

var errPortTaken = errors.New("another process took a chosen port")

type ports struct{ public, admin int }

func baseURL(port int) string {
	return "http://" + net.JoinHostPort(loopback, strconv.Itoa(port))
}

// freePorts chooses two ports. Another process may take one before Kratos does: see
// awaitReady.
func freePorts(ctx context.Context) (ports, error) {
	chosen, err := process.FreePorts(ctx, 2)
	if err != nil {
		return ports{}, err
	}
	return ports{public: chosen[0], admin: chosen[1]}, nil
}

// awaitReady returns nil once this Kratos answers on both ports, and errPortTaken if
// another process has one of them.
func (k *Kratos) awaitReady(ctx context.Context) error {
	ticker := time.NewTicker(readyTick)
	defer ticker.Stop()
	for {
		select {
		case <-k.proc.Done():
			if k.logs.Contains("address already in use") {
				return errPortTaken
			}
			return fmt.Errorf("kratos ended while it started: %w", k.proc.Ending())
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		if k.ready(ctx, k.publicURL+"/health/ready") && k.ready(ctx, k.adminURL+"/admin/health/ready") {
			err := k.checkOurs(ctx)
			var gone *url.Error
			if !errors.As(err, &gone) {
				return err
			}
			// Ours has ended, or is not up yet: the next round tells.
		}
	}
}

func (k *Kratos) ready(ctx context.Context, address string) bool {
	status, _, err := k.get(ctx, k.http, address, nil)
	return err == nil && status == http.StatusOK
}

// checkOurs detects another Kratos on one of the ports: each port redirects requests for the
// other API to the other port.
func (k *Kratos) checkOurs(ctx context.Context) error {
	public := k.publicURL
	if k.baseURL != "" {
		public = strings.TrimRight(k.baseURL, "/")
	}
	for _, probe := range []struct{ address, belongs string }{
		{k.publicURL + "/admin/identities", k.adminURL},
		{k.adminURL + "/admin/schemas", public},
	} {
		location, err := k.redirect(ctx, probe.address)
		if err != nil {
			return err
		}
		if location != "" && !strings.HasPrefix(location, probe.belongs+"/") {
			return errPortTaken
		}
	}
	return nil
}

// redirect returns the target that address redirects to, or empty.
func (k *Kratos) redirect(ctx context.Context, address string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", address, err)
	}
	response, err := k.http.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", address, err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	return response.Header.Get("Location"), nil
}

// get reads a URL as JSON. No status is an error.
func (k *Kratos) get(ctx context.Context, via *http.Client, address string, query url.Values) (int, []byte, error) {
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("ask %s: %w", address, err)
	}
	request.Header.Set("Accept", "application/json")
	answer, err := send(via, request)
	return answer.status, answer.body, err
}

// answer is an HTTP response with its whole body.
type answer struct {
	status   int
	location string
	body     []byte
}

func send(via *http.Client, request *http.Request) (answer, error) {
	response, err := via.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("read the answer: %w", err)
	}
	return answer{status: response.StatusCode, location: response.Header.Get("Location"), body: body}, nil
}

// reached maps a URL below serve.public.base_url to the URL that Kratos listens on.
func (k *Kratos) reached(address string) string {
	if path, ok := strings.CutPrefix(address, k.baseURL); ok && k.baseURL != "" {
		return k.usersURL + "/" + path
	}
	return address
}
