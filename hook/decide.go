package hook

import (
	"context"
	"errors"
	"slices"
	"strings"

	"go.uber.org/zap"

	"ferry/attempt"
	"ferry/clientip"
	"ferry/identifier"
	"ferry/kratos"
	"ferry/mode"
	"ferry/outcome"
	"ferry/provenance"
	"ferry/state"
	"ferry/tracing"
	"ferry/upstream"
	"ferry/wire"
)

// decide returns the outcome of one login. Auth0 is asked at most once, and only
// about an identity that could match.
func (h *Handler) decide(ctx context.Context, req migrationRequest, delivery string, e *call) outcome.Outcome {
	arrived := h.opts.Now()
	if h.mode() == mode.Off {
		e.IdentifierHash, e.Reason = h.hash(identifier.Normalize(req.Identifier)), reasonOff
		return outcome.Paused
	}
	if req.Password.Len() > h.opts.MaxPasswordBytes {
		e.Reason = "password_length"
		return outcome.Oversize
	}
	identifier := identifier.Normalize(req.Identifier)
	e.IdentifierHash = h.hash(identifier)
	if h.opts.Closed {
		return outcome.Closed
	}
	identity, refused := h.identity(ctx, req, identifier, e)
	if refused != 0 {
		return refused
	}
	realm, ok := h.realm(identity.Binding)
	if !ok {
		e.Reason = "realm_not_listed"
		return outcome.Misconfigured
	}
	e.realm = realm
	if !h.inCohort(identity, identifier) {
		e.Reason = reasonOutside
		return outcome.Paused
	}
	ip := clientip.From(req.Client.IP, h.opts.TrustedProxies)
	credentials := upstream.Credentials{Username: h.username(identity, realm), Password: req.Password, Realm: realm}
	if h.opts.ForwardClientIP {
		credentials.ClientIP = ip
	}
	e.asked = true
	started := h.opts.Now()
	answer, err := h.attempts.Verify(ctx, attempt.Login{IdentityID: identity.ID, Credentials: credentials, IP: ip, Delivery: delivery, Arrived: arrived})
	e.UpstreamTook, e.answeredByAuth0 = h.opts.Now().Sub(started), answer.Asked
	if err != nil {
		return e.loginError(err)
	}
	e.passwordConfirmed = true
	ctx, deciding := tracing.Start(ctx, "decide")
	defer deciding.End()
	if h.opts.Audit != nil {
		e.subjectHash = h.hash(answer.Profile.Subject)
	}
	o := h.judge(identity, answer.Profile, identifier)
	if o == outcome.Match {
		o = h.given(e)
	}
	if o == outcome.Match {
		h.putHandoff(ctx, identity, req, realm, answer.Profile)
	}
	return o
}

// putHandoff stores the profile for the after-login hook. The login goes on if the store
// is down.
func (h *Handler) putHandoff(ctx context.Context, identity kratos.Identity, req migrationRequest, realm string, profile upstream.Profile) {
	err := h.opts.Store.Put(ctx, state.Handoff{
		IdentityID: identity.ID, FlowID: req.Flow.ID, Subject: profile.Subject, Connection: realm,
		Claims: []byte(profile.Claims), MatchedAt: h.opts.Now(), Traceparent: tracing.Parent(ctx),
	})
	if err != nil {
		h.metrics.stateFault(operationKeep)
		h.opts.Log.Error("profile not kept", zap.String("identity_id", identity.ID), zap.String("subject_hash", h.hash(profile.Subject)), zap.Error(err))
		return
	}
	h.metrics.kept.Inc()
}

// identity finds the identity, and refuses one that could not match whatever Auth0
// answers. The outcome is zero if Auth0 may be asked about it.
//
// Kratos calls the hook for an identity that it has just read as pending. A change since
// then is not the user's doing, and the next login settles it: those outcomes are an
// outage. An identity that is deactivated or unbound was so when Kratos read it, or stays
// so: this login must fail.
func (h *Handler) identity(ctx context.Context, req migrationRequest, identifier string, e *call) (kratos.Identity, outcome.Outcome) {
	if identifier == "" || len(identifier) > wire.MaxIdentifierBytes {
		e.Reason = "identifier_length"
		return kratos.Identity{}, outcome.Oversize
	}
	started := h.opts.Now()
	looking, span := tracing.Start(ctx, "look up identity")
	identity, err := h.lookUp(looking, req, identifier)
	tracing.Failed(span, err)
	span.End()
	e.KratosTook = h.opts.Now().Sub(started)
	if err != nil {
		return kratos.Identity{}, e.lookupFailure(err)
	}
	e.IdentityID = identity.ID
	switch {
	case req.Identity.ID != "" && !strings.EqualFold(req.Identity.ID, identity.ID):
		e.Reason = "identity_differs"
		return identity, outcome.InvalidResponse
	case !identity.Active:
		return identity, outcome.Inactive
	case req.Identity.State != "" && req.Identity.State != "active":
		e.Reason = "activated_meanwhile"
		return identity, outcome.Unavailable
	case !identity.Pending:
		return identity, outcome.NotPending
	case len(identity.Binding.Subjects) > 0:
		return identity, 0
	case !h.opts.TrustVerifiedIdentifier:
		return identity, outcome.Unbound
	case !identity.Lists:
		// Only the comparison with what Auth0 verified ties this login to the identity.
		e.Reason = "identifier_differs"
		return identity, outcome.Unavailable
	case !isOf(identity, identifier):
		e.Reason = "trait_differs"
		return identity, outcome.Unbound
	}
	return identity, 0
}

// lookUp asks Kratos once. If the request names the identity, that one is read, whatever
// form of the identifier it lists: the binding is the proof. Otherwise the identity is
// the one that lists the identifier exactly.
func (h *Handler) lookUp(ctx context.Context, req migrationRequest, identifier string) (kratos.Identity, error) {
	if id := onlyUUID(req.Identity.ID); id != "" {
		return h.opts.Identities.Get(ctx, id, identifier)
	}
	return h.opts.Identities.Find(ctx, identifier)
}

// judge is the only place that returns Match: the identity is active and pending, the
// password was right, the subject is verified, and this identity was imported from it.
func (h *Handler) judge(identity kratos.Identity, profile upstream.Profile, identifier string) outcome.Outcome {
	unbound := len(identity.Binding.Subjects) == 0
	switch {
	case !identity.Active || !identity.Pending || profile.Subject == "":
		return outcome.InvalidResponse
	case identity.Binding.Has(profile.Subject),
		unbound && h.opts.TrustVerifiedIdentifier && isOf(identity, identifier) && verifiedAs(profile, identifier):
		return outcome.Match
	case unbound:
		return outcome.Unbound
	}
	return outcome.SubjectMismatch
}

// isOf reports whether an identity belongs to the owner of an identifier: it lists the
// identifier, and not because Kratos takes the mailbox in the trait for another one.
func isOf(identity kratos.Identity, typed string) bool {
	return identity.Lists && (identity.Trait == "" || identifier.NormalizeEmail(identity.Trait) == typed)
}

// verifiedAs reports whether Auth0 verified that the user owns the identifier. Two
// mailboxes that Kratos would look up as one, such as kim@ and the same with a Kelvin
// sign, count as two.
func verifiedAs(p upstream.Profile, typed string) bool {
	email := p.EmailVerified && p.Email != "" && identifier.NormalizeEmail(p.Email) == typed
	phone := p.PhoneVerified && p.Phone != "" && upstreamUsername(identifier.Normalize(p.Phone)) == upstreamUsername(typed)
	return email || phone
}

// realm is the connection to send an identity's password to: the one it records, or the
// first of the Realms. It is false if the recorded one is not among the Realms.
func (h *Handler) realm(b provenance.Binding) (string, bool) {
	switch {
	case len(h.opts.Realms) == 0:
		return "", true
	case b.Connection == "":
		return h.opts.Realms[0], true
	}
	return b.Connection, slices.Contains(h.opts.Realms, b.Connection)
}

// username is the username for Auth0: the identifier as Kratos stores it, or, in a
// connection that may be case-sensitive, as the identity's trait has it.
func (h *Handler) username(identity kratos.Identity, realm string) string {
	identifier := identity.Identifier
	if slices.Contains(h.opts.CustomRealms, realm) && identity.Trait != "" {
		identifier = strings.TrimSpace(identity.Trait)
	}
	return upstreamUsername(identifier)
}

// upstreamUsername returns the identifier as Auth0 knows it: as Kratos stores it, but a
// phone number in E.164.
func upstreamUsername(stored string) string {
	if number, isPhone := identifier.E164(stored); isPhone {
		return number
	}
	return stored
}

// loginError notes what Auth0 answered.
func (e *call) loginError(err error) outcome.Outcome {
	var r *upstream.LoginError
	if !errors.As(err, &r) || r.Outcome == outcome.Match {
		e.Reason = "unknown_error"
		return outcome.InvalidResponse
	}
	e.Reason, e.UpstreamStatus, e.UpstreamCode = r.Reason, r.Status, r.Code
	if upstream.Unasked(r.Reason) {
		e.asked, e.UpstreamTook = false, 0
	}
	return r.Outcome
}

// lookupFailure notes why the identity could not be found.
func (e *call) lookupFailure(err error) outcome.Outcome {
	var k *kratos.Error
	if !errors.As(err, &k) || k.Outcome == outcome.Match {
		e.Reason = "unknown_error"
		return outcome.InvalidResponse
	}
	e.Reason = "kratos_" + k.Reason
	return k.Outcome
}
