package gateway

import (
	"time"

	"ferry/gateway/submit"
	"ferry/mode"
	"ferry/outcome"
)

// modes says what ferry does with logins at this moment.
type modes interface {
	Mode() mode.Mode
	Has(user mode.User) bool
	Observed(o outcome.Outcome, reason string, took time.Duration)
}

// paused returns why Auth0 is not asked about a user whom Kratos does not have; empty: it is.
func (g *Gateway) paused(s submit.Submit) (reason string) {
	switch {
	case g.opts.Modes == nil:
	case g.opts.Modes.Mode() == mode.Off:
		return resultPaused
	case !g.opts.Modes.Has(mode.User{Identifier: s.Identifiers[0]}):
		return resultOutside
	}
	return ""
}

// observed counts a login that was decided while ferry observes.
func (g *Gateway) observed(o outcome.Outcome, reason string, started time.Time) {
	if g.opts.Modes != nil && g.opts.Modes.Mode() == mode.Observe {
		g.opts.Modes.Observed(o, reason, g.opts.Now().Sub(started))
	}
}
