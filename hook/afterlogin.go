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

// AfterLoginPath is the path of Kratos' web hook after a login.
const AfterLoginPath = "/hooks/after-login"

// afterLoginRequest is the body that ferry's after-login template produces.
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
	// Response is "parse" if kratos.yml says that Kratos reads the answer.
	Response string `json:"response"`
}

// responseParse is the Response of a hook whose answer Kratos reads.
const responseParse = "parse"

// AfterLoginOutcomes lists the outcomes of the after-login hook, as recordings have them.
// The log leaves out nothing_kept.
func AfterLoginOutcomes() []string {
	return []string{
		"written", "unchanged", "nothing_kept", "queued", "queue_full", "refused", "state_unavailable", "bad_request", "caller", "panic",
	}
}

// afterLogin answers every call with a valid key, whatever happens, with 204 and no body,
// or with 200 and a JSON object if Kratos reads it and there is something to say. In
// Kratos' parse mode any other answer would fail the login. Kratos 25.4 to 26.2 never
// close a body that they do not read, so every such body would leak a connection of
// Kratos'. That is why the answer to a bad key has no body either.
func (h *Handler) afterLogin(c echo.Context) error {
	started := h.opts.Now()
	e := &entry{}
	body, result := h.answerAfterLogin(c, e)
	if result == "caller" {
		const status = http.StatusUnauthorized
		h.sendNothing(c, status)
		h.metrics.caller("after-login", status)
		h.logTo(h.callers, c, zapcore.WarnLevel, "after-login", e, zap.String("outcome", result), zap.Int("status", status))
		h.record(c, e, Event{Time: started, Route: "after-login", Status: status, Outcome: result, Took: h.opts.Now().Sub(started)})
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
	h.record(c, e, Event{Time: started, Route: "after-login", Status: status, Outcome: result, Took: took})
	return nil
}

// sendNothing answers without a body, and flushes.
func (h *Handler) sendNothing(c echo.Context, status int) {
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	if status != http.StatusNoContent {
		c.Response().Header().Set(echo.HeaderContentLength, "0")
	}
	_ = c.NoContent(status) // a caller that left needs no answer
	_ = http.NewResponseController(c.Response()).Flush()
}

// answerAfterLogin handles a call and returns the body of the answer, nil for none, and
// the outcome.
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
	lease, found, err := h.opts.Profiles.Lease(c.Request().Context(), req.Identity.ID, req.Flow.ID)
	switch {
	case err != nil:
		h.metrics.stateFault("take")
		return nil, "state_unavailable"
	case !found:
		return nil, "nothing_kept"
	}
	// The profile is written even if Kratos stops waiting.
	record, result := h.syncer.sync(context.WithoutCancel(c.Request().Context()), lease)
	if record == nil || req.Response != responseParse {
		return nil, result
	}
	return loginResponse(record), result
}

// loginResponse is the answer in Kratos' parse mode. Kratos merges it into the identity of
// this login: the person and later hooks see the new profile. With the addresses marked as
// verified, require_verified_address lets the first login in. Kratos does not store it;
// the identity has been patched already.
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
