package hook

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"ferry/kratos"
	"ferry/state"
	"ferry/strictjson"
	"ferry/tracing"
	"ferry/wire"
)

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

// afterLoginResult is the result of an after-login call.
type afterLoginResult struct {
	// word is one of AfterLoginOutcomes.
	word string
	// body is the body of the answer, if there is one.
	body string
}

// afterLoginRoute answers every call with a valid key, whatever happens, with 204 and no
// body, or with 200 and a JSON object if Kratos reads it and there is something to say. In
// Kratos' parse mode any other answer would fail the login. Kratos 25.4 to 26.2 never
// close a body that they do not read, so every such body would leak a connection of
// Kratos'. That is why the answer to a bad key has no body either.
func (h *Handler) afterLoginRoute() route[afterLoginResult] {
	return route[afterLoginResult]{
		name:     wire.RouteAfterLogin,
		handle:   h.afterLogin,
		panicked: func(*call) afterLoginResult { return afterLoginResult{word: "panic"} },
		answer: func(r afterLoginResult) ending {
			nothing := r.word == "nothing_kept"
			end := ending{outcome: r.word, omitStatus: true, omitLine: nothing, omitAudit: nothing}
			end.status = http.StatusNoContent
			if r.body != "" {
				end.status, end.body, end.media = http.StatusOK, r.body, echo.MIMEApplicationJSON
			}
			return end
		},
		refuse: func(error) ending { return ending{reply: reply{status: http.StatusUnauthorized}, omitTook: true} },
		count:  func(r afterLoginResult, e *call, _ error) { h.metrics.afterLogin(r.word, e.Took) },
	}
}

// afterLogin handles a call of the after-login hook. A request that is not valid is a
// result, not an error of the caller.
func (h *Handler) afterLogin(c echo.Context, e *call) (afterLoginResult, error) {
	text, err := readJSON(c.Response(), c.Request())
	if err == nil {
		h.redact(e, text)
	}
	var req afterLoginRequest
	if err != nil || strictjson.Unmarshal(text, &req) != nil || req.Identity.ID == "" {
		return afterLoginResult{word: "bad_request"}, nil //nolint:nilerr // as said above
	}
	e.reading.End()
	e.IdentityID, e.flowID = onlyUUID(req.Identity.ID), req.Flow.ID
	lease, found, err := h.takeHandoff(c.Request().Context(), req)
	switch {
	case err != nil:
		h.metrics.stateFault(operationTake)
		return afterLoginResult{word: "state_unavailable"}, nil
	case !found:
		return afterLoginResult{word: "nothing_kept"}, nil
	}
	e.realm = lease.Handoff.Connection
	if h.opts.Audit != nil {
		e.subjectHash = h.hash(lease.Handoff.Subject)
	}
	// The profile is written even if Kratos stops waiting.
	record, word := h.syncer.sync(context.WithoutCancel(c.Request().Context()), lease)
	if record == nil || req.Response != responseParse {
		return afterLoginResult{word: word}, nil
	}
	return afterLoginResult{word, loginResponse(record)}, nil
}

// takeHandoff takes the profile that the migration hook kept.
func (h *Handler) takeHandoff(ctx context.Context, req afterLoginRequest) (lease state.Lease, found bool, err error) {
	ctx, span := tracing.Start(ctx, "take profile")
	defer span.End()
	lease, found, err = h.opts.Store.Lease(ctx, req.Identity.ID, req.Flow.ID)
	tracing.Failed(span, err)
	return lease, found, err
}

// loginResponse is the answer in Kratos' parse mode. Kratos merges it into the identity of
// this login: the user and later hooks see the new profile. With the addresses marked as
// verified, require_verified_address lets the first login in. Kratos does not store it;
// the identity has been patched already.
func loginResponse(record *kratos.Record) string {
	identity := map[string]any{"traits": record.Traits}
	if record.MetadataPublic != nil {
		identity["metadata_public"] = record.MetadataPublic
	}
	if record.AddressesJSON != nil {
		identity["verifiable_addresses"] = record.AddressesJSON
	}
	body, err := json.Marshal(map[string]any{"identity": identity})
	if err != nil {
		return ""
	}
	return string(body)
}
