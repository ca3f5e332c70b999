// Package doctor checks a setup: the settings, Auth0, Kratos, kratos.yml and the
// connections between them. Every check reports what is wrong, why it matters and what to
// change. Why does the same for the login of one user.
//
// The checks change nothing. They send at most one grant to Auth0, for a user that does
// not exist.
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

// Status is the result of a check.
type Status string

// The statuses. Only Fail means that the setup does not work.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "fail"
	// Skip: it was not checked; Detail says why.
	Skip Status = "skip"
)

// Check is one checked thing. Its texts contain no secrets.
type Check struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	// Detail says what was found and why it matters.
	Detail string `json:"detail"`
	// Fix says what to change. It is not empty for Warn and Fail. For Skip it says how the
	// check can run.
	Fix string `json:"fix"`
}

// Report is the result of all checks, in a fixed order.
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

// Fault is an invalid setting and what to change. It does not contain the value.
type Fault struct{ Name, Problem string }

// Settings are the settings of ferry that checks need.
type Settings struct {
	Faults []Fault

	// Issuer is https://DOMAIN/, and BaseURL the URL to connect to.
	Issuer, BaseURL    string
	ClientID           string
	ClientAuth         string // client_secret_post, client_secret_basic or private_key_jwt
	IDTokenAlg         string
	Realms             []string
	CustomRealms       []string
	ForwardClientIP    bool
	WriteBack          bool
	VerifiedIdentifier bool // FERRY_BINDING is verified_identifier
	RequestsPerSecond  int  // FERRY_AUTH0_REQUESTS_PER_SECOND; 0: no limit
	HookKeys           []secret.String
	MaxPasswordBytes   int
	// BruteForceAttempts and SuspiciousIPAttempts are the settings of the same names; 0: no
	// limit, or not valid.
	BruteForceAttempts   int
	SuspiciousIPAttempts int
	DataDir              string
	OryNetwork           bool // FERRY_KRATOS_ADMIN_URL is an Ory Network project
	StateInMemory        bool // FERRY_STATE_URL is memory:
	Gateway              *GatewaySettings
	Hydra                *HydraSettings    // nil: no setting of Hydra is set
	SignUp               bool              // FERRY_SIGN_UP
	Providers            map[string]string // FERRY_PROVIDERS, from Auth0's name to Kratos'
	HookURL              string            // URL of ferry for a Kratos on this machine; empty: unknown
}

// Options configure the checks. Now, ID and Hooks are required. Checks that need a client
// that is nil are skipped.
type Options struct {
	Settings Settings

	Tenant     *upstream.Tenant
	Auth0      *upstream.Client
	Management *upstream.Management
	Kratos     *kratos.Client
	// Mapper returns the mapper for a schema. If it is nil, MapperFault says why.
	Mapper      func(*mapping.Schema) mapping.Mapper
	MapperFault error
	// Rules say which verified addresses ferry trusts. Only Why uses them.
	Rules mapping.Rules

	// State runs ferry's commands on the Redis of FERRY_STATE_URL. It returns Redis' error
	// code, which is empty if Redis did not answer. Nil if there is no Redis.
	State func(context.Context) (refusal string, err error)

	// Register reports whether the users register in the Redis of FERRY_STATE_URL is complete.
	// Nil if there is no Redis.
	Register func(context.Context) (complete bool, err error)

	// Locked reports whether ferry refused a login of one user within a day, because too many
	// had failed, by the counts in the Redis of FERRY_STATE_URL. Nil if there is no Redis. Only
	// Why uses it.
	Locked func(ctx context.Context, identityID, identifier string) (bool, error)

	// Mode is the mode that the settings say: on, observe or off; empty: unknown, and
	// ModeFault may say why. Only Why uses ModeFault and InCohort.
	Mode      string
	ModeFault error
	// InCohort reports whether ferry decides logins of an identity with these identifiers and
	// traits, when this identifier is typed; nil: it decides all.
	InCohort func(typed string, identifiers []string, traits any) bool

	// KratosConfig is kratos.yml; nil: not given.
	KratosConfig []byte
	// KratosConfigMode are the permissions of its file; 0: unknown.
	KratosConfigMode fs.FileMode
	// HydraConfig is hydra.yml; nil: not given.
	HydraConfig []byte
	// ReadTemplate reads a template file by its name in kratos.yml; nil: template files are
	// not checked.
	ReadTemplate func(name string) ([]byte, error)
	// Hooks sends calls to ferry's hooks, and requests to Hydra and the token front. It must not follow redirects.
	Hooks http.RoundTripper
	// Egress are the public addresses of ferry, if the operator knows them.
	Egress []netip.Addr
	// NoGrant disables the grant, which Auth0 counts as a failed login.
	NoGrant bool

	// HashIdentifier returns the hash of an identifier in ferry's log and in recordings; nil
	// if its key is unknown. Only Why uses it.
	HashIdentifier func(identifier string) string

	Now func() time.Time
	// ID returns a new UUID.
	ID func() string
}

// checkTimeout bounds one check.
const checkTimeout = 10 * time.Second

// doctor is a run of the checks.
type doctor struct {
	Options

	config      *kratosConfig // nil: not given, or not readable
	configFault error
	timeout     time.Duration
}

// Examine runs all checks. It usually takes some seconds, and at most a minute if nothing
// answers.
func Examine(ctx context.Context, o Options) Report {
	e := newDoctor(o)
	parts := []func(context.Context) []Check{
		e.settings, e.state, e.limits, e.auth0, e.management, e.kratos, e.kratosConfig, e.gateway, e.hydra, e.roundTrips,
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

// checkGroup runs the checks of a part in order, each with a timeout.
type checkGroup struct {
	doctor *doctor
	checks []Check
}

// run runs one check. It reports whether checks that depend on it can run.
func (s *checkGroup) run(ctx context.Context, name string, check func(context.Context) Check) bool {
	ctx, cancel := context.WithTimeout(ctx, s.doctor.timeout)
	defer cancel()
	found := check(ctx)
	found.Name = name
	s.checks = append(s.checks, found)
	return found.Status == OK || found.Status == Warn
}

// skip reports checks that cannot run.
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
