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
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ferry/recording"
	"ferry/secret"
	"ferry/tracing"
	"ferry/wire"
)

// call is one call of a hook. Its event is logged and recorded; the log gets no secret and
// no identifier in clear. The other fields decide what may be recorded.
type call struct {
	recording.Event

	flowID            string
	request           migrationRequest // for sealable; empty without a Recorder
	asked             bool             // the password may have reached Auth0
	answeredByAuth0   bool             // Auth0 was asked for this call, not for another one
	passwordConfirmed bool             // Auth0 answered 200 with a verified subject
	waited            time.Duration    // before a refusal: see pace
	reading           trace.Span       // ends when the request is read and decoded
	realm             string           // that Auth0 is asked about; for the audit record
	subjectHash       string           // for the audit record
}

// route is one hook. R is the result of a call with a valid key.
type route[R any] struct {
	name string
	// handle handles a call. Its error is an error of the caller.
	handle func(echo.Context, *call) (R, error)
	// panicked returns the result of a call that panicked.
	panicked func(*call) R
	// answer returns the answer to a result, and refuse the answer to an error of the caller.
	answer func(R) ending
	refuse func(error) ending
	// count counts a result after its answer was sent, or could not be sent.
	count func(result R, e *call, sent error)
}

// ending is how a call ends: the answer, and what the log says of it.
type ending struct {
	reply
	// media is the media type of the body. If empty, there is no body.
	media string
	// outcome is the outcome in the log and in recordings.
	outcome string
	// The log leaves these out.
	omitStatus, omitTook, omitLine bool
	// omitRecord leaves the call out of recordings, and omitAudit out of the audit log.
	omitRecord, omitAudit bool
}

// outcomeCaller is the outcome of a call with an error of the caller.
const outcomeCaller = recording.OutcomeCaller

// serve returns the handler of a route: authenticate, handle, answer, count, log, record.
func serve[R any](h *Handler, r route[R]) echo.HandlerFunc {
	return func(c echo.Context) error {
		e := &call{Event: recording.Event{Time: h.opts.Now(), Route: r.name}}
		result, callerErr := authenticated(h, r, c, e)
		log, end := h.opts.Log, ending{}
		if callerErr == nil {
			end = r.answer(result)
		} else {
			log, end = h.callers, r.refuse(callerErr)
			end.outcome, end.level = outcomeCaller, zapcore.WarnLevel
		}
		e.Outcome, e.Status, e.Took = end.outcome, end.status, h.opts.Now().Sub(e.Time)
		_, sending := tracing.Start(c.Request().Context(), "send answer")
		sent := h.send(c, end)
		tracing.Failed(sending, sent)
		sending.End()
		if callerErr == nil {
			r.count(result, e, sent)
		} else {
			h.metrics.caller(r.name, end.status)
		}
		if !end.omitLine {
			logCall(log, c, end, e)
		}
		if !end.omitRecord {
			h.record(c, e)
		}
		if !end.omitAudit {
			h.auditCall(c, e)
		}
		traceCall(trace.SpanFromContext(c.Request().Context()), e)
		return nil
	}
}

var errKey = echo.NewHTTPError(http.StatusUnauthorized, "the key is missing or wrong")

// authenticated refuses callers without the key, and recovers from a panic.
func authenticated[R any](h *Handler, r route[R], c echo.Context, e *call) (result R, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			logPanic(h.opts.Log, fault)
			result, err = r.panicked(e), nil
		}
	}()
	_, e.reading = tracing.Start(c.Request().Context(), "read request")
	defer e.reading.End()
	if !secret.Presented(c.Request(), h.opts.Keys...) {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, secret.Challenge)
		return result, errKey
	}
	return r.handle(c, e)
}

// send sends the answer. Where calls are recorded it also flushes the answer, so that
// recording does not delay it. An answer without a body is always flushed.
func (h *Handler) send(c echo.Context, end ending) error {
	header := c.Response().Header()
	header.Set(echo.HeaderCacheControl, "no-store")
	if end.status != http.StatusNoContent {
		header.Set(echo.HeaderContentLength, strconv.Itoa(len(end.body)))
	}
	var err error
	if end.media == "" {
		err = c.NoContent(end.status)
	} else {
		err = c.Blob(end.status, end.media, []byte(end.body))
	}
	if err != nil || end.media != "" && h.opts.Recorder == nil {
		return err
	}
	return http.NewResponseController(c.Response()).Flush()
}

// logPanic logs where a panic happened. It leaves out the value, which may quote personal
// data.
func logPanic(log *zap.Logger, fault any) {
	log.Error("panic", zap.String("type", fmt.Sprintf("%T", fault)), zap.ByteString("stack", debug.Stack()))
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

// logCall writes the log line of a call.
func logCall(log *zap.Logger, c echo.Context, end ending, e *call) {
	fields := append(make([]zap.Field, 0, 12), zap.String("outcome", end.outcome))
	if !end.omitStatus {
		fields = append(fields, zap.Int("status", end.status))
	}
	if !end.omitTook {
		fields = append(fields, zap.Duration("took", e.Took))
	}
	fields = append(fields, zap.String("route", e.Route))
	for _, f := range []struct{ name, value string }{
		{"reason", e.Reason},
		{"shape", e.Shape},
		{"identifier_hash", e.IdentifierHash},
		{"identity_id", e.IdentityID},
		{"flow_id", onlyUUID(e.flowID)},
		{"request_id", onlyUUID(c.Request().Header.Get(wire.HeaderRequestID))},
		{"trigger_id", onlyUUID(c.Request().Header.Get(wire.HeaderTriggerID))},
		{"auth0_error", e.UpstreamCode},
	} {
		if f.value != "" {
			fields = append(fields, zap.String(f.name, f.value))
		}
	}
	if e.UpstreamStatus != 0 {
		fields = append(fields, zap.Int("auth0_status", e.UpstreamStatus))
	}
	if e.KratosTook != 0 {
		fields = append(fields, zap.Duration("kratos_took", e.KratosTook))
	}
	if e.UpstreamTook != 0 {
		fields = append(fields, zap.Duration("auth0_took", e.UpstreamTook))
	}
	if e.waited != 0 {
		fields = append(fields, zap.Duration("waited", e.waited))
	}
	if traceID, spanID := tracing.IDs(c.Request().Context()); traceID != "" {
		fields = append(fields, zap.String("trace_id", traceID), zap.String("span_id", spanID))
	}
	log.Log(end.level, "answered", fields...)
}

// traceCall notes the end of a call in its span.
func traceCall(span trace.Span, e *call) {
	tracing.Ended(span, e.Outcome, e.Reason)
	tracing.User(span, e.IdentifierHash)
	if e.Status == http.StatusFailedDependency {
		tracing.Failed(span, errOutage)
	}
}

var errOutage = errors.New("outage")

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

// problemReport returns the answer to an error of the caller.
func problemReport(err error) ending {
	status, detail := http.StatusBadRequest, ""
	var fault *echo.HTTPError
	if errors.As(err, &fault) {
		status = fault.Code
		detail, _ = fault.Message.(string)
	}
	body, _ := json.Marshal(problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail})
	return ending{reply: reply{status: status, body: string(body)}, media: "application/problem+json"}
}

// writeProblem answers a request for an unknown path or method.
func (h *Handler) writeProblem(err error, c echo.Context) {
	if !c.Response().Committed {
		_ = h.send(c, problemReport(err)) // a caller that left needs no answer
	}
}
