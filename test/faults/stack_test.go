// Package faults breaks the connections between Kratos, ferry, Auth0 and Redis while users
// log in. Each part is real, Auth0 excepted, and toxiproxy stands between them. Whatever
// fails:
//
//	a wrong password never logs in
//	an outage is never reported as a wrong password
//	a login asks Auth0 once at most, and once more for each kill of ferry meanwhile
//	an identity is pending, or migrated with the password of its user
//	logins work again as soon as the fault is over
package faults

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ferry/test/auth0sim"
	"ferry/test/await"
	"ferry/test/ferrytest"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
	"ferry/test/redistest"
	"ferry/wiring"
)

func TestMain(m *testing.M) {
	// Toxiproxy leaves goroutines behind where a connection ends within an answer.
	built.Main(m, goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"))
}

const (
	hookKey      = "faults-hook-key-5e1d0c2b-0123456789abcdef"
	stateKey     = "faults-state-key-0123456789-0123456789abcdef"
	clientID     = "ferry"
	clientSecret = "faults-client-secret-77aa31"
	connection   = "Username-Password-Authentication"

	deliveries = 3 // how often Kratos calls a hook that does not answer
)

// stack is everything between a user and Auth0, with a hop between each two parts.
type stack struct {
	t      *testing.T
	sim    *auth0sim.Server
	kratos *kratostest.Kratos
	redis  *redistest.Server
	ferry  atomic.Pointer[ferrytest.Ferry]

	toFerry, toAuth0, toKratos, toRedis *hop

	watch    *witness // between toFerry and ferry; may be nil
	perLogin int      // how often Auth0 may be asked in one login without a kill

	mu    sync.Mutex
	kills []kill

	under   func() []string // a command that runs ferry; may be nil
	logFile string          // where it sends ferry's log; may be empty

	people atomic.Int64
	wrong  atomic.Int64
}

func start(t *testing.T) *stack {
	t.Helper()
	limits := auth0sim.RelaxedSettings()
	s := &stack{t: t, perLogin: 1}
	s.sim = auth0sim.Run(t, auth0sim.Config{Settings: &limits, Tenant: &auth0sim.Tenant{
		DefaultDirectory: connection,
		Connections:      []auth0sim.Connection{{Name: connection}},
		Apps:             []auth0sim.App{{ClientID: clientID, ClientSecret: clientSecret}},
	}})
	s.toFerry = newHop(t, "Kratos to ferry", "127.0.0.1:9") // ferry is not running yet
	s.kratos = kratostest.Run(t, kratostest.Options{
		HookURL:        "http://" + s.toFerry.address + "/hooks/password-migration",
		AfterLoginURL:  "http://" + s.toFerry.address + "/hooks/after-login",
		HookKey:        hookKey,
		MigrateJsonnet: wiring.MigrateJsonnet("X-Forwarded-For"),
		Env:            []string{"SELFSERVICE_METHODS_PASSWORD_CONFIG_HAVEIBEENPWNED_ENABLED=false"},
	})
	s.redis = redistest.Run(t, redistest.Options{})
	s.toAuth0 = newHop(t, "ferry to Auth0", host(t, s.sim.URL()))
	s.toKratos = newHop(t, "ferry to Kratos", host(t, s.kratos.AdminURL()))
	s.toRedis = newHop(t, "ferry to Redis", s.redis.Addr())
	if err := s.startFerry(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.ferry.Load().Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *stack) hops() []*hop { return []*hop{s.toFerry, s.toAuth0, s.toKratos, s.toRedis} }

// startFerry starts ferry, and leads Kratos' hooks to it.
func (s *stack) startFerry(ctx context.Context, settings ...string) error {
	opts := ferrytest.Options{Binary: built.Ferry(s.t), LogFile: s.logFile, Env: append([]string{
		"FERRY_LISTEN=127.0.0.1:0", "FERRY_ADMIN_LISTEN=127.0.0.1:0",
		"FERRY_HOOK_KEYS=" + hookKey,
		"FERRY_AUTH0_DOMAIN=" + s.sim.Domain(), "FERRY_AUTH0_BASE_URL=http://" + s.toAuth0.address,
		"FERRY_AUTH0_CLIENT_ID=" + clientID, "FERRY_AUTH0_CLIENT_SECRET=" + clientSecret,
		"FERRY_AUTH0_REALMS=" + connection, "FERRY_AUTH0_TIMEOUT=3s",
		"FERRY_AUTH0_SUSPICIOUS_IP_ATTEMPTS=0", // all users come from one address
		"FERRY_KRATOS_ADMIN_URL=http://" + s.toKratos.address,
		"FERRY_STATE_URL=redis://" + s.toRedis.address, "FERRY_STATE_KEY=" + stateKey,
	}, settings...)}
	if s.under != nil {
		opts.Under = s.under()
	}
	ferry, err := ferrytest.Start(ctx, opts)
	if err != nil {
		return err
	}
	s.ferry.Store(ferry)
	if s.watch != nil {
		s.watch.leadsTo(hostOfFerry(s))
		return nil
	}
	return s.toFerry.leadsTo(hostOfFerry(s))
}

// person is a user of Auth0 whose identity is pending.
type person struct {
	email, password, subject, identity string

	logins atomic.Int64 // with a password
	mayAsk atomic.Int64 // how often Auth0 may be asked in them
}

// person creates a user.
func (s *stack) person(ctx context.Context) (*person, error) {
	n := s.people.Add(1)
	p := &person{
		email: fmt.Sprintf("person%d@example.org", n), password: fmt.Sprintf("Right password %d", n),
		subject: fmt.Sprintf("auth0|person%d", n),
	}
	_, err := s.sim.AddUser(auth0sim.User{ID: p.subject, Connection: connection, Email: p.email, EmailVerified: true, Password: p.password})
	if err != nil {
		return nil, err
	}
	p.identity, err = s.kratos.CreateIdentity(ctx, kratostest.IdentitySpec{
		Traits: map[string]any{"email": p.email}, MetadataAdmin: map[string]any{"auth0": map[string]any{"user_id": p.subject}}, Pending: true,
	})
	return p, err
}

// tries logs a person in.
func (s *stack) tries(ctx context.Context, p *person, password string) (kratostest.Login, error) {
	from := time.Now()
	got, err := s.kratos.LoginAPI(ctx, p.email, password)
	s.allow(p, from)
	return got, errors.Join(err, s.spared(p))
}

// allow notes how often Auth0 may be asked in a login that began at from and has ended.
func (s *stack) allow(p *person, from time.Time) {
	p.logins.Add(1)
	p.mayAsk.Add(int64(min(s.perLogin+s.killsSince(from), deliveries)))
}

// spared checks that Auth0 was not asked about a person more often than their logins allow. None
// may be in progress.
func (s *stack) spared(p *person) error {
	if asked, may := int64(s.sim.Attempts(p.subject)), p.mayAsk.Load(); asked > may {
		return fmt.Errorf("%s: %d attempts in %d logins, which may cost %d", p.email, asked, p.logins.Load(), may)
	}
	return nil
}

// login logs a person in with their own password, and checks what they see.
func (s *stack) login(ctx context.Context, p *person) (in bool, err error) {
	got, err := s.tries(ctx, p, p.password)
	if err != nil {
		return false, err
	}
	switch {
	case got.Sees() == kratostest.SeesSession && got.IdentityID == p.identity:
		return true, nil
	case got.Sees() == kratostest.SeesUnavailable:
		return false, nil
	default:
		return false, fmt.Errorf("%s with the right password: %s (identity %s)", p.email, got.Sees(), got.IdentityID)
	}
}

// loginWrong tries a password that the person never had.
func (s *stack) loginWrong(ctx context.Context, p *person) error {
	got, err := s.tries(ctx, p, fmt.Sprintf("Wrong password %d", s.wrong.Add(1)))
	if err != nil {
		return err
	}
	if sees := got.Sees(); sees != kratostest.SeesInvalidCredentials && sees != kratostest.SeesUnavailable {
		return fmt.Errorf("%s with a wrong password: %s", p.email, sees)
	}
	return nil
}

// recovers logs a person in once everything works again, and checks what is stored.
func (s *stack) recovers(ctx context.Context, p *person) error {
	var in bool
	var err error
	await.True(func() bool {
		in, err = s.login(ctx, p)
		return in || err != nil
	})
	if err != nil || !in {
		return fmt.Errorf("%s does not get in after the fault: %w", p.email, err)
	}
	return s.settled(ctx, p)
}

// settled checks an identity that has migrated: Kratos knows the password, no other one
// works, and Auth0 is not asked any more.
func (s *stack) settled(ctx context.Context, p *person) error {
	identity, err := s.kratos.Get(ctx, p.identity)
	if err != nil {
		return err
	}
	if identity.Pending || identity.HashedPassword == "" {
		return fmt.Errorf("%s has logged in and is not migrated: pending %t", p.email, identity.Pending)
	}
	asked := s.sim.Attempts(p.subject)
	if in, err := s.login(ctx, p); err != nil || !in {
		return fmt.Errorf("%s: the second login: %t, %w", p.email, in, err)
	}
	if err := s.loginWrong(ctx, p); err != nil {
		return err
	}
	if now := s.sim.Attempts(p.subject); now != asked {
		return fmt.Errorf("%s: Auth0 was asked after the migration", p.email)
	}
	return nil
}

// bounded is the context of one step of a test.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}
