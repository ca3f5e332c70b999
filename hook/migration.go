package hook

import (
	"context"
	"errors"

	"github.com/labstack/echo/v4"

	"ferry/outcome"
	"ferry/tracing"
	"ferry/upstream"
	"ferry/wire"
)

// migrationRoute answers every call that is not an error of the caller from the table in
// answer.
func (h *Handler) migrationRoute() route[outcome.Outcome] {
	return route[outcome.Outcome]{
		name:     wire.RouteMigration,
		handle:   h.passwordMigration,
		panicked: func(e *call) outcome.Outcome { e.Reason = upstream.ReasonPanic; return outcome.InvalidResponse },
		answer: func(o outcome.Outcome) ending {
			return ending{reply: answer(o), media: echo.MIMEApplicationJSON, outcome: o.String()}
		},
		refuse: problemReport,
		count: func(o outcome.Outcome, e *call, sent error) {
			h.metrics.answered(o, e)
			h.observed(o, e)
			if sent != nil {
				e.Reason = "answer_not_taken"
			}
			_, e.Answer = Answer(o)
			e.Identifier, e.Password = e.sealable(o)
		},
	}
}

// passwordMigration handles a call of the password migration hook.
func (h *Handler) passwordMigration(c echo.Context, e *call) (outcome.Outcome, error) {
	body, err := readJSON(c.Response(), c.Request())
	if errors.Is(err, errOversize) {
		e.Reason = "request_size"
		return outcome.Oversize, nil
	}
	if err != nil {
		return 0, err
	}
	h.redact(e, body)
	req, err := decodeMigration(body)
	if err != nil {
		return 0, err
	}
	e.reading.End()
	e.Shape = req.shape()
	if h.opts.Recorder != nil {
		e.request = req
	}
	e.flowID = req.Flow.ID
	o := h.decideInTurn(c.Request().Context(), req, c.Request().Header.Get(wire.HeaderTriggerID), e)
	h.delay(c.Request().Context(), o, e)
	return o, nil
}

// decideInTurn decides a login when it has its turn. The request has been read by then, and the
// answer is sent later, so that a slow client holds up no other login.
func (h *Handler) decideInTurn(ctx context.Context, req migrationRequest, delivery string, e *call) outcome.Outcome {
	_, waiting := tracing.Start(ctx, "wait for turn")
	leave, refused := h.bulkhead.enter(ctx)
	tracing.Ended(waiting, "", refused)
	waiting.End()
	if refused != "" {
		e.Reason = refused
		return outcome.Unavailable
	}
	defer leave()
	return h.decide(ctx, req, delivery, e)
}
