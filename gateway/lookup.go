package gateway

import (
	"context"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"ferry/gateway/submit"
	"ferry/provision"
)

// maxEmailBytes is the longest identifier that is looked up: RFC 5321 allows no longer
// address.
const maxEmailBytes = 320

// lookUp handles a request that names a user and has no password.
func (g *Gateway) lookUp(ctx context.Context, r *http.Request, s submit.Submit) verdict {
	failed := verdict{is: pass}
	if s.Route == submit.Login {
		failed.is = outage
	}
	because := func(reason string) verdict { return verdict{failed.is, reason} }
	email := s.Identifiers[0]
	if !g.opts.Provisioner.CanLookUp() || !strings.Contains(email, "@") || len(email) > maxEmailBytes {
		return verdict{pass, "not_looked_up"}
	}
	known, err := g.known(ctx, s.Identifiers)
	switch {
	case err != nil && s.Route == submit.Login:
		g.opts.Log.Warn("gateway: Kratos' admin API", zap.Error(err))
		return verdict{passUnsure, "kratos_unavailable"}
	case err != nil:
		g.opts.Log.Warn("gateway: Kratos' admin API", zap.Error(err))
		return verdict{pass, "kratos_unavailable"}
	case known:
		return verdict{pass, provision.ReasonKnown}
	}
	if err := g.opts.Provisioner.Ready(ctx); err != nil {
		g.opts.Log.Warn("gateway: not ready", zap.Error(err))
		return because("not_ready")
	}
	if g.opts.Budget.NoUser(ctx, email) {
		return verdict{pass, provision.ReasonNoUser}
	}
	switch {
	case !g.limits.allow(g.clientIP(r)):
		if failed.is == outage {
			return verdict{tooMany, "limited_address"}
		}
		return because("limited_address")
	case !g.opts.Budget.Allow():
		return because("limited_lookups")
	}
	door := provision.DoorIdentifier
	if s.Route == submit.Recovery {
		door = provision.DoorRecovery
	}
	result, err := g.opts.Provisioner.ByIdentifier(ctx, door, email)
	switch {
	case err != nil:
		g.opts.Log.Warn("gateway: user not looked up", zap.Error(err))
		return because("not_looked_up_failed")
	case result.Created:
		return verdict{pass, "created"}
	case result.Reason == provision.ReasonNoUser:
		if err := g.opts.Budget.RememberNoUser(ctx, email); err != nil {
			g.opts.Log.Warn("gateway: result not remembered", zap.Error(err))
		}
	}
	return verdict{pass, result.Reason}
}
