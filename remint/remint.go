// Package remint replaces a refresh token of Auth0 with one of Hydra, when the application that
// holds it asks for new tokens. The application is not changed, and its user is not asked.
//
//	the client, its credentials and the first step of Hydra's flow    before anything is spent
//	redeem the token at Auth0                                         once
//	whose it is: a verified subject, bound to one active identity     made if unknown and allowed
//	tokens for that identity from Hydra                               package hydra
//
// Redeeming may end the token, so what Auth0 answered must not be lost. A record, sealed and
// under a keyed hash of client and token, says how far a token got:
//
//	new       there is no record
//	redeeming the token is about to be sent to Auth0, or was sent and its answer not seen
//	redeemed  Auth0 answered: its answer is in the record, with the successor of the token
//	minted    Hydra gave tokens: they are in the record
//	answered  the client has the tokens: it has used the refresh token among them
//
// Each state is written, and on the disk, before the next step begins. A process may end at any
// point; the next try with the same token, at any replica, goes on:
//
//	it ended before       state      the next try
//	asking Auth0          redeeming  redeems the token again: Auth0 has not seen it
//	the write of redeemed redeeming  redeems the token again (see below)
//	the end at Hydra      redeemed   asks Auth0 nothing; a chain of tokens that Hydra has
//	                                 already begun is left alone and no one has it
//	the answer            minted     gets the same answer for Grace, then new tokens
//	the client's next use minted     the same
//
// Auth0's answer serves for FreshFor. After that the successor, or the token itself if Auth0 does
// not rotate it, is redeemed, so that a user whom Auth0 has blocked since gets no tokens.
//
// One gap cannot be closed: Auth0 has answered, and the process ends before the answer is on the
// disk, or the answer is lost on the way. Auth0 then sees the token twice. It accepts that where
// it does not rotate tokens, and for the overlap period (leeway) where it does. Beyond the
// overlap period it takes the second use for a theft and revokes the family: the user logs in
// anew.
//
// Of those who bring a token at the same time one works, over all replicas, and the others wait
// and get the same answer. Whoever waits has shown valid credentials before. A client with
// private_key_jwt shows its assertion to Auth0 or Hydra in the work itself, so it never gets an
// answer that was made for another request.
//
// Whoever revokes a token of Auth0 has its chain at Hydra revoked, too, as long as a refresh token
// of the chain is in the record. Other chains of the user are those of other devices.
//
// An outage, a setting that is missing, or anything that ferry does not understand answers 503: applications log their
// users out on invalid_grant. That is the answer where Auth0 refuses the token, and where the
// user has no active identity.
package remint

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/audit"
	"ferry/hydra"
	"ferry/kratos"
	"ferry/mode"
	"ferry/provision"
	"ferry/secret"
	"ferry/state"
	"ferry/upstream"
)

// The defaults of Options.
const (
	// Grace is how long the same answer is given again.
	Grace = 30 * time.Second
	// FreshFor is how long an answer of Auth0 serves.
	FreshFor = 10 * time.Minute
	// Keep is how long a record waits for the client: Auth0's longest default lifetime of a
	// refresh token.
	Keep = 30 * 24 * time.Hour
	// Timeout bounds one re-mint, waiting for another one of the same token included.
	Timeout = 20 * time.Second
)

// Store keeps records for all replicas. What Put wrote is on the disk when it returns.
type Store interface {
	Get(ctx context.Context, key [32]byte) (text []byte, ok bool, err error)
	Put(ctx context.Context, key [32]byte, text []byte, keep time.Duration) error
	Delete(ctx context.Context, key [32]byte) error
	// Claim is won by one caller, over all replicas, until Unclaim or for ttl.
	Claim(ctx context.Context, key [32]byte, ttl time.Duration) (won bool, err error)
	Unclaim(ctx context.Context, key [32]byte) error
	// CountUse counts that a client came with a token of Auth0 that was good. Uses returns the
	// counts.
	CountUse(ctx context.Context, clientID string, at time.Time) error
	Uses(ctx context.Context) (map[string]state.RemintUse, error)
}

// auth0 redeems refresh tokens.
type auth0 interface {
	Redeem(ctx context.Context, token upstream.RefreshToken) (upstream.Redeemed, error)
	Identify(ctx context.Context, clientID string, r upstream.Redeemed) (upstream.Session, error)
	Revoke(ctx context.Context, token upstream.RefreshToken) error
}

// issuer makes tokens: a *hydra.Client.
type issuer interface {
	OAuth2Client(ctx context.Context, id string) (hydra.OAuth2Client, error)
	Probe(ctx context.Context, credentials hydra.Credentials) error
	AcceptsAssertion(ctx context.Context, assertion secret.String) (bool, error)
	Begin(ctx context.Context, client hydra.OAuth2Client) (*hydra.Flow, error)
	Mint(ctx context.Context, f *hydra.Flow, grant hydra.Grant, credentials hydra.Credentials) (hydra.Tokens, error)
	Revoke(ctx context.Context, credentials hydra.Credentials, token secret.String) error
}

// identities finds the identities of a user.
type identities interface {
	Owners(ctx context.Context, identifier string) ([]kratos.Record, error)
	ByExternalID(ctx context.Context, externalID string) (kratos.Record, bool, error)
}

// users creates the identity of a user whom Kratos does not have.
type users interface {
	Ready(ctx context.Context) error
	BySubject(ctx context.Context, subject string) (provision.Result, error)
}

// AllClients in Options.Clients stands for every client of Hydra.
const AllClients = "*"

// Options configure a Reminter. Users, Logins, Mode, Closed, Audit and the durations are optional, the rest
// is required.
type Options struct {
	// Clients are the ids of the applications whose tokens are re-minted, or AllClients alone.
	Clients    []string
	Auth0      auth0
	Hydra      issuer
	Identities identities
	Store      Store
	// Users creates identities; nil: none is created.
	Users users
	// Logins returns the identifiers of the social logins that an Auth0 user id may have become
	// in Kratos, provider:subject; nil: none.
	Logins func(subject string) []string
	// Mode returns the mode of this moment; nil: mode.On. In any other mode nothing is re-minted.
	Mode func() mode.Mode
	// Closed is true once the migration has ended: Auth0 is no longer asked.
	Closed bool
	// ForwardClientIP sends Auth0 the client's address.
	ForwardClientIP bool
	// Audit takes an audit record of each decision. It must not block.
	Audit func(audit.Record)
	Log   *zap.Logger
	// Hash stands for a user id in the log.
	Hash    func(string) string
	Metrics prometheus.Registerer
	// Now is the clock.
	Now func() time.Time

	Grace, FreshFor, Keep, Timeout time.Duration
}

// Reminter re-mints refresh tokens. It is safe for concurrent use.
type Reminter struct {
	opts    Options
	metrics *metrics
}

// New makes a Reminter. It sends nothing.
func New(opts Options) (*Reminter, error) {
	switch {
	case len(opts.Clients) == 0 || opts.Auth0 == nil || opts.Hydra == nil || opts.Identities == nil || opts.Store == nil:
		return nil, errors.New("remint: clients, Auth0, Hydra, identities and store are required")
	case opts.Log == nil || opts.Hash == nil || opts.Metrics == nil || opts.Now == nil:
		return nil, errors.New("remint: log, hash, metrics and clock are required")
	}
	for _, one := range []struct {
		value  *time.Duration
		normal time.Duration
	}{{&opts.Grace, Grace}, {&opts.FreshFor, FreshFor}, {&opts.Keep, Keep}, {&opts.Timeout, Timeout}} {
		if *one.value <= 0 {
			*one.value = one.normal
		}
	}
	if opts.Mode == nil {
		opts.Mode = func() mode.Mode { return mode.On }
	}
	if opts.Audit == nil {
		opts.Audit = func(audit.Record) {}
	}
	if opts.Logins == nil {
		opts.Logins = func(string) []string { return nil }
	}
	m, err := newMetrics(opts)
	if err != nil {
		return nil, err
	}
	return &Reminter{opts: opts, metrics: m}, nil
}

// Request is a token request of an application with a refresh token of Auth0.
type Request struct {
	// Credentials are those that the application presented, in the way in which it did.
	Credentials  hydra.Credentials
	RefreshToken secret.String
	// ClientIP is the address that the request comes from; the zero value: it is not known.
	ClientIP  netip.Addr
	RequestID string
}

// Answer is the answer to the application. Its body has tokens.
type Answer struct {
	Status int
	// Header has Content-Type, Cache-Control and, with status 503, Retry-After.
	Header http.Header
	Body   []byte
}
