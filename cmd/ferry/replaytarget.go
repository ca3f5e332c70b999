package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"ferry/admin"
	"ferry/config"
	"ferry/recording"
	"ferry/transport"
)

const (
	// replayTimeout limits one call. Kratos waits no longer.
	replayTimeout = 60 * time.Second
	maxUpstream   = 4 << 10
)

// upstream tells operators and `ferry replay` where this ferry sends passwords.
func (s *server) upstream() admin.Upstream {
	base, err := url.Parse(s.cfg.BaseURL())
	info := admin.Upstream{Loopback: err == nil && transport.IsLoopback(base.Hostname()), Hooks: s.hooksAt}
	if s.cfg.RecordDir != "" {
		if info.Recordings, err = filepath.Abs(s.cfg.RecordDir); err != nil {
			info.Recordings = s.cfg.RecordDir
		}
	}
	state := s.guard.State()
	info.Auth0.Breakers = state.Breakers
	if !state.WaitsUntil.IsZero() {
		info.Auth0.WaitsUntil = state.WaitsUntil.UTC().Format(time.RFC3339)
	}
	return info
}

// replayTarget is the ferry that gets the calls.
type replayTarget struct {
	hooks, admin *url.URL
	client       *http.Client
}

// newReplayTarget returns the target with the URLs of its two listeners. An empty URL means
// the address in the settings.
func newReplayTarget(hooks, operator string, cfg *config.Config) (*replayTarget, error) {
	scheme := "http://"
	if cfg.TLS() {
		scheme = "https://"
	}
	if hooks == "" {
		hooks = scheme + cfg.Listen
	}
	if operator == "" {
		operator = scheme + cfg.AdminListen
	}
	t := &replayTarget{client: &http.Client{
		Transport:     transport.New(transport.Options{Proxy: http.ProxyFromEnvironment}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       replayTimeout,
	}}
	var err error
	if t.hooks, err = baseURL("--target", hooks); err != nil {
		return nil, err
	}
	if t.admin, err = baseURL("--target-admin", operator); err != nil {
		return nil, err
	}
	if t.hooks.Scheme != "https" && !transport.IsLoopback(t.hooks.Hostname()) && !cfg.InsecureListen {
		return nil, errors.New("--target must be https, or http on loopback, because the calls have passwords; FERRY_INSECURE_LISTEN=true allows http")
	}
	return t, nil
}

func baseURL(flag, text string) (*url.URL, error) {
	parsed, err := url.Parse(strings.TrimRight(text, "/"))
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") ||
		parsed.Path != "" || parsed.RawQuery != "" || parsed.Fragment != "" || parsed.User != nil {
		return nil, fmt.Errorf("%s must have only a scheme, a host and a port, such as http://127.0.0.1:4480", flag)
	}
	return parsed, nil
}

// check refuses a target that sends passwords to another machine or does not say where it
// sends them, and a source that the target records into, because each replayed call would
// become a record. With production it checks only the source.
func (t *replayTarget) check(ctx context.Context, source *recording.Source, production bool) error {
	const hint = "; --against-production replays anyway, without calls that might count as a failed attempt"
	info, err := t.upstream(ctx)
	if err == nil && info.Recordings != "" {
		if file, found := source.FileIn(info.Recordings); found {
			return fmt.Errorf("%s: the target records into this directory (FERRY_RECORD_DIR); copy the recordings elsewhere and replay the copy", file)
		}
	}
	switch {
	case production:
		return nil
	case err != nil:
		return fmt.Errorf("the target's upstream is unknown (--target-admin): %w%s", err, hint)
	case !t.owns(info.Hooks):
		return fmt.Errorf("the target's upstream is unknown: %s (--target-admin) is not the admin listener of %s%s", t.admin, t.hooks, hint)
	case !info.Loopback:
		return errors.New("the target's upstream is not on loopback, so it would get the replayed passwords" + hint)
	}
	return nil
}

// owns reports whether the ferry of the admin listener, whose hooks listen at hooks, is
// the target: it has the same host and the port of the target.
func (t *replayTarget) owns(hooks string) bool {
	_, port, err := net.SplitHostPort(hooks)
	same := strings.EqualFold(t.hooks.Hostname(), t.admin.Hostname()) || transport.IsLoopback(t.hooks.Hostname()) && transport.IsLoopback(t.admin.Hostname())
	return err == nil && same && port == portOf(t.hooks)
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

func (t *replayTarget) upstream(ctx context.Context) (info admin.Upstream, err error) {
	ctx, cancel := context.WithTimeout(ctx, kratosTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.admin.String()+"/upstream", http.NoBody)
	if err != nil {
		return info, err
	}
	response, err := t.client.Do(request)
	if err != nil {
		return info, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxUpstream))
	if err != nil {
		return info, err
	}
	if response.StatusCode != http.StatusOK || json.Unmarshal(text, &info) != nil || info.Hooks == "" {
		return info, fmt.Errorf("%s/upstream answered %d, which is not an answer of ferry", t.admin, response.StatusCode)
	}
	return info, nil
}
