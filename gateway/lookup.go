package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"ferry/gateway/submit"
	"ferry/provision"
)

// noUserFor is how long it is remembered that Auth0 has no user with an identifier. Whoever
// signs up there meanwhile waits that long.
const noUserFor = 5 * time.Minute

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
	key := g.noUserKey(email)
	if _, found, err := g.opts.Memory.Recall(ctx, key); found && err == nil {
		return verdict{pass, provision.ReasonNoUser}
	}
	switch {
	case !g.limits.allow(g.clientIP(r)):
		if failed.is == outage {
			return verdict{tooMany, "limited_address"}
		}
		return because("limited_address")
	case !g.limits.allowLookUp():
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
		if err := g.opts.Memory.Remember(ctx, key, []byte("{}"), noUserFor); err != nil {
			g.opts.Log.Warn("gateway: result not remembered", zap.Error(err))
		}
	}
	return verdict{pass, result.Reason}
}

// noUserKey is a keyed hash of the identifier.
func (g *Gateway) noUserKey(identifier string) [32]byte {
	key := g.opts.Memory.HashKey()
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte("gateway: no user: " + identifier))
	return [32]byte(mac.Sum(nil))
}
