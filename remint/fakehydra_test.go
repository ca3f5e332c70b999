package remint_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// fakeHydra makes tokens by the headless flow.
type fakeHydra struct {
	url string

	mu      sync.Mutex
	clients map[string]map[string]any
	codes   map[string]map[string]any // what was granted
	chains  map[string]string         // refresh token: subject
	granted map[string]any            // by the last consent
	// revocations are the tokens that were to be revoked.
	revocations []string
	number      int
	// fault answers a request instead; false: it does not.
	fault func(w http.ResponseWriter, r *http.Request) bool
}

func newHydra(t *testing.T) *fakeHydra {
	t.Helper()
	h := &fakeHydra{codes: map[string]map[string]any{}, chains: map[string]string{}, clients: map[string]map[string]any{}}
	for id, method := range map[string]string{clientID: "none", "web": "client_secret_basic"} {
		h.clients[id] = map[string]any{
			"client_id": id, "token_endpoint_auth_method": method, "redirect_uris": []string{"https://app.example.com/cb"},
			"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
			"scope": "openid offline_access profile email", "audience": []string{"https://api.example.com"},
		}
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	h.url = srv.URL
	return h
}

// ServeHTTP implements http.Handler. What a step knows travels in the challenges, as in Hydra.
func (h *fakeHydra) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fault != nil && h.fault(w, r) {
		return
	}
	query := r.URL.Query()
	back := func(values url.Values) {
		w.Header().Set("Location", "https://issuer.example.com/oauth2/auth?"+values.Encode())
		w.WriteHeader(http.StatusFound)
	}
	accept := func(kind string) {
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		text, _ := json.Marshal(body)
		sendJSON(w, http.StatusOK, map[string]string{"redirect_to": "https://issuer.example.com/oauth2/auth?" + url.Values{kind + "_verifier": {query.Get(kind+"_challenge") + "\n" + string(text)}}.Encode()})
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/admin/clients/"):
		client, found := h.clients[strings.TrimPrefix(r.URL.Path, "/admin/clients/")]
		if !found {
			sendJSON(w, http.StatusNotFound, map[string]string{"error": "Unable to locate the resource"})
			return
		}
		sendJSON(w, http.StatusOK, client)
	case r.URL.Path == "/admin/oauth2/auth/requests/login/accept":
		accept("login")
	case r.URL.Path == "/admin/oauth2/auth/requests/consent/accept":
		accept("consent")
	case r.URL.Path == "/oauth2/token":
		h.token(w, r)
	case r.URL.Path == "/oauth2/revoke":
		h.revocations = append(h.revocations, r.PostFormValue("token"))
		delete(h.chains, r.PostFormValue("token"))
	case query.Get("login_verifier") != "":
		_, err := r.Cookie("csrf")
		if err != nil {
			back(url.Values{"error": {"request_forbidden"}})
			return
		}
		back(url.Values{"consent_challenge": {query.Get("login_verifier")}})
	case query.Get("consent_verifier") != "":
		parts := strings.Split(query.Get("consent_verifier"), "\n")
		var login, consent map[string]any
		_ = json.Unmarshal([]byte(parts[1]), &login)
		_ = json.Unmarshal([]byte(parts[2]), &consent)
		h.number++
		code := fmt.Sprint("ory_ac_", h.number)
		consent["subject"], consent["amr"] = login["subject"], login["amr"]
		h.codes[code], h.granted = consent, consent
		back(url.Values{"code": {code}, "state": {parts[0]}})
	default:
		http.SetCookie(w, &http.Cookie{Name: "csrf", Value: "1", Secure: true})
		back(url.Values{"login_challenge": {query.Get("state")}})
	}
}

func (h *fakeHydra) token(w http.ResponseWriter, r *http.Request) {
	id, password, basic := r.BasicAuth()
	if !basic {
		id = r.PostFormValue("client_id")
	}
	if client, found := h.clients[id]; !found || client["token_endpoint_auth_method"] == "client_secret_basic" && password != "s3cret" {
		sendJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	if code, found := h.codes[r.PostFormValue("code")]; found {
		delete(h.codes, r.PostFormValue("code"))
		subject, _ := code["subject"].(string)
		sendJSON(w, http.StatusOK, h.tokens(subject))
		return
	}
	subject, found := h.chains[r.PostFormValue("refresh_token")]
	if !found {
		sendJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	delete(h.chains, r.PostFormValue("refresh_token"))
	sendJSON(w, http.StatusOK, h.tokens(subject))
}

func (h *fakeHydra) tokens(subject string) map[string]any {
	h.number++
	next := fmt.Sprint("ory_rt_", h.number)
	h.chains[next] = subject
	return map[string]any{"access_token": fmt.Sprint("ory_at_", h.number), "id_token": "a.b.c", "refresh_token": next, "expires_in": 3599, "scope": "openid offline_access", "token_type": "bearer"}
}

func (h *fakeHydra) set(change func(*fakeHydra)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
}
