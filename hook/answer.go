package hook

import (
	"net/http"

	"go.uber.org/zap/zapcore"

	"ferry/outcome"
	"ferry/wire"
)

// reply is what Kratos is told, and how loud the log is about it.
type reply struct {
	status int
	body   string
	level  zapcore.Level
}

// The bodies, to the byte. Kratos reads the status alone, but for the first.
const (
	bodyMatch       = `{"status":"` + wire.StatusMatch + `"}`
	bodyNoMatch     = `{"status":"` + wire.StatusNoMatch + `"}`
	bodyUnavailable = `{"status":"` + wire.StatusUnavailable + `"}`
	// bodyClosed is what `ferry finish` looks for before it writes.
	bodyClosed = `{"status":"` + wire.StatusClosed + `"}`
)

// Answer is what Kratos is told for an outcome: the HTTP status and the body.
func Answer(o outcome.Outcome) (status int, body string) {
	r := answer(o)
	return r.status, r.body
}

// answer is the answer table: what Kratos is told for each outcome.
//
// Kratos lets in on 200 with password_match, shows wrong credentials on 403, and
// shows an outage on every other status. 424 is one that it does not send again:
// 429 and 5xx would make it send the same password up to three times.
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
		// The operator must know: this person cannot log in until somebody acts.
		return reply{http.StatusForbidden, bodyNoMatch, zapcore.WarnLevel}
	case outcome.NotPending:
		// Two clicks, mostly: the other one was faster.
		return reply{http.StatusFailedDependency, bodyUnavailable, zapcore.InfoLevel}
	case outcome.Suspicious, outcome.Limited, outcome.Unavailable:
		return reply{http.StatusFailedDependency, bodyUnavailable, zapcore.WarnLevel}
	case outcome.Misconfigured, outcome.InvalidResponse:
		return reply{http.StatusFailedDependency, bodyUnavailable, zapcore.ErrorLevel}
	}
	return answer(outcome.InvalidResponse)
}
