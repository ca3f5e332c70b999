package hook

import (
	"context"
	"errors"
	"slices"
	"strings"

	"go.uber.org/zap"

	"ferry/kratos"
	"ferry/mapping"
	"ferry/outcome"
	"ferry/state"
	"ferry/upstream"
)

// decide takes one login to its outcome. Auth0 is asked at most once, and only
// about an identity that could match.
func (h *Handler) decide(ctx context.Context, req migrationRequest, delivery string, e *entry) outcome.Outcome {
	if req.Password.Len() > h.opts.MaxPasswordBytes {
		e.reason = "password_length"
		return outcome.Oversize
	}
	identifier := kratos.NormalizeIdentifier(req.Identifier)
	e.identifier = Hash(h.opts.LogHashKey, identifier)
	if h.opts.Closed {
		return outcome.Closed
	}
	identity, refused := h.identity(ctx, req, identifier, e)
	if refused != 0 {
		return refused
	}
	realm, ok := h.realm(identity.Binding)
	if !ok {
		e.reason = "realm_not_listed"
		return outcome.Misconfigured
	}
	ip := clientIP(req.Client.IP, h.opts.TrustedProxies)
	question := upstream.Question{Username: h.username(identity, identifier, realm), Password: req.Password, Realm: realm}
	if h.opts.ForwardClientIP {
		question.ClientIP = ip
	}
	e.sent = true
	started := h.opts.Now()
	profile, err := h.attempts.Ask(ctx, login{identityID: identity.ID, question: question, ip: ip, delivery: delivery})
	e.upstream = h.opts.Now().Sub(started)
	if err != nil {
		return e.refusal(err)
	}
	e.right = true
	o := h.judge(identity, profile, identifier)
	if o == outcome.Match {
		h.keep(ctx, identity, req, realm, profile)
	}
	return o
}

// keep leaves the profile for the hook after the login. A store that is down costs
// the person nothing.
func (h *Handler) keep(ctx context.Context, identity kratos.Identity, req migrationRequest, realm string, profile upstream.Profile) {
	err := h.opts.Profiles.Keep(ctx, state.Kept{
		IdentityID: identity.ID, FlowID: req.Flow.ID, Subject: profile.Subject, Connection: realm,
		Claims: []byte(profile.Claims), MatchedAt: h.opts.Now(),
	})
	if err != nil {
		h.metrics.stateFault("keep")
		h.opts.Log.Error("profile not kept", zap.String("identity_id", identity.ID), zap.String("subject", profile.Subject), zap.Error(err))
	}
}

// identity finds the identity, and refuses one that no answer of Auth0's could make
// match. The outcome is zero where it may be asked about.
func (h *Handler) identity(ctx context.Context, req migrationRequest, identifier string, e *entry) (kratos.Identity, outcome.Outcome) {
	if identifier == "" || len(identifier) > maxIdentifierBytes {
		e.reason = "identifier_length"
		return kratos.Identity{}, outcome.Oversize
	}
	started := h.opts.Now()
	identity, err := h.opts.Identities.Find(ctx, identifier)
	e.kratos = h.opts.Now().Sub(started)
	if err != nil {
		return kratos.Identity{}, e.lookupFailure(err)
	}
	e.identityID = identity.ID
	switch {
	case req.Identity.ID != "" && !strings.EqualFold(req.Identity.ID, identity.ID):
		e.reason = "identity_differs"
		return identity, outcome.Garbled
	case !identity.Active, req.Identity.State != "" && req.Identity.State != "active":
		return identity, outcome.Inactive
	case !identity.Pending:
		return identity, outcome.NotPending
	case len(identity.Binding.Subjects) == 0 && !h.opts.TrustVerifiedIdentifier:
		return identity, outcome.Unbound
	}
	return identity, 0
}

// judge is the only place that says match: the identity is active and pending, the
// password was right, the subject is verified, and it is one that this identity was
// imported from.
func (h *Handler) judge(identity kratos.Identity, profile upstream.Profile, identifier string) outcome.Outcome {
	unbound := len(identity.Binding.Subjects) == 0
	switch {
	case !identity.Active || !identity.Pending || profile.Subject == "":
		return outcome.Garbled
	case identity.Binding.Has(profile.Subject),
		unbound && h.opts.TrustVerifiedIdentifier && verifiedAs(profile, identifier):
		return outcome.Match
	case unbound:
		return outcome.Unbound
	}
	return outcome.SubjectMismatch
}

// verifiedAs reports whether Auth0 verified that the user holds the identifier. Two
// mailboxes that Kratos would look up as one, kim@ and the same with a Kelvin sign,
// are two.
func verifiedAs(p upstream.Profile, identifier string) bool {
	email := p.EmailVerified && p.Email != "" && mapping.Address{Value: p.Email, Via: mapping.ViaEmail}.Normalize().Value == identifier
	phone := p.PhoneVerified && p.Phone != "" && upstreamUsername(kratos.NormalizeIdentifier(p.Phone)) == upstreamUsername(identifier)
	return email || phone
}

// realm is the connection to ask about an identity: the one it records, if that may
// be asked, else the first that may.
func (h *Handler) realm(b kratos.Binding) (string, bool) {
	switch {
	case len(h.opts.Realms) == 0:
		return "", true
	case b.Connection == "":
		return h.opts.Realms[0], true
	}
	return b.Connection, slices.Contains(h.opts.Realms, b.Connection)
}

// username is what Auth0 is asked about: the identifier as Kratos stores it, or, in
// a connection that may tell upper case from lower, as the identity's trait has it.
func (h *Handler) username(identity kratos.Identity, identifier, realm string) string {
	if slices.Contains(h.opts.CustomRealms, realm) && identity.Trait != "" {
		identifier = strings.TrimSpace(identity.Trait)
	}
	return upstreamUsername(identifier)
}

// upstreamUsername is the identifier as Auth0 knows it: as Kratos stores it, but a
// phone number in E.164, without the blanks and marks that people put into one.
func upstreamUsername(identifier string) string {
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -./()\u00a0", r) {
			return -1
		}
		return r
	}, identifier)
	rest, international := strings.CutPrefix(digits, "+")
	isDigit := func(r rune) bool { return r >= '0' && r <= '9' }
	if !international || len(rest) < 7 || len(rest) > 15 || strings.ContainsFunc(rest, func(r rune) bool { return !isDigit(r) }) {
		return identifier
	}
	return digits
}

// refusal notes what Auth0 answered.
func (e *entry) refusal(err error) outcome.Outcome {
	var r *upstream.Refusal
	if !errors.As(err, &r) || r.Outcome == outcome.Match {
		e.reason = "unknown_error"
		return outcome.Garbled
	}
	e.reason, e.upstreamStatus, e.upstreamCode = r.Reason, r.Status, r.Code
	return r.Outcome
}

// lookupFailure notes why the identity could not be told.
func (e *entry) lookupFailure(err error) outcome.Outcome {
	var k *kratos.Error
	if !errors.As(err, &k) || k.Outcome == outcome.Match {
		e.reason = "unknown_error"
		return outcome.Garbled
	}
	e.reason = "kratos_" + k.Reason
	return k.Outcome
}
