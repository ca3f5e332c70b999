package kratos_test

import (
	"errors"
	"io"
	"net/http"
	"testing"

	"ferry/kratos"
)

// TestByExternalID: a Kratos that has no such identity, or no external ids, has none. An answer
// about another one is an error.
func TestByExternalID(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status     int
		body       string
		ok, failed bool
	}{
		"found":        {http.StatusOK, socialOnly, true, false},
		"none":         {http.StatusNotFound, `{"error":{"code":404,"message":"Unable to locate the resource"}}`, false, false},
		"no such path": {http.StatusNotFound, "404 page not found", false, false},
		"another one":  {http.StatusOK, `{"id":"` + id + `","state":"active","external_id":"auth0|lee"}`, false, true},
		"down":         {http.StatusBadGateway, "", false, true},
		"malformed":    {http.StatusOK, "{", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := dial(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/admin/identities/by/external/auth0|kim" || r.URL.Query().Get("include_credential") != "password" {
					t.Errorf("%s", r.URL)
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			record, ok, err := client.ByExternalID(t.Context(), "auth0|kim")
			var fault *kratos.Error
			if ok != c.ok || errors.As(err, &fault) != c.failed || ok && (record.ID != id || !record.Binding.Has("auth0|kim")) {
				t.Errorf("%+v, %v, %v", record, ok, err)
			}
		})
	}
}
