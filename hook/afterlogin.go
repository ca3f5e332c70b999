package hook

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"ferry/kratos"
	"ferry/strictjson"
)

// AfterLoginPath is where Kratos' web hook after a login posts to.
const AfterLoginPath = "/hooks/after-login"

// afterLoginRequest is the shape that ferry's after-login template makes.
type afterLoginRequest struct {
	Identity struct {
		ID         string `json:"id"`
		ExternalID string `json:"external_id"`
		SchemaID   string `json:"schema_id"`
		State      string `json:"state"`
	} `json:"identity"`
	Flow struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	} `json:"flow"`
}

// AfterLoginOutcomes are what may come of a call of the after-login hook, as a recording
// has it; the log leaves nothing_kept out.
func AfterLoginOutcomes() []string {
	return []string{
		"written", "unchanged", "nothing_kept", "queued", "queue_full", "refused", "state_unavailable", "bad_request", "caller", "panic",
	}
}

// nothing is the answer that changes nothing: a login never fails for ferry's sake.
const nothing = `{}`

// afterLogin answers 200 with a JSON object to everything but a bad key, whatever
// happens: in Kratos' parse mode any other answer would keep the person out.
func (h *Handler) afterLogin(c echo.Context) error {
	started := h.opts.Now()
	e := &entry{}
	body, result := h.answerAfterLogin(c, e)
	if result == "caller" {
		status := writeCallerFault(c, errKey)
		h.metrics.caller("after-login", status)
		h.log(c, zapcore.WarnLevel, "after-login", e, zap.String("outcome", result), zap.Int("status", status))
		h.record(c, e, Call{Time: started, Route: "after-login", Status: status, Outcome: result, Took: h.opts.Now().Sub(started)})
		return nil
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	_ = h.send(c, http.StatusOK, body) // a caller that left needs no answer
	took := h.opts.Now().Sub(started)
	h.metrics.afterLogin(result, took)
	if result != "nothing_kept" {
		h.log(c, zapcore.InfoLevel, "after-login", e, zap.String("outcome", result), zap.Duration("took", took))
	}
	call := Call{Time: started, Route: "after-login", Status: http.StatusOK, Outcome: result, Took: took}
	if string(body) == nothing {
		call.Answer = nothing
	}
	h.record(c, e, call)
	return nil
}

// answerAfterLogin is the work; the second result names what came of it.
func (h *Handler) answerAfterLogin(c echo.Context, e *entry) (body []byte, result string) {
	defer func() {
		if fault := recover(); fault != nil {
			logPanic(h.opts.Log, fault)
			body, result = []byte(nothing), "panic"
		}
	}()
	if !h.authentic(c.Request()) {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, challenge)
		return nil, "caller"
	}
	text, err := readJSON(c.Response(), c.Request())
	if err == nil {
		h.redact(e, text)
	}
	var req afterLoginRequest
	if err != nil || strictjson.Unmarshal(text, &req) != nil || req.Identity.ID == "" {
		return []byte(nothing), "bad_request"
	}
	e.identityID, e.flowID = onlyUUID(req.Identity.ID), req.Flow.ID
	lease, kept, err := h.opts.Profiles.Take(c.Request().Context(), req.Identity.ID, req.Flow.ID)
	switch {
	case err != nil:
		h.metrics.stateFault("take")
		return []byte(nothing), "state_unavailable"
	case !kept:
		return []byte(nothing), "nothing_kept"
	}
	// What was taken is carried over even if Kratos stops waiting.
	record, result := h.carrier.carry(context.WithoutCancel(c.Request().Context()), lease)
	if record == nil {
		return []byte(nothing), result
	}
	return loginResponse(record), result
}

// loginResponse shows the new data in the answer to the login, in Kratos' parse mode.
func loginResponse(record *kratos.Record) []byte {
	identity := map[string]any{"traits": record.Traits}
	if record.MetadataPublic != nil {
		identity["metadata_public"] = record.MetadataPublic
	}
	body, err := json.Marshal(map[string]any{"identity": identity})
	if err != nil {
		return []byte(nothing)
	}
	return body
}
