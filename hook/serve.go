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

// entry gathers what the one log line of a request says. Nothing in it is a secret
// or an identifier in clear, but for asked, which no line shows.
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

	body  json.RawMessage  // for the recording: redacted
	asked migrationRequest // for the recording, see typed; empty where there is none
	sent  bool             // Auth0 may have been asked about the password
	right bool             // it said 200, and who it is: no other answer does
}

// serve is the one place that authenticates, answers, counts and logs. A call ends
// in an outcome, or in an error that is the caller's fault.
func (h *Handler) serve(route string, call func(echo.Context, *entry) (outcome.Outcome, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		started := h.opts.Now()
		e := &entry{}
		o, err := h.guarded(c, e, call)
		elapsed := h.opts.Now().Sub(started)
		if err != nil {
			status := writeCallerFault(c, err)
			h.metrics.caller(route, status)
			h.logTo(h.callers, c, zapcore.WarnLevel, route, e, zap.String("outcome", "caller"), zap.Int("status", status), zap.Duration("took", elapsed))
			h.record(c, e, Call{Time: started, Route: route, Status: status, Outcome: "caller", Took: elapsed})
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
		call := Call{Time: started, Route: route, Status: r.status, Answer: r.body, Outcome: o.String(), Took: elapsed}
		call.Identifier, call.Password = e.typed(o)
		h.record(c, e, call)
		return nil
	}
}

const challenge = `Bearer realm="ferry"`

var errKey = echo.NewHTTPError(http.StatusUnauthorized, "the key is missing or wrong")

// guarded lets only callers with the key through, and turns a panic into Garbled.
func (h *Handler) guarded(c echo.Context, e *entry, call func(echo.Context, *entry) (outcome.Outcome, error)) (o outcome.Outcome, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			logPanic(h.opts.Log, fault)
			e.reason = "panic"
			o, err = outcome.Garbled, nil
		}
	}()
	if !h.authentic(c.Request()) {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, challenge)
		return 0, errKey
	}
	return call(c, e)
}

// logPanic says where it happened. The value is left out: it may quote what was
// being worked on.
func logPanic(log *zap.Logger, fault any) {
	log.Error("panic", zap.String("type", fmt.Sprintf("%T", fault)), zap.ByteString("stack", debug.Stack()))
}

// authentic reports whether the request carries one of the keys: as bearer token,
// or as the password of basic authentication. Every key is compared, in constant
// time.
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

// Hash stands for an identifier, or for an Auth0 user id, in the log: the same for the
// same text under the same key. Without the key it tells nothing.
func Hash(key secret.String, text string) string {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// Calls that are refused for the caller's fault: so many lines are written in so much
// time, then one in so many. Whoever reaches the port can make them, at any rate.
const (
	callerLines     = 10
	callerLinesTime = 10 * time.Second
	callerLinesRest = 1000
)

// sampled is the log with that bound. The metrics count every call.
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

// onlyUUID lets nothing into the log that is not the id it claims to be.
func onlyUUID(text string) string {
	id, err := uuid.Parse(text)
	if err != nil {
		return ""
	}
	return id.String()
}

// problem is RFC 9457.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// writeCallerFault answers what the caller must change, and returns the status.
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

// writeProblem answers what reached no hook: an unknown path or method.
func writeProblem(err error, c echo.Context) {
	if !c.Response().Committed {
		writeCallerFault(c, err)
	}
}
