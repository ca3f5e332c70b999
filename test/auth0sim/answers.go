package auth0sim

import (
	"slices"
	"strings"
)

// AnswerName names one row of the table of refusals.
type AnswerName string

// What Auth0 can answer on POST /oauth/token instead of a token.
const (
	AnswerWrongPassword          AnswerName = "wrong_password"
	AnswerWrongPasswordLegacy    AnswerName = "wrong_password_legacy"
	AnswerWrongEmailCode         AnswerName = "wrong_email_code"
	AnswerWrongPhoneCode         AnswerName = "wrong_phone_code"
	AnswerBruteForce             AnswerName = "brute_force"
	AnswerSuspiciousIP           AnswerName = "suspicious_ip"
	AnswerTooManyLogins          AnswerName = "too_many_logins"
	AnswerTooManyRequests        AnswerName = "too_many_requests"
	AnswerGlobalLimit            AnswerName = "global_limit"
	AnswerBlockedUser            AnswerName = "blocked_user"
	AnswerBlockedUserGrant       AnswerName = "blocked_user_invalid_grant"
	AnswerActionDenied           AnswerName = "action_denied"
	AnswerRuleDenied             AnswerName = "rule_denied"
	AnswerMFARequired            AnswerName = "mfa_required"
	AnswerPasswordLeaked         AnswerName = "password_leaked"
	AnswerRequiresVerification   AnswerName = "requires_verification"
	AnswerGrantNotAllowed        AnswerName = "grant_not_allowed"
	AnswerUnknownClient          AnswerName = "unknown_client"
	AnswerClientUnauthorized     AnswerName = "client_unauthorized"
	AnswerInvalidClient          AnswerName = "invalid_client"
	AnswerNoClientGrant          AnswerName = "no_client_grant"
	AnswerNoAudience             AnswerName = "no_audience"
	AnswerServiceNotFound        AnswerName = "service_not_found"
	AnswerServiceNotEnabled      AnswerName = "service_not_enabled"
	AnswerNoDefaultDirectory     AnswerName = "no_default_directory"
	AnswerUnknownRealm           AnswerName = "unknown_realm"
	AnswerDisabledRealm          AnswerName = "disabled_realm"
	AnswerUnsupportedRealm       AnswerName = "unsupported_realm"
	AnswerInvalidCode            AnswerName = "invalid_code"
	AnswerWrongVerifier          AnswerName = "wrong_code_verifier"
	AnswerUnknownRefresh         AnswerName = "unknown_refresh_token"
	AnswerRefreshUserGone        AnswerName = "refresh_token_user_gone"
	AnswerMissingParameter       AnswerName = "missing_parameter"
	AnswerInvalidScope           AnswerName = "invalid_scope"
	AnswerMalformed              AnswerName = "malformed_request"
	AnswerUnsupportedGrant       AnswerName = "unsupported_grant_type"
	AnswerMethodNotAllowed       AnswerName = "method_not_allowed"
	AnswerEndpointDisabled       AnswerName = "endpoint_disabled"
	AnswerTemporarilyUnavailable AnswerName = "temporarily_unavailable"
	AnswerServerError            AnswerName = "server_error"
)

// Answer is one refusal. {name} in Description is filled in: see the rows.
type Answer struct {
	Status      int    `json:"status"`
	Error       string `json:"error,omitempty"`
	Description string `json:"error_description,omitempty"`
	ErrorURI    string `json:"error_uri,omitempty"`
	// Headers are added to the answer.
	Headers map[string]string `json:"headers,omitempty"`
	// Body, if set, is sent unchanged instead of the three fields.
	Body string `json:"body,omitempty"`
}

// AnswerRow is an answer with the evidence for it. Grades: REC recorded
// traffic, DOC current documentation, OLDDOC retired documentation, SDK a
// constant in an official SDK, RPT a public report, INF inference, GAP no
// source. Every row can be replaced in [Settings].
type AnswerRow struct {
	Name   AnswerName `json:"name"`
	Grade  string     `json:"grade"`
	Answer Answer     `json:"answer"`
	// About is the cause; empty if the row is sent only by
	// [FaultAnswer].
	About string `json:"about,omitempty"`
}

const (
	bruteForceText   = "Your account has been blocked after multiple consecutive login attempts. We've sent you an email with instructions on how to unblock it."
	suspiciousIPText = "We have detected suspicious login behavior and further attempts will be blocked. Please contact the administrator."
	leakedText       = "This login attempt has been blocked because the password you're using was previously disclosed through a data breach (not in this application). Please check your email for more information."
	clientGrantText  = `Client is not authorized to access "{audience}". You need to create a "client-grant" associated to this API. See: https://auth0.com/docs/api/v2#!/Client_Grants/post_client_grants`
	grantErrorURI    = "https://auth0.com/docs/clients/client-grant-types"
)

// AnswerRows lists every refusal of the token endpoint with Auth0's default status
// and words; [ManagementRows] those of the Management API.
func AnswerRows() []AnswerRow {
	return slices.Concat(loginRows(), clientRows(), serviceRows())
}

// loginRows are about the user, the password and the limits.
func loginRows() []AnswerRow {
	return []AnswerRow{
		{AnswerWrongPassword, "RPT", Answer{Status: 403, Error: "invalid_grant", Description: "Wrong email or password."}, "wrong password or unknown user"},
		{AnswerWrongPasswordLegacy, "OLDDOC", Answer{Status: 401, Error: "invalid_user_password", Description: "Wrong email or password."}, ""},
		{AnswerWrongEmailCode, "SDK", Answer{Status: 403, Error: "invalid_grant", Description: "Wrong email or verification code."}, "wrong code in an email connection"},
		{AnswerWrongPhoneCode, "SDK", Answer{Status: 403, Error: "invalid_grant", Description: "Wrong phone number or verification code."}, "wrong code in an sms connection"},
		{AnswerBruteForce, "DOC", Answer{Status: 429, Error: "too_many_attempts", Description: bruteForceText}, "ten failures for one identifier from one address"},
		{AnswerSuspiciousIP, "GAP", Answer{Status: 429, Error: "too_many_attempts", Description: suspiciousIPText}, "a hundred failures a day from one address"},
		{AnswerTooManyLogins, "OLDDOC", Answer{Status: 429, Error: "too_many_logins", Description: "Too many login attempts."}, "over 20 logins a minute of one user from one address"},
		{AnswerTooManyRequests, "OLDDOC", Answer{Status: 429, Error: "too_many_requests", Description: "Global limit has been reached"}, "the tenant's rate limit"},
		{AnswerGlobalLimit, "RPT", Answer{Status: 500, Error: "access_denied", Description: "Global limit has been reached"}, "the tenant's rate limit, inside the login pipeline"},
		{AnswerBlockedUser, "GAP", Answer{Status: 401, Error: "unauthorized", Description: "user is blocked"}, "a blocked user with the right password"},
		{AnswerBlockedUserGrant, "RPT", Answer{Status: 403, Error: "invalid_grant", Description: "user is blocked"}, "a refresh token of a blocked user"},
		{AnswerActionDenied, "RPT", Answer{Status: 403, Error: "access_denied", Description: "{reason}"}, "an Action refuses the user"},
		{AnswerRuleDenied, "RPT", Answer{Status: 401, Error: "unauthorized", Description: "{reason}"}, "a Rule refuses the user"},
		{AnswerMFARequired, "DOC", Answer{Status: 403, Error: "mfa_required", Description: "Multifactor authentication required"}, "a second factor is enrolled or required; mfa_token is added"},
		{AnswerPasswordLeaked, "DOC", Answer{Status: 401, Error: "password_leaked", Description: leakedText}, "breached-password detection"},
		{AnswerRequiresVerification, "OLDDOC", Answer{Status: 401, Error: "requires_verification", Description: "Suspicious request requires verification"}, "bot detection"},
	}
}

// clientRows are about the application that asks.
func clientRows() []AnswerRow {
	return []AnswerRow{
		{AnswerGrantNotAllowed, "RPT", Answer{Status: 403, Error: "unauthorized_client", Description: "Grant type '{grant_type}' not allowed for the client.", ErrorURI: grantErrorURI}, "the application lacks the grant type"},
		{AnswerUnknownClient, "OLDDOC", Answer{Status: 403, Error: "unauthorized_client", Description: "invalid client"}, "no such client_id"},
		{AnswerClientUnauthorized, "RPT", Answer{Status: 401, Error: "access_denied", Description: "Unauthorized"}, "wrong client secret or wrong way of sending it"},
		{AnswerInvalidClient, "OLDDOC", Answer{Status: 401, Error: "invalid_client", Description: "{reason}"}, "a client assertion that does not hold"},
	}
}

// serviceRows are about the request, the tenant's set-up and the service.
func serviceRows() []AnswerRow {
	return []AnswerRow{
		{AnswerNoClientGrant, "RPT", Answer{Status: 403, Error: "access_denied", Description: clientGrantText}, "client_credentials, and the application has no scopes of the API"},
		{AnswerNoAudience, "INF", Answer{Status: 403, Error: "access_denied", Description: "No audience parameter was provided, and no default audience has been configured"}, "client_credentials without an audience"},
		{AnswerServiceNotFound, "RPT", Answer{Status: 403, Error: "access_denied", Description: "Service not found: {audience}"}, "unknown audience"},
		{AnswerServiceNotEnabled, "RPT", Answer{Status: 403, Error: "access_denied", Description: "Service not enabled within domain: {audience}"}, "audience of another domain"},
		{AnswerNoDefaultDirectory, "RPT", Answer{Status: 500, Error: "server_error", Description: "Authorization server not configured with default connection."}, "password grant without a default directory"},
		{AnswerUnknownRealm, "GAP", Answer{Status: 400, Error: "invalid_request", Description: "the connection was not found"}, "no such realm"},
		{AnswerDisabledRealm, "OLDDOC", Answer{Status: 400, Error: "invalid_request", Description: "the connection was disabled"}, "realm switched off, or not enabled for the application"},
		{AnswerUnsupportedRealm, "GAP", Answer{Status: 403, Error: "invalid_request", Description: "invalid connection specified for password grant"}, "realm whose strategy takes no passwords"},
		{AnswerInvalidCode, "REC", Answer{Status: 403, Error: "invalid_grant", Description: "Invalid authorization code"}, "a code that is unknown, used, over, or of another client or callback"},
		{AnswerWrongVerifier, "INF", Answer{Status: 403, Error: "invalid_grant", Description: "Failed to verify code verifier"}, "a code verifier that is not that of the challenge"},
		{AnswerUnknownRefresh, "RPT", Answer{Status: 403, Error: "invalid_grant", Description: "Unknown or invalid refresh token."}, "a refresh token that is unknown, expired, revoked, replaced, or of another application"},
		{AnswerRefreshUserGone, "SDK", Answer{Status: 403, Error: "invalid_grant", Description: "The refresh_token was generated for a user who doesn't exist anymore."}, "a refresh token of a user who was deleted"},
		{AnswerMissingParameter, "OLDDOC", Answer{Status: 400, Error: "invalid_request", Description: "missing {parameter} parameter"}, "a required parameter is missing or empty"},
		{AnswerInvalidScope, "OLDDOC", Answer{Status: 400, Error: "invalid_scope", Description: "Scope must be an array or a string"}, ""},
		{AnswerMalformed, "INF", Answer{Status: 400, Error: "invalid_request", Description: "{reason}"}, "a body that cannot be read, or says a thing twice"},
		{AnswerUnsupportedGrant, "OLDDOC", Answer{Status: 501, Error: "unsupported_grant_type", Description: "Unsupported grant type: {grant_type}"}, "a grant that is unknown, or not imitated"},
		{AnswerMethodNotAllowed, "OLDDOC", Answer{Status: 405, Error: "method_not_allowed", Description: "Method not allowed"}, "anything but POST"},
		{AnswerEndpointDisabled, "OLDDOC", Answer{Status: 404, Error: "endpoint_disabled", Description: "Endpoint disabled"}, ""},
		{AnswerTemporarilyUnavailable, "OLDDOC", Answer{Status: 503, Error: "temporarily_unavailable", Description: "Service temporarily unavailable"}, ""},
		{AnswerServerError, "OLDDOC", Answer{Status: 500, Error: "server_error", Description: "Internal server error"}, "the simulator itself broke"},
	}
}

// lookupAnswer finds a row's answer in the overrides, then in the table.
func lookupAnswer(name AnswerName, overrides map[AnswerName]Answer) (Answer, bool) {
	if answer, ok := overrides[name]; ok {
		return answer, true
	}
	for _, row := range slices.Concat(AnswerRows(), ManagementRows()) {
		if row.Name == name {
			return row.Answer, true
		}
	}
	return Answer{}, false
}

// errorBody is the body of a refusal; the order of the fields is Auth0's.
type errorBody struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	ErrorURI    string `json:"error_uri,omitempty"`
	MFAToken    string `json:"mfa_token,omitempty"`
}

// respond turns the answer into a response. vars are pairs of a placeholder's
// name and its value; "mfa_token" becomes a field of its own.
func (a Answer) respond(name AnswerName, vars ...string) response {
	body := errorBody{Error: a.Error, Description: a.Description, ErrorURI: a.ErrorURI}
	for i := 0; i+1 < len(vars); i += 2 {
		if vars[i] == "mfa_token" {
			body.MFAToken = vars[i+1]
			continue
		}
		body.Description = strings.ReplaceAll(body.Description, "{"+vars[i]+"}", vars[i+1])
	}
	resp := jsonResponse(a.Status, body)
	if isManagementRow(name) {
		resp = a.envelope(body.Description)
	}
	if a.Body != "" {
		resp.body = []byte(a.Body)
	}
	for key, value := range a.Headers {
		resp.header.Set(key, value)
	}
	resp.outcome = string(name)
	return resp
}
