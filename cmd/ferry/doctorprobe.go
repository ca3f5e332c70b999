package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/term"

	"ferry/config"
	"ferry/doctor"
	"ferry/hook"
	"ferry/outcome"
	"ferry/secret"
	"ferry/state"
)

// maxTyped limits what is read from standard input. Passwords are far shorter.
const maxTyped = 64 << 10

// probe decides one real login by the rules of the hook. It writes nothing to Kratos, and the
// profile of the user is dropped.
func (f *doctorFlags) probe(ctx context.Context, cfg *config.Config, usable bool, stdin *os.File, stderr io.Writer) doctor.Check {
	check := doctor.Check{Name: "probe_user", Status: doctor.Skip, Detail: "the settings cannot be used: no login is tried"}
	if !usable {
		return check
	}
	untried := func(err error, fix string) doctor.Check {
		check.Status, check.Detail, check.Fix = doctor.Fail, fmt.Sprintf("no login is tried: %v", err), fix
		return check
	}
	fmt.Fprintln(stderr, "this is a real login: it sends one request to Auth0, which counts it as an attempt of this user from this machine")
	password, err := readPassword(stdin, stderr)
	if err != nil {
		return untried(fmt.Errorf("read password: %w", err), "type the user's password at the prompt, or write it to standard input as one line")
	}
	var steps steps
	hooks, err := newProbe(cfg, &steps)
	if err != nil {
		return untried(err, "correct the settings that it names; `ferry serve` would not start either")
	}
	started := time.Now()
	decision := hooks.Decide(ctx, f.probeUser, password)
	check.Detail = fmt.Sprintf("%s; %sall in all %s", describe(decision), steps.text.String(), rounded(time.Since(started)))
	if check.Status = doctor.OK; decision.Outcome != outcome.Match {
		check.Status = doctor.Fail
		check.Fix = "`ferry doctor why IDENTIFIER` checks the user; mismatch: the password is not the one that Auth0 has"
	}
	return check
}

// newProbe returns a hook handler that measures the requests of a login.
func newProbe(cfg *config.Config, steps *steps) (*hook.Handler, error) {
	auth0, err := newUpstream(cfg, steps.measure(auth0Step), nil)
	if err != nil {
		return nil, err
	}
	identities, err := loginKratos(cfg, steps.measure(kratosStep))
	if err != nil {
		return nil, err
	}
	opts, err := hookOptions(cfg, logHashKey(cfg), identities, auth0, nil)
	if err != nil {
		return nil, err
	}
	opts.Closed = false // ask Auth0 even after the end of the migration
	opts.Store, opts.Log, opts.Metrics = state.NewMemory(state.Options{}), zap.NewNop(), prometheus.NewRegistry()
	return hook.New(opts)
}

// describe describes a decision in words.
func describe(d hook.Decision) string {
	text := "the login ends in " + d.Outcome.String()
	var why []string
	if d.Reason != "" {
		why = append(why, d.Reason)
	}
	if d.UpstreamStatus != 0 {
		why = append(why, strings.TrimSpace(fmt.Sprintf("Auth0 said %d %s", d.UpstreamStatus, d.UpstreamCode)))
	}
	if len(why) > 0 {
		text += " (" + strings.Join(why, ", ") + ")"
	}
	return text
}

// readPassword reads a password from the terminal without echo, or the first line of standard
// input if that is not a terminal. A password must not be an argument: other users can list those.
func readPassword(stdin *os.File, stderr io.Writer) (secret.String, error) {
	var text string
	if fd := int(stdin.Fd()); term.IsTerminal(fd) {
		fmt.Fprint(stderr, "password: ")
		typed, err := term.ReadPassword(fd)
		fmt.Fprintln(stderr)
		if err != nil {
			return secret.String{}, errors.New("the terminal cannot be read")
		}
		text = string(typed)
	} else {
		line, err := bufio.NewReader(io.LimitReader(stdin, maxTyped)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return secret.String{}, errors.New("standard input cannot be read")
		}
		text = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	}
	if text == "" {
		return secret.String{}, errors.New("no password was given")
	}
	return secret.New(text), nil
}

// steps lists the requests of a login and how long each took.
type steps struct {
	mu   sync.Mutex
	text strings.Builder // with a comma after each step
}

// measure returns a wrapper for a transport. It measures each request until its response
// header.
func (s *steps) measure(step func(path string) string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			started := time.Now()
			resp, err := next.RoundTrip(req)
			s.mu.Lock()
			defer s.mu.Unlock()
			fmt.Fprintf(&s.text, "%s %s, ", step(req.URL.Path), rounded(time.Since(started)))
			return resp, err
		})
	}
}

// roundTripper is a function that implements http.RoundTripper.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func rounded(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

func kratosStep(path string) string {
	if strings.HasSuffix(path, "/identities") {
		return "find the identity"
	}
	return "read the identity"
}

func auth0Step(path string) string {
	switch path {
	case "/oauth/token":
		return "ask Auth0"
	case "/userinfo":
		return "ask /userinfo whose it is"
	}
	return "fetch Auth0's keys"
}
