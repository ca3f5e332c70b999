package doctor

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"ferry/transport"
)

const (
	namePublicAPI   = "gateway.public_api"
	nameBaseURL     = "gateway.base_url"
	nameProxies     = "gateway.trusted_proxies"
	nameGateRealms  = "gateway.realms"
	nameGateSchema  = "gateway.schema"
	nameGateLookups = "gateway.lookups"
	nameMemory      = "gateway.memory"
)

// GatewaySettings are the settings of what creates identities one by one: the gateway, the
// listener for Traefik and Envoy, /hooks/ensure, and the after-registration hook.
type GatewaySettings struct {
	// Listen is true if FERRY_GATEWAY_LISTEN is set, and Asked if FERRY_FORWARD_AUTH_LISTEN
	// is. If both are false, nothing sees logins.
	Listen, Asked bool
	// PublicURL is FERRY_KRATOS_PUBLIC_URL.
	PublicURL string
	// Realms are those of FERRY_GATEWAY_REALMS; empty: not set.
	Realms []string
	// TrustedProxies is FERRY_TRUSTED_PROXIES, and InFront FERRY_GATEWAY_TRUSTED_PROXIES.
	TrustedProxies, InFront int
	SchemaID                string
	DataDir                 string
}

// gateway checks what creates identities one by one. Without it there are no such checks.
func (e *doctor) gateway(ctx context.Context) []Check {
	set := e.Settings.Gateway
	if set == nil {
		return nil
	}
	s := checkGroup{doctor: e}
	if set.Listen {
		s.run(ctx, namePublicAPI, e.checkPublicAPI)
		s.run(ctx, nameBaseURL, e.checkBaseURL)
	}
	if set.Listen || set.Asked {
		s.run(ctx, nameProxies, func(context.Context) Check { return e.checkProxies() })
		s.run(ctx, nameGateRealms, func(context.Context) Check { return e.checkGatewayRealms() })
	}
	s.run(ctx, nameGateSchema, e.checkGatewaySchema)
	s.run(ctx, nameGateLookups, e.checkLookups)
	s.run(ctx, nameMemory, e.checkMemory)
	return s.checks
}

// checkPublicAPI asks for the session of a request without one: only the public API answers
// that with its own 401.
func (e *doctor) checkPublicAPI(ctx context.Context) Check {
	const consequence = "no user can log in through the gateway"
	at := plain(e.Settings.Gateway.PublicURL)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(e.Settings.Gateway.PublicURL, "/")+"/sessions/whoami", nil)
	if err != nil {
		return skipped("FERRY_KRATOS_PUBLIC_URL is not valid")
	}
	req.Header.Set("Accept", "application/json")
	resp, err := e.Hooks.RoundTrip(req)
	if err != nil {
		return fail(fixPublicURL, "Kratos' public API does not answer at %s: %s", at, consequence)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Error struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&answer)
	if resp.StatusCode != http.StatusUnauthorized || answer.Error.Code != http.StatusUnauthorized {
		return fail(fixPublicURL, "the server at %s is not Kratos' public API (status %d): %s", at, resp.StatusCode, consequence)
	}
	return ok("Kratos' public API answers at %s", at)
}

// checkBaseURL compares the address that Kratos writes into forms with its own.
func (e *doctor) checkBaseURL(ctx context.Context) Check {
	const fix = "set serve.public.base_url in kratos.yml to the address of the gateway as users see it, and restart Kratos"
	base := ""
	if e.Kratos != nil {
		base, _ = e.Kratos.BaseURL(ctx)
	}
	source := "Kratos writes %s into forms"
	if base == "" {
		base = e.config.text("serve", "public", "base_url")
		source = "kratos.yml has serve.public.base_url %s"
	}
	u, err := url.Parse(base)
	switch {
	case base == "" && e.config != nil:
		return fail(fix+", unless Kratos' environment sets it", "kratos.yml has no serve.public.base_url: Kratos writes its own address into forms, and browsers go past the gateway")
	case base == "":
		return skipped("Kratos does not tell serve.public.base_url; give Kratos' configuration with --kratos-config FILE")
	case unresolved(base) || err != nil || u.Host == "":
		return skipped("serve.public.base_url cannot be read; run doctor with the file that Kratos reads")
	case e.isKratosItself(u):
		return fail(fix, source+", which is Kratos itself: browsers go past the gateway, and users whom Kratos does not have cannot log in", plain(base))
	}
	return ok(source+"; make sure that POST requests to /self-service/ there reach the gateway", plain(base))
}

// isKratosItself reports whether the URL is that of Kratos' own listener: the address that the
// gateway passes requests on to, or the one in kratos.yml.
func (e *doctor) isKratosItself(u *url.URL) bool {
	if public, err := url.Parse(e.Settings.Gateway.PublicURL); err == nil && public.Host != "" && sameServer(u, public) {
		return true
	}
	port := e.config.number("serve", "public", "port")
	return port != "" && portOf(u) == port && transport.IsLoopback(u.Hostname())
}

// sameServer reports whether two URLs have the same host and port. All names of loopback are
// one host.
func sameServer(a, b *url.URL) bool {
	hosts := strings.EqualFold(a.Hostname(), b.Hostname()) || transport.IsLoopback(a.Hostname()) && transport.IsLoopback(b.Hostname())
	return hosts && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// checkProxies compares the two numbers of proxies. The gateway passes X-Forwarded-For on as
// it came, or, as the outermost proxy, writes one address.
func (e *doctor) checkProxies() Check {
	set := e.Settings.Gateway
	want := max(set.InFront, 1)
	switch set.TrustedProxies {
	case 0:
		return ok("the hook takes no client address from Kratos (FERRY_TRUSTED_PROXIES is 0), so it cannot differ from the gateway's")
	case want:
		return ok("the hook and the gateway find the same client address")
	}
	const problem = "FERRY_TRUSTED_PROXIES is %d and FERRY_GATEWAY_TRUSTED_PROXIES %d: the hook takes another client address than the gateway"
	fix := "set FERRY_TRUSTED_PROXIES to " + strconv.Itoa(want) + ", or correct FERRY_GATEWAY_TRUSTED_PROXIES: it is the number of proxies in front of ferry that append to X-Forwarded-For"
	if e.Settings.ForwardClientIP {
		return fail(fix, problem+", and tells Auth0 a wrong one or none", set.TrustedProxies, set.InFront)
	}
	return warn(fix, problem, set.TrustedProxies, set.InFront)
}

// checkGatewayRealms says which connections are asked about unknown users.
func (e *doctor) checkGatewayRealms() Check {
	all, asked := e.Settings.Realms, e.Settings.Gateway.Realms
	switch {
	case len(all) == 0:
		return ok("unknown users are looked for in the tenant's default directory")
	case len(asked) == 0 && len(all) > 1:
		return warn("list the connections in FERRY_GATEWAY_REALMS, the most likely one first, or only "+plain(all[0])+" if that is right",
			"unknown users are looked for in %s only; those in the other connections of FERRY_AUTH0_REALMS are told that their credentials are wrong", plain(all[0]))
	case len(asked) == 0:
		asked = all
	}
	names := make([]string, len(asked))
	for i, name := range asked {
		names[i] = plain(name)
	}
	if len(asked) > 1 && e.Management == nil {
		return warn("make an application for the Management API (FERRY_AUTH0_MGMT_CLIENT_ID), or ask one connection only",
			"unknown users are looked for in %s; without the Management API, those whose address Auth0 has not verified are not created", strings.Join(names, ", "))
	}
	return ok("unknown users are looked for in %s", strings.Join(names, ", "))
}

// checkGatewaySchema finds out which identity schema new identities have.
func (e *doctor) checkGatewaySchema(ctx context.Context) Check {
	if e.Kratos == nil {
		return skipped("FERRY_KRATOS_ADMIN_URL is not valid")
	}
	ids, err := e.Kratos.Schemas(ctx)
	if err != nil {
		return e.kratosFault(err)
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = plain(id)
	}
	id := e.Settings.Gateway.SchemaID
	switch {
	case id == "" && len(ids) != 1:
		return fail("set FERRY_SCHEMA_ID to one of "+strings.Join(names, ", "), "Kratos has %s, and FERRY_SCHEMA_ID is not set: no identity is created", count(len(ids), "identity schema"))
	case id != "" && !slices.Contains(ids, id):
		return fail("set FERRY_SCHEMA_ID to one of "+strings.Join(names, ", "), "Kratos has no identity schema %s, which FERRY_SCHEMA_ID names: no identity is created", plain(id))
	case id == "":
		id = ids[0]
	}
	return ok("new identities have the identity schema %s", plain(id))
}

// checkLookups checks whether users can be found without their password.
func (e *doctor) checkLookups(ctx context.Context) Check {
	const needs = "recovery, verification, sign-up and login without a password of users whom Kratos does not have"
	const where = "Applications > APIs > Auth0 Management API > Machine to Machine Applications: add " + scopeUsers
	if e.Management == nil {
		return warn("make a machine-to-machine application for the Management API with the scope "+scopeUsers+", and set FERRY_AUTH0_MGMT_CLIENT_ID and FERRY_AUTH0_MGMT_CLIENT_SECRET; if only logins with a password matter, ignore this",
			"without the Management API, ferry creates users only at a login with a password; "+needs+" pass on as they are")
	}
	scopes, known, err := e.Management.Scopes(ctx)
	switch {
	case err != nil:
		return skipped("there is no token for the Management API")
	case !known:
		return skipped("Auth0 does not say which scopes the token has")
	case !slices.Contains(scopes, scopeUsers):
		return fail(where, "the token lacks %s: no user is found, and logins of users whom Kratos does not have are an outage", scopeUsers)
	}
	return ok("users are looked up with %s", scopeUsers)
}
