package upstream

import (
	"net/http"
	"slices"
	"strings"

	"ferry/outcome"
	"ferry/strictjson"
)

// text is a condition on error_description. The zero value holds of every text.
type text struct{ is, begins, contains string }

func (t text) holds(description string) bool {
	description = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(description), "."))
	return (t.is == "" || description == strings.ToLower(t.is)) &&
		strings.HasPrefix(description, strings.ToLower(t.begins)) &&
		strings.Contains(description, strings.ToLower(t.contains))
}

// Any status of a class: 4xx, 5xx.
const (
	any4xx = 4
	any5xx = 5
)

// row is one line of the contract: what Auth0 answers and what it means. An answer
// is read by the first row that fits.
type row struct {
	name     string
	statuses []int    // the status itself, any4xx or any5xx
	codes    []string // Auth0's error; none: any
	text     text     // Auth0's error_description, without its last full stop
	outcome  outcome.Outcome
	evidence string // where the contract has it
}

func (r row) fits(status int, code, description string) bool {
	return (slices.Contains(r.statuses, status) || slices.Contains(r.statuses, status/100)) &&
		(len(r.codes) == 0 || slices.Contains(r.codes, code)) &&
		r.text.holds(description)
}

// table is section 1.3 of the Auth0 contract: every error of POST /oauth/token.
// The texts come first, because Auth0 sends several of them under one code.
func table() []row {
	refused := []int{http.StatusUnauthorized, http.StatusForbidden}
	client := []int{any4xx}
	wrongPassword := []string{"invalid_grant", "invalid_user_password"}
	return slices.Concat([]row{
		{"user_blocked", client, append([]string{"unauthorized"}, wrongPassword...), text{is: "user is blocked"}, outcome.Blocked, "RPT"},
		{"brute_force", refused, wrongPassword, text{contains: "account has been blocked"}, outcome.Throttled, "RPT"},
		{"passwordless_phone", refused, wrongPassword, text{is: "Wrong phone number or verification code"}, outcome.Misconfigured, "SDK"},
		{"passwordless_email", refused, wrongPassword, text{is: "Wrong email or verification code"}, outcome.Misconfigured, "SDK"},
		{"other_grant_code", refused, wrongPassword, text{is: "Invalid authorization code"}, outcome.Garbled, "REC"},
		{"other_grant_refresh", refused, wrongPassword, text{contains: "refresh token"}, outcome.Garbled, "RPT"},
		{"other_grant_refresh_deleted", refused, wrongPassword, text{begins: "The refresh_token was"}, outcome.Garbled, "SDK"},
		{"other_grant_mfa_token", refused, wrongPassword, text{contains: "mfa_token"}, outcome.Garbled, "SDK"},
		{"other_grant_otp", refused, wrongPassword, text{is: "Invalid otp_code"}, outcome.Garbled, "SDK"},
		{"realm_no_passwords", client, nil, text{is: "invalid connection specified for password grant"}, outcome.Misconfigured, "RPT"},
		{"realm_strategy", client, nil, text{is: "specified strategy does not support requested operation"}, outcome.Misconfigured, "OLDDOC"},
		{"wrong_credentials", refused, wrongPassword, text{}, outcome.Mismatch, "RPT, OLDDOC"},
	}, limitRows(), denialRows(refused, client), clientRows(client), []row{
		{"no_default_directory", []int{any5xx}, []string{"server_error"}, text{is: "Authorization server not configured with default connection"}, outcome.Misconfigured, "RPT"},
		{"grant_type", []int{any4xx, http.StatusNotImplemented}, []string{"unsupported_grant_type"}, text{}, outcome.Misconfigured, "OLDDOC"},
		{"server_fault", []int{any5xx}, nil, text{}, outcome.Unavailable, "OLDDOC"},
	})
}

// limitRows are the limits: of one user, which are that user's, and of a tenant or
// an IP, which are nobody's.
func limitRows() []row {
	tooMany := []int{http.StatusTooManyRequests}
	return []row{
		{"brute_force", tooMany, []string{"too_many_attempts"}, text{contains: "account has been blocked"}, outcome.Throttled, "DOC, RPT"},
		{"suspicious_ip", tooMany, []string{"too_many_attempts"}, text{}, outcome.Limited, "published table"},
		{"login_rate", tooMany, []string{"too_many_logins"}, text{}, outcome.Limited, "OLDDOC"},
		{"request_rate", tooMany, nil, text{}, outcome.Limited, "OLDDOC"},
		{"tenant_limit", []int{any5xx}, []string{"access_denied"}, text{}, outcome.Limited, "RPT"},
	}
}

// denialRows: Auth0 knows the user and will not let them in.
func denialRows(refused, client []int) []row {
	return []row{
		{"mfa", client, []string{"mfa_required", "mfa_registration_required", "a0.mfa_registration_required", "unsupported_challenge_type"}, text{}, outcome.MFARequired, "DOC, SDK"},
		{"leaked", client, []string{"password_leaked"}, text{}, outcome.Leaked, "DOC"},
		{"bot_detection", client, []string{"requires_verification", "requires_validation"}, text{}, outcome.Suspicious, "DOC, OLDDOC"},
		{"client_refused", []int{http.StatusUnauthorized}, []string{"access_denied"}, text{is: "Unauthorized"}, outcome.Misconfigured, "RPT"},
		{"audience", []int{http.StatusForbidden}, []string{"access_denied"}, text{begins: "Service not "}, outcome.Misconfigured, "RPT"},
		{"action", refused, []string{"access_denied"}, text{}, outcome.Denied, "RPT"},
		{"rule", refused, []string{"unauthorized"}, text{}, outcome.Denied, "RPT, SDK"},
	}
}

// clientRows: Auth0 refuses ferry itself.
func clientRows(client []int) []row {
	return []row{
		{"client_not_allowed", client, []string{"unauthorized_client"}, text{}, outcome.Misconfigured, "RPT"},
		{"client_invalid", client, []string{"invalid_client"}, text{}, outcome.Misconfigured, "OLDDOC"},
		{"request_invalid", []int{http.StatusBadRequest}, []string{"invalid_request"}, text{}, outcome.Misconfigured, "OLDDOC"},
		{"scope_invalid", []int{http.StatusBadRequest}, []string{"invalid_scope"}, text{}, outcome.Misconfigured, "OLDDOC"},
		{"endpoint_off", client, []string{"endpoint_disabled", "method_not_allowed"}, text{}, outcome.Misconfigured, "OLDDOC"},
	}
}

// errorResponse is RFC 6749, 5.2.
type errorResponse struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// classify reads an answer that is not 200. What no row knows is garbled, or
// unavailable with 5xx: never a mismatch, because Auth0 did not say so.
func classify(answer reply) *Refusal {
	r := &Refusal{Outcome: outcome.Garbled, Status: answer.status, Reason: "unknown_answer"}
	var said errorResponse
	understood := answer.isJSON && strictjson.Unmarshal(answer.body, &said) == nil && said.Error != ""
	if !understood {
		switch {
		case answer.status == http.StatusTooManyRequests:
			r.Outcome, r.Reason = outcome.Limited, "request_rate"
		case answer.status >= http.StatusInternalServerError:
			r.Outcome, r.Reason = outcome.Unavailable, "server_fault"
		case answer.status >= http.StatusMultipleChoices && answer.status < http.StatusBadRequest:
			r.Reason = "redirect"
		}
		return r
	}
	for _, row := range table() {
		if row.fits(answer.status, said.Error, said.Description) {
			r.Outcome, r.Reason = row.outcome, row.name
			if slices.Contains(row.codes, said.Error) {
				r.Code = said.Error
			}
			return r
		}
	}
	return r
}
