package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
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
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"

	"ferry/config"
	"ferry/doctor"
	"ferry/hook"
	"ferry/kratos"
	"ferry/outcome"
	"ferry/secret"
	"ferry/state"
	"ferry/transport"
	"ferry/upstream"
)

const nameProbe = "probe_user"

// maxTyped is more than any password that could be asked about.
const maxTyped = 64 << 10

// probe runs one real login through the hook's own rules and tells the operator what
// Kratos would have been told. Nothing is kept of it, and nothing written to Kratos.
func (f *doctorFlags) probe(ctx context.Context, cfg *config.Config, usable bool, stdin *os.File, stderr io.Writer) doctor.Check {
	check := doctor.Check{Name: nameProbe, Status: doctor.Skip, Detail: "the settings cannot be used: no login is tried"}
	if !usable {
		return check
	}
	untried := func(err error, fix string) doctor.Check {
		check.Status, check.Detail, check.Fix = doctor.Fail, fmt.Sprintf("no login is tried: %v", err), fix
		return check
	}
	fmt.Fprintln(stderr, "this is a real login: it asks Auth0 once, and counts there as an attempt of this person's, from this machine")
	password, err := readPassword(stdin, stderr)
	if err != nil {
		return untried(fmt.Errorf("read password: %w", err), "type the person's password when asked for it, or give it to standard input as a line")
	}
	steps := &stopwatch{now: time.Now}
	login, err := newProbe(cfg, steps)
	if err != nil {
		return untried(err, "mend the settings that it names; `ferry serve` would not start either")
	}
	started := time.Now()
	said, err := login.run(ctx, f.probeUser, password)
	if err != nil {
		return untried(err, "run doctor again")
	}
	check.Detail = fmt.Sprintf("%s; %sall in all %s", said, steps, rounded(time.Since(started)))
	if check.Status = doctor.OK; said.Outcome != outcome.Match.String() {
		check.Status = doctor.Fail
		check.Fix = "`ferry doctor why IDENTIFIER` looks at the person; mismatch: the password is not the one that Auth0 has"
	}
	return check
}

// readPassword reads it from the terminal, without showing it, or else the first line
// of standard input. A password is never an argument: those are for everybody to see.
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
		return secret.String{}, errors.New("there is none")
	}
	return secret.New(text), nil
}

// login is the hook, made for one call.
type login struct {
	hooks http.Handler
	key   secret.String
	log   *bytes.Buffer
}

func newProbe(cfg *config.Config, steps *stopwatch) (*login, error) {
	issuer := "https://" + cfg.Auth0Domain + "/"
	auth, err := clientAuth(cfg, issuer)
	if err != nil {
		return nil, err
	}
	auth0, err := upstream.New(upstream.Options{
		Issuer: issuer, BaseURL: cfg.BaseURL(), ClientID: cfg.Auth0ClientID, ClientAuth: auth,
		Scope: cfg.Auth0Scope, Audience: cfg.Auth0Audience, IDTokenAlg: cfg.Auth0IDTokenAlg, Timeout: cfg.Auth0Timeout,
		Transport: &timed{next: upstream.NewTransport(), steps: steps, names: auth0Steps}, Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	identities, err := kratos.New(kratos.Options{
		AdminURL: cfg.KratosAdminURL, Token: cfg.KratosAdminToken, Timeout: kratosTimeout,
		Transport: &timed{next: transport.New(transport.Options{}), steps: steps, names: kratosSteps},
	})
	if err != nil {
		return nil, err
	}
	carry, err := syncOptions(cfg, identities)
	if err != nil {
		return nil, err
	}
	l := &login{key: cfg.HookKeys[0], log: &bytes.Buffer{}}
	hooks, err := hook.New(hook.Options{
		Profiles: nowhere{}, Sync: carry, Keys: cfg.HookKeys,
		MaxPasswordBytes: cfg.MaxPasswordBytes, Realms: cfg.Auth0Realms, CustomRealms: cfg.Auth0CustomRealms,
		TrustVerifiedIdentifier: cfg.Binding == config.BindingVerifiedIdentifier, LogHashKey: logHashKey(cfg),
		Identities: identities, Upstream: auth0,
		Log:     zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "msg"}), zapcore.AddSync(l.log), zapcore.DebugLevel)),
		Metrics: prometheus.NewRegistry(), Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	l.hooks = hooks.Echo()
	return l, nil
}

// ending is what the hook logs of a login.
type ending struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
	Status  int    `json:"auth0_status"`
	Code    string `json:"auth0_error"`
}

// String is the ending for people.
func (v ending) String() string {
	text := "the login ends in " + v.Outcome
	var why []string
	if v.Reason != "" {
		why = append(why, v.Reason)
	}
	if v.Status != 0 {
		why = append(why, strings.TrimSpace(fmt.Sprintf("Auth0 said %d %s", v.Status, v.Code)))
	}
	if len(why) > 0 {
		text += " (" + strings.Join(why, ", ") + ")"
	}
	return text
}

func (l *login) run(ctx context.Context, identifier string, password secret.String) (ending, error) {
	body, err := json.Marshal(map[string]string{"identifier": identifier, "password": password.Reveal()})
	if err != nil {
		return ending{}, errors.New("doctor: the login cannot be made")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hook.MigrationPath, bytes.NewReader(body))
	if err != nil {
		return ending{}, errors.New("doctor: the login cannot be made")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+l.key.Reveal())
	l.hooks.ServeHTTP(&unheard{header: http.Header{}}, req)
	for line := range strings.Lines(l.log.String()) {
		var said ending
		if json.Unmarshal([]byte(line), &said) == nil && said.Outcome != "" {
			return said, nil
		}
	}
	return ending{}, errors.New("doctor: the login came to nothing")
}

// unheard takes the answer that Kratos would get.
type unheard struct{ header http.Header }

func (u *unheard) Header() http.Header         { return u.header }
func (u *unheard) Write(p []byte) (int, error) { return len(p), nil }
func (u *unheard) WriteHeader(int)             {}

// nowhere keeps nothing: no login follows.
type nowhere struct{}

func (nowhere) Put(context.Context, state.Handoff) error { return nil }

func (nowhere) Lease(context.Context, string, string) (state.Lease, bool, error) {
	return state.Lease{}, false, nil
}

// stopwatch gathers how long each step of a login took.
type stopwatch struct {
	now func() time.Time

	mu    sync.Mutex
	steps []string
}

func (s *stopwatch) note(name string, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, name+" "+rounded(took).String())
}

// String lists the steps, with a comma after each.
func (s *stopwatch) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.steps) == 0 {
		return ""
	}
	return strings.Join(s.steps, ", ") + ", "
}

func rounded(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

// timed notes how long each request takes, up to the beginning of its answer.
type timed struct {
	next  http.RoundTripper
	steps *stopwatch
	names func(path string) string
}

func (t *timed) RoundTrip(req *http.Request) (*http.Response, error) {
	started := t.steps.now()
	resp, err := t.next.RoundTrip(req)
	t.steps.note(t.names(req.URL.Path), t.steps.now().Sub(started))
	return resp, err
}

func kratosSteps(path string) string {
	if strings.HasSuffix(path, "/identities") {
		return "find the identity"
	}
	return "read the identity"
}

func auth0Steps(path string) string {
	switch path {
	case "/oauth/token":
		return "ask Auth0"
	case "/userinfo":
		return "ask /userinfo whose it is"
	}
	return "fetch Auth0's keys"
}
