package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	// methodsPerPage is the page size that Auth0 documents as the default.
	methodsPerPage = 50
	// maxMethodPages bounds the pages of a user, who has a few methods.
	maxMethodPages = 20
)

// AuthenticationMethods returns the authentication methods of a user, each as Auth0 has it, in
// one line. An empty result is not an error. It needs read:authentication_methods. Every error
// is a *ManagementError, with status 404 if there is no such user.
func (m *Management) AuthenticationMethods(ctx context.Context, userID string) ([][]byte, error) {
	if provider, id, _ := strings.Cut(userID, "|"); provider == "" || id == "" {
		return nil, &ManagementError{Reason: "bad_id"}
	}
	methods := [][]byte{}
	for page := range maxMethodPages {
		var said struct {
			Total   *int       `json:"total"`
			Methods *[]rawJSON `json:"authenticators"`
		}
		query := url.Values{"include_totals": {"true"}, "page": {strconv.Itoa(page)}, "per_page": {strconv.Itoa(methodsPerPage)}}
		if err := m.look(ctx, "/api/v2/users/"+url.PathEscape(userID)+"/authentication-methods", query, &said); err != nil {
			return nil, err
		}
		if said.Total == nil || said.Methods == nil {
			return nil, &ManagementError{Status: http.StatusOK, Reason: "malformed"}
		}
		for _, method := range *said.Methods {
			var line bytes.Buffer
			if json.Compact(&line, method) != nil || line.Len() == 0 || line.Bytes()[0] != '{' {
				return nil, &ManagementError{Status: http.StatusOK, Reason: "malformed"}
			}
			methods = append(methods, line.Bytes())
		}
		switch {
		case len(methods) >= *said.Total:
			return methods, nil
		case len(*said.Methods) == 0: // a method was removed between two pages
			return nil, &ManagementError{Status: http.StatusOK, Reason: "changed_meanwhile", Temporary: true}
		}
	}
	return nil, &ManagementError{Status: http.StatusOK, Reason: "too_many_methods"}
}
