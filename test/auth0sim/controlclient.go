package auth0sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// Control drives a simulator that runs in another process.
type Control struct {
	// URL is where its control API listens.
	URL string
	// Client makes the requests; nil is one of its own.
	Client *http.Client
}

// Health returns the URL of the simulator and its issuer.
func (c Control) Health(ctx context.Context) (listenURL, issuer string, err error) {
	body, err := call[healthBody](ctx, c, http.MethodGet, "/health", nil)
	return body.URL, body.Issuer, err
}

// SetTenant replaces everything that exists: see [Server.SetTenant].
func (c Control) SetTenant(ctx context.Context, t Tenant) error {
	return c.do(ctx, http.MethodPut, "/tenant", t)
}

// AddUser adds a user and returns it as stored.
func (c Control) AddUser(ctx context.Context, u User) (User, error) {
	return call[User](ctx, c, http.MethodPost, "/users", u)
}

// Users returns all users, by id.
func (c Control) Users(ctx context.Context) ([]User, error) {
	return call[[]User](ctx, c, http.MethodGet, "/users", nil)
}

// PatchUser changes the members of a user that patch names, by their JSON
// names: {"blocked": true}.
func (c Control) PatchUser(ctx context.Context, id string, patch map[string]any) (User, error) {
	return call[User](ctx, c, http.MethodPatch, userPath(id), patch)
}

// AddRefreshToken adds a refresh token and returns it as stored: see [Server.AddRefreshToken].
func (c Control) AddRefreshToken(ctx context.Context, t RefreshToken) (RefreshToken, error) {
	return call[RefreshToken](ctx, c, http.MethodPost, "/refresh-tokens", t)
}

// RefreshTokens returns all refresh tokens in the order of their issue.
func (c Control) RefreshTokens(ctx context.Context) ([]RefreshToken, error) {
	return call[[]RefreshToken](ctx, c, http.MethodGet, "/refresh-tokens", nil)
}

// RevokeRefreshToken revokes a refresh token and all others of its family.
func (c Control) RevokeRefreshToken(ctx context.Context, token string) error {
	return c.do(ctx, http.MethodPost, "/refresh-tokens/revoke", refreshTokenName{token})
}

// ExpireRefreshToken ends the lifetime of a refresh token and of all others of its family.
func (c Control) ExpireRefreshToken(ctx context.Context, token string) error {
	return c.do(ctx, http.MethodPost, "/refresh-tokens/expire", refreshTokenName{token})
}

// Settings returns the settings in force.
func (c Control) Settings(ctx context.Context) (Settings, error) {
	return call[Settings](ctx, c, http.MethodGet, "/settings", nil)
}

// PatchSettings changes the settings that patch names, by their JSON names.
func (c Control) PatchSettings(ctx context.Context, patch map[string]any) (Settings, error) {
	return call[Settings](ctx, c, http.MethodPatch, "/settings", patch)
}

// SetFault sets a fault and returns its id.
func (c Control) SetFault(ctx context.Context, f Fault) (int, error) {
	body, err := call[faultID](ctx, c, http.MethodPost, "/faults", f)
	return body.ID, err
}

// ClearFault ends one fault.
func (c Control) ClearFault(ctx context.Context, id int) error {
	return c.do(ctx, http.MethodDelete, "/faults/"+strconv.Itoa(id), nil)
}

// Counters returns all counters.
func (c Control) Counters(ctx context.Context) (Counters, error) {
	return call[Counters](ctx, c, http.MethodGet, "/counters", nil)
}

func userPath(id string) string { return "/users/" + url.PathEscape(id) }

// do is call for what answers nothing worth having.
func (c Control) do(ctx context.Context, method, path string, body any) error {
	_, err := call[json.RawMessage](ctx, c, method, path, body)
	return err
}

// call makes one request and reads the answer, if there is one.
func call[T any](ctx context.Context, c Control, method, path string, body any) (T, error) {
	var result T
	raw, err := c.roundTrip(ctx, method, path, body)
	if err != nil {
		return result, fmt.Errorf("auth0sim: %s %s: %w", method, path, err)
	}
	if len(raw) == 0 {
		return result, nil
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		return result, fmt.Errorf("auth0sim: %s %s: %w", method, path, err)
	}
	return result, nil
}

func (c Control) roundTrip(ctx context.Context, method, path string, body any) ([]byte, error) {
	var payload io.Reader = http.NoBody
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, payload)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", typeJSON)
	client := c.Client
	if client == nil {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		client = &http.Client{Transport: transport}
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxControlBody))
	if closeErr := resp.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		var problem controlError
		if json.Unmarshal(raw, &problem) != nil || problem.Error == "" {
			problem.Error = "no reason given"
		}
		return nil, fmt.Errorf("status %d: %s", resp.StatusCode, problem.Error)
	}
	return raw, nil
}
