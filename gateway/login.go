package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"ferry/attempt"
	"ferry/gateway/submit"
	"ferry/identifier"
	"ferry/outcome"
	"ferry/provision"
	"ferry/tracing"
	"ferry/upstream"
)

// login handles a login with a password. Kratos is asked first: Auth0 hears nothing of users
// whom Kratos has.
func (g *Gateway) login(ctx context.Context, r *http.Request, s submit.Submit) verdict {
	switch {
	case s.Password.Len() > g.opts.MaxPasswordBytes:
		return verdict{pass, resultPasswordLength}
	case tooLong(s.Identifiers):
		return verdict{pass, resultIdentifierLength}
	}
	known, err := g.known(ctx, s.Identifiers)
	switch {
	case err != nil:
		g.opts.Log.Warn("gateway: Kratos' admin API", zap.Error(err))
		return verdict{passUnsure, resultKratosUnavailable}
	case known:
		return verdict{pass, provision.ReasonKnown}
	}
	if reason := g.paused(s); reason != "" {
		return verdict{outage, reason}
	}
	if err := g.opts.Provisioner.Ready(ctx); err != nil {
		g.opts.Log.Warn("gateway: not ready", zap.Error(err))
		return verdict{outage, provision.EnsureNotReady}
	}
	ip := g.clientIP(r)
	if !g.limits.Allow(ip) {
		return verdict{tooMany, resultLimitedAddress}
	}
	started := g.opts.Now()
	profile, realm, o, reason := g.verifyInTurn(ctx, r, s)
	if o == outcome.Match {
		return g.admit(ctx, s, profile, realm, started)
	}
	g.observed(o, reason, started)
	if g.opts.UsersFault(o) {
		return verdict{pass, o.String()}
	}
	g.opts.Log.Warn("gateway: Auth0", zap.Stringer("outcome", o), zap.String("reason", reason))
	return verdict{outage, o.String()}
}

// verifyInTurn is verify, when there is a turn. It ends before the request is passed on.
func (g *Gateway) verifyInTurn(ctx context.Context, r *http.Request, s submit.Submit) (profile upstream.Profile, realm string, o outcome.Outcome, reason string) {
	if g.opts.Enter != nil {
		_, span := tracing.Start(ctx, "wait for turn")
		leave, refused := g.opts.Enter(ctx)
		tracing.Ended(span, "", refused)
		span.End()
		if refused != "" {
			return upstream.Profile{}, "", outcome.Unavailable, refused
		}
		defer leave()
	}
	return g.verify(ctx, r, s)
}

// verify asks the connections in turn, until one does not say that the password is wrong.
func (g *Gateway) verify(ctx context.Context, r *http.Request, s submit.Submit) (profile upstream.Profile, realm string, o outcome.Outcome, reason string) {
	for _, realm = range g.opts.Realms {
		login := attempt.Login{
			IP: g.clientIP(r), Arrived: g.opts.Now(),
			Credentials: upstream.Credentials{Username: g.username(s, realm), Password: s.Password, Realm: realm},
		}
		if g.opts.ForwardClientIP {
			login.Credentials.ClientIP = login.IP
		}
		answer, err := g.opts.Attempts.Verify(ctx, login)
		if err == nil {
			return answer.Profile, realm, outcome.Match, ""
		}
		o, reason = outcome.InvalidResponse, "unknown_error"
		var fault *upstream.LoginError
		if errors.As(err, &fault) && fault.Outcome != outcome.Match {
			o, reason = fault.Outcome, fault.Reason
		}
		if o != outcome.Mismatch {
			break
		}
	}
	return upstream.Profile{}, realm, o, reason
}

// username is the identifier as it is sent to Auth0.
func (g *Gateway) username(s submit.Submit, realm string) string {
	if slices.Contains(g.opts.CustomRealms, realm) {
		return strings.TrimSpace(s.Typed)
	}
	if number, isPhone := identifier.E164(s.Identifiers[0]); isPhone {
		return number
	}
	return s.Identifiers[0]
}

// admit creates the identity of a user whose password Auth0 confirmed.
func (g *Gateway) admit(ctx context.Context, s submit.Submit, profile upstream.Profile, realm string, started time.Time) verdict {
	creating, span := tracing.Start(ctx, "create identity")
	result, err := g.opts.Provisioner.ByLogin(creating, provision.Login{Profile: profile, Realm: realm, Identifier: s.Identifiers[0], Username: g.username(s, realm)})
	tracing.Ended(span, "", result.Reason)
	tracing.Failed(span, err)
	span.End()
	switch {
	case err != nil:
		g.opts.Log.Warn("gateway: identity not created", zap.Error(err))
		return verdict{outage, resultNotCreated}
	case result.Reason == provision.ReasonObserved:
		g.observed(outcome.Observed, "", started)
		return verdict{outage, result.Reason}
	case !result.Exists:
		g.observed(outcome.Denied, result.Reason, started)
		return verdict{pass, result.Reason}
	}
	keeping, span := tracing.Start(ctx, "keep login")
	defer span.End()
	if err := g.opts.Keep(keeping, s.Identifiers[0], s.Password, profile); err != nil {
		tracing.Failed(span, err)
		// The hook asks Auth0 once more.
		g.opts.Log.Warn("gateway: verified login not kept", zap.Error(err))
	}
	if result.Created {
		return verdict{pass, provision.EnsuredNow}
	}
	return verdict{pass, result.Reason}
}
