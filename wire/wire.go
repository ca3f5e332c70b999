// Package wire names what ferry has agreed with Kratos, Auth0 and its operators: the hooks'
// paths, headers and answers, a path of the token front, Auth0's provider name, length limits
// and the words of settings. It has no functions.
package wire

// The routes of the hooks, as logs, metrics and recordings name them, and their paths.
const (
	RouteMigration         = "password-migration"
	RouteAfterLogin        = "after-login"
	RouteAfterRegistration = "after-registration"
	RouteEnsure            = "ensure"

	HooksPath             = "/hooks/"
	MigrationPath         = HooksPath + RouteMigration
	AfterLoginPath        = HooksPath + RouteAfterLogin
	AfterRegistrationPath = HooksPath + RouteAfterRegistration
	EnsurePath            = HooksPath + RouteEnsure
)

// LogoutDonePath is the path of the token front to which Hydra sends a browser after a logout
// without an ID token (urls.post_logout_redirect in hydra.yml).
const LogoutDonePath = "/v2/logout/done"

// The headers in which Kratos names its calls. A repeated call has a new request id and
// the same trigger id. Kratos 1.3.1 sends neither.
const (
	HeaderRequestID = "Ory-Webhook-Request-Id"
	HeaderTriggerID = "Ory-Webhook-Trigger-Id"
)

// The statuses in the answers of the migration hook.
const (
	StatusMatch       = "password_match"
	StatusNoMatch     = "no_match"
	StatusUnavailable = "unavailable"
	StatusClosed      = "closed"
	StatusPaused      = "paused"
)

// DatabaseProvider is the provider of users in Auth0's database connections.
const DatabaseProvider = "auth0"

const (
	// MaxIdentifierBytes is the longest identifier that ferry looks up.
	MaxIdentifierBytes = 1024
	// MaxEmailBytes is the longest e-mail address: 64 bytes, an @ and 255 (RFC 5321).
	MaxEmailBytes = 320
	// BcryptBytes is the longest password that Kratos' default hasher and Auth0's databases
	// accept.
	BcryptBytes = 72
)

// The policies of FERRY_TRAIT_POLICY.
const (
	PolicyFill      = "fill"
	PolicyOverwrite = "overwrite"
	PolicyNever     = "never"
)

// The values of FERRY_MODE, and the FERRY_COHORT that has every user.
const (
	ModeOn      = "on"
	ModeObserve = "observe"
	ModeOff     = "off"
	CohortAll   = "all"
)
