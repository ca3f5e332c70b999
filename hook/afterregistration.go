package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"ferry/identifier"
	"ferry/mapping"
	"ferry/mode"
	"ferry/provenance"
	"ferry/provision"
	"ferry/strictjson"
	"ferry/tracing"
	"ferry/wire"
)

// signUpTime is how long a sign-up may wait for ferry. Kratos gives up after 30 seconds.
const signUpTime = 10 * time.Second

// signUps finds out whether people who sign up are users of Auth0.
type signUps interface {
	SignUp(ctx context.Context, up provision.SignUp) (provision.Answer, error)
}

// afterRegistrationRequest is the body that ferry's after-registration template produces.
type afterRegistrationRequest struct {
	Identity struct {
		SchemaID            string          `json:"schema_id"`
		Traits              json.RawMessage `json:"traits"`
		MetadataPublic      json.RawMessage `json:"metadata_public"`
		VerifiableAddresses []struct {
			Value    string `json:"value"`
			Via      string `json:"via"`
			Verified bool   `json:"verified"`
		} `json:"verifiable_addresses"`
	} `json:"identity"`
	Flow struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	} `json:"flow"`
	Provider string `json:"provider"`
}

// The results of an after-registration call that are not those of package provision. Where
// Kratos or Auth0 did not answer, the sign-up goes on.
const (
	signUpOff        = "off"
	signUpBadRequest = "bad_request"
	signUpPanic      = "panic"
)

// afterRegistrationResult is the result of an after-registration call.
type afterRegistrationResult struct{ word, body string }

// afterRegistrationRoute answers every call with a valid key, whatever happens, with 204, or
// with 200 and what Kratos is to store. Any other answer would fail the sign-up.
func (h *Handler) afterRegistrationRoute() route[afterRegistrationResult] {
	return route[afterRegistrationResult]{
		name:     wire.RouteAfterRegistration,
		handle:   h.afterRegistration,
		panicked: func(*call) afterRegistrationResult { return afterRegistrationResult{word: signUpPanic} },
		answer: func(r afterRegistrationResult) ending {
			end := ending{outcome: r.word, reply: reply{status: http.StatusNoContent}, omitRecord: true}
			if r.body != "" {
				end.status, end.body, end.media = http.StatusOK, r.body, echo.MIMEApplicationJSON
			}
			return end
		},
		refuse: func(error) ending {
			return ending{reply: reply{status: http.StatusUnauthorized}, omitTook: true, omitRecord: true}
		},
		count: func(r afterRegistrationResult, e *call, _ error) { h.metrics.afterRegistration(r.word, e.Took) },
	}
}

// afterRegistration handles a call of the after-registration hook. A request that is not
// valid is a result, not an error of the caller.
func (h *Handler) afterRegistration(c echo.Context, e *call) (afterRegistrationResult, error) {
	text, err := readJSON(c.Response(), c.Request())
	var req afterRegistrationRequest
	if err != nil || strictjson.Unmarshal(text, &req, "traits", "metadata_public") != nil {
		return afterRegistrationResult{word: signUpBadRequest}, nil //nolint:nilerr // as said above
	}
	e.reading.End()
	e.flowID = req.Flow.ID
	up, passed, ok := req.signUp()
	if !ok {
		return afterRegistrationResult{word: signUpBadRequest}, nil
	}
	if len(up.Addresses) > 0 {
		e.IdentifierHash = h.hash(identifier.Normalize(up.Addresses[0].Value))
	}
	answer := provision.Answer{Reason: signUpOff}
	if h.opts.SignUps != nil && !h.opts.Closed && h.mode() != mode.Off {
		ctx, cancel := context.WithTimeout(c.Request().Context(), signUpTime)
		defer cancel()
		answer = h.signUp(ctx, up)
	}
	if h.opts.Audit != nil && answer.UserID != "" {
		e.subjectHash = h.hash(answer.UserID)
	}
	if answer.Identity == nil && !passed {
		return afterRegistrationResult{word: answer.Reason}, nil
	}
	return afterRegistrationResult{word: answer.Reason, body: signUpBody(answer, up)}, nil
}

// signUp asks about the sign-up. If it cannot be told, the sign-up goes on.
func (h *Handler) signUp(ctx context.Context, up provision.SignUp) provision.Answer {
	ctx, span := tracing.Start(ctx, "look up sign-up")
	defer span.End()
	answer, err := h.opts.SignUps.SignUp(ctx, up)
	tracing.Ended(span, "", answer.Reason)
	tracing.Failed(span, err)
	switch {
	case errors.Is(err, provision.ErrNotReady):
		return provision.Answer{Reason: provision.EnsureNotReady}
	case err != nil:
		h.opts.Log.Warn("sign-up not looked up", zap.Error(err))
		return provision.Answer{Reason: provision.EnsureFailed}
	case answer.Identity != nil && h.mode() != mode.On:
		return provision.Answer{Reason: provision.ReasonObserved, UserID: answer.UserID}
	}
	return answer
}

// signUp returns the sign-up, without what the mapper of a social login passed on to ferry in
// metadata_public, and whether it passed on anything. ok is false if the traits or the metadata
// are not objects.
func (r afterRegistrationRequest) signUp() (up provision.SignUp, passed, ok bool) {
	up = provision.SignUp{SchemaID: r.Identity.SchemaID, Provider: r.Provider}
	for _, a := range r.Identity.VerifiableAddresses {
		up.Addresses = append(up.Addresses, mapping.CurrentAddress{Value: a.Value, Via: a.Via, Verified: a.Verified})
	}
	if up.Traits, ok = readObject(r.Identity.Traits); !ok || up.Traits == nil {
		return up, false, false
	}
	if up.MetadataPublic, ok = readObject(r.Identity.MetadataPublic); !ok {
		return up, false, false
	}
	given, passed := up.MetadataPublic[provenance.Key].(map[string]any)
	delete(up.MetadataPublic, provenance.Key)
	up.Subject, _ = given["user_id"].(string)
	return up, passed, true
}

// readObject reads an object with its numbers digit for digit. It returns nil for null and for
// a missing one.
func readObject(text json.RawMessage) (object map[string]any, ok bool) {
	if len(text) == 0 {
		return nil, true
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err := decoder.Decode(&object)
	return object, err == nil
}

// signUpBody is what Kratos stores instead of what the user signed up with.
func signUpBody(answer provision.Answer, up provision.SignUp) string {
	identity := map[string]any{"metadata_public": object(up.MetadataPublic)}
	if bound := answer.Identity; bound != nil {
		identity["traits"], identity["metadata_admin"] = bound.Traits, bound.MetadataAdmin
		identity["metadata_public"] = object(bound.MetadataPublic)
		var addresses []map[string]any
		for _, a := range bound.Addresses {
			status := "pending"
			if a.Verified {
				status = "completed"
			}
			addresses = append(addresses, map[string]any{"value": a.Value, "via": a.Via, "verified": a.Verified, "status": status})
		}
		if len(addresses) > 0 {
			identity["verifiable_addresses"] = addresses
		}
		if answer.ExternalID != "" {
			identity["external_id"] = answer.ExternalID
		}
		if answer.Inactive {
			identity["state"] = "inactive"
		}
	}
	body, err := json.Marshal(map[string]any{"identity": identity})
	if err != nil {
		return ""
	}
	return string(body)
}

// object returns null for an empty object: Kratos would not take over a missing one.
func object(fields map[string]any) any {
	if len(fields) == 0 {
		return nil
	}
	return fields
}
