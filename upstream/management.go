package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"ferry/secret"
	"ferry/strictjson"
)

const (
	// A request answered with 429 is repeated up to twice, after 1 to 10 seconds each, as
	// Auth0's own SDK does (contract, 4.4).
	limitWaits     = 2
	limitWaitLeast = time.Second
	limitWaitMost  = 10 * time.Second

	// reasonToken: the Management API rejected the token.
	reasonToken = "token_not_taken"
	// reasonProfileTooLarge: the user cannot be changed because the profile exceeds Auth0's
	// size limit of 10 KB, with an allowance of about ten times that, enforced for older
	// tenants after 4 March 2027.
	reasonProfileTooLarge = "profile_too_large"
)

// ManagementOptions configure a Management. All are required.
type ManagementOptions struct {
	// BaseURL is where to connect, without a slash at the end.
	BaseURL string
	// Audience names the API: https://DOMAIN/api/v2/ of the canonical tenant domain.
	Audience string
	// ClientID and ClientSecret are those of a machine-to-machine application, not of the
	// application used for logins.
	ClientID     string
	ClientSecret secret.String
	// Timeout bounds one request, without waits for rate limits; in a download, it bounds
	// the time without a byte.
	Timeout time.Duration
	// Transport is as in Options.
	Transport http.RoundTripper
	// Now is the clock for tokens and rate limits.
	Now func() time.Time
	// PerSecond is the maximum rate of calls, all callers together.
	PerSecond float64
}

// Management calls Auth0's Management API: it marks, exports and inspects. It shares
// nothing with Client and has no part in a login. It is safe for concurrent use.
type Management struct {
	base    string
	http    httpClient
	timeout time.Duration // of one request
	now     func() time.Time
	limit   *rate.Limiter
	token   *machineToken
}

// ManagementError is the error of a call of the Management API. Its text contains nothing of
// Auth0's answer, no id and no token. If the caller's context ended, it wraps that
// context's error.
type ManagementError struct {
	// Status is Auth0's HTTP status, 0 without an answer.
	Status int
	// Code is Auth0's error code if it is a known one, else empty.
	Code string
	// Temporary reports whether the same call may succeed later.
	Temporary bool
	// Reason is one word for logs.
	Reason string

	retry time.Duration // the delay that a 429 asks for, else 0
	cause error
}

// Error names the reason.
func (e *ManagementError) Error() string {
	text := fmt.Sprintf("auth0 management: %s (status %d", e.Reason, e.Status)
	if e.Code != "" {
		text += ", " + e.Code
	}
	return text + ")"
}

// Unwrap returns the error of the caller's context, if that ended.
func (e *ManagementError) Unwrap() error { return e.cause }

// NewManagement makes a Management. It sends nothing.
func NewManagement(opts ManagementOptions) (*Management, error) {
	switch {
	case opts.BaseURL == "" || opts.Audience == "" || opts.ClientID == "" || opts.ClientSecret.Empty():
		return nil, errors.New("upstream: management base URL, audience, client id and client secret are required")
	case opts.Transport == nil || opts.Now == nil || opts.Timeout <= 0:
		return nil, errors.New("upstream: management transport, clock and timeout are required")
	case !(opts.PerSecond > 0): // not a number is none either
		return nil, errors.New("upstream: management calls per second must be more than 0")
	}
	client := newHTTP(opts.Transport)
	return &Management{
		base:    opts.BaseURL,
		http:    client,
		timeout: opts.Timeout,
		now:     opts.Now,
		limit:   rate.NewLimiter(rate.Limit(opts.PerSecond), 1),
		token: &machineToken{
			url:      opts.BaseURL + "/oauth/token",
			audience: opts.Audience,
			auth:     SecretPost(opts.ClientID, opts.ClientSecret),
			http:     client,
			timeout:  opts.Timeout,
			now:      opts.Now,
		},
	}, nil
}

// ferryMark is the note about a user who has an identity in Kratos, for operators and for
// other programs. Package provision reads that there is one.
type ferryMark struct {
	AppMetadata struct {
		Ferry struct {
			IdentityID string `json:"identity_id"`
			CreatedAt  string `json:"created_at,omitempty"`
			MigratedAt string `json:"migrated_at,omitempty"`
		} `json:"ferry"`
	} `json:"app_metadata"`
}

// MarkMigrated sets app_metadata.ferry of one user to the Kratos identity and the
// time (RFC 3339, UTC). Auth0 merges app_metadata at its first level, so nothing
// else of the user changes. It is idempotent; the later time wins. userID is
// provider|id as Auth0 has it. Every error is a *ManagementError.
func (m *Management) MarkMigrated(ctx context.Context, userID, identityID string, at time.Time) error {
	var mark ferryMark
	mark.AppMetadata.Ferry.MigratedAt = at.UTC().Format(time.RFC3339)
	return m.mark(ctx, userID, identityID, mark)
}

// MarkCreated is MarkMigrated for a user who has an identity and has not migrated yet.
func (m *Management) MarkCreated(ctx context.Context, userID, identityID string, at time.Time) error {
	var mark ferryMark
	mark.AppMetadata.Ferry.CreatedAt = at.UTC().Format(time.RFC3339)
	return m.mark(ctx, userID, identityID, mark)
}

func (m *Management) mark(ctx context.Context, userID, identityID string, mark ferryMark) error {
	provider, id, _ := strings.Cut(userID, "|")
	if provider == "" || id == "" || identityID == "" {
		return &ManagementError{Reason: "bad_id"}
	}
	mark.AppMetadata.Ferry.IdentityID = identityID
	body, err := json.Marshal(mark)
	if err != nil {
		return &ManagementError{Reason: "bad_id"}
	}
	answer, err := m.call(ctx, http.MethodPatch, "/api/v2/users/"+url.PathEscape(userID), body)
	if err != nil {
		return err
	}
	var user struct {
		ID string `json:"user_id"`
	}
	// The identities contain profiles of other providers, with arbitrary keys.
	if !answer.isJSON || strictjson.Unmarshal(answer.body, &user, append(opaqueClaims(), "identities")...) != nil {
		return &ManagementError{Status: answer.status, Reason: "malformed"}
	}
	if user.ID != userID {
		return &ManagementError{Status: answer.status, Reason: "another_user"}
	}
	return nil
}

// call makes one call. It retries only after an answer which says that Auth0 did nothing:
// with a new token if the old one was rejected, and after a delay if Auth0 limits the rate.
// An answer other than 200 is an error.
func (m *Management) call(ctx context.Context, method, path string, body []byte) (reply, error) {
	renewed := false
	for waits := 0; ; {
		answer, fault := m.try(ctx, method, path, body)
		switch {
		case fault == nil:
			return answer, nil
		case fault.Reason == reasonToken && !renewed:
			renewed = true
		case fault.retry > 0 && waits < limitWaits && pauseWithin(ctx, fault.retry):
			waits++
		default:
			mine := *fault // others may wait for the same token
			mine.cause = ctx.Err()
			return reply{}, &mine
		}
	}
}

// pauseWithin waits. It returns false at once if ctx would end first.
func pauseWithin(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return (!ok || time.Until(deadline) > d) && pause(ctx, d)
}

// try makes one request, within the rate limit.
func (m *Management) try(ctx context.Context, method, path string, body []byte) (reply, *ManagementError) {
	token, fault := m.token.get(ctx)
	if fault != nil {
		return reply{}, fault
	}
	if m.limit.Wait(ctx) != nil {
		return reply{}, &ManagementError{Reason: ReasonOwnRateLimit, Temporary: true}
	}
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, m.base+path, bytes.NewReader(body))
	if err != nil {
		return reply{}, &ManagementError{Reason: ReasonBadBaseURL}
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	answer, err := m.http.roundTrip(req)
	switch {
	case err != nil:
		return reply{}, brokenCall(answer, err)
	case answer.status == http.StatusOK:
		return answer, nil
	}
	fault = refusedCall(answer, m.now())
	fault.Code = managementCode(answer)
	switch {
	case answer.status == http.StatusUnauthorized:
		m.token.drop(token)
		fault.Reason = reasonToken
	case method == http.MethodPatch && saysTooLarge(answer):
		fault.Reason = reasonProfileTooLarge
	}
	return reply{}, fault
}

// brokenCall is the error of a request without a readable answer.
func brokenCall(answer reply, err error) *ManagementError {
	return &ManagementError{
		Status:    answer.status,
		Temporary: !isPermanent(err) && !errors.Is(err, errTooLarge),
		Reason:    transportReason(err),
	}
}

// refusedCall is the error of an answer other than 200, with the delay that a 429 asks for.
func refusedCall(answer reply, now time.Time) *ManagementError {
	e := &ManagementError{Status: answer.status, Reason: "refused"}
	switch {
	case answer.status == http.StatusTooManyRequests:
		e.Temporary, e.Reason, e.retry = true, "limited", limitWait(answer.header, now)
	case answer.status >= http.StatusInternalServerError:
		e.Temporary, e.Reason = true, "server_fault"
	case answer.status/100 == any3xx:
		e.Reason = "redirect"
	}
	return e
}

// limitWait is the delay that a 429 asks for, within bounds.
func limitWait(header http.Header, now time.Time) time.Duration {
	return min(max(waitAsked(header, now), limitWaitLeast), limitWaitMost)
}

// saysTooLarge reports whether an answer refuses a change because the user's profile is
// too large. Auth0 documents neither status nor text, so both likely ones count: 413, and
// 400 with a message about size. ferry's own request has only a few hundred bytes.
func saysTooLarge(answer reply) bool {
	switch answer.status {
	case http.StatusRequestEntityTooLarge:
		return true
	case http.StatusBadRequest:
		var said struct {
			Message string `json:"message"`
		}
		if !answer.isJSON || strictjson.Unmarshal(answer.body, &said) != nil {
			return false
		}
		text := strings.ToLower(said.Message)
		return strings.Contains(text, "too large") || strings.Contains(text, "size") || strings.Contains(text, "10kb") || strings.Contains(text, "10 kb")
	}
	return false
}

// managementCode is the errorCode of the Management API's envelope (contract, 4.2),
// if it is a known one; any other text is not logged.
func managementCode(answer reply) string {
	var said struct {
		Code string `json:"errorCode"`
	}
	if !answer.isJSON || strictjson.Unmarshal(answer.body, &said) != nil {
		return ""
	}
	known := []string{
		"auth0_idp_error", "inexistent_user", "insufficient_scope", "invalid_body", "invalid_token", "invalid_uri",
		"operation_not_supported", "too_many_requests",
	}
	if !slices.Contains(known, said.Code) {
		return ""
	}
	return said.Code
}
