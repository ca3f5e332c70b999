package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"ferry/upstream"
)

const (
	nameToken       = "management.token"
	nameScopes      = "management.scopes"
	nameGrants      = "management.grants"
	nameClientAuth  = "management.client_auth"
	nameAlgorithm   = "management.id_token_algorithm"
	nameRealms      = "management.realms"
	nameBruteForce  = "management.brute_force"
	nameSuspicious  = "management.suspicious_ip"
	nameForwardedIP = "management.forwarded_ip"
)

// The scopes that the checks need.
const (
	scopeClients     = "read:clients"
	scopeConnections = "read:connections"
	scopeProtection  = "read:attack_protection"
	scopeTenant      = "read:tenant_settings"
	scopeUsers       = "read:users"
	scopeWrite       = "update:users"
)

// managed returns the names of the checks of the Management API.
func managed() []string {
	return []string{nameToken, nameScopes, nameGrants, nameClientAuth, nameAlgorithm, nameRealms, nameBruteForce, nameSuspicious, nameForwardedIP}
}

// management checks the configuration of the tenant.
func (e *doctor) management(ctx context.Context) []Check {
	s := checkGroup{doctor: e}
	if e.Management == nil {
		s.skip("FERRY_AUTH0_MGMT_CLIENT_ID and FERRY_AUTH0_MGMT_CLIENT_SECRET are not set: doctor cannot check the tenant", managed()...)
		return s.checks
	}
	var scopes []string
	var known bool
	var err error
	s.run(ctx, nameToken, func(ctx context.Context) Check {
		scopes, known, err = e.Management.Scopes(ctx)
		return checkToken(err)
	})
	if err != nil {
		s.skip("there is no token for the Management API", managed()[1:]...)
		return s.checks
	}
	s.run(ctx, nameScopes, func(context.Context) Check { return e.checkScopes(scopes, known) })
	var app upstream.Application
	usable := s.run(ctx, nameGrants, func(ctx context.Context) Check {
		var check Check
		app, check = e.application(ctx)
		return check
	})
	if usable && app.Grants != nil {
		s.run(ctx, nameClientAuth, func(context.Context) Check { return e.checkClientAuth(app) })
		s.run(ctx, nameAlgorithm, func(context.Context) Check { return e.checkAlgorithm(app) })
	} else {
		s.skip("the application cannot be read", nameClientAuth, nameAlgorithm)
	}
	s.run(ctx, nameRealms, e.checkRealms)
	e.attackProtection(ctx, &s, app)
	return s.checks
}

func checkToken(err error) Check {
	var fault *upstream.ManagementError
	switch {
	case err == nil:
		return ok("Auth0 issues a token for the Management API")
	case errors.As(err, &fault) && fault.Temporary:
		return warn("run doctor again in a minute", "Auth0 issues no token for the Management API now: %v", err)
	case errors.As(err, &fault) && fault.Status == http.StatusForbidden:
		return fail("Applications > APIs > Auth0 Management API > Machine to Machine Applications: authorise the application of FERRY_AUTH0_MGMT_CLIENT_ID; if FERRY_AUTH0_DOMAIN is a custom domain, set FERRY_AUTH0_TENANT_DOMAIN",
			"the application may not use the Management API, or its audience is another tenant: export and write-back fail (%v)", err)
	}
	return fail("copy the id and secret of a machine-to-machine application into FERRY_AUTH0_MGMT_CLIENT_ID and FERRY_AUTH0_MGMT_CLIENT_SECRET",
		"Auth0 issues no token for the Management API: export and write-back fail (%v)", err)
}

func (e *doctor) checkScopes(scopes []string, known bool) Check {
	if !known {
		return skipped("Auth0 does not say which scopes the token has")
	}
	lacks := func(names ...string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(scopes, name) })
	}
	wants := []string{scopeUsers, scopeConnections, scopeClients, scopeProtection}
	if len(e.Settings.Realms) == 0 {
		wants = append(wants, scopeTenant)
	}
	const where = "Applications > APIs > Auth0 Management API > Machine to Machine Applications: add "
	if missing := lacks(scopeWrite); e.Settings.WriteBack && len(missing) > 0 {
		return fail(where+strings.Join(append(missing, lacks(wants...)...), ", "),
			"FERRY_WRITE_BACK is on, and the token lacks %s: migrations are not recorded at Auth0", scopeWrite)
	}
	if missing := lacks(wants...); len(missing) > 0 {
		return warn(where+strings.Join(missing, ", "), "the token lacks %s: export, `doctor why` or the checks below are limited", strings.Join(missing, ", "))
	}
	return ok("the token has %s", strings.Join(wants, ", "))
}

// unread explains why something could not be read from the Management API.
func unread(err error, scope, what string) Check {
	var fault *upstream.ManagementError
	if errors.As(err, &fault) && fault.Code == "insufficient_scope" {
		return warn("add the scope "+scope+" to the Management API application", "%s cannot be read without the scope %s", what, scope)
	}
	return warn("run doctor again in a minute", "%s cannot be read: %v", what, err)
}

// application reads ferry's application, and checks its grants.
func (e *doctor) application(ctx context.Context) (upstream.Application, Check) {
	if e.Settings.ClientID == "" {
		return upstream.Application{}, skipped("FERRY_AUTH0_CLIENT_ID is not set")
	}
	app, err := e.Management.Application(ctx, e.Settings.ClientID)
	var fault *upstream.ManagementError
	switch {
	case errors.As(err, &fault) && fault.Status == http.StatusNotFound:
		return app, fail("copy the client id of the application made for ferry into FERRY_AUTH0_CLIENT_ID",
			"the tenant has no application with the id in FERRY_AUTH0_CLIENT_ID: ferry cannot verify any login")
	case err != nil:
		return app, unread(err, scopeClients, "the application of FERRY_AUTH0_CLIENT_ID")
	}
	if app.Grants == nil {
		app.Grants = []string{}
	}
	const password, realm = "password", "password-realm"
	allowed := func(name string) bool {
		return slices.ContainsFunc(app.Grants, func(g string) bool { return g == name || strings.HasSuffix(g, "/grant-type/"+name) })
	}
	// The switch Password in the dashboard enables both.
	if !allowed(password) && (len(e.Settings.Realms) == 0 || !allowed(realm)) {
		return app, fail("Applications > yours > Advanced Settings > Grant Types: switch on Password",
			"the application may not use the grant %s: ferry cannot verify any login", upstream.GrantType(strings.Join(e.Settings.Realms, ",")))
	}
	const firstParty = "use a first-party application, such as one created in Auth0's dashboard (is_first_party: true in the Management API)"
	switch {
	case app.Strict:
		return app, fail(firstParty, "the application is a third-party application, for which Auth0 allows no password grants: ferry cannot verify any login")
	case app.ThirdParty:
		return app, warn(firstParty, "the application is a third-party application in Auth0's permissive mode: Auth0 does not document password grants for it, and it can use domain-level connections only")
	}
	return app, ok("the application may use password grants")
}

func (e *doctor) checkClientAuth(app upstream.Application) Check {
	switch {
	case app.AuthMethod == "":
		return skipped("Auth0 does not say how the application authenticates")
	case app.AuthMethod == "none":
		return fail("Applications > yours > Credentials: choose Client Secret (Post)",
			"the application has no secret: Auth0 ignores the client addresses that it sends, and anyone can use it")
	case app.AuthMethod != e.Settings.ClientAuth:
		return fail("set FERRY_AUTH0_CLIENT_AUTH to "+plain(app.AuthMethod)+", or change the application's Credentials at Auth0",
			"the application authenticates by %s and ferry by %s: Auth0 accepts only one method", plain(app.AuthMethod), e.Settings.ClientAuth)
	}
	return ok("both use %s", app.AuthMethod)
}

func (e *doctor) checkAlgorithm(app upstream.Application) Check {
	switch app.IDTokenAlg {
	case "":
		return skipped("Auth0 does not say how ID tokens are signed")
	case e.Settings.IDTokenAlg:
		return ok("ID tokens are signed with %s", app.IDTokenAlg)
	case "HS256":
		return fail("Applications > yours > Advanced Settings > OAuth > JSON Web Token Signature Algorithm: RS256",
			"ID tokens are signed with HS256, with the client's secret: ferry has to call /userinfo at every login, which is slower and which Auth0 limits to 5 calls a minute for a user")
	}
	return fail("set FERRY_AUTH0_ID_TOKEN_ALG to "+plain(app.IDTokenAlg)+", or the application's signature algorithm to "+e.Settings.IDTokenAlg,
		"ID tokens are signed with %s, and ferry accepts only %s: logins with right passwords fail as garbled", plain(app.IDTokenAlg), e.Settings.IDTokenAlg)
}

// checkRealms checks every connection of FERRY_AUTH0_REALMS. The grant tests only the
// first.
func (e *doctor) checkRealms(ctx context.Context) Check {
	if len(e.Settings.Realms) == 0 {
		return e.checkDefaultDirectory(ctx)
	}
	var problems, fixes []string
	var unknown []string
	for _, realm := range e.Settings.Realms {
		found, err := e.Management.Connection(ctx, realm)
		var fault *upstream.ManagementError
		problem, fix := "", ""
		enabled := true
		if err == nil {
			var unreadable error
			if enabled, unreadable = e.Management.Enabled(ctx, found.ID, e.Settings.ClientID); unreadable != nil {
				enabled = true
				unknown = append(unknown, plain(realm))
			}
		}
		switch {
		case errors.As(err, &fault) && fault.Reason == upstream.ReasonNoSuchConnection:
			problem, fix = "does not exist", "correct its name in FERRY_AUTH0_REALMS"
		case err != nil:
			return unread(err, scopeConnections, "the connections of FERRY_AUTH0_REALMS")
		default:
			problem, fix = e.connectionFault(found, enabled)
		}
		if problem != "" {
			problems, fixes = append(problems, plain(realm)+" "+problem), append(fixes, plain(realm)+": "+fix)
		}
	}
	if len(problems) > 0 {
		return fail(strings.Join(fixes, "; "), "ferry cannot verify all users: the connection %s", strings.Join(problems, "; the connection "))
	}
	if len(unknown) > 0 {
		return warn("run doctor again in a minute", "whether %s is enabled for the application cannot be read; the connections exist and have passwords", strings.Join(unknown, ", "))
	}
	return ok("%s with passwords, enabled for this application", count(len(e.Settings.Realms), "connection"))
}

func (e *doctor) connectionFault(c upstream.Connection, enabled bool) (problem, fix string) {
	custom := slices.Contains(e.Settings.CustomRealms, c.Name)
	switch {
	case !slices.Contains([]string{"auth0", "ad", "adfs", "waad"}, c.Strategy):
		return "has no passwords (strategy " + plain(c.Strategy) + ")", "remove it from FERRY_AUTH0_REALMS: only database connections have passwords"
	case c.Strategy != "auth0" && !custom:
		return "is not a database of Auth0 (strategy " + plain(c.Strategy) + ")", "if this is intended, add it to FERRY_AUTH0_CUSTOM_REALMS"
	case !enabled:
		return "is not enabled for the application", "Authentication > Database > " + plain(c.Name) + " > Applications: switch ferry's application on"
	case len(c.Realms) > 0 && !slices.Contains(c.Realms, c.Name):
		return "does not accept its own name", "add its name to the connection's realms"
	}
	return "", ""
}

func (e *doctor) checkDefaultDirectory(ctx context.Context) Check {
	directory, err := e.Management.DefaultDirectory(ctx)
	switch {
	case err != nil:
		return unread(err, scopeTenant, "the tenant's default directory")
	case directory == "":
		return fail("set FERRY_AUTH0_REALMS to your database connection, or Settings > General > Default Directory at Auth0",
			"FERRY_AUTH0_REALMS is empty and the tenant has no default directory: ferry cannot verify any login")
	}
	return ok("FERRY_AUTH0_REALMS is empty: ferry uses the default directory %s", fmt.Sprintf("%q", plain(directory)))
}
