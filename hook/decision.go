package hook

import (
	"context"

	"ferry/attempt"
	"ferry/identifier"
	"ferry/outcome"
	"ferry/secret"
	"ferry/upstream"
)

// Decision is the outcome of one login, with the fields of its log line.
type Decision struct {
	Outcome        outcome.Outcome
	Reason         string
	UpstreamStatus int
	UpstreamCode   string
}

// Decide decides one login, as for a call of the migration hook with only an identifier and
// a password. It does not answer, count, log or record the login.
func (h *Handler) Decide(ctx context.Context, typed string, password secret.String) (d Decision) {
	e := &call{}
	defer func() {
		if fault := recover(); fault != nil {
			logPanic(h.opts.Log, fault)
			d = Decision{Outcome: outcome.InvalidResponse, Reason: upstream.ReasonPanic}
		}
	}()
	o := h.decide(ctx, migrationRequest{Identifier: typed, Password: password}, "", e)
	return Decision{Outcome: o, Reason: e.Reason, UpstreamStatus: e.UpstreamStatus, UpstreamCode: e.UpstreamCode}
}

// Keep keeps a login that the gateway has verified at Auth0 for the call of the migration
// hook that follows, so that Auth0 is asked once. The identity is the one with the
// identifier; the caller has just created it, or found that it exists.
func (h *Handler) Keep(ctx context.Context, typed string, password secret.String, profile upstream.Profile) error {
	identity, err := h.opts.Identities.Find(ctx, identifier.Normalize(typed))
	if err != nil {
		return err
	}
	realm, ok := h.realm(identity.Binding)
	if !ok || !identity.Binding.Has(profile.Subject) {
		return nil // the hook will not ask about this login, or about another user
	}
	return h.attempts.Keep(ctx, attempt.Login{
		IdentityID:  identity.ID,
		Credentials: upstream.Credentials{Username: h.username(identity, realm), Password: password, Realm: realm},
		Arrived:     h.opts.Now(),
	}, profile)
}
