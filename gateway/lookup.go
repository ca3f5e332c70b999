package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"

	"ferry/gateway/submit"
	"ferry/provision"
	"ferry/tracing"
	"ferry/wire"
)

// tooLong reports whether one of the identifiers is longer than any e-mail address: then none
// is looked up or sent to Auth0.
func tooLong(identifiers []string) bool {
	return slices.ContainsFunc(identifiers, func(s string) bool { return len(s) > wire.MaxEmailBytes })
}

// emailOf returns the first e-mail address; empty if there is none.
func emailOf(identifiers []string) string {
	i := slices.IndexFunc(identifiers, func(s string) bool { return strings.Contains(s, "@") })
	if i < 0 {
		return ""
	}
	return identifiers[i]
}

// byIdentifier looks the user up at Auth0 and creates the identity.
func (g *Gateway) byIdentifier(ctx context.Context, door provision.Door, email string) (provision.Result, error) {
	ctx, span := tracing.Start(ctx, "look up and create identity")
	defer span.End()
	result, err := g.opts.Provisioner.ByIdentifier(ctx, door, email)
	tracing.Ended(span, "", result.Reason)
	tracing.Failed(span, err)
	return result, err
}

// lookUp handles a request that names a user and has no password.
func (g *Gateway) lookUp(ctx context.Context, r *http.Request, s submit.Submit) verdict {
	failed := verdict{is: pass}
	if s.Route == submit.Login {
		failed.is = outage
	}
	because := func(reason string) verdict { return verdict{failed.is, reason} }
	email := emailOf(s.Identifiers)
	switch {
	case tooLong(s.Identifiers):
		return verdict{pass, resultIdentifierLength}
	case !g.opts.Provisioner.CanLookUp() || email == "":
		return verdict{pass, provision.EnsuredNothing}
	}
	known, err := g.known(ctx, s.Identifiers)
	switch {
	case err != nil && s.Route == submit.Login:
		g.opts.Log.Warn("gateway: Kratos' admin API", zap.Error(err))
		return verdict{passUnsure, resultKratosUnavailable}
	case err != nil:
		g.opts.Log.Warn("gateway: Kratos' admin API", zap.Error(err))
		return verdict{pass, resultKratosUnavailable}
	case known:
		return verdict{pass, provision.ReasonKnown}
	case g.paused(s) != "":
		return because(g.paused(s))
	}
	if err := g.opts.Provisioner.Ready(ctx); err != nil {
		g.opts.Log.Warn("gateway: not ready", zap.Error(err))
		return because(provision.EnsureNotReady)
	}
	if g.opts.Budget.NoUser(ctx, email) {
		return verdict{pass, provision.ReasonNoUser}
	}
	switch {
	case !g.limits.Allow(g.clientIP(r)):
		if failed.is == outage {
			return verdict{tooMany, resultLimitedAddress}
		}
		return because(resultLimitedAddress)
	case !g.opts.Budget.Allow():
		return because(provision.EnsureLimited)
	}
	door := provision.DoorIdentifier
	if s.Route == submit.Recovery {
		door = provision.DoorRecovery
	}
	result, err := g.byIdentifier(ctx, door, email)
	switch {
	case err != nil:
		g.opts.Log.Warn("gateway: user not looked up", zap.Error(err))
		return because(provision.EnsureFailed)
	case result.Created:
		return verdict{pass, provision.EnsuredNow}
	case result.Reason == provision.ReasonObserved:
		return because(result.Reason)
	case result.Reason == provision.ReasonNoUser:
		if err := g.opts.Budget.RememberNoUser(ctx, email); err != nil {
			g.opts.Log.Warn("gateway: result not remembered", zap.Error(err))
		}
	}
	return verdict{pass, result.Reason}
}
