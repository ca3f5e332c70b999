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
	// Response is parse where Kratos reads the answer, as kratos.yml has it.
	Response string `json:"response"`
}

// responseParse is Kratos' word for a hook whose answer it reads.
const responseParse = "parse"

// AfterLoginOutcomes are what may come of a call of the after-login hook, as a recording
// has it; the log leaves nothing_kept out.
func AfterLoginOutcomes() []string {
	return []string{
		"written", "unchanged", "nothing_kept", "queued", "queue_full", "refused", "state_unavailable", "bad_request", "caller", "panic",
	}
}

// afterLogin answers 204 without a body to everything but a bad key, whatever happens;
// and 200 with a JSON object where Kratos reads it and there is something to say. In
// Kratos' parse mode any other answer would keep the person out. Kratos 25.4 to 26.2
// never close a body that they do not read, so there must not be one: each would cost
// Kratos a connection for good. That goes for a bad key too.
func (h *Handler) afterLogin(c echo.Context) error {
	started := h.opts.Now()
	e := &entry{}
	body, result := h.answerAfterLogin(c, e)
	if result == "caller" {
		const status = http.StatusUnauthorized
		h.sendNothing(c, status)
		h.metrics.caller("after-login", status)
		h.logTo(h.callers, c, zapcore.WarnLevel, "after-login", e, zap.String("outcome", result), zap.Int("status", status))
		h.record(c, e, Call{Time: started, Route: "after-login", Status: status, Outcome: result, Took: h.opts.Now().Sub(started)})
		return nil
	}
	status := http.StatusNoContent
	if body == nil {
		h.sendNothing(c, status)
	} else {
		status = http.StatusOK
		c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
		_ = h.send(c, status, body) // a caller that left needs no answer
	}
	took := h.opts.Now().Sub(started)
	h.metrics.afterLogin(result, took)
	if result != "nothing_kept" {
		h.log(c, zapcore.InfoLevel, "after-login", e, zap.String("outcome", result), zap.Duration("took", took))
	}
	h.record(c, e, Call{Time: started, Route: "after-login", Status: status, Outcome: result, Took: took})
	return nil
}

// sendNothing answers without a body, at once.
func (h *Handler) sendNothing(c echo.Context, status int) {
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	if status != http.StatusNoContent {
		c.Response().Header().Set(echo.HeaderContentLength, "0")
	}
	_ = c.NoContent(status) // a caller that left needs no answer
	_ = http.NewResponseController(c.Response()).Flush()
}

// answerAfterLogin is the work; the second result names what came of it. The body is
// nil where there is nothing to say.
func (h *Handler) answerAfterLogin(c echo.Context, e *entry) (body []byte, result string) {
	defer func() {
		if fault := recover(); fault != nil {
			logPanic(h.opts.Log, fault)
			body, result = nil, "panic"
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
		return nil, "bad_request"
	}
	e.identityID, e.flowID = onlyUUID(req.Identity.ID), req.Flow.ID
	lease, kept, err := h.opts.Profiles.Take(c.Request().Context(), req.Identity.ID, req.Flow.ID)
	switch {
	case err != nil:
		h.metrics.stateFault("take")
		return nil, "state_unavailable"
	case !kept:
		return nil, "nothing_kept"
	}
	// What was taken is carried over even if Kratos stops waiting.
	record, result := h.carrier.carry(context.WithoutCancel(c.Request().Context()), lease)
	if record == nil || req.Response != responseParse {
		return nil, result
	}
	return loginResponse(record), result
}

// loginResponse is what Kratos takes into the identity of this login, in its parse
// mode: the answer to the login shows it, and hooks that come after ferry's see it.
// With the addresses as Auth0 verified them, require_verified_address lets the first
// login in. Kratos stores none of it; the identity has it already.
func loginResponse(record *kratos.Record) []byte {
	identity := map[string]any{"traits": record.Traits}
	if record.MetadataPublic != nil {
		identity["metadata_public"] = record.MetadataPublic
	}
	if record.AddressesJSON != nil {
		identity["verifiable_addresses"] = record.AddressesJSON
	}
	body, err := json.Marshal(map[string]any{"identity": identity})
	if err != nil {
		return nil
	}
	return body
}
