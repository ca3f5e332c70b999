package finish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"ferry/secret"
	"ferry/strictjson"
	"ferry/wire"
)

// HookProbe calls ferry's password migration hook for a user who does not exist.
type HookProbe struct {
	// URL is the whole URL of the hook, and Key its key.
	URL string
	Key secret.String
	// Transport must open a connection for each request, so that the calls reach all
	// replicas behind a load balancer.
	Transport http.RoundTripper
}

const (
	// hookProbes is the number of calls that must agree. A load balancer spreads them over
	// the replicas.
	hookProbes    = 10
	probeTimeout  = 30 * time.Second
	maxProbeBytes = 1024
)

// Closed returns nil if the hook says that the migration is closed.
func (p HookProbe) Closed(ctx context.Context) error {
	for range hookProbes {
		status, said, err := p.call(ctx)
		switch {
		case err != nil:
			return err
		case status != http.StatusForbidden || said != wire.StatusClosed:
			return fmt.Errorf("the migration is open: %s answers %d %s; set FERRY_MIGRATION_CLOSED=true for every `ferry serve` and restart it", p.URL, status, said)
		}
	}
	return nil
}

// Answers returns nil if the hook answers and accepts the key.
func (p HookProbe) Answers(ctx context.Context) error {
	_, _, err := p.call(ctx)
	return err
}

// call makes one call. It returns the HTTP status and the status in the body.
func (p HookProbe) call(ctx context.Context) (status int, said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]string{"identifier": "ferry-finish-" + uuid.NewString() + "@ferry-finish.invalid", "password": uuid.NewString()})
	if err != nil {
		return 0, "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, bytes.NewReader(body))
	if err != nil {
		return 0, "", errors.New("ask the hook: the URL is not valid")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "ferry-finish")
	req.Header.Set("Authorization", "Bearer "+p.Key.Reveal())
	resp, err := p.Transport.RoundTrip(req)
	if err != nil {
		return 0, "", fmt.Errorf("ask the hook at %s: %w; does `ferry serve` run there? (--hook-url)", p.URL, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxProbeBytes))
	var answer struct {
		Status string `json:"status"`
	}
	switch {
	case err != nil:
		return 0, "", fmt.Errorf("ask the hook at %s: %w", p.URL, err)
	case resp.StatusCode == http.StatusUnauthorized:
		return 0, "", fmt.Errorf("ask the hook at %s: it refuses the key (401); give the first key of its FERRY_HOOK_KEYS", p.URL)
	case strictjson.Unmarshal(text, &answer) != nil || answer.Status == "":
		return 0, "", fmt.Errorf("ask the hook at %s: the answer %d is not one of ferry's hook (--hook-url)", p.URL, resp.StatusCode)
	}
	return resp.StatusCode, answer.Status, nil
}
