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

// Tenant asks the endpoints of an Auth0 tenant that are open to everybody. It is for
// finding out what is wrong, and has no part in a login.
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

// Discovery is what a tenant says of itself (OpenID Connect Discovery, 3).
type Discovery struct {
	// Issuer is the iss of its ID tokens.
	Issuer string
	// Date is Auth0's clock, by the second; zero where it sent none.
	Date time.Time
}

// Discovery reads the tenant's discovery document. Every error is a *Refusal, which
// names why the tenant was not reached: dns, dial, tls, timeout.
func (t *Tenant) Discovery(ctx context.Context) (Discovery, error) {
	answer, refusal := t.get(ctx, "/.well-known/openid-configuration")
	if refusal != nil {
		return Discovery{}, refusal
	}
	var said struct {
		Issuer string `json:"issuer"`
	}
	if !answer.isJSON || strictjson.Unmarshal(answer.body, &said) != nil || said.Issuer == "" {
		return Discovery{}, &Refusal{Outcome: outcome.Garbled, Status: answer.status, Reason: "malformed"}
	}
	d := Discovery{Issuer: said.Issuer}
	if date, err := http.ParseTime(answer.header.Get("Date")); err == nil {
		d.Date = date
	}
	return d, nil
}

// SigningKeys counts the published keys that can verify an ID token. Every error is a
// *Refusal.
func (t *Tenant) SigningKeys(ctx context.Context) (int, error) {
	answer, refusal := t.get(ctx, "/.well-known/jwks.json")
	if refusal != nil {
		return 0, refusal
	}
	return len(parseKeys(answer.body)), nil
}

func (t *Tenant) get(ctx context.Context, path string) (reply, *Refusal) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.base+path, nil)
	if err != nil {
		return reply{}, &Refusal{Outcome: outcome.Misconfigured, Reason: "bad_base_url"}
	}
	answer, err := t.http.roundTrip(req)
	switch {
	case err != nil:
		refusal := noAnswer(answer, err)
		if refusal.Reason == reasonTLS {
			refusal.cause = err
		}
		return reply{}, refusal
	case answer.status != http.StatusOK:
		return reply{}, &Refusal{Outcome: outcome.Unavailable, Status: answer.status, Reason: "refused"}
	}
	return answer, nil
}

// The causes that a trial can name beside the reasons of Contract's rows.
const (
	CauseGrantNotAllowed    = "grant_not_allowed"
	CauseUnknownClient      = "unknown_client"
	CauseUnknownRealm       = "unknown_realm"
	CauseDisabledRealm      = "disabled_realm"
	CauseUnknownAudience    = "unknown_audience"
	CauseAudienceNotEnabled = "audience_not_enabled"
)

// Trial is what came of a grant that nobody waits for.
type Trial struct {
	// Refusal is Auth0's answer; nil: it gave tokens.
	Refusal *Refusal
	// Cause is the refusal's reason, or one of the causes above where Auth0's words
	// say more than the reason does.
	Cause string
}

// Try sends one grant, as Ask does, and reads the answer more closely, for people who
// set ferry up. Tokens are dropped unread.
func (c *Client) Try(ctx context.Context, q Question) Trial {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	answer, refusal := c.send(ctx, q)
	switch {
	case refusal != nil:
		return Trial{Refusal: refusal, Cause: refusal.Reason}
	case answer.status == http.StatusOK:
		return Trial{}
	}
	refusal = classify(answer)
	return Trial{Refusal: refusal, Cause: cause(refusal.Reason, answer)}
}

// cause tells apart what one row of the contract holds together.
func cause(reason string, answer reply) string {
	var said errorResponse
	if !answer.isJSON || strictjson.Unmarshal(answer.body, &said) != nil {
		return reason
	}
	for _, known := range []struct {
		reason string
		text   Text
		cause  string
	}{
		{"client_not_allowed", Text{Contains: "not allowed for the client"}, CauseGrantNotAllowed},
		{"client_not_allowed", Text{Is: "invalid client"}, CauseUnknownClient},
		{"request_invalid", Text{Is: "the connection was not found"}, CauseUnknownRealm},
		{"request_invalid", Text{Is: "the connection was disabled"}, CauseDisabledRealm},
		{"audience", Text{Begins: "Service not found"}, CauseUnknownAudience},
		{"audience", Text{Begins: "Service not enabled"}, CauseAudienceNotEnabled},
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

// GrantType is the grant that a question in this realm is put with.
func GrantType(realm string) string {
	if realm == "" {
		return grantPassword
	}
	return grantPasswordRealm
}

// String is the trial for reports, without anything of the person's.
func (t Trial) String() string {
	if t.Refusal == nil {
		return "tokens"
	}
	text := fmt.Sprintf("status %d", t.Refusal.Status)
	if t.Refusal.Code != "" {
		text += " " + t.Refusal.Code
	}
	return strings.TrimPrefix(text+", "+t.Cause, "status 0, ")
}
