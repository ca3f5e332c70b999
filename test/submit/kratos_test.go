package submit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"ferry/gateway/submit"
	"ferry/identifier"
	"ferry/test/kratostest"
	model "ferry/test/submit"
	"ferry/wiring"
)

// logins is the number of logins that are sent to Kratos.
const logins = 1000

// TestLoginsAtKratos: whenever ferry sees an identifier and a password in a login, Kratos
// sees the same ones. The migration hook shows what Kratos saw.
func TestLoginsAtKratos(t *testing.T) {
	t.Parallel()
	h := &hook{}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	k := start(t, kratostest.Options{HookURL: server.URL, HookKey: "key", MigrateJsonnet: wiring.MigrateJsonnet("")})
	known := people(t, k)
	flow := begin(t, k, "login")
	g := model.Generator{Rand: rand.New(rand.NewPCG(1, 2))}
	var agreed, missed int
	for range logins {
		login := sentIn(g.For("login"), flow)
		seen, ok := submit.Read(submit.Request{Route: submit.Login, Query: login.Query, ContentType: login.ContentType, Body: login.Body})
		post(t, k, login)
		calls := h.take()
		if len(calls) > 1 {
			t.Fatalf("the hook was called %d times", len(calls))
		}
		hooked := ok && seen.Method == "password" && slices.Contains(known, seen.Identifiers[0])
		switch {
		case hooked && len(calls) == 0:
			t.Errorf("ferry saw %s, Kratos nothing: %s", seen.Identifiers, shown(login))
		case hooked && (identifier.Normalize(calls[0].Identifier) != seen.Identifiers[0] || calls[0].Password != seen.Password.Reveal()):
			t.Errorf("ferry saw %s and %q, Kratos %q: %s", seen.Identifiers, seen.Password.Reveal(), calls, shown(login))
		case hooked:
			agreed++
		case len(calls) == 0:
		case ok:
			t.Errorf("ferry saw %s, Kratos %q: %s", seen.Identifiers, calls, shown(login))
		default:
			missed++
		}
	}
	t.Logf("both saw %d of %d logins; Kratos saw %d more", agreed, logins, missed)
	if agreed < logins/8 || missed > agreed/4 {
		t.Error("the logins are too wild, or ferry misses too many")
	}
}

// call is what Kratos sends to the migration hook.
type call struct{ Identifier, Password string }

// hook is a migration hook that refuses every login, so that the identities stay pending.
type hook struct {
	mutex sync.Mutex
	calls []call
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var c call
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.mutex.Lock()
	h.calls = append(h.calls, c)
	h.mutex.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	_, _ = io.WriteString(w, `{"status":"no_match"}`)
}

// take returns the calls since the last time.
func (h *hook) take() []call {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	calls := h.calls
	h.calls = nil
	return calls
}

// start starts a Kratos that does not wait before it answers that an identifier is unknown.
func start(t *testing.T, options kratostest.Options) *kratostest.Kratos {
	t.Helper()
	edit := options.Edit
	options.Edit = func(config map[string]any) {
		hashers, ok := config["hashers"].(map[string]any)
		if !ok {
			t.Error("kratos.yml.example has no hashers")
			return
		}
		hashers["argon2"] = map[string]any{"expected_duration": "1ms", "expected_deviation": "1ms"}
		if edit != nil {
			edit(config)
		}
	}
	return kratostest.Run(t, options)
}

// people creates pending identities and returns their identifiers.
func people(t *testing.T, k *kratostest.Kratos) []string {
	t.Helper()
	for _, traits := range []map[string]any{{"email": model.Email}, {"email": model.Other}, {"username": model.Number}} {
		if _, err := k.CreateIdentity(t.Context(), kratostest.IdentitySpec{Traits: traits, Pending: true}); err != nil {
			t.Fatal(err)
		}
	}
	return []string{model.Email, model.Other, model.Number}
}

// begin begins a flow as an app does and returns its id.
func begin(t *testing.T, k *kratostest.Kratos, route string) string {
	t.Helper()
	_, body := do(t, http.MethodGet, k.PublicURL()+"/self-service/"+route+"/api", "", nil)
	var flow struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(body, &flow); err != nil || flow.ID == "" {
		t.Fatalf("begin %s: %v: %s", route, err, body)
	}
	return flow.ID
}

// sentIn puts the id of a flow into a request.
func sentIn(g model.Generated, flow string) model.Generated {
	g.Query = strings.ReplaceAll(g.Query, model.FlowID, flow)
	g.Body = bytes.ReplaceAll(g.Body, []byte(model.FlowID), []byte(flow))
	return g
}

func post(t *testing.T, k *kratostest.Kratos, g model.Generated) (status int, answer []byte) {
	t.Helper()
	return do(t, http.MethodPost, k.PublicURL()+"/self-service/"+g.Route+"?"+g.Query, g.ContentType, g.Body)
}

func do(t *testing.T, method, address, contentType string, body []byte) (status int, answer []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

func shown(g model.Generated) string {
	return fmt.Sprintf("%s %s %.1000q", g.Query, g.ContentType, g.Body)
}
