package upstream

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"ferry/outcome"
	"ferry/strictjson"
)

// Row is one line of Auth0's contract: an answer of POST /oauth/token other than
// 200, and what it means. The first row that fits an answer decides.
type Row struct {
	// Reason is the row's name, as it stands in logs.
	Reason string
	// Statuses are the HTTP statuses: 403 is that one, 4 is any 4xx.
	Statuses []int
	// Codes are Auth0's error codes. If empty, any code fits, and none.
	Codes []string
	// Text is the condition on error_description; case and a final full stop do not
	// matter.
	Text textCondition
	// Outcome is the meaning of the answer.
	Outcome outcome.Outcome
	// Evidence grades how well the row is known: REC recorded traffic, DOC current
	// documentation, OLDDOC retired documentation, SDK a constant of an official
	// SDK, RPT a public report, RULE ferry's own rule for undocumented answers.
	Evidence string
}

// textCondition is a condition on error_description; the zero value fits any.
type textCondition struct{ Is, Begins, Contains string }

func (t textCondition) holds(description string) bool {
	description = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(description), "."))
	return (t.Is == "" || description == strings.ToLower(t.Is)) &&
		strings.HasPrefix(description, strings.ToLower(t.Begins)) &&
		strings.Contains(description, strings.ToLower(t.Contains))
}

// String returns the condition for documentation.
func (t textCondition) String() string {
	switch {
	case t.Is != "":
		return t.Is
	case t.Begins != "":
		return t.Begins + "…"
	case t.Contains != "":
		return "…" + t.Contains + "…"
	}
	return "any"
}

// Status returns the row's statuses for documentation: 401, 403 or 4xx.
func (r Row) Status() string {
	var words []string
	for _, status := range r.Statuses {
		word := strconv.Itoa(status)
		if status < 10 {
			word += "xx"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func (r Row) fits(status int, code, description string) bool {
	return (slices.Contains(r.Statuses, status) || slices.Contains(r.Statuses, status/100)) &&
		(len(r.Codes) == 0 || slices.Contains(r.Codes, code)) &&
		r.Text.holds(description)
}

// Contract lists every answer of the token endpoint that is not 200, by status, error
// code and text together. Auth0 uses one code for several meanings, so rows with a
// text come first. Undocumented answers fit the last rows, which are never a mismatch.
func Contract() []Row {
	return slices.Concat(credentialRows(), limitRows(), denialRows(), clientRows(), lastRows())
}

// refused are the statuses with which Auth0 refuses a login.
func refused() []int { return []int{http.StatusUnauthorized, http.StatusForbidden} }

const (
	any2xx = 2
	any3xx = 3
	any4xx = 4
	any5xx = 5
)

// credentialRows are the answers with the codes of a wrong password, which Auth0 also uses
// for other refusals. Answers that belong to other grants are invalid here.
func credentialRows() []Row {
	wrong := []string{"invalid_grant", "invalid_user_password"}
	return []Row{
		{"user_blocked", []int{any4xx}, append([]string{"unauthorized"}, wrong...), textCondition{Is: "user is blocked"}, outcome.Blocked, "RPT, OLDDOC"},
		{"brute_force", refused(), wrong, textCondition{Contains: "account has been blocked"}, outcome.Throttled, "RPT"},
		{"passwordless_phone", refused(), wrong, textCondition{Is: "Wrong phone number or verification code"}, outcome.Misconfigured, "SDK"},
		{"passwordless_email", refused(), wrong, textCondition{Is: "Wrong email or verification code"}, outcome.Misconfigured, "SDK"},
		{"other_grant_code", refused(), wrong, textCondition{Is: "Invalid authorization code"}, outcome.InvalidResponse, "REC"},
		{"other_grant_refresh", refused(), wrong, textCondition{Contains: "refresh token"}, outcome.InvalidResponse, "RPT"},
		{"other_grant_refresh", refused(), wrong, textCondition{Begins: "The refresh_token was"}, outcome.InvalidResponse, "SDK"},
		{"other_grant_mfa", refused(), wrong, textCondition{Contains: "mfa_token"}, outcome.InvalidResponse, "SDK"},
		{"other_grant_mfa", refused(), wrong, textCondition{Is: "Invalid otp_code"}, outcome.InvalidResponse, "SDK"},
		{"realm_no_passwords", []int{any4xx}, nil, textCondition{Is: "invalid connection specified for password grant"}, outcome.Misconfigured, "RPT"},
		{"realm_no_passwords", []int{any4xx}, nil, textCondition{Is: "specified strategy does not support requested operation"}, outcome.Misconfigured, "OLDDOC"},
		{"wrong_credentials", refused(), wrong, textCondition{}, outcome.Mismatch, "RPT, OLDDOC"},
	}
}

// limitRows are the answers of rate limits and attack protection. A limit of one user is a
// verdict about that user; a limit of a tenant or an IP address is not.
func limitRows() []Row {
	tooMany := []int{http.StatusTooManyRequests}
	return []Row{
		{"brute_force", tooMany, []string{"too_many_attempts"}, textCondition{Contains: "account has been blocked"}, outcome.Throttled, "DOC, RPT"},
		{rowSuspiciousIP, tooMany, []string{"too_many_attempts"}, textCondition{}, outcome.Limited, "DOC"},
		{rowLoginRate, tooMany, []string{"too_many_logins"}, textCondition{}, outcome.Limited, "OLDDOC"},
		{"request_rate", tooMany, nil, textCondition{}, outcome.Limited, "OLDDOC"},
		{"tenant_limit", []int{any5xx}, []string{"access_denied"}, textCondition{}, outcome.Limited, "RPT"},
	}
}

// denialRows are the answers in which Auth0 refuses the user, or suspects a bot; and
// access_denied, which has many meanings.
func denialRows() []Row {
	mfa := []string{"mfa_required", "mfa_registration_required", "a0.mfa_registration_required", "unsupported_challenge_type"}
	return []Row{
		{"mfa", []int{any4xx}, mfa, textCondition{}, outcome.MFARequired, "DOC, SDK"},
		{"leaked", []int{any4xx}, []string{"password_leaked"}, textCondition{}, outcome.Leaked, "DOC"},
		{"bot_detection", []int{any4xx}, []string{"requires_verification", "requires_validation"}, textCondition{}, outcome.Suspicious, "DOC, OLDDOC"},
		{"client_refused", []int{http.StatusUnauthorized}, []string{"access_denied"}, textCondition{Is: "Unauthorized"}, outcome.Misconfigured, "RPT"},
		{"audience", []int{http.StatusForbidden}, []string{"access_denied"}, textCondition{Begins: "Service not "}, outcome.Misconfigured, "RPT"},
		{"action", refused(), []string{"access_denied"}, textCondition{}, outcome.Denied, "RPT"},
		{"rule", refused(), []string{"unauthorized"}, textCondition{}, outcome.Denied, "RPT, SDK"},
	}
}

// clientRows are the answers in which Auth0 refuses ferry itself.
func clientRows() []Row {
	bad := []int{http.StatusBadRequest}
	return []Row{
		{"client_not_allowed", []int{any4xx}, []string{"unauthorized_client"}, textCondition{}, outcome.Misconfigured, "RPT"},
		{"client_refused", []int{any4xx}, []string{"invalid_client"}, textCondition{}, outcome.Misconfigured, "OLDDOC"},
		{"request_invalid", bad, []string{"invalid_request"}, textCondition{}, outcome.Misconfigured, "OLDDOC"},
		{"scope_invalid", bad, []string{"invalid_scope"}, textCondition{}, outcome.Misconfigured, "OLDDOC"},
		{"endpoint_off", []int{any4xx}, []string{"endpoint_disabled", "method_not_allowed"}, textCondition{}, outcome.Misconfigured, "OLDDOC"},
		{"grant_type", []int{any4xx, http.StatusNotImplemented}, []string{"unsupported_grant_type"}, textCondition{}, outcome.Misconfigured, "OLDDOC"},
		{"no_default_directory", []int{any5xx}, []string{"server_error"}, textCondition{Is: "Authorization server not configured with default connection"}, outcome.Misconfigured, "RPT"},
	}
}

// lastRows fit all other answers: an outage, or an answer without a known meaning.
func lastRows() []Row {
	return []Row{
		{"server_fault", []int{any5xx}, nil, textCondition{}, outcome.Unavailable, "OLDDOC, RULE"},
		{"redirect", []int{any3xx}, nil, textCondition{}, outcome.InvalidResponse, "RULE"},
		{"unknown_answer", []int{any2xx, any4xx}, nil, textCondition{}, outcome.InvalidResponse, "RULE"},
	}
}

// errorResponse is RFC 6749, 5.2.
type errorResponse struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// classify reads an answer that is not 200 by the contract. An answer of another media
// type, with malformed or ambiguous JSON, or without a textual error has no code.
func classify(answer reply) *LoginError { return classifyBy(Contract(), answer) }

// classifyBy is classify by the rows of a grant.
func classifyBy(rows []Row, answer reply) *LoginError {
	var said errorResponse
	if !answer.isJSON || strictjson.Unmarshal(answer.body, &said) != nil || said.Error == "" {
		said = errorResponse{}
	}
	for _, row := range rows {
		if row.fits(answer.status, said.Error, said.Description) {
			r := &LoginError{Outcome: row.Outcome, Status: answer.status, Reason: row.Reason}
			if slices.Contains(row.Codes, said.Error) {
				r.Code = said.Error // a listed code: any other text is not logged
			}
			return r
		}
	}
	return &LoginError{Outcome: outcome.InvalidResponse, Status: answer.status, Reason: "unknown_answer"}
}
