package doctor_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ferry/doctor"
	"ferry/secret"
	"ferry/test/hydratest"
	"ferry/wiring/hydraconfig"
)

const (
	hydraIssuer = "https://login.example.org/"
	webOrigin   = "https://app.example.org"
)

// hydraChecks runs doctor and returns the checks of Hydra by name.
func hydraChecks(t *testing.T, set *doctor.HydraSettings, file string) map[string]doctor.Check {
	t.Helper()
	opts := doctor.Options{
		Settings: doctor.Settings{Issuer: hydraIssuer, BaseURL: "https://login.example.com", Hydra: set}, Now: time.Now, ID: func() string { return "id" },
		Hooks: &http.Transport{DisableKeepAlives: true},
	}
	if file != "" {
		opts.HydraConfig = []byte(file)
	}
	found := map[string]doctor.Check{}
	for _, check := range doctor.Examine(t.Context(), opts).Checks {
		if !strings.HasPrefix(check.Name, "hydra.") {
			continue
		}
		found[check.Name] = check
		if needsFix := check.Status == doctor.Warn || check.Status == doctor.Fail; needsFix && check.Fix == "" || strings.Contains(check.Detail+check.Fix, "%!") {
			t.Errorf("%+v", check)
		}
	}
	return found
}

func must(t *testing.T, found map[string]doctor.Check, name string, status doctor.Status, says string) {
	t.Helper()
	if check := found[name]; check.Status != status || !strings.Contains(check.Detail, says) {
		t.Errorf("want %s %s %q, got %+v", name, status, says, check)
	}
}

// fragment is what `ferry hydra-config` prints.
func fragment(t *testing.T, front bool) string {
	t.Helper()
	text, err := hydraconfig.Fragment(hydraconfig.Options{
		Issuer: hydraIssuer, TokenFront: front, Grace: hydraconfig.DefaultGrace, Claims: hydraconfig.DefaultClaims(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// client is a client of a single-page application, with changes.
func client(id string, changes map[string]any) map[string]any {
	all := map[string]any{
		"client_id": id, "token_endpoint_auth_method": "none", "redirect_uris": []string{webOrigin + "/callback"},
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
		"scope": "openid offline_access email", "allowed_cors_origins": []string{webOrigin},
	}
	for name, value := range changes {
		all[name] = value
	}
	return all
}

func createClients(t *testing.T, h *hydratest.Hydra, clients ...map[string]any) {
	t.Helper()
	for _, one := range clients {
		if err := h.CreateClient(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHydraConfigIsSound: the real Hydra starts with what `ferry hydra-config` prints, and doctor
// finds nothing.
func TestHydraConfigIsSound(t *testing.T) {
	t.Parallel()
	const sdk = "Authorization, Content-Type, Auth0-Client"
	front := shown(t, `{"issuer":"`+hydraIssuer+`"`+endpoints, http.Header{"Access-Control-Allow-Origin": {webOrigin}, "Access-Control-Allow-Headers": {sdk}})
	for name, at := range map[string]string{"alone": "", "behind the token front": front} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := fragment(t, at != "")
			h := hydratest.Run(t, hydratest.Options{Config: []byte(file), Production: true})
			createClients(t, h, client("spa", nil))
			found := hydraChecks(t, &doctor.HydraSettings{
				AdminURL: h.AdminURL(), PublicURL: h.PublicURL(), FrontURL: at, Remint: []string{"spa"}, AppDomain: "login.example.org",
			}, file)
			if len(found) != 13 {
				t.Errorf("%d checks", len(found))
			}
			if at == "" {
				must(t, found, "hydra.logout", doctor.Skip, "FERRY_TOKEN_LISTEN")
				delete(found, "hydra.logout")
			}
			for _, check := range found {
				if check.Status != doctor.OK {
					t.Errorf("%+v", check)
				}
			}
		})
	}
}

// TestHydraFaults: clients that lack something, and a Hydra that is not configured for them.
func TestHydraFaults(t *testing.T) {
	t.Parallel()
	h := hydratest.Run(t, hydratest.Options{Edit: func(config map[string]any) {
		config["webfinger"] = map[string]any{"oidc_discovery": map[string]any{"token_url": "http://127.0.0.1:1/oauth/token"}}
	}})
	createClients(
		t, h, client("sound", nil),
		client("no-refresh", map[string]any{"grant_types": []string{"authorization_code"}}),
		client("no-code", map[string]any{"response_types": []string{"token"}}),
		client("online", map[string]any{"scope": "openid email"}),
		client("wild", map[string]any{"redirect_uris": []string{"https://*.example.org/callback"}}),
		client("plain", map[string]any{"redirect_uris": []string{"http://app.example.org/callback"}}),
		client("with a blank", map[string]any{"redirect_uris": []string{"http://127.0.0.1:3000/callback"}}),
	)
	set := doctor.HydraSettings{AdminURL: h.AdminURL(), PublicURL: h.PublicURL()}
	for id, says := range map[string]string{
		"no-refresh": "lacks the grant type refresh_token", "no-code": "lacks the response type code", "online": "lacks the scope offline_access",
		"wild": "lacks a redirect URI that Hydra accepts", "plain": "lacks a redirect URI that Hydra accepts", "unknown": "is not a client of Hydra",
	} {
		set := set
		set.Remint = []string{"sound", id}
		must(t, hydraChecks(t, &set, ""), "hydra.clients", doctor.Fail, id+" "+says)
	}
	set.Remint = []string{"sound", "with a blank"}
	found := hydraChecks(t, &set, "")
	must(t, found, "hydra.clients", doctor.OK, "2 clients")
	everyone := set
	everyone.Remint = []string{doctor.AllClients}
	must(t, hydraChecks(t, &everyone, ""), "hydra.clients", doctor.Fail, "no-refresh lacks the grant type refresh_token")
	must(t, found, "hydra.discovery", doctor.Fail, "http://127.0.0.1:1/oauth/token, which is not on the issuer's host")
	must(t, found, "hydra.cors", doctor.Fail, "is refused")
	must(t, found, "hydra.issuer", doctor.OK, "is unchecked: give it with --app-domain")
	for _, name := range []string{"hydra.pkce", "hydra.rotation", "hydra.claims"} {
		must(t, found, name, doctor.Skip, "--hydra-config FILE")
	}
	behind := set
	behind.FrontURL = shown(t, `{"issuer":"`+hydraIssuer+`"`+endpoints, nil)
	must(t, hydraChecks(t, &behind, ""), "hydra.logout", doctor.Warn, "they do not come back to the application")
	set.AppDomain = "login.example.org"
	must(t, hydraChecks(t, &set, ""), "hydra.issuer", doctor.Fail, "expect https://login.example.org/")
	set.PublicURL, set.AdminURL = h.AdminURL(), h.PublicURL()
	found = hydraChecks(t, &set, "")
	must(t, found, "hydra.admin", doctor.Fail, "is not Hydra's admin API")
	must(t, found, "hydra.public", doctor.Fail, "is not Hydra's public API")
	must(t, found, "hydra.clients", doctor.Skip, "does not answer")
}

// TestHydraClientPages: all clients are read, page by page, and the report names some of those that
// lack something.
func TestHydraClientPages(t *testing.T) {
	t.Parallel()
	const clients, faulty = 270, 30
	h := hydratest.Run(t, hydratest.Options{})
	for i := range clients {
		changes := map[string]any{}
		if i >= clients-faulty {
			changes["scope"] = "openid"
		}
		createClients(t, h, client(fmt.Sprintf("app-%03d", i), changes))
	}
	set := doctor.HydraSettings{AdminURL: h.AdminURL(), Remint: []string{doctor.AllClients}}
	found := hydraChecks(t, &set, "")
	must(t, found, "hydra.clients", doctor.Fail, "lacks the scope offline_access")
	must(t, found, "hydra.clients", doctor.Fail, "and 20 more clients")
}

// TestHydraClientsEndless: a Hydra whose pages do not end is read up to a bound.
func TestHydraClientsEndless(t *testing.T) {
	t.Parallel()
	pages := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/admin/clients" {
			pages++
			w.Header().Set("Link", fmt.Sprintf(`</admin/clients?page_size=250>; rel="first",</admin/clients?page_size=250&page_token=%d>; rel="next"`, pages))
		}
		_, _ = io.WriteString(w, `[{"client_id":"app"}]`)
	}))
	t.Cleanup(server.Close)
	found := hydraChecks(t, &doctor.HydraSettings{AdminURL: server.URL}, "")
	must(t, found, "hydra.admin", doctor.Warn, "has more than 100 clients")
	if pages != 100 {
		t.Errorf("%d pages", pages)
	}
}

// TestHydraAdminToken: a proxy in front of the admin API wants a token.
func TestHydraAdminToken(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer canary-admin-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "[]")
	}))
	t.Cleanup(server.Close)
	set := doctor.HydraSettings{AdminURL: server.URL}
	must(t, hydraChecks(t, &set, ""), "hydra.admin", doctor.Fail, "refuses ferry (status 401)")
	set.AdminToken = secret.New("canary-admin-token")
	must(t, hydraChecks(t, &set, ""), "hydra.admin", doctor.OK, "of an unknown version")
}

// shown is a server that shows an OpenID configuration, and answers a preflight with a header.
func shown(t *testing.T, configuration string, preflight http.Header) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodOptions:
			for name, values := range preflight {
				w.Header()[name] = values
			}
			w.WriteHeader(http.StatusNoContent)
		case r.URL.Path == "/admin/clients":
			_, _ = io.WriteString(w, `[{"client_id":"spa","allowed_cors_origins":["https://*.example.org","`+webOrigin+`"]}]`)
		case r.URL.Path == "/.well-known/openid-configuration":
			_, _ = io.WriteString(w, strings.ReplaceAll(configuration, "HOST", "http://"+r.Host))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

const endpoints = `,"authorization_endpoint":"https://login.example.org/authorize","token_endpoint":"https://login.example.org/oauth/token",` +
	`"userinfo_endpoint":"https://login.example.org/userinfo","jwks_uri":"https://login.example.org/.well-known/jwks.json"}`

// TestHydraIssuer: what Auth0's SDKs refuse.
func TestHydraIssuer(t *testing.T) {
	t.Parallel()
	front := shown(t, `{"issuer":"`+hydraIssuer+`"`+endpoints, nil)
	for name, c := range map[string]struct {
		issuer, front string
		status        doctor.Status
		says          string
	}{
		"as expected":       {"https://login.example.org/", front, doctor.OK, "as the applications expect it"},
		"no slash":          {"https://login.example.org", "", doctor.Fail, "has no slash at its end"},
		"plain http":        {"http://login.example.org/", "", doctor.Fail, "not an https URL"},
		"Auth0's host":      {"https://tenant.eu.auth0.com/", "", doctor.Fail, "cannot be moved"},
		"another Hydra":     {"https://login.example.net/", front, doctor.Fail, "the token front shows https://login.example.org/"},
		"ferry asks itself": {"https://login.example.com/", front, doctor.Warn, "ferry asks itself instead of Auth0"},
		"front is not up":   {"https://login.example.org/", "http://127.0.0.1:1", doctor.Warn, "does not answer"},
		"unknown to doctor": {"https://login.example.net/", "", doctor.OK, "is unchecked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set := doctor.HydraSettings{PublicURL: shown(t, `{"issuer":"`+c.issuer+`"`+endpoints, nil), FrontURL: c.front}
			must(t, hydraChecks(t, &set, ""), "hydra.issuer", c.status, c.says)
		})
	}
}

// TestHydraDiscovery: Auth0's paths need the token front.
func TestHydraDiscovery(t *testing.T) {
	t.Parallel()
	hydra := shown(t, `{"issuer":"`+hydraIssuer+`"`+endpoints, nil)
	front := shown(t, `{"issuer":"`+hydraIssuer+`"`+endpoints, nil)
	must(t, hydraChecks(t, &doctor.HydraSettings{PublicURL: hydra, FrontURL: front}, ""), "hydra.discovery", doctor.OK, "login.example.org for all endpoints")
	found := hydraChecks(t, &doctor.HydraSettings{PublicURL: hydra}, "")
	must(t, found, "hydra.discovery", doctor.Fail, "Hydra answers 404")
	must(t, found, "hydra.keys", doctor.Warn, "shows no signing keys")
	must(t, found, "hydra.admin", doctor.Skip, "FERRY_HYDRA_ADMIN_URL is not set")
}

// TestHydraCORS: the preflight goes to where browsers send it.
func TestHydraCORS(t *testing.T) {
	t.Parallel()
	const sdk = "Authorization, Content-Type, Auth0-Client"
	for name, c := range map[string]struct {
		origin, headers, credentials string
		status                       doctor.Status
		says                         string
	}{
		"allowed":         {webOrigin, sdk, "true", doctor.OK, "is allowed for " + webOrigin},
		"no cookies":      {webOrigin, sdk, "", doctor.OK, "but not with cookies"},
		"every origin":    {"*", "auth0-client, content-type", "true", doctor.OK, "for every origin, but not with cookies"},
		"another origin":  {"https://www.example.org", sdk, "true", doctor.Fail, "is refused"},
		"header lacks":    {webOrigin, "Content-Type", "true", doctor.Fail, "Auth0-Client"},
		"no answer at it": {"", "", "", doctor.Fail, "is refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			for name, value := range map[string]string{"Origin": c.origin, "Headers": c.headers, "Credentials": c.credentials} {
				if value != "" {
					header.Set("Access-Control-Allow-"+name, value)
				}
			}
			hydra := shown(t, `{"issuer":"`+hydraIssuer+`"`+endpoints, nil)
			front := shown(t, `{"issuer":"`+hydraIssuer+`"`+endpoints, header)
			set := doctor.HydraSettings{AdminURL: hydra, PublicURL: hydra, FrontURL: front}
			must(t, hydraChecks(t, &set, ""), "hydra.cors", c.status, c.says)
		})
	}
}

// TestHydraFile: what only hydra.yml shows.
func TestHydraFile(t *testing.T) {
	t.Parallel()
	sound := fragment(t, true)
	for name, c := range map[string]struct {
		from, to, check string
		status          doctor.Status
		says            string
	}{
		"sound":               {"", "", "hydra.claims", doctor.OK, "azp, permissions, org_id"},
		"PKCE for all":        {"enforced_for_public_clients", "enforced", "hydra.pkce", doctor.OK, ""},
		"no PKCE":             {"enforced_for_public_clients: true", "enforced_for_public_clients: false", "hydra.pkce", doctor.Warn, "without PKCE"},
		"no grace period":     {`"30s"`, `"0s"`, "hydra.rotation", doctor.Warn, "there is no grace period"},
		"no duration":         {`"30s"`, `"30"`, "hydra.rotation", doctor.Fail, "is not a duration"},
		"too long":            {`"30s"`, `"10m"`, "hydra.rotation", doctor.Warn, "allows 5m"},
		"a variable":          {`"30s"`, `"${GRACE}"`, "hydra.rotation", doctor.Skip, "is a variable"},
		"scopes are a list":   {"scope_claim: both", "scope_claim: list", "hydra.claims", doctor.Warn, "but scp"},
		"claims below ext":    {`["azp", "permissions", "org_id"]`, "[]", "hydra.claims", doctor.Warn, "below ext"},
		"claims are dropped":  {"allowed_top_level_claims:", "mirror_top_level_claims: false\n  allowed_top_level_claims:", "hydra.claims", doctor.OK, "are dropped"},
		"no YAML":             {"urls:", "urls: [", "hydra.config", doctor.Fail, "is not valid YAML"},
		"nothing of it reads": {"urls:", "urls: [", "hydra.pkce", doctor.Skip, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := hydraChecks(t, nil, edited(t, sound, c.from, c.to))
			must(t, found, c.check, c.status, c.says)
			must(t, found, "hydra.admin", doctor.Skip, "are not set")
		})
	}
}

// TestNoHydra: without settings of Hydra, and without its file, nothing is said of it.
func TestNoHydra(t *testing.T) {
	t.Parallel()
	for _, check := range doctor.Examine(t.Context(), doctor.Options{Now: time.Now, ID: func() string { return "id" }}).Checks {
		if strings.HasPrefix(check.Name, "hydra") {
			t.Errorf("%+v", check)
		}
	}
}
