package front

import (
	"net/http"
	"net/url"
	"strings"

	"ferry/hydra"
)

// preflightAge is how long, in seconds, a browser may keep the answer to a preflight.
const preflightAge = "600"

// allowedHeaders are those that a page may send: Auth0-Client is what Auth0's SDKs add.
const allowedHeaders = "Accept, Accept-Language, Auth0-Client, Authorization, Content-Language, Content-Type, DPoP"

// answersPreflights reports whether the front answers the preflights of a route. Those of the
// others are Hydra's.
func (r route) answersPreflights() bool {
	switch r {
	case routeToken, routeRevoke, routeUserinfo, routeKeys:
		return true
	case routeAuthorize, routeLogout, routeLogoutDone, routeOther:
	}
	return false
}

// isPreflight reports whether a browser asks whether a page may send a request.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// preflight lets a page send a request. It does not name the client, so its origins are checked
// with the request itself: only an allowed origin can read the answer. No cookies are sent.
func (f *Front) preflight(w http.ResponseWriter, r *http.Request, at route) {
	methods := http.MethodPost
	switch at {
	case routeUserinfo:
		methods = "GET, POST"
	case routeKeys:
		methods = http.MethodGet
	case routeToken, routeRevoke, routeAuthorize, routeLogout, routeLogoutDone, routeOther:
	}
	header := w.Header()
	if origin := originOf(r); origin != "" {
		setOrigin(header, origin)
		header.Set("Access-Control-Allow-Methods", methods)
		header.Set("Access-Control-Allow-Headers", allowedHeaders)
		header.Set("Access-Control-Max-Age", preflightAge)
	}
	w.WriteHeader(http.StatusNoContent)
	f.metrics.answered(at, resultPreflight)
}

// originOf returns the origin of the page that sends a request; empty: there is none, or it is
// not one of http or https.
func originOf(r *http.Request) string {
	values := r.Header.Values("Origin")
	if len(values) != 1 || len(values[0]) > maxOriginBytes {
		return ""
	}
	parsed, err := url.Parse(values[0])
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" || values[0] != parsed.Scheme+"://"+parsed.Host {
		return ""
	}
	return values[0]
}

const maxOriginBytes = 512

// setOrigin sets the headers of CORS of an answer: this origin may read it; empty: none may.
// Those of Hydra are removed, which depend on its configuration.
func setOrigin(header http.Header, origin string) {
	for name := range header {
		if strings.HasPrefix(name, "Access-Control-") {
			header.Del(name)
		}
	}
	header.Add("Vary", "Origin")
	if origin != "" {
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Expose-Headers", "Retry-After")
	}
}

// allowed returns the origin of a request if it is one of the client's; empty: it is not.
func allowed(r *http.Request, client hydra.OAuth2Client) string {
	origin := originOf(r)
	for _, pattern := range client.CORSOrigins {
		if origin != "" && matchesOrigin(pattern, origin) {
			return origin
		}
	}
	return ""
}

// matchesOrigin reports whether an origin is the registered one, or fits its wildcard, as in
// https://*.example.com. A wildcard stands for host names only, not for a port.
func matchesOrigin(pattern, origin string) bool {
	pattern, origin = strings.ToLower(strings.TrimRight(pattern, "/")), strings.ToLower(origin)
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == origin
	}
	scheme, _, hasScheme := strings.Cut(before, "://")
	if !hasScheme || scheme == "" || strings.Contains(after, "*") || !strings.HasPrefix(after, ".") {
		return false
	}
	rest, ok := strings.CutPrefix(origin, before)
	if !ok {
		return false
	}
	middle, ok := strings.CutSuffix(rest, after)
	return ok && middle != "" && !strings.ContainsFunc(middle, func(r rune) bool {
		return r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
	})
}
