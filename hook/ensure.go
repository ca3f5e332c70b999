package hook

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ferry/identifier"
	"ferry/strictjson"
	"ferry/tracing"
	"ferry/wire"
)

// ensureTime is how long a call may wait for Kratos and Auth0.
const ensureTime = 15 * time.Second

// ensureRequest is the body of a call. FlowType is that of the flow into which the user typed
// the identifier; empty means login.
type ensureRequest struct {
	Identifier string `json:"identifier"`
	FlowType   string `json:"flow_type"`
}

// flowRecovery is Kratos' type of "forgot password" flows.
const flowRecovery = "recovery"

func flowTypes() []string { return []string{"", "login", "registration", flowRecovery, "verification"} }

// ensureResult is the result of a call: one word for the log, and whether it says something
// about the user.
type ensureResult struct {
	word string
	told bool
}

// ensureRoute answers every valid call with 204, whoever the user is. If that could not be
// found out, it answers 503: Kratos would call the credentials wrong.
func (h *Handler) ensureRoute() route[ensureResult] {
	return route[ensureResult]{
		name:     wire.RouteEnsure,
		handle:   h.ensure,
		panicked: func(*call) ensureResult { return ensureResult{word: "panic"} },
		answer: func(r ensureResult) ending {
			if r.told {
				return ending{reply: reply{status: http.StatusNoContent}, outcome: r.word, omitRecord: true}
			}
			end := problemReport(echo.NewHTTPError(http.StatusServiceUnavailable, "it is unknown whether Kratos has the user"))
			end.outcome, end.level, end.omitRecord = r.word, zapcore.WarnLevel, true
			return end
		},
		refuse: func(err error) ending {
			end := problemReport(err)
			end.omitRecord = true
			return end
		},
		count: func(r ensureResult, _ *call, _ error) { h.metrics.ensured.WithLabelValues(r.word).Inc() },
	}
}

// ensure creates the identity of an Auth0 user whom Kratos does not have.
func (h *Handler) ensure(c echo.Context, e *call) (ensureResult, error) {
	text, err := readJSON(c.Response(), c.Request())
	if err != nil {
		return ensureResult{}, err
	}
	var req ensureRequest
	switch {
	case strictjson.Unmarshal(text, &req) != nil:
		return ensureResult{}, echo.NewHTTPError(http.StatusBadRequest, "the body is not one JSON object with the identifier")
	case strings.TrimSpace(req.Identifier) == "":
		return ensureResult{}, echo.NewHTTPError(http.StatusBadRequest, "identifier is required and must not be empty")
	case !slices.Contains(flowTypes(), req.FlowType):
		return ensureResult{}, echo.NewHTTPError(http.StatusBadRequest, "flow_type must be login, registration, recovery or verification")
	}
	e.reading.End()
	e.IdentifierHash = h.hash(identifier.Normalize(req.Identifier))
	if h.opts.Closed {
		return ensureResult{"closed", true}, nil
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), ensureTime)
	defer cancel()
	ctx, span := tracing.Start(ctx, "ensure identity")
	defer span.End()
	result, err := h.opts.Ensure(ctx, req.Identifier, req.FlowType == flowRecovery)
	tracing.Ended(span, "", result)
	tracing.Failed(span, err)
	if err != nil {
		h.opts.Log.Warn("ensure: unknown whether Kratos has the user", zap.Error(err))
	}
	return ensureResult{result, err == nil}, nil
}
