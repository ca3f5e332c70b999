package doctor

import (
	"slices"

	"ferry/outcome"
	"ferry/upstream"
)

// refusedGrant says what stands behind an answer that is not about the user.
func (e *doctor) refusedGrant(trial upstream.Trial, realm string) Check {
	for _, known := range e.grantFaults(realm) {
		if slices.Contains(known.causes, trial.Cause) {
			return fail(known.fix, "%s (%s)", known.detail, trial)
		}
	}
	switch trial.Err.Outcome { //nolint:exhaustive // what is left may be anything, and is told as it is
	case outcome.Limited, outcome.Throttled:
		return warn("wait, then run doctor again; see the checks management.brute_force and management.suspicious_ip, and let Auth0 see people's own addresses (FERRY_AUTH0_FORWARD_CLIENT_IP)",
			"Auth0 refuses this machine for its limits: logins of pending people end in an error now (%s)", trial)
	case outcome.Suspicious:
		return fail("switch bot detection off for ferry's application, or add this machine's address to its allow list",
			"Auth0's bot detection wants a captcha, which no grant can solve: logins of pending people end in an error (%s)", trial)
	case outcome.Unavailable:
		return warn(again, "Auth0 gave no answer to the grant (%s)", trial)
	case outcome.Denied, outcome.Blocked, outcome.Leaked, outcome.MFARequired:
		return warn("look into the Actions and custom database scripts of "+connection(realm)+": a user whom nobody knows should be refused with invalid_grant",
			"Auth0 refused a user that cannot exist for another reason than a wrong password; the client and the grant are right (%s)", trial)
	}
	return fail("see the tenant's log in Auth0's dashboard for what it says of this login",
		"Auth0 answered what ferry does not know: such logins end in an error (%s)", trial)
}

// grantFault is what an operator can mend.
type grantFault struct {
	causes      []string
	detail, fix string
}

func (e *doctor) grantFaults(realm string) []grantFault {
	grant := upstream.GrantType(realm)
	return []grantFault{
		{
			[]string{"client_refused", "client_assertion"},
			"Auth0 does not take the application's credentials, or not by " + e.Settings.ClientAuth + ": no login can be asked about",
			"copy the application's client secret into FERRY_AUTH0_CLIENT_SECRET (or its key into FERRY_AUTH0_PRIVATE_KEY_FILE), and set FERRY_AUTH0_CLIENT_AUTH to what its Credentials tab says",
		},
		{
			[]string{upstream.CauseUnknownClient},
			"Auth0 knows no application with the id in FERRY_AUTH0_CLIENT_ID: no login can be asked about",
			"copy the application's client id into FERRY_AUTH0_CLIENT_ID, and see that FERRY_AUTH0_DOMAIN is the tenant that it belongs to",
		},
		{
			[]string{upstream.CauseGrantNotAllowed, "client_not_allowed", "grant_type"},
			"the application may not use the grant " + grant + ": no login can be asked about",
			"Applications > yours > Advanced Settings > Grant Types: switch on Password; it must be a first-party application",
		},
		{
			[]string{upstream.CauseUnknownRealm},
			connection(realm) + " does not exist: nobody in it can be asked about",
			"set FERRY_AUTH0_REALMS to the names of your database connections, as Authentication > Database has them",
		},
		{
			[]string{upstream.CauseDisabledRealm},
			connection(realm) + " is not enabled for the application: nobody in it can be asked about",
			"Authentication > Database > " + plain(realm) + " > Applications: switch ferry's application on",
		},
		{
			[]string{"realm_no_passwords", "passwordless_phone", "passwordless_email"},
			connection(realm) + " takes no passwords (SAML, social and passwordless connections do not): nobody in it can be asked about",
			"take it out of FERRY_AUTH0_REALMS: only database connections hold passwords",
		},
		{
			[]string{"no_default_directory"},
			"FERRY_AUTH0_REALMS is empty and the tenant has no default directory: no login can be asked about",
			"set FERRY_AUTH0_REALMS to your database connection, or Settings > General > Default Directory at Auth0",
		},
		{
			[]string{upstream.CauseUnknownAudience, upstream.CauseAudienceNotEnabled, "audience"},
			"Auth0 knows no API by the name in FERRY_AUTH0_AUDIENCE: no login can be asked about",
			"unset FERRY_AUTH0_AUDIENCE, ferry needs none; or set it to the identifier of an API of this tenant",
		},
		{
			[]string{"scope_invalid"},
			"Auth0 does not take the scopes of FERRY_AUTH0_SCOPE: no login can be asked about",
			"set FERRY_AUTH0_SCOPE to: openid profile email phone",
		},
		{
			[]string{"request_invalid", "endpoint_off"},
			"Auth0 does not take the request: no login can be asked about",
			"see the tenant's log in Auth0's dashboard; mend FERRY_AUTH0_REALMS, FERRY_AUTH0_AUDIENCE and FERRY_AUTH0_BASE_URL",
		},
	}
}
