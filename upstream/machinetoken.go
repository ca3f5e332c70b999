package upstream

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"ferry/secret"
	"ferry/strictjson"
)

const (
	// A token is not used in its last minute, so that it is still valid when it arrives.
	tokenMargin = time.Minute
	// No token is kept longer, whatever expires_in says (Auth0 sends a day).
	tokenLifeMost = 24 * time.Hour
)

// machineToken caches the access token of the client_credentials grant (RFC 6749, 4.4;
// contract, 4.1), because Auth0 limits how many it issues. It is fetched on first use.
type machineToken struct {
	url      string
	audience string
	auth     ClientAuth
	http     httpClient
	timeout  time.Duration
	now      func() time.Time
	flight   singleflight.Group

	mu    sync.Mutex
	token secret.String
	until time.Time
}

// get returns the cached token, or a new one. Concurrent calls share one request, which
// continues if its caller's context ends.
func (t *machineToken) get(ctx context.Context) (secret.String, *ManagementError) {
	if token, ok := t.kept(); ok {
		return token, nil
	}
	done := t.flight.DoChan("token", func() (any, error) {
		if token, ok := t.kept(); ok {
			return token, nil
		}
		token, _, fault := t.fetch(context.WithoutCancel(ctx))
		if fault != nil {
			return nil, fault
		}
		return token, nil
	})
	select {
	case <-ctx.Done():
		return secret.String{}, brokenCall(reply{}, ctx.Err())
	case result := <-done:
		var fault *ManagementError
		if errors.As(result.Err, &fault) {
			return secret.String{}, fault
		}
		token, _ := result.Val.(secret.String)
		return token, nil
	}
}

// kept returns the cached token, and whether it is still valid.
func (t *machineToken) kept() (secret.String, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token, t.now().Before(t.until)
}

// drop discards a token that Auth0 rejected, unless it was replaced already.
func (t *machineToken) drop(token secret.String) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token.Equal(token) {
		t.until = time.Time{}
	}
}

// fetch requests a new token and keeps it. It returns the token and its scopes as Auth0
// tells them.
func (t *machineToken) fetch(ctx context.Context) (token secret.String, scope string, fault *ManagementError) {
	fail := func(fault *ManagementError) (secret.String, string, *ManagementError) {
		fault.Reason = "token_" + fault.Reason
		return secret.String{}, "", fault
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	form := url.Values{"grant_type": {"client_credentials"}, "audience": {t.audience}}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if t.auth.sign(form, header) != nil {
		return fail(&ManagementError{Reason: "client_authentication"})
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, strings.NewReader(form.Encode()))
	if err != nil {
		return fail(&ManagementError{Reason: ReasonBadBaseURL})
	}
	req.Header = header
	asked := t.now()
	answer, err := t.http.roundTrip(req)
	if err != nil {
		return fail(brokenCall(answer, err))
	}
	if answer.status != http.StatusOK {
		fault := refusedCall(answer, t.now())
		fault.Code = classify(answer).Code
		return fail(fault)
	}
	said, ok := parseMachineToken(answer)
	if !ok {
		return fail(&ManagementError{Status: answer.status, Reason: "malformed"})
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	life := time.Duration(min(said.ExpiresIn, tokenLifeMost.Seconds()) * float64(time.Second))
	t.token, t.until = secret.New(said.AccessToken), asked.Add(life-min(tokenMargin, life/2))
	scope, _ = said.Scope.(string)
	return t.token, scope, nil
}

// machineTokenResponse is RFC 6749, 5.1.
type machineTokenResponse struct {
	tokenResponse

	Type      string  `json:"token_type"`
	ExpiresIn float64 `json:"expires_in"`
	Scope     any     `json:"scope"`
}

func parseMachineToken(answer reply) (said machineTokenResponse, ok bool) {
	ok = answer.isJSON && strictjson.Unmarshal(answer.body, &said) == nil &&
		!bool(said.Error) && said.AccessToken != "" && said.ExpiresIn >= 1 && strings.EqualFold(said.Type, "Bearer")
	return said, ok
}
