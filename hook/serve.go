package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ferry/outcome"
	"ferry/secret"
)

// entry gathers the fields of a request's log line. It holds no secret and no identifier
// in clear, except in request, which is not logged.
type entry struct {
	reason         string
	shape          string
	identifier     string // keyed hash
	identityID     string
	flowID         string
	upstreamStatus int
	upstreamCode   string
	kratos         time.Duration
	upstream       time.Duration

	body              json.RawMessage  // for the recording: redacted
	request           migrationRequest // for the recording, see sealable; empty without a Recorder
	asked             bool             // the password may have reached Auth0
	passwordConfirmed bool             // Auth0 answered 200 with a verified subject
}

// serve authenticates, answers, counts, logs and records a call. A call ends in an
// outcome, or in an error of the caller.
func (h *Handler) serve(route string, call func(echo.Context, *entry) (outcome.Outcome, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		started := h.opts.Now()
		e := &entry{}
		o, err := h.authenticated(c, e, call)
		elapsed := h.opts.Now().Sub(started)
		if err != nil {
			status := writeCallerFault(c, err)
			h.metrics.caller(route, status)
			h.logTo(h.callers, c, zapcore.WarnLevel, route, e, zap.String("outcome", "caller"), zap.Int("status", status), zap.Duration("took", elapsed))
			h.record(c, e, Event{Time: started, Route: route, Status: status, Outcome: "caller", Took: elapsed})
			return nil
		}
		r := answer(o)
		c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
		err = h.send(c, r.status, []byte(r.body))
		h.metrics.answered(route, o, elapsed, e)
		if err != nil {
			e.reason = "answer_not_taken"
		}
		h.log(c, r.level, route, e, zap.Stringer("outcome", o), zap.Int("status", r.status), zap.Duration("took", elapsed))
		call := Event{Time: started, Route: route, Status: r.status, Answer: r.body, Outcome: o.String(), Took: elapsed}
		call.Identifier, call.Password = e.sealable(o)
		h.record(c, e, call)
		return nil
	}
}

const challenge = `Bearer realm="ferry"`

var errKey = echo.NewHTTPError(http.StatusUnauthorized, "the key is missing or wrong")

// authenticated rejects callers without the key, and turns a panic into InvalidResponse.
func (h *Handler) authenticated(c echo.Context, e *entry, call func(echo.Context, *entry) (outcome.Outcome, error)) (o outcome.Outcome, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			logPanic(h.opts.Log, fault)
			e.reason = "panic"
			o, err = outcome.InvalidResponse, nil
		}
	}()
	if !h.authentic(c.Request()) {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, challenge)
		return 0, errKey
	}
	return call(c, e)
}

// logPanic logs where a panic happened. It leaves out the value, which may quote personal
// data.
func logPanic(log *zap.Logger, fault any) {
	log.Error("panic", zap.String("type", fmt.Sprintf("%T", fault)), zap.ByteString("stack", debug.Stack()))
}

// authentic reports whether the request has one of the keys, as a bearer token or as the
// password of basic authentication. It compares every key, in constant time.
func (h *Handler) authentic(r *http.Request) bool {
	headers := r.Header.Values(echo.HeaderAuthorization)
	if len(headers) != 1 {
		return false
	}
	presented, ok := "", false
	if _, password, basic := r.BasicAuth(); basic {
		presented, ok = password, true
	} else if scheme, token, found := strings.Cut(headers[0], " "); found && strings.EqualFold(scheme, "bearer") {
		presented, ok = token, true
	}
	match := false
	for _, key := range h.opts.Keys {
		match = key.Equal(secret.New(presented)) || match
	}
	return ok && match
}

// Hash returns the keyed hash that replaces an identifier or an Auth0 user id in the log.
// It is the same for the same text and key, and reveals nothing without the key.
func Hash(key secret.String, text string) string {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// Calls that fail for the caller's fault are sampled: callerLines log lines in each
// callerLinesTime, then one in callerLinesRest. Anyone who reaches the port can make such
// calls, at any rate.
const (
	callerLines     = 10
	callerLinesTime = 10 * time.Second
	callerLinesRest = 1000
)

// sampled returns the log with that sampling. The metrics count every call.
func sampled(log *zap.Logger) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, callerLinesTime, callerLines, callerLinesRest)
	}))
}

func (h *Handler) log(c echo.Context, level zapcore.Level, route string, e *entry, fields ...zap.Field) {
	h.logTo(h.opts.Log, c, level, route, e, fields...)
}

func (h *Handler) logTo(log *zap.Logger, c echo.Context, level zapcore.Level, route string, e *entry, fields ...zap.Field) {
	fields = append(fields, zap.String("route", route))
	for _, f := range []struct{ name, value string }{
		{"reason", e.reason},
		{"shape", e.shape},
		{"identifier_hash", e.identifier},
		{"identity_id", e.identityID},
		{"flow_id", onlyUUID(e.flowID)},
		{"request_id", onlyUUID(c.Request().Header.Get("Ory-Webhook-Request-Id"))},
		{"trigger_id", onlyUUID(c.Request().Header.Get("Ory-Webhook-Trigger-Id"))},
		{"auth0_error", e.upstreamCode},
	} {
		if f.value != "" {
			fields = append(fields, zap.String(f.name, f.value))
		}
	}
	if e.upstreamStatus != 0 {
		fields = append(fields, zap.Int("auth0_status", e.upstreamStatus))
	}
	if e.kratos != 0 {
		fields = append(fields, zap.Duration("kratos_took", e.kratos))
	}
	if e.upstream != 0 {
		fields = append(fields, zap.Duration("auth0_took", e.upstream))
	}
	log.Log(level, "answered", fields...)
}

// onlyUUID returns the UUID in its canonical form, or "" if the text is not a UUID.
func onlyUUID(text string) string {
	id, err := uuid.Parse(text)
	if err != nil {
		return ""
	}
	return id.String()
}

// problem is a problem report (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// writeCallerFault answers with a problem report, and returns the status.
func writeCallerFault(c echo.Context, err error) int {
	status, detail := http.StatusBadRequest, ""
	var fault *echo.HTTPError
	if errors.As(err, &fault) {
		status = fault.Code
		detail, _ = fault.Message.(string)
	}
	body, err := json.Marshal(problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail})
	if err != nil {
		return status
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	_ = c.Blob(status, "application/problem+json", body) // a caller that left needs no answer
	return status
}

// writeProblem answers a request for an unknown path or method.
func writeProblem(err error, c echo.Context) {
	if !c.Response().Committed {
		writeCallerFault(c, err)
	}
}
