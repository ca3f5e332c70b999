package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"ferry/outcome"
	"ferry/strictjson"
)

// Tenant reads the public endpoints of an Auth0 tenant. It is for diagnosis, and has no
// part in a login.
type Tenant struct {
	base string
	http httpClient
}

// NewTenant makes a Tenant; it sends nothing. The base URL has no slash at its end,
// and the transport is as in Options.
func NewTenant(baseURL string, transport http.RoundTripper) (*Tenant, error) {
	if baseURL == "" || transport == nil {
		return nil, errors.New("upstream: base URL and transport are required")
	}
	return &Tenant{base: baseURL, http: newHTTP(transport)}, nil
}

// Discovery is a tenant's metadata (OpenID Connect Discovery, 3).
type Discovery struct {
	// Issuer is the iss of its ID tokens.
	Issuer string
	// Date is Auth0's clock, to the second; zero if Auth0 sent none.
	Date time.Time
}

// Discovery reads the tenant's discovery document. Every error is a *LoginError, whose
// Reason says why the tenant was not reached: dns, dial, tls, timeout.
func (t *Tenant) Discovery(ctx context.Context) (Discovery, error) {
	answer, loginErr := t.get(ctx, "/.well-known/openid-configuration")
	if loginErr != nil {
		return Discovery{}, loginErr
	}
	var said struct {
		Issuer string `json:"issuer"`
	}
	if !answer.isJSON || strictjson.Unmarshal(answer.body, &said) != nil || said.Issuer == "" {
		return Discovery{}, &LoginError{Outcome: outcome.InvalidResponse, Status: answer.status, Reason: "malformed"}
	}
	d := Discovery{Issuer: said.Issuer}
	if date, err := http.ParseTime(answer.header.Get("Date")); err == nil {
		d.Date = date
	}
	return d, nil
}

// SigningKeys counts the published keys that can verify an ID token. Every error is a
// *LoginError.
func (t *Tenant) SigningKeys(ctx context.Context) (int, error) {
	answer, loginErr := t.get(ctx, "/.well-known/jwks.json")
	if loginErr != nil {
		return 0, loginErr
	}
	return len(parseKeys(answer.body)), nil
}

func (t *Tenant) get(ctx context.Context, path string) (reply, *LoginError) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.base+path, nil)
	if err != nil {
		return reply{}, &LoginError{Outcome: outcome.Misconfigured, Reason: ReasonBadBaseURL}
	}
	answer, err := t.http.roundTrip(req)
	switch {
	case err != nil:
		loginErr := noAnswer(answer, err)
		if loginErr.Reason == ReasonTLS {
			loginErr.cause = err
		}
		return reply{}, loginErr
	case answer.status != http.StatusOK:
		return reply{}, &LoginError{Outcome: outcome.Unavailable, Status: answer.status, Reason: "refused"}
	}
	return answer, nil
}

// Causes of a Trial, in addition to the reasons of Contract's rows.
const (
	CauseGrantNotAllowed    = "grant_not_allowed"
	CauseUnknownClient      = "unknown_client"
	CauseUnknownRealm       = "unknown_realm"
	CauseDisabledRealm      = "disabled_realm"
	CauseUnknownAudience    = "unknown_audience"
	CauseAudienceNotEnabled = "audience_not_enabled"
)

// Trial is the result of a grant sent for diagnosis.
type Trial struct {
	// Err is Auth0's answer; nil if it gave tokens.
	Err *LoginError
	// Cause is the error's reason, or one of the causes above where Auth0's words
	// say more than the reason does.
	Cause string
	// Limit is Auth0's rate limit, in requests, as the answer told it; 0 if it did not.
	Limit int64
}

// Try sends one grant, as Verify does, and classifies the answer in more detail, for
// people who set ferry up. It discards tokens unread.
func (c *Client) Try(ctx context.Context, credentials Credentials) Trial {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	answer, loginErr := c.send(ctx, credentials)
	switch {
	case loginErr != nil:
		return Trial{Err: loginErr, Cause: loginErr.Reason}
	case answer.status == http.StatusOK:
		return Trial{}
	}
	loginErr = classify(answer)
	return Trial{Err: loginErr, Cause: cause(loginErr.Reason, answer), Limit: max(number(answer.header, headerLimit), 0)}
}

// cause tells apart the cases of one contract row.
func cause(reason string, answer reply) string {
	var said errorResponse
	if !answer.isJSON || strictjson.Unmarshal(answer.body, &said) != nil {
		return reason
	}
	for _, known := range []struct {
		reason string
		text   textCondition
		cause  string
	}{
		{"client_not_allowed", textCondition{Contains: "not allowed for the client"}, CauseGrantNotAllowed},
		{"client_not_allowed", textCondition{Is: "invalid client"}, CauseUnknownClient},
		{"request_invalid", textCondition{Is: "the connection was not found"}, CauseUnknownRealm},
		{"request_invalid", textCondition{Is: "the connection was disabled"}, CauseDisabledRealm},
		{"audience", textCondition{Begins: "Service not found"}, CauseUnknownAudience},
		{"audience", textCondition{Begins: "Service not enabled"}, CauseAudienceNotEnabled},
	} {
		if known.reason == reason && known.text.holds(said.Description) {
			return known.cause
		}
	}
	return reason
}

// LeewayOfTokens is how far the clocks of Auth0 and ferry may be apart before ID
// tokens are refused.
const LeewayOfTokens = leeway

// GrantType is the grant type for credentials in this realm.
func GrantType(realm string) string {
	if realm == "" {
		return grantPassword
	}
	return grantPasswordRealm
}

// String describes the trial for reports. It holds no personal data.
func (t Trial) String() string {
	if t.Err == nil {
		return "tokens"
	}
	text := fmt.Sprintf("status %d", t.Err.Status)
	if t.Err.Code != "" {
		text += " " + t.Err.Code
	}
	return strings.TrimPrefix(text+", "+t.Cause, "status 0, ")
}
