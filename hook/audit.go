package hook

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"ferry/audit"
	"ferry/secret"
	"ferry/state"
	"ferry/tracing"
	"ferry/wire"
)

// KeyIDs returns the ids of the keys in audit records.
func KeyIDs(logHashKey secret.String, keys []secret.String) []string {
	ids := make([]string, 0, len(keys))
	for _, key := range keys {
		ids = append(ids, Hash(logHashKey, "key "+key.Reveal()))
	}
	return ids
}

// auditCall writes the audit record of a call, if its end is a decision.
func (h *Handler) auditCall(c echo.Context, e *call) {
	if h.opts.Audit == nil {
		return
	}
	r := audit.Record{
		Action: actionOf(e.Route), Outcome: e.Outcome, Reason: e.Reason, Route: e.Route, Status: e.Status, Mode: h.mode().String(),
		IdentityID: e.IdentityID, IdentifierHash: e.IdentifierHash, SubjectHash: e.subjectHash, Realm: e.realm, Auth0Asked: e.answeredByAuth0,
		FlowID: onlyUUID(e.flowID), RequestID: onlyUUID(c.Request().Header.Get(wire.HeaderRequestID)), TriggerID: onlyUUID(c.Request().Header.Get(wire.HeaderTriggerID)),
	}
	r.TraceID, r.SpanID = tracing.IDs(c.Request().Context())
	switch {
	case e.Outcome != outcomeCaller:
		r.Actor = audit.Actor{Kind: audit.Caller, KeyID: h.keyID(c.Request())}
	case e.Status == http.StatusUnauthorized:
		r.Action, r.Actor = audit.AuthenticationFailure, audit.Actor{Kind: audit.Unknown}
	default:
		return // a request that could not be read: nothing was decided
	}
	h.opts.Audit(r)
}

func actionOf(route string) audit.Action {
	switch route {
	case wire.RouteAfterLogin:
		return audit.ProfileWrite
	case wire.RouteAfterRegistration:
		return audit.SignUp
	case wire.RouteEnsure:
		return audit.Ensure
	}
	return audit.Login
}

// keyID is the id of the key that the request presents.
func (h *Handler) keyID(r *http.Request) string {
	for i, key := range h.opts.Keys {
		if secret.Presented(r, key) {
			return h.keyIDs[i]
		}
	}
	return ""
}

// auditProfile writes the audit record of something that ferry did with a profile by itself.
func (s *profileSyncer) auditProfile(ctx context.Context, action audit.Action, outcome, reason string, handoff state.Handoff) {
	if s.audit == nil {
		return
	}
	r := audit.Record{
		Action: action, Actor: audit.Actor{Kind: audit.Ferry}, Outcome: outcome, Reason: reason,
		IdentityID: handoff.IdentityID, SubjectHash: s.hash(handoff.Subject), Realm: handoff.Connection, FlowID: onlyUUID(handoff.FlowID),
	}
	r.TraceID, r.SpanID = tracing.IDs(ctx)
	s.audit(r)
}
