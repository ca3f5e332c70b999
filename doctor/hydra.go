package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ferry/secret"
	"ferry/transport"
	"ferry/wire"
)

const (
	nameHydraAdmin     = "hydra.admin"
	nameHydraPublic    = "hydra.public"
	nameHydraIssuer    = "hydra.issuer"
	nameHydraDiscovery = "hydra.discovery"
	nameHydraKeys      = "hydra.keys"
	nameHydraCORS      = "hydra.cors"
	nameHydraLogout    = "hydra.logout"
	nameHydraClients   = "hydra.clients"
	nameHydraJanitor   = "hydra.janitor"
	// maxHydraAnswer bounds how much of an answer of Hydra is read, in bytes.
	maxHydraAnswer = 4 << 20
	// unregistered is an origin of no application.
	unregistered = "https://app.ferry-doctor.invalid"
)

// HydraSettings are the settings of the token front and of Hydra behind it.
type HydraSettings struct {
	// AdminURL is FERRY_HYDRA_ADMIN_URL, and PublicURL FERRY_HYDRA_PUBLIC_URL; empty: not set,
	// or not valid.
	AdminURL, PublicURL string
	// AdminToken is the bearer token for the admin API; empty: none.
	AdminToken secret.String
	// FrontURL is the URL of the token front on this machine; empty: FERRY_TOKEN_LISTEN is not
	// set, or not an address for programs on this machine.
	FrontURL string
	// Remint are the clients of FERRY_REMINT_CLIENTS; AllClients stands for every client that
	// logs users in.
	Remint []string
	// AppDomain is the domain that is built into the applications, if the operator gave it.
	AppDomain string
}

// AllClients in FERRY_REMINT_CLIENTS stands for every client.
const AllClients = "*"

// discovery is Hydra's OpenID configuration.
type discovery struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	UserInfo      string `json:"userinfo_endpoint"`
	Keys          string `json:"jwks_uri"`
}

// hydra checks Hydra and its clients. Without settings of Hydra, and without hydra.yml, there are
// no such checks.
func (e *doctor) hydra(ctx context.Context) []Check {
	set := e.Settings.Hydra
	if set == nil && e.HydraConfig == nil {
		return nil
	}
	s := checkGroup{doctor: e}
	if set == nil {
		s.skip("FERRY_HYDRA_ADMIN_URL and FERRY_HYDRA_PUBLIC_URL are not set", nameHydraAdmin, nameHydraPublic, nameHydraIssuer,
			nameHydraDiscovery, nameHydraKeys, nameHydraCORS, nameHydraLogout, nameHydraClients)
	} else {
		e.hydraWire(ctx, &s, *set)
	}
	e.hydraFile(ctx, &s)
	s.run(ctx, nameHydraJanitor, func(context.Context) Check {
		return ok("run `hydra janitor --tokens --requests` regularly; it removes expired tokens, but not the rows of completed logins, of which every re-mint adds five")
	})
	return s.checks
}

// hydraWire checks what Hydra and the token front answer.
func (e *doctor) hydraWire(ctx context.Context, s *checkGroup, set HydraSettings) {
	var clients []hydraClient
	admin := s.run(ctx, nameHydraAdmin, func(ctx context.Context) (found Check) {
		clients, found = e.checkHydraAdmin(ctx, set)
		return found
	})
	var shown discovery
	if s.run(ctx, nameHydraPublic, func(ctx context.Context) (found Check) {
		shown, found = e.checkHydraPublic(ctx, set)
		return found
	}) {
		s.run(ctx, nameHydraIssuer, func(ctx context.Context) Check { return e.checkHydraIssuer(ctx, set, shown) })
		s.run(ctx, nameHydraDiscovery, func(context.Context) Check { return checkHydraDiscovery(set, shown) })
		s.run(ctx, nameHydraKeys, func(ctx context.Context) Check { return e.checkHydraKeys(ctx, set) })
		s.run(ctx, nameHydraCORS, func(ctx context.Context) Check { return e.checkHydraCORS(ctx, set, clients) })
		s.run(ctx, nameHydraLogout, func(ctx context.Context) Check { return e.checkHydraLogout(ctx, set, shown) })
	} else {
		s.skip("Hydra's public API does not answer", nameHydraIssuer, nameHydraDiscovery, nameHydraKeys, nameHydraCORS, nameHydraLogout)
	}
	if !admin {
		s.skip("Hydra's admin API does not answer", nameHydraClients)
		return
	}
	s.run(ctx, nameHydraClients, func(ctx context.Context) Check { return e.checkHydraClients(ctx, set, clients) })
}

// authorization is the header of a request to the admin API.
func (s HydraSettings) authorization() http.Header {
	if s.AdminToken.Empty() {
		return nil
	}
	return http.Header{"Authorization": {"Bearer " + s.AdminToken.Reveal()}}
}

// hydraAnswer is an answer of Hydra or of the token front.
type hydraAnswer struct {
	status int
	header http.Header
	body   []byte
}

// askHydra sends one request without a body. It does not follow redirects.
func (e *doctor) askHydra(ctx context.Context, method, address string, header http.Header) (hydraAnswer, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return hydraAnswer{}, errors.New("the url is not valid")
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "ferry-doctor")
	resp, err := e.Hooks.RoundTrip(req)
	if err != nil {
		return hydraAnswer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHydraAnswer))
	return hydraAnswer{resp.StatusCode, resp.Header, body}, err
}

// noHydra explains why Hydra does not answer.
func (e *doctor) noHydra(setting, address string, err error) Check {
	const consequence = "no token is re-minted"
	if isTLSFault(err) {
		detail, fix := certificateFault("the server at "+setting, setting, err, e.Now(), "install the certificate authority that signed it (SSL_CERT_FILE)")
		return fail(fix, "%s: %s", detail, consequence)
	}
	return fail("set "+setting+" to the address of Hydra as this machine reaches it, and start Hydra", "Hydra does not answer at %s: %s", plain(address), consequence)
}

// checkHydraAdmin reads the version, and the clients, which only the admin API shows.
func (e *doctor) checkHydraAdmin(ctx context.Context, set HydraSettings) ([]hydraClient, Check) {
	const setting = "FERRY_HYDRA_ADMIN_URL"
	if set.AdminURL == "" {
		return nil, skipped(setting + " is not set, or not valid")
	}
	clients, all, status, err := e.listHydraClients(ctx, set)
	switch {
	case err != nil:
		return nil, e.noHydra(setting, set.AdminURL, err)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return nil, fail("set FERRY_HYDRA_ADMIN_TOKEN to the token that the proxy in front of Hydra's admin API requires", "the server at %s refuses ferry (status %d)", plain(set.AdminURL), status)
	case status != http.StatusOK || clients == nil:
		return nil, fail("set "+setting+" to the admin API (port 4445 by default, not the public 4444)", "the server at %s is not Hydra's admin API (status %d)", plain(set.AdminURL), status)
	}
	var about struct {
		Version string `json:"version"`
	}
	if answer, err := e.askHydra(ctx, http.MethodGet, under(set.AdminURL, "/version"), set.authorization()); err == nil {
		_ = json.Unmarshal(answer.body, &about)
	}
	if about.Version == "" {
		about.Version = "of an unknown version"
	}
	if !all {
		return clients, warn("list the clients that matter in FERRY_REMINT_CLIENTS: doctor then checks each", "Hydra %s has more than %d clients, and doctor read no further", plain(about.Version), len(clients))
	}
	return clients, ok("Hydra %s answers and shows its clients", plain(about.Version))
}

// checkHydraPublic reads the OpenID configuration.
func (e *doctor) checkHydraPublic(ctx context.Context, set HydraSettings) (discovery, Check) {
	const setting = "FERRY_HYDRA_PUBLIC_URL"
	if set.PublicURL == "" {
		return discovery{}, skipped(setting + " is not set, or not valid")
	}
	shown, status, err := e.discover(ctx, set.PublicURL)
	switch {
	case err != nil:
		return discovery{}, e.noHydra(setting, set.PublicURL, err)
	case shown.Issuer == "" || shown.Token == "":
		return discovery{}, fail("set "+setting+" to Hydra's public API (port 4444 by default)", "the server at %s is not Hydra's public API (status %d)", plain(set.PublicURL), status)
	}
	return shown, ok("Hydra's public API answers at %s", plain(set.PublicURL))
}

// discover reads an OpenID configuration. What is not one is an empty one.
func (e *doctor) discover(ctx context.Context, base string) (discovery, int, error) {
	answer, err := e.askHydra(ctx, http.MethodGet, under(base, "/.well-known/openid-configuration"), nil)
	var shown discovery
	if err != nil || answer.status != http.StatusOK || json.Unmarshal(answer.body, &shown) != nil {
		return discovery{}, answer.status, err
	}
	return shown, answer.status, nil
}

// checkHydraIssuer compares Hydra's issuer with what Auth0's SDKs expect: https, the domain that
// is built into the application, and a slash.
func (e *doctor) checkHydraIssuer(ctx context.Context, set HydraSettings, shown discovery) Check {
	const consequence = "applications refuse Hydra's ID tokens"
	issuer := plain(shown.Issuer)
	u, err := url.Parse(shown.Issuer)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && !transport.IsLoopback(u.Hostname()):
		return fail("set urls.self.issuer in hydra.yml to https://DOMAIN/", "Hydra's issuer is %s, which is not an https URL: %s", issuer, consequence)
	case !strings.HasSuffix(shown.Issuer, "/"):
		return fail("set urls.self.issuer in hydra.yml to "+issuer+"/", "Hydra's issuer %s has no slash at its end: Auth0's SDKs expect one, and %s", issuer, consequence)
	case set.AppDomain != "" && u.Host != set.AppDomain:
		return fail("set urls.self.issuer in hydra.yml to https://"+plain(set.AppDomain)+"/", "Hydra's issuer is %s, and the applications expect https://%s/: %s", issuer, plain(set.AppDomain), consequence)
	case strings.HasSuffix(u.Hostname(), ".auth0.com"):
		return fail("use the tenant's custom domain, and move that; applications that were built for "+plain(u.Host)+" need a release", "Hydra's issuer is %s, whose host cannot be moved from Auth0", issuer)
	}
	if set.FrontURL != "" {
		if found := e.checkFrontIssuer(ctx, set, shown.Issuer, u.Host); found.Status != OK {
			return found
		}
	}
	if set.AppDomain == "" && shown.Issuer != e.Settings.Issuer {
		return ok("Hydra's issuer is %s; whether that is the domain in the applications is unchecked: give it with --app-domain", issuer)
	}
	return ok("Hydra's issuer is %s, as the applications expect it", issuer)
}

// checkFrontIssuer checks the token front at the issuer's host.
func (e *doctor) checkFrontIssuer(ctx context.Context, set HydraSettings, issuer, host string) Check {
	through, _, err := e.discover(ctx, set.FrontURL)
	auth0, _ := url.Parse(e.Settings.BaseURL)
	switch {
	case auth0 != nil && auth0.Host == host:
		return warn("set FERRY_AUTH0_DOMAIN to the tenant's own domain, such as tenant.eu.auth0.com, before that host leads to ferry",
			"Hydra's issuer is %s, and FERRY_AUTH0_DOMAIN has the same host: once it leads to the token front, ferry asks itself instead of Auth0", plain(issuer))
	case err != nil:
		return warn("start ferry, and run doctor again", "Hydra's issuer is %s; the token front does not answer at %s", plain(issuer), plain(set.FrontURL))
	case through.Issuer != issuer:
		return fail("set FERRY_HYDRA_PUBLIC_URL to the same Hydra everywhere, and restart ferry", "Hydra's issuer is %s, and the token front shows %s", plain(issuer), plain(through.Issuer))
	}
	return ok("the token front shows the same issuer")
}

// checkHydraDiscovery checks where clients are sent that read the OpenID configuration.
func checkHydraDiscovery(set HydraSettings, shown discovery) Check {
	issuer, err := url.Parse(shown.Issuer)
	if err != nil {
		return skipped("Hydra's issuer is not a URL")
	}
	for _, one := range []struct{ name, address, hydra, auth0 string }{
		{"auth_url", shown.Authorization, "/oauth2/auth", "/authorize"},
		{"token_url", shown.Token, "/oauth2/token", "/oauth/token"},
		{"userinfo_url", shown.UserInfo, "/userinfo", "/userinfo"},
		{"jwks_url", shown.Keys, "/.well-known/jwks.json", "/.well-known/jwks.json"},
	} {
		u, err := url.Parse(one.address)
		key := "webfinger.oidc_discovery." + one.name
		switch {
		case err != nil || u.Host != issuer.Host || u.Scheme != issuer.Scheme:
			return fail("remove "+key+" from hydra.yml, or write a URL of the issuer's host", "the OpenID configuration sends clients to %s, which is not on the issuer's host %s", plain(one.address), plain(issuer.Host))
		case set.FrontURL == "" && strings.HasSuffix(u.Path, one.auth0) && one.auth0 != one.hydra:
			return fail("set FERRY_TOKEN_LISTEN, or remove "+key+" from hydra.yml", "the OpenID configuration has Auth0's path %s, at which Hydra answers 404", plain(one.address))
		}
	}
	return ok("the OpenID configuration names %s for all endpoints", plain(issuer.Host))
}

// checkHydraKeys reads the signing keys. Hydra makes them when they are first needed, which can
// take longer than it waits with its answer.
func (e *doctor) checkHydraKeys(ctx context.Context, set HydraSettings) Check {
	answer, err := e.askHydra(ctx, http.MethodGet, under(set.PublicURL, "/.well-known/jwks.json"), nil)
	var keys struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err != nil || answer.status != http.StatusOK || json.Unmarshal(answer.body, &keys) != nil || len(keys.Keys) == 0 {
		return warn("run doctor again until this is ok, before an application comes", "Hydra shows no signing keys: it makes them at the first request for them, and the first token may fail")
	}
	return ok("Hydra shows %s", count(len(keys.Keys), "signing key"))
}

// checkHydraCORS sends the preflight of Auth0's SDKs for browsers, to where browsers send it.
func (e *doctor) checkHydraCORS(ctx context.Context, set HydraSettings, clients []hydraClient) Check {
	const consequence = "applications in browsers cannot get tokens"
	base, path, fix := set.PublicURL, "/oauth2/token", "set serve.public.cors in hydra.yml as `ferry hydra-config` prints it, and restart Hydra"
	if set.FrontURL != "" {
		base, path, fix = set.FrontURL, "/oauth/token", "add the origin to allowed_cors_origins of the client"
	}
	origin := unregistered
	for _, client := range clients {
		if i := slices.IndexFunc(client.Origins, func(one string) bool { return !strings.Contains(one, "*") }); i >= 0 {
			origin = client.Origins[i]
			break
		}
	}
	if origin == unregistered {
		return skipped("no client has allowed_cors_origins: no application in a browser is registered")
	}
	answer, err := e.askHydra(ctx, http.MethodOptions, under(base, path), http.Header{
		"Origin": {origin}, "Access-Control-Request-Method": {http.MethodPost}, "Access-Control-Request-Headers": {"auth0-client,content-type"},
	})
	if err != nil {
		return skipped("nothing answers at " + plain(base) + ": start ferry, and run doctor again")
	}
	allowed := strings.ToLower(strings.Join(answer.header.Values("Access-Control-Allow-Headers"), ","))
	switch shown := answer.header.Get("Access-Control-Allow-Origin"); {
	case shown != origin && shown != "*":
		return fail(fix, "the preflight of Auth0's SDKs from %s is refused: %s", plain(origin), consequence)
	case !strings.Contains(allowed, "auth0-client") && allowed != "*":
		return fail(fix, "the preflight from %s does not allow the header Auth0-Client: %s", plain(origin), consequence)
	case shown == "*":
		return ok("the preflight of Auth0's SDKs is allowed for every origin, but not with cookies")
	case answer.header.Get("Access-Control-Allow-Credentials") != "true":
		return ok("the preflight of Auth0's SDKs is allowed for %s, but not with cookies", plain(origin))
	}
	return ok("the preflight of Auth0's SDKs is allowed for %s", plain(origin))
}

// checkHydraLogout checks where Hydra sends a browser that has no session, and no ID token.
func (e *doctor) checkHydraLogout(ctx context.Context, set HydraSettings, shown discovery) Check {
	if set.FrontURL == "" {
		return skipped("the token front is not set up (FERRY_TOKEN_LISTEN)")
	}
	const key = "urls.post_logout_redirect"
	want := strings.TrimRight(shown.Issuer, "/") + wire.LogoutDonePath
	fix := "set " + key + " in hydra.yml to " + plain(want) + fixHydra + ", and restart Hydra"
	answer, err := e.askHydra(ctx, http.MethodGet, under(set.PublicURL, "/oauth2/sessions/logout"), nil)
	switch to := answer.header.Get("Location"); {
	case err != nil:
		return e.noHydra("FERRY_HYDRA_PUBLIC_URL", set.PublicURL, err)
	case to == "":
		return warn(fix, "Hydra does not say where browsers go after a logout (status %d)", answer.status)
	case to != want:
		return warn(fix, "after a logout without an ID token, as Auth0's SDKs ask for it, Hydra sends browsers to %s, and not to the token front: they do not come back to the application", plain(to))
	}
	return ok("after a logout, Hydra sends browsers to the token front, which sends them back to the application")
}

// under adds a path to a base URL.
func under(base, path string) string { return strings.TrimRight(base, "/") + path }
