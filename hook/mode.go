package hook

import (
	"time"

	"ferry/kratos"
	"ferry/mode"
	"ferry/outcome"
)

// modes says what ferry does with logins at this moment.
type modes interface {
	Mode() mode.Mode
	Has(user mode.User) bool
	Observed(o outcome.Outcome, reason string, took time.Duration)
}

// The reasons of outcome.Paused.
const (
	reasonOff     = "mode_off"
	reasonOutside = "outside_cohort"
)

// mode is the mode of this moment.
func (h *Handler) mode() mode.Mode {
	if h.opts.Modes == nil {
		return mode.On
	}
	return h.opts.Modes.Mode()
}

// inCohort reports whether logins of the identity are decided.
func (h *Handler) inCohort(identity kratos.Identity, identifier string) bool {
	return h.opts.Modes == nil || h.opts.Modes.Has(mode.User{Identifier: identifier, Identifiers: identity.Listed, Traits: identity.AllTraits})
}

// given returns what becomes of a match in the mode of this moment.
func (h *Handler) given(e *call) outcome.Outcome {
	switch h.mode() {
	case mode.On:
		return outcome.Match
	case mode.Observe:
		return outcome.Observed
	case mode.Off:
	}
	e.Reason = reasonOff
	return outcome.Paused
}

// observed counts a login that was decided while ferry observes.
func (h *Handler) observed(o outcome.Outcome, e *call) {
	decided := o != outcome.Paused && o != outcome.Match
	if h.opts.Modes != nil && (o == outcome.Observed || decided && h.mode() == mode.Observe) {
		h.opts.Modes.Observed(o, e.Reason, e.Took)
	}
}
