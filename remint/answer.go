package remint

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"ferry/hydra"
)

// result is what became of a request, as one word for the log, the audit record and the metrics.
type result string

const (
	// resultReminted: the client got new tokens; resultRepeated: those of a moment ago.
	resultReminted result = "reminted"
	resultRepeated result = "repeated"
	// resultRejected: Auth0 refuses the token. resultRefused: the user has no active identity.
	resultRejected result = "rejected"
	resultRefused  result = "refused"
	// resultRevoked: the token is revoked at Auth0, and its record deleted.
	resultRevoked result = "revoked"
	// resultInvalidClient: the client's credentials do not hold.
	resultInvalidClient result = "invalid_client"
	// resultNotEnabled: the tokens of this client are not re-minted. resultClosed: the migration
	// has ended.
	resultNotEnabled result = "not_enabled"
	resultClosed     result = "closed"
	// resultPaused, resultMisconfigured and resultUnavailable say nothing about the user.
	resultPaused        result = "paused"
	resultMisconfigured result = "misconfigured"
	resultUnavailable   result = "unavailable"
)

// results are all of them, for the metrics.
func results() []result {
	return []result{
		resultReminted, resultRepeated, resultRevoked, resultRejected, resultRefused, resultInvalidClient, resultNotEnabled, resultClosed,
		resultPaused, resultMisconfigured, resultUnavailable,
	}
}

// retryAfter is when an application is to try again.
const retryAfter = 5 * time.Second

// answerTo returns the answer of a result. tokens are those of resultReminted and resultRepeated.
func answerTo(is result, tokens hydra.Tokens) Answer {
	switch is {
	case resultReminted, resultRepeated:
		return tokenAnswer(tokens)
	case resultRejected, resultRefused, resultClosed:
		// The status and the text are Auth0's (contract, 4.5): its SDKs look at both.
		return errorAnswer(http.StatusForbidden, "invalid_grant", "Unknown or invalid refresh token.")
	case resultRevoked:
		return Answer{Status: http.StatusOK, Header: http.Header{"Cache-Control": {"no-store"}}}
	case resultInvalidClient:
		return errorAnswer(http.StatusUnauthorized, "invalid_client", "Client authentication failed.")
	case resultNotEnabled, resultPaused, resultMisconfigured, resultUnavailable:
	}
	a := errorAnswer(http.StatusServiceUnavailable, "temporarily_unavailable", "The refresh token could not be handled now. Try again with the same token.")
	a.Header.Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	return a
}

// tokenAnswer has the form of Auth0's answer.
func tokenAnswer(t hydra.Tokens) Answer {
	return jsonAnswer(http.StatusOK, struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		IDToken      string `json:"id_token,omitempty"`
		Scope        string `json:"scope"`
		ExpiresIn    int64  `json:"expires_in"`
		TokenType    string `json:"token_type"`
	}{t.AccessToken.Reveal(), t.RefreshToken.Reveal(), t.IDToken.Reveal(), t.Scope, t.ExpiresIn, "Bearer"})
}

func errorAnswer(status int, code, description string) Answer {
	return jsonAnswer(status, map[string]string{"error": code, "error_description": description})
}

func jsonAnswer(status int, body any) Answer {
	text, err := json.Marshal(body)
	if err != nil { // texts and a number: it cannot fail
		status, text = http.StatusServiceUnavailable, []byte(`{"error":"temporarily_unavailable"}`)
	}
	return Answer{Status: status, Body: text, Header: http.Header{
		"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "Pragma": {"no-cache"},
	}}
}
