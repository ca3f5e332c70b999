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
)

const (
	// replayTimeout bounds one call: ferry takes no longer than Kratos would wait.
	replayTimeout = 60 * time.Second
	maxUpstream   = 4 << 10
)

// upstream is what ferry says of itself to `ferry replay`.
func (s *server) upstream() admin.Upstream {
	base, err := url.Parse(s.cfg.BaseURL())
	said := admin.Upstream{Loopback: err == nil && isLoopback(base.Hostname()), Hooks: s.hooksAt}
	if s.cfg.RecordDir != "" {
		if said.Recordings, err = filepath.Abs(s.cfg.RecordDir); err != nil {
			said.Recordings = s.cfg.RecordDir
		}
	}
	return said
}

// isLoopback reports whether host can only be this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// replayTarget is the ferry that calls are made to again.
type replayTarget struct {
	hooks, admin *url.URL
	client       *http.Client
}

// newReplayTarget takes the URLs of the two listeners, or where the settings say that
// they are.
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
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: maxReplayConcurrency, IdleConnTimeout: time.Minute},
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
	if t.hooks.Scheme != "https" && !isLoopback(t.hooks.Hostname()) && !cfg.InsecureListen {
		return nil, errors.New("--target: passwords go there: it must be https, or http on loopback, or FERRY_INSECURE_LISTEN=true")
	}
	return t, nil
}

func baseURL(flag, text string) (*url.URL, error) {
	parsed, err := url.Parse(strings.TrimRight(text, "/"))
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") ||
		parsed.Path != "" || parsed.RawQuery != "" || parsed.Fragment != "" || parsed.User != nil {
		return nil, fmt.Errorf("%s: name scheme, host and port alone: http://127.0.0.1:4480", flag)
	}
	return parsed, nil
}

// check refuses a target that passes passwords on to anything but this machine, one of
// which that cannot be told, and a source that the target itself records into: every
// replayed call would become a recording. With production only the last is checked,
// as far as the target says where it records.
func (t *replayTarget) check(ctx context.Context, source *recording.Source, production bool) error {
	const otherwise = "; --against-production replays all the same, without what would count as a failed attempt"
	said, err := t.upstream(ctx)
	if err == nil && said.Recordings != "" {
		if file, found := source.FileIn(said.Recordings); found {
			return fmt.Errorf("%s: the target records into this directory (FERRY_RECORD_DIR): copy the recordings elsewhere and replay the copy", file)
		}
	}
	switch {
	case production:
		return nil
	case err != nil:
		return fmt.Errorf("the target's upstream cannot be told (--target-admin): %w%s", err, otherwise)
	case !t.speaksOf(said.Hooks):
		return fmt.Errorf("the target's upstream cannot be told: %s (--target-admin) is not the operator's listener of %s%s", t.admin, t.hooks, otherwise)
	case !said.Loopback:
		return errors.New("the target's upstream is not on loopback: replayed passwords would reach it" + otherwise)
	}
	return nil
}

// speaksOf reports whether the operator's listener is that of the ferry which is the
// target: on the same host, and with the target's port for its hooks.
func (t *replayTarget) speaksOf(hooks string) bool {
	_, port, err := net.SplitHostPort(hooks)
	same := strings.EqualFold(t.hooks.Hostname(), t.admin.Hostname()) || isLoopback(t.hooks.Hostname()) && isLoopback(t.admin.Hostname())
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

func (t *replayTarget) upstream(ctx context.Context) (said admin.Upstream, err error) {
	ctx, cancel := context.WithTimeout(ctx, kratosTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.admin.String()+"/upstream", http.NoBody)
	if err != nil {
		return said, err
	}
	response, err := t.client.Do(request)
	if err != nil {
		return said, err
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxUpstream))
	if err != nil {
		return said, err
	}
	if response.StatusCode != http.StatusOK || json.Unmarshal(text, &said) != nil || said.Hooks == "" {
		return said, fmt.Errorf("%s/upstream answered %d, not what ferry says", t.admin, response.StatusCode)
	}
	return said, nil
}
