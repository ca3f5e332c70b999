package front

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// retryAfter is when an application is to try again.
const retryAfter = 5 * time.Second

// refusal is an answer of the front's own: RFC 6749, 5.2.
type refusal struct {
	status            int
	code, description string
	retry             time.Duration // 0: no Retry-After
}

// unavailable says that nothing could be decided. Applications keep their tokens.
func unavailable(description string) *refusal {
	return &refusal{http.StatusServiceUnavailable, "temporarily_unavailable", description + " Try again.", retryAfter}
}

func invalidRequest(status int, description string) *refusal {
	return &refusal{status, "invalid_request", description, 0}
}

// invalidGrant has the status and the text of Auth0's: its SDKs look at both.
func invalidGrant() *refusal {
	return &refusal{http.StatusForbidden, "invalid_grant", "Unknown or invalid refresh token.", 0}
}

func tooMany() *refusal {
	return &refusal{http.StatusTooManyRequests, "too_many_requests", "Too many requests from this address.", time.Minute}
}

// write writes the answer.
func (no *refusal) write(w http.ResponseWriter) {
	body, err := json.Marshal(map[string]string{"error": no.code, "error_description": no.description})
	if err != nil {
		body = nil // texts of the front: it cannot fail
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("Pragma", "no-cache")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if no.retry > 0 {
		header.Set("Retry-After", strconv.Itoa(int(no.retry/time.Second)))
	}
	w.WriteHeader(no.status)
	_, _ = w.Write(body)
}
