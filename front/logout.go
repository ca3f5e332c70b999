package front

import (
	"encoding/base64"
	"html"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ferry/wire"
)

const (
	// logoutCookie keeps where the browser goes after a logout without an ID token of Hydra.
	logoutCookie  = "ferry_logout"
	logoutSeconds = 600
	// hydraSession begins the name of the cookie of Hydra's session in a browser.
	hydraSession = "ory_hydra_session"
	// maxReturnBytes bounds the address in the cookie.
	maxReturnBytes = 2048
)

// logout answers Auth0's logout, /v2/logout and /oidc/logout. Hydra sends a browser back to the
// application only if an ID token says which one that is. Without one, the front does: to an
// address that the client has at Hydra, and to no other.
func (f *Front) logout(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		f.pass(w, r, &exchange{at: routeLogout})
		return
	}
	query := r.URL.Query()
	to := query.Get("post_logout_redirect_uri")
	if to == "" {
		to = query.Get("returnTo")
	}
	hint := query.Get("id_token_hint")
	keyID, _ := isJWT(hint)
	atHydra := url.Values{}
	if has(f.hydraKeys.current(r.Context()), keyID) {
		atHydra.Set("id_token_hint", hint)
		if to != "" {
			atHydra.Set("post_logout_redirect_uri", to)
			if state := query.Get("state"); state != "" {
				atHydra.Set("state", state)
			}
		}
		f.logoutAtHydra(w, r, atHydra)
		return
	}
	if to == "" {
		f.logoutAtHydra(w, r, atHydra)
		return
	}
	id := query.Get(paramClientID)
	if id == "" {
		id = claimsOf(hint).audience()
	}
	registered, err := f.mayReturn(r, id, to)
	switch {
	case err != nil:
		f.metrics.answered(routeLogout, resultUnsure)
		page(w, http.StatusServiceUnavailable, "The logout could not be completed. Please try again.")
	case !registered:
		f.metrics.answered(routeLogout, resultInvalidRequest)
		page(w, http.StatusBadRequest, "The address to return to is not one of the application's.")
	case !slices.ContainsFunc(r.Cookies(), func(c *http.Cookie) bool { return strings.HasPrefix(c.Name, hydraSession) }):
		f.metrics.answered(routeLogout, resultReturned)                          // Hydra has no session of this browser
		http.Redirect(w, r, withState(to, query.Get("state")), http.StatusFound) //nolint:gosec // G710: the client has registered it, see mayReturn
	default:
		value := base64.RawURLEncoding.EncodeToString([]byte(strings.Join([]string{id, to, query.Get("state")}, "\n")))
		setLogoutCookie(w, r, value, logoutSeconds)
		f.logoutAtHydra(w, r, atHydra)
	}
}

// logoutAtHydra passes a logout on.
func (f *Front) logoutAtHydra(w http.ResponseWriter, r *http.Request, query url.Values) {
	out := r.Clone(r.Context())
	out.URL.RawQuery = query.Encode()
	f.pass(w, out, &exchange{at: routeLogout})
}

// logoutDone sends a browser back to the application after Hydra has ended its session.
func (f *Front) logoutDone(w http.ResponseWriter, r *http.Request) {
	id, to, state := "", "", ""
	if cookie, err := r.Cookie(logoutCookie); err == nil {
		text, err := base64.RawURLEncoding.DecodeString(cookie.Value)
		if parts := strings.Split(string(text), "\n"); err == nil && len(parts) == 3 {
			id, to, state = parts[0], parts[1], parts[2]
		}
	}
	setLogoutCookie(w, r, "", -1)
	registered, err := f.mayReturn(r, id, to)
	f.metrics.answered(routeLogout, resultReturned)
	if err != nil || !registered {
		page(w, http.StatusOK, "You are logged out.")
		return
	}
	http.Redirect(w, r, withState(to, state), http.StatusFound) //nolint:gosec // G710: the client has registered it, see mayReturn
}

// mayReturn reports whether an address is one to which the client may send people after a logout.
func (f *Front) mayReturn(r *http.Request, id, to string) (bool, error) {
	if to == "" || len(to) > maxReturnBytes {
		return false, nil
	}
	client, known, err := f.clients.get(r.Context(), id)
	return err == nil && known && slices.Contains(client.LogoutURIs, to), err
}

// withState adds the state of a logout to the address to return to (OpenID Connect RP-Initiated
// Logout, 3).
func withState(to, state string) string {
	if state == "" {
		return to
	}
	separator := "?"
	if strings.Contains(to, "?") {
		separator = "&"
	}
	return to + separator + url.Values{"state": {state}}.Encode()
}

func setLogoutCookie(w http.ResponseWriter, r *http.Request, value string, seconds int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // G124: Secure, unless the browser came over plain HTTP
		Name: logoutCookie, Value: value, Path: wire.LogoutDonePath, MaxAge: seconds, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
}

// page answers a browser.
func page(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<!doctype html><meta charset=\"utf-8\"><title>Logout</title><p>"+html.EscapeString(text)+"</p>\n")
}
