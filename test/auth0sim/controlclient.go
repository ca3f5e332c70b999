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
	"time"
)

// Control drives a simulator that runs in another process.
type Control struct {
	// URL is where its control API listens.
	URL string
	// Client makes the requests; nil is one of its own.
	Client *http.Client
}

// Health returns where the simulator listens and whose issuer it is.
func (c Control) Health(ctx context.Context) (listenURL, issuer string, err error) {
	body, err := call[healthBody](ctx, c, http.MethodGet, "/health", nil)
	return body.URL, body.Issuer, err
}

// SetTenant replaces everything that exists: see [Server.SetTenant].
func (c Control) SetTenant(ctx context.Context, t Tenant) error {
	return c.do(ctx, http.MethodPut, "/tenant", t)
}

// AddConnection adds or replaces a connection.
func (c Control) AddConnection(ctx context.Context, conn Connection) error {
	return c.do(ctx, http.MethodPost, "/connections", conn)
}

// AddApp adds or replaces an application.
func (c Control) AddApp(ctx context.Context, a App) error {
	return c.do(ctx, http.MethodPost, "/apps", a)
}

// AddAPI adds or replaces a resource server.
func (c Control) AddAPI(ctx context.Context, a API) error {
	return c.do(ctx, http.MethodPost, "/apis", a)
}

// SetDefaultDirectory names the connection of the plain password grant.
func (c Control) SetDefaultDirectory(ctx context.Context, connection string) error {
	return c.do(ctx, http.MethodPut, "/default-directory", directoryBody{Connection: connection})
}

// AddUser adds a user and returns it as stored.
func (c Control) AddUser(ctx context.Context, u User) (User, error) {
	return call[User](ctx, c, http.MethodPost, "/users", u)
}

// Users returns all users, by id.
func (c Control) Users(ctx context.Context) ([]User, error) {
	return call[[]User](ctx, c, http.MethodGet, "/users", nil)
}

// User returns a user as stored.
func (c Control) User(ctx context.Context, id string) (User, error) {
	return call[User](ctx, c, http.MethodGet, userPath(id), nil)
}

// PatchUser changes the members of a user that patch names, by their JSON
// names: {"blocked": true}.
func (c Control) PatchUser(ctx context.Context, id string, patch map[string]any) (User, error) {
	return call[User](ctx, c, http.MethodPatch, userPath(id), patch)
}

// DeleteUser removes a user.
func (c Control) DeleteUser(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, userPath(id), nil)
}

// UnblockUser lifts the brute-force blocks of a user.
func (c Control) UnblockUser(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodPost, userPath(id)+"/unblock", nil)
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

// ActiveFaults lists the faults that are set.
func (c Control) ActiveFaults(ctx context.Context) ([]ActiveFault, error) {
	return call[[]ActiveFault](ctx, c, http.MethodGet, "/faults", nil)
}

// ClearFaults ends all faults.
func (c Control) ClearFaults(ctx context.Context) error {
	return c.do(ctx, http.MethodDelete, "/faults", nil)
}

// ClearFault ends one fault.
func (c Control) ClearFault(ctx context.Context, id int) error {
	return c.do(ctx, http.MethodDelete, "/faults/"+strconv.Itoa(id), nil)
}

// FaultNames lists every fault there is: see [Faults].
func (c Control) FaultNames(ctx context.Context) ([]FaultName, error) {
	return call[[]FaultName](ctx, c, http.MethodGet, "/fault-names", nil)
}

// AnswerRows lists every refusal there is: see [AnswerRows].
func (c Control) AnswerRows(ctx context.Context) ([]AnswerRow, error) {
	return call[[]AnswerRow](ctx, c, http.MethodGet, "/answers", nil)
}

// Counters returns all counters.
func (c Control) Counters(ctx context.Context) (Counters, error) {
	return call[Counters](ctx, c, http.MethodGet, "/counters", nil)
}

// Requests returns the latest token requests, the oldest first.
func (c Control) Requests(ctx context.Context) ([]Request, error) {
	return call[[]Request](ctx, c, http.MethodGet, "/requests", nil)
}

// Reset forgets what happened: see [Server.Reset].
func (c Control) Reset(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/reset", nil)
}

// Now is the tenant's time.
func (c Control) Now(ctx context.Context) (time.Time, error) {
	body, err := call[clockBody](ctx, c, http.MethodGet, "/clock", nil)
	return body.Now, err
}

// SetClock moves the tenant's time to t.
func (c Control) SetClock(ctx context.Context, t time.Time) error {
	return c.do(ctx, http.MethodPut, "/clock", clockBody{Now: t})
}

// Advance moves the tenant's time on by d.
func (c Control) Advance(ctx context.Context, d time.Duration) error {
	return c.do(ctx, http.MethodPut, "/clock", clockBody{Advance: d.String()})
}

// KeyIDs are the ids of the published keys, the newest first.
func (c Control) KeyIDs(ctx context.Context) ([]string, error) {
	body, err := call[keysBody](ctx, c, http.MethodGet, "/keys", nil)
	return body.IDs, err
}

// RotateKey signs with a new key and returns its id.
func (c Control) RotateKey(ctx context.Context, keepOld bool) (string, error) {
	body, err := call[keysBody](ctx, c, http.MethodPost, "/keys", rotateBody{KeepOld: keepOld})
	if err != nil || len(body.IDs) == 0 {
		return "", err
	}
	return body.IDs[0], nil
}

// WithdrawKey stops publishing a key.
func (c Control) WithdrawKey(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/keys/"+url.PathEscape(id), nil)
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
