package auth0sim

import (
	"net/http"
	"slices"
	"strings"
)

// What Auth0's Management API can answer instead of what was asked for.
const (
	AnswerManagementNoToken         AnswerName = "management_no_token"
	AnswerManagementBadToken        AnswerName = "management_bad_token"
	AnswerManagementScope           AnswerName = "management_scope"
	AnswerManagementNoUser          AnswerName = "management_no_user"
	AnswerManagementNoConnection    AnswerName = "management_no_connection"
	AnswerManagementNoJob           AnswerName = "management_no_job"
	AnswerManagementNoClient        AnswerName = "management_no_client"
	AnswerManagementBadQuery        AnswerName = "management_bad_query"
	AnswerManagementBadPath         AnswerName = "management_bad_path"
	AnswerManagementBadBody         AnswerName = "management_bad_body"
	AnswerManagementConflict        AnswerName = "management_conflict"
	AnswerManagementProfileTooLarge AnswerName = "management_profile_too_large"
	AnswerManagementTooManyRequests AnswerName = "management_too_many_requests"
	AnswerManagementNotFound        AnswerName = "management_not_found"
	AnswerManagementUnavailable     AnswerName = "management_unavailable"
	AnswerManagementServerError     AnswerName = "management_server_error"
)

// ManagementRows lists every refusal of the Management API. They are written as
// its envelope: Error becomes errorCode, Description becomes message, and the
// status brings its own words.
func ManagementRows() []AnswerRow {
	return []AnswerRow{
		{AnswerManagementNoToken, "INF", Answer{Status: 401, Description: "Missing authentication"}, "no bearer token"},
		{AnswerManagementBadToken, "INF", Answer{Status: 401, Error: "invalid_token", Description: "Invalid token"}, "an unknown or expired token, or one for something else"},
		{AnswerManagementScope, "RPT", Answer{Status: 403, Error: "insufficient_scope", Description: "Insufficient scope, expected any of: {scopes}"}, "the token lacks the scope"},
		{AnswerManagementNoUser, "GAP", Answer{Status: 404, Error: "inexistent_user", Description: "The user does not exist."}, "no such user id"},
		{AnswerManagementNoConnection, "GAP", Answer{Status: 404, Error: "inexistent_connection", Description: "The connection does not exist."}, "no such connection id"},
		{AnswerManagementNoJob, "GAP", Answer{Status: 404, Error: "inexistent_job", Description: "The job does not exist."}, "no such job id, or a job of yesterday"},
		{AnswerManagementNoClient, "GAP", Answer{Status: 404, Error: "inexistent_client", Description: "The client does not exist"}, "no such client id"},
		{AnswerManagementBadQuery, "INF", Answer{Status: 400, Error: "invalid_query_string", Description: "Query validation error: '{reason}'."}, "a parameter that is unknown, repeated, missing or no good"},
		{AnswerManagementBadPath, "INF", Answer{Status: 400, Error: "invalid_uri", Description: "Path validation error: '{reason}'."}, "an id that cannot be one"},
		{AnswerManagementBadBody, "INF", Answer{Status: 400, Error: "invalid_body", Description: "Payload validation error: '{reason}'."}, "a body that cannot be read, or names what cannot be changed"},
		{AnswerManagementConflict, "RPT", Answer{Status: 400, Error: "auth0_idp_error", Description: "The user could not be changed."}, "an identifier that is taken"},
		{AnswerManagementProfileTooLarge, "GAP", Answer{Status: 413, Error: "payload_too_large", Description: "The user profile exceeds the maximum size."}, ""},
		{AnswerManagementTooManyRequests, "RPT", Answer{Status: 429, Error: "too_many_requests", Description: "Global limit has been reached"}, "the limit of the Management API"},
		{AnswerManagementNotFound, "INF", Answer{Status: 404, Description: "Not Found"}, "a path or a method that is not imitated"},
		{AnswerManagementUnavailable, "INF", Answer{Status: 503, Description: "Service Unavailable"}, ""},
		{AnswerManagementServerError, "INF", Answer{Status: 500, Description: "Internal Server Error"}, ""},
	}
}

// isManagementRow reports whether an answer is one of the Management API's.
func isManagementRow(name AnswerName) bool {
	return slices.ContainsFunc(ManagementRows(), func(row AnswerRow) bool { return row.Name == name })
}

// managementError is the envelope of the Management API's refusals.
type managementError struct {
	StatusCode int    `json:"statusCode"`
	Error      string `json:"error"`
	Message    string `json:"message"`
	ErrorCode  string `json:"errorCode,omitempty"`
}

// envelope is the answer as the Management API writes it.
func (a Answer) envelope(message string) response {
	return jsonResponse(a.Status, managementError{
		StatusCode: a.Status, Error: http.StatusText(a.Status), Message: message, ErrorCode: a.Error,
	})
}

// managementFault returns the row for the Management API that corresponds to a row of the
// token endpoint.
func managementFault(path string, row AnswerName) AnswerName {
	if !strings.HasPrefix(path, PathManagement) {
		return row
	}
	switch row {
	case AnswerTooManyRequests:
		return AnswerManagementTooManyRequests
	case AnswerTemporarilyUnavailable:
		return AnswerManagementUnavailable
	}
	return row
}
