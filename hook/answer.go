package hook

import (
	"net/http"

	"go.uber.org/zap/zapcore"

	"ferry/outcome"
	"ferry/wire"
)

// reply is the answer to Kratos, and the level of its log line.
type reply struct {
	status int
	body   string
	level  zapcore.Level
}

// The bodies, byte for byte. Kratos reads only the first; for the others it reads the
// status.
const (
	bodyMatch       = `{"status":"` + wire.StatusMatch + `"}`
	bodyNoMatch     = `{"status":"` + wire.StatusNoMatch + `"}`
	bodyUnavailable = `{"status":"` + wire.StatusUnavailable + `"}`
	// bodyClosed tells `ferry finish` that the migration is closed.
	bodyClosed = `{"status":"` + wire.StatusClosed + `"}`
	// bodyPaused tells `ferry doctor` that ferry is off.
	bodyPaused = `{"status":"` + wire.StatusPaused + `"}`
)

// Answer returns the HTTP status and body for an outcome.
func Answer(o outcome.Outcome) (status int, body string) {
	r := answer(o)
	return r.status, r.body
}

// answer is the answer table.
//
// Kratos accepts the password on 200 with password_match, shows wrong credentials on 403,
// and shows an outage on every other status. It does not repeat a call answered 424; after
// 429 and 5xx it would send the same password up to three times.
func answer(o outcome.Outcome) reply {
	switch o {
	case outcome.Match:
		return reply{http.StatusOK, bodyMatch, zapcore.InfoLevel}
	case outcome.Mismatch, outcome.MFARequired, outcome.Blocked, outcome.Denied, outcome.Leaked,
		outcome.Throttled, outcome.Locked, outcome.Inactive, outcome.Oversize:
		return reply{http.StatusForbidden, bodyNoMatch, zapcore.InfoLevel}
	case outcome.Closed:
		return reply{http.StatusForbidden, bodyClosed, zapcore.InfoLevel}
	case outcome.SubjectMismatch, outcome.Unbound:
		// A warning: this user cannot log in until the operator acts.
		return reply{http.StatusForbidden, bodyNoMatch, zapcore.WarnLevel}
	case outcome.Paused:
		return reply{http.StatusFailedDependency, bodyPaused, zapcore.InfoLevel}
	case outcome.Observed:
		return reply{http.StatusFailedDependency, bodyUnavailable, zapcore.InfoLevel}
	case outcome.NotPending:
		// Usually a double click, and the other login was faster.
		return reply{http.StatusFailedDependency, bodyUnavailable, zapcore.InfoLevel}
	case outcome.Suspicious, outcome.Limited, outcome.Unavailable:
		return reply{http.StatusFailedDependency, bodyUnavailable, zapcore.WarnLevel}
	case outcome.Misconfigured, outcome.InvalidResponse:
		return reply{http.StatusFailedDependency, bodyUnavailable, zapcore.ErrorLevel}
	}
	return answer(outcome.InvalidResponse)
}
