package hydra

import (
	"context"
	"net/http"
	"net/url"

	"ferry/secret"
	"ferry/strictjson"
)

// TokenClient returns the client of an access token that is active. The error is an *Error of kind
// Refused if it is not.
func (c *Client) TokenClient(ctx context.Context, token secret.String) (clientID string, err error) {
	const operation = "introspect token"
	req, err := c.toAdmin(ctx, http.MethodPost, c.admin.JoinPath("admin", "oauth2", "introspect"), url.Values{"token": {token.Reveal()}}.Encode())
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	got, err := c.send(operation, req, err)
	switch {
	case err != nil:
		return "", err
	case got.status != http.StatusOK:
		return "", refusal(operation, got)
	}
	var said struct {
		Active   bool   `json:"active"`
		ClientID string `json:"client_id"`
		TokenUse string `json:"token_use"`
	}
	switch {
	case !got.isJSON || strictjson.Unmarshal(got.body, &said, "ext") != nil:
		return "", &Error{Operation: operation, Kind: Garbled, Status: got.status, Reason: "malformed"}
	case !said.Active || said.TokenUse != "access_token" || said.ClientID == "":
		return "", &Error{Operation: operation, Kind: Refused, Status: got.status, Reason: "token_inactive"}
	}
	return said.ClientID, nil
}
