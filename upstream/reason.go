package upstream

// Reasons of a LoginError or a ManagementError that other packages decide by. The
// constants are the words that stand in logs.
const (
	// The grant did not reach Auth0.
	ReasonBadBaseURL      = "bad_base_url"
	ReasonClientAssertion = "client_assertion"
	ReasonDial            = "dial"
	ReasonDNS             = "dns"
	ReasonTLS             = "tls"

	// ReasonOwnRateLimit: the rate that the operator set is used up.
	ReasonOwnRateLimit = "own_rate_limit"
	// ReasonAuth0RateLimit: Auth0 said that its rate limit is used up, and it has not reset yet.
	ReasonAuth0RateLimit = "auth0_rate_limit"
	// ReasonBreakerOpen: the circuit breaker is open after an outage. ReasonBreakerProbing: another
	// login is finding out whether Auth0 answers again.
	ReasonBreakerOpen    = "breaker_open"
	ReasonBreakerProbing = "breaker_probing"

	ReasonTimeout = "timeout"
	// ReasonPanic: the program failed.
	ReasonPanic = "panic"
	// ReasonIDTokenUntrusted: an ID token that the tenant's keys did not sign.
	ReasonIDTokenUntrusted = "id_token_untrusted" //nolint:gosec // G101: a word for logs

	// The Management API has no connection of that name, or answered about another job.
	ReasonAnotherJob       = "another_job"
	ReasonNoSuchConnection = "no_such_connection"

	reasonCallerGone = "caller_gone"
	// reasonUserinfo is the prefix of the reasons for which /userinfo did not help.
	reasonUserinfo = "userinfo_"
	// Rows of the contract.
	rowLoginRate    = "login_rate"
	rowSuspiciousIP = "suspicious_ip"
)

// Unasked reports whether a login ended with this reason because of a limit or the circuit
// breaker of ferry: no request was made.
func Unasked(reason string) bool {
	switch reason {
	case ReasonOwnRateLimit, ReasonAuth0RateLimit, ReasonBreakerOpen, ReasonBreakerProbing:
		return true
	}
	return false
}

// Unsent reports whether the password of a login that ended with this reason did not reach
// Auth0.
func Unsent(reason string) bool {
	switch reason {
	case ReasonBadBaseURL, ReasonClientAssertion, ReasonDial, ReasonDNS, ReasonTLS:
		return true
	}
	return Unasked(reason)
}
