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

	ReasonTimeout = "timeout"

	// The Management API has no connection of that name, or answered about another job.
	ReasonAnotherJob       = "another_job"
	ReasonNoSuchConnection = "no_such_connection"
)
