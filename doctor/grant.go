package doctor

import (
	"slices"

	"ferry/outcome"
	"ferry/upstream"
)

// refusedGrant explains an answer that is not about the user.
func (e *doctor) refusedGrant(trial upstream.Trial, realm string) Check {
	for _, known := range e.grantFaults(realm) {
		if slices.Contains(known.causes, trial.Cause) {
			return fail(known.fix, "%s (%s)", known.detail, trial)
		}
	}
	switch trial.Err.Outcome { //nolint:exhaustive // the rest is reported as it is
	case outcome.Limited, outcome.Throttled:
		return warn("wait, then run doctor again; see the checks management.brute_force and management.suspicious_ip, and send Auth0 the client addresses (FERRY_AUTH0_FORWARD_CLIENT_IP)",
			"Auth0 refuses this machine because of its limits: logins of pending identities fail with an error now (%s)", trial)
	case outcome.Suspicious:
		return fail("switch bot detection off for ferry's application, or add this machine's address to its allow list",
			"Auth0's bot detection requires a captcha, which a grant cannot solve: logins of pending identities fail with an error (%s)", trial)
	case outcome.Unavailable:
		return warn(again, "Auth0 did not answer the grant (%s)", trial)
	case outcome.Denied, outcome.Blocked, outcome.Leaked, outcome.MFARequired:
		return warn("check the Actions and custom database scripts of "+connection(realm)+": an unknown user should be refused with invalid_grant",
			"Auth0 refused a user that does not exist, but not for a wrong password; the client and the grant are right (%s)", trial)
	}
	return fail("see this login in the tenant's log in Auth0's dashboard",
		"ferry does not know Auth0's answer: such logins fail with an error (%s)", trial)
}

// grantFault is a fault that an operator can fix.
type grantFault struct {
	causes      []string
	detail, fix string
}

func (e *doctor) grantFaults(realm string) []grantFault {
	grant := upstream.GrantType(realm)
	return []grantFault{
		{
			[]string{"client_refused", "client_assertion"},
			"Auth0 does not accept the application's credentials, or not by " + e.Settings.ClientAuth + ": ferry cannot verify any login",
			"copy the application's client secret into FERRY_AUTH0_CLIENT_SECRET (or its key into FERRY_AUTH0_PRIVATE_KEY_FILE), and set FERRY_AUTH0_CLIENT_AUTH to what its Credentials tab says",
		},
		{
			[]string{upstream.CauseUnknownClient},
			"Auth0 has no application with the id in FERRY_AUTH0_CLIENT_ID: ferry cannot verify any login",
			"copy the application's client id into FERRY_AUTH0_CLIENT_ID, and make sure that FERRY_AUTH0_DOMAIN is the domain of its tenant",
		},
		{
			[]string{upstream.CauseGrantNotAllowed, "client_not_allowed", "grant_type"},
			"the application may not use the grant " + grant + ": ferry cannot verify any login",
			"Applications > yours > Advanced Settings > Grant Types: switch on Password; it must be a first-party application",
		},
		{
			[]string{upstream.CauseUnknownRealm},
			connection(realm) + " does not exist: ferry cannot verify its users",
			"set FERRY_AUTH0_REALMS to the names of your database connections under Authentication > Database",
		},
		{
			[]string{upstream.CauseDisabledRealm},
			connection(realm) + " is not enabled for the application: ferry cannot verify its users",
			"Authentication > Database > " + plain(realm) + " > Applications: switch ferry's application on",
		},
		{
			[]string{"realm_no_passwords", "passwordless_phone", "passwordless_email"},
			connection(realm) + " has no passwords (like SAML, social and passwordless connections): ferry cannot verify its users",
			"remove it from FERRY_AUTH0_REALMS: only database connections have passwords",
		},
		{
			[]string{"no_default_directory"},
			"FERRY_AUTH0_REALMS is empty and the tenant has no default directory: ferry cannot verify any login",
			"set FERRY_AUTH0_REALMS to your database connection, or Settings > General > Default Directory at Auth0",
		},
		{
			[]string{upstream.CauseUnknownAudience, upstream.CauseAudienceNotEnabled, "audience"},
			"Auth0 has no API with the identifier in FERRY_AUTH0_AUDIENCE: ferry cannot verify any login",
			"unset FERRY_AUTH0_AUDIENCE, which ferry does not need; or set it to the identifier of an API of this tenant",
		},
		{
			[]string{"scope_invalid"},
			"Auth0 does not accept the scopes in FERRY_AUTH0_SCOPE: ferry cannot verify any login",
			"set FERRY_AUTH0_SCOPE to: openid profile email phone",
		},
		{
			[]string{"request_invalid", "endpoint_off"},
			"Auth0 does not accept the request: ferry cannot verify any login",
			"see the tenant's log in Auth0's dashboard; correct FERRY_AUTH0_REALMS, FERRY_AUTH0_AUDIENCE and FERRY_AUTH0_BASE_URL",
		},
	}
}
