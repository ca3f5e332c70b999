package upstream_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ferry/secret"
	"ferry/upstream"
)

// TestListsMalformed: an answer that is not a page of the list is an error, never a tenant without
// applications.
func TestListsMalformed(t *testing.T) {
	t.Parallel()
	const canary = "canary-secret"
	for body, reason := range map[string]string{
		`[]`:                                "malformed",
		`{}`:                                "malformed",
		`{"total":0}`:                       "malformed",
		`{"clients":[]}`:                    "malformed",
		`{"total":0,"resource_servers":[]}`: "malformed",
		`{"total":1,"clients":null}`:        "malformed",

		`{"total":1,"clients":["canary-secret"]}`:                                      "malformed",
		`{"total":1,"clients":[]}`:                                                     "changed_meanwhile",
		`{"total":1,"clients":[{"client_secret":"canary-secret","Client_Secret":""}]}`: "malformed",
		`{"total":1,"clients":[{"client_secret":"canary-secret"}]`:                     "malformed",
	} {
		m := managementAnswering(t, body)
		applications, err := m.Applications(t.Context())
		if got := failure(t, err); got.Reason != reason || applications != nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %+v", body, got)
		}
	}
	for _, body := range []string{`{}`, `null`, `{"error":"x"}`} {
		credentials, err := managementAnswering(t, body).ApplicationCredentials(t.Context(), "app")
		if got := failure(t, err); got.Reason != "malformed" || credentials != nil {
			t.Errorf("%s: %+v", body, got)
		}
	}
	_, err := managementAnswering(t, `[]`).ApplicationCredentials(t.Context(), "")
	if got := failure(t, err); got.Reason != "bad_id" {
		t.Errorf("%+v", got)
	}
	// What a tenant keeps in its metadata may differ in case only.
	applications, err := managementAnswering(t, `{"total":1,"clients":[{"client_metadata":{"a":"1","A":"2"}}]}`).Applications(t.Context())
	if err != nil || len(applications) != 1 {
		t.Errorf("%s, %v", applications, err)
	}
}

// managementAnswering returns a client of a Management API that answers everything with a body.
func managementAnswering(t *testing.T, body string) *upstream.Management {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/oauth/token" {
			_, _ = fmt.Fprint(w, `{"access_token":"t","token_type":"Bearer","expires_in":86400}`)
			return
		}
		_, _ = fmt.Fprint(w, body)
	}))
	t.Cleanup(srv.Close)
	m, err := upstream.NewManagement(upstream.ManagementOptions{
		BaseURL: srv.URL, Audience: "https://tenant.example/api/v2/", ClientID: "machine", ClientSecret: secret.New("secret"),
		Timeout: 10 * time.Second, Transport: upstream.NewTransport(), Now: time.Now, PerSecond: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
