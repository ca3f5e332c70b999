package kratostest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// ChangePassword chooses a new password in Kratos' settings, as somebody does who
// has just logged in with LoginAPI.
func (k *Kratos) ChangePassword(ctx context.Context, login Login, password string) error {
	if login.sessionToken == "" {
		return errors.New("change password: the login has no session token")
	}
	var settings flow
	if err := k.withToken(ctx, login, http.MethodGet, k.publicURL+"/self-service/settings/api", nil, &settings); err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	body, err := json.Marshal(map[string]string{"method": "password", "password": password})
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	var changed struct {
		State string `json:"state"`
	}
	if err := k.withToken(ctx, login, http.MethodPost, k.reached(settings.UI.Action), body, &changed); err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	if changed.State != "success" {
		return fmt.Errorf("change password: the flow is in state %q", changed.State)
	}
	return nil
}

func (k *Kratos) withToken(ctx context.Context, login Login, method, address string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("X-Session-Token", login.sessionToken)
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/json")
	response, err := k.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %s", response.StatusCode, text)
	}
	return json.Unmarshal(text, into)
}
