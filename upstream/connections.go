package upstream

import (
	"context"
	"net/http"
	"net/url"
	"regexp"

	"ferry/strictjson"
)

// connectionPattern is an id of a connection (contract, 4.3).
var connectionPattern = regexp.MustCompile(`^con_[A-Za-z0-9]{16}$`)

// ConnectionID is the id of the connection with this name, which is matched to the
// letter. What is an id already is given back unasked. Every error is a
// *ManagementError; its reason is no_such_connection where Auth0 knows none.
func (m *Management) ConnectionID(ctx context.Context, nameOrID string) (string, error) {
	switch {
	case nameOrID == "":
		return "", &ManagementError{Reason: "bad_id"}
	case connectionPattern.MatchString(nameOrID):
		return nameOrID, nil
	}
	// Their options hold secrets of other providers', and nobody here needs them.
	query := url.Values{"name": {nameOrID}, "fields": {"id,name"}, "include_fields": {"true"}}
	answer, err := m.call(ctx, http.MethodGet, "/api/v2/connections?"+query.Encode(), nil)
	if err != nil {
		return "", err
	}
	var found []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	if !answer.isJSON || strictjson.Unmarshal(answer.body, &found, "options", "metadata") != nil {
		return "", &ManagementError{Status: answer.status, Reason: "malformed"}
	}
	for _, connection := range found {
		if connection.Name != nameOrID {
			continue
		}
		if !connectionPattern.MatchString(connection.ID) {
			return "", &ManagementError{Status: answer.status, Reason: "malformed"}
		}
		return connection.ID, nil
	}
	return "", &ManagementError{Status: answer.status, Reason: ReasonNoSuchConnection}
}
