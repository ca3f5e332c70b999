// Package doctor looks a set-up over: the settings, Auth0, Kratos, kratos.yml and the
// way between them. Every check says what is wrong, why that matters and what to
// change; none changes anything, and at most one grant is asked of Auth0, for a user
// that cannot exist. Why looks at one person instead.
package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"ferry/kratos"
	"ferry/mapping"
	"ferry/secret"
	"ferry/upstream"
)

// Status is what came of a check.
type Status string

// The statuses. Only Fail makes a set-up unsound.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "fail"
	// Skip: it could not be looked at; Detail says why.
	Skip Status = "skip"
)

// Check is one thing that was looked at. Its texts hold no secret.
type Check struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	// Detail is what was found and why it matters.
	Detail string `json:"detail"`
	// Fix is what to change; never empty where Status is Warn or Fail. Of a Skip it is
	// what to do so that it can be looked at.
	Fix string `json:"fix"`
}

// Report is everything that was looked at, in an order that does not change.
type Report struct {
	Checks []Check `json:"checks"`
}

// Failed reports whether a check failed.
func (r Report) Failed() bool {
	for _, check := range r.Checks {
		if check.Status == Fail {
			return true
		}
	}
	return false
}

// Fault is a setting that cannot be used, and what to change; never its value.
type Fault struct{ Name, Problem string }

// Settings are ferry's, as far as they are held against something.
type Settings struct {
	Faults []Fault

	// Issuer is https://DOMAIN/, and BaseURL where to connect.
	Issuer, BaseURL    string
	ClientID           string
	ClientAuth         string // client_secret_post, client_secret_basic or private_key_jwt
	IDTokenAlg         string
	Realms             []string
	CustomRealms       []string
	ForwardClientIP    bool
	WriteBack          bool
	VerifiedIdentifier bool // an unbound identity may match by what Auth0 verified
	HookKeys           []secret.String
	MaxPasswordBytes   int
	OryNetwork         bool   // FERRY_KRATOS_ADMIN_URL is a project of Ory Network's
	StateInMemory      bool   // FERRY_STATE_URL is memory:
	HookURL            string // where a Kratos on this machine reaches ferry; empty: not known
}

// Options are what an examination is made of. Required are Now, ID and Hooks; a room
// that is nil could not be made, and what needs it is skipped.
type Options struct {
	Settings Settings

	Tenant     *upstream.Tenant
	Auth0      *upstream.Client
	Management *upstream.Management
	Kratos     *kratos.Client
	// Mapper makes the mapper for a schema; MapperFault is why there is none.
	Mapper      func(*mapping.Schema) mapping.Mapper
	MapperFault error

	// State tries the Redis of FERRY_STATE_URL. Its refusal is Redis' own error code; empty:
	// Redis gave no answer. Nil: there is none to try.
	State func(context.Context) (refusal string, err error)

	// KratosConfig is kratos.yml; nil: not named.
	KratosConfig []byte
	// KratosConfigMode are the permissions of its file; 0: not known.
	KratosConfigMode fs.FileMode
	// ReadTemplate reads a template that kratos.yml keeps in a file, by the name that it
	// has there; nil: none is looked at.
	ReadTemplate func(name string) ([]byte, error)
	// Hooks carries the calls of ferry's own hooks. It need not follow redirects: none
	// is followed.
	Hooks http.RoundTripper
	// Egress are the addresses from which Auth0 sees ferry, if the operator knows.
	Egress []netip.Addr
	// NoGrant: nothing is asked of Auth0 that it could count as a failed login.
	NoGrant bool

	// HashIdentifier makes the hash that stands for an identifier in ferry's log and in
	// recordings; nil: it is not known here. Only Why uses it.
	HashIdentifier func(identifier string) string

	Now func() time.Time
	// ID makes a UUID that nobody has.
	ID func() string
}

// checkTimeout bounds one check.
const checkTimeout = 10 * time.Second

// doctor is one run of the checks.
type doctor struct {
	Options

	config      *kratosConfig // nil: not named, or not readable
	configFault error
	timeout     time.Duration
}

// Examine runs every check and reports every check. It takes a minute at most where
// everything hangs, some seconds as a rule.
func Examine(ctx context.Context, o Options) Report {
	e := newDoctor(o)
	parts := []func(context.Context) []Check{
		e.settings, e.state, e.auth0, e.management, e.kratos, e.kratosConfig, e.roundTrips,
	}
	found := make([][]Check, len(parts))
	var all sync.WaitGroup
	for i, part := range parts {
		all.Go(func() { found[i] = part(ctx) })
	}
	all.Wait()
	var report Report
	for _, checks := range found {
		report.Checks = append(report.Checks, checks...)
	}
	return report
}

func newDoctor(o Options) *doctor {
	e := &doctor{Options: o, timeout: checkTimeout}
	if o.KratosConfig != nil {
		e.config, e.configFault = parseKratosConfig(o.KratosConfig)
	}
	return e
}

// checkGroup runs the checks of a part one after another, each with a timeout.
type checkGroup struct {
	doctor *doctor
	checks []Check
}

// run makes one check, and reports whether what it looked at is usable: what depends
// on it may be looked at too.
func (s *checkGroup) run(ctx context.Context, name string, check func(context.Context) Check) bool {
	ctx, cancel := context.WithTimeout(ctx, s.doctor.timeout)
	defer cancel()
	found := check(ctx)
	found.Name = name
	s.checks = append(s.checks, found)
	return found.Status == OK || found.Status == Warn
}

// skip reports checks that cannot be made.
func (s *checkGroup) skip(why string, names ...string) {
	for _, name := range names {
		s.checks = append(s.checks, Check{Name: name, Status: Skip, Detail: why})
	}
}

func ok(format string, args ...any) Check {
	return Check{Status: OK, Detail: fmt.Sprintf(format, args...)}
}

func skipped(why string) Check { return Check{Status: Skip, Detail: why} }

func warn(fix, format string, args ...any) Check {
	return Check{Status: Warn, Detail: fmt.Sprintf(format, args...), Fix: fix}
}

func fail(fix, format string, args ...any) Check {
	return Check{Status: Fail, Detail: fmt.Sprintf(format, args...), Fix: fix}
}
