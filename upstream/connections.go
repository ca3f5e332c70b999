package upstream

import (
	"context"
	"net/http"
	"regexp"
)

// connectionPattern matches the id of a connection (contract, 4.3).
var connectionPattern = regexp.MustCompile(`^con_[A-Za-z0-9]{16}$`)

// ConnectionID returns the id of the connection with exactly this name. An id is returned
// without a request. Every error is a *ManagementError, with ReasonNoSuchConnection if
// there is no such connection.
func (m *Management) ConnectionID(ctx context.Context, nameOrID string) (string, error) {
	if connectionPattern.MatchString(nameOrID) {
		return nameOrID, nil
	}
	connection, err := m.connection(ctx, nameOrID, "id,name")
	if err == nil && !connectionPattern.MatchString(connection.ID) {
		err = &ManagementError{Status: http.StatusOK, Reason: "malformed"}
	}
	if err != nil {
		return "", err
	}
	return connection.ID, nil
}
