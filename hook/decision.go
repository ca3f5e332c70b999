package hook

import (
	"context"

	"ferry/outcome"
	"ferry/secret"
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
func (h *Handler) Decide(ctx context.Context, identifier string, password secret.String) (d Decision) {
	e := &call{}
	defer func() {
		if fault := recover(); fault != nil {
			logPanic(h.opts.Log, fault)
			d = Decision{Outcome: outcome.InvalidResponse, Reason: "panic"}
		}
	}()
	o := h.decide(ctx, migrationRequest{Identifier: identifier, Password: password}, "", e)
	return Decision{Outcome: o, Reason: e.Reason, UpstreamStatus: e.UpstreamStatus, UpstreamCode: e.UpstreamCode}
}
