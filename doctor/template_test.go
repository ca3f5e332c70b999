package doctor

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ferry/kratos"
)

// TestUpgradedWithoutTemplate: a kratos.yml of 1.3.1 has no template; a Kratos that takes
// one should get it.
func TestUpgradedWithoutTemplate(t *testing.T) {
	const without = "selfservice: {methods: {password: {config: {migrate_hook: {enabled: true, config: {url: 'http://127.0.0.1:4480/hooks/password-migration'}}}}}}"
	for name, c := range map[string]struct {
		missing string // the answer about an external id
		want    Status
		detail  string
	}{
		"1.3.1": {`{"error":{"code":404,"message":"page not found"}}`, OK, "all that this Kratos supports"},
		"26.2":  {`{"error":{"code":404,"status":"Not Found","message":"Unable to locate the resource"}}`, Warn, "the running Kratos supports one"},
		"down":  {"", OK, "has no template"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/by/external/") {
					w.WriteHeader(http.StatusNotFound)
					_, _ = io.WriteString(w, c.missing)
					return
				}
				_, _ = io.WriteString(w, "[]")
			}))
			defer srv.Close()
			if c.missing == "" {
				srv.Close()
			}
			admin, err := kratos.New(kratos.Options{AdminURL: srv.URL, Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}})
			if err != nil {
				t.Fatal(err)
			}
			e := newDoctor(Options{Kratos: admin, KratosConfig: []byte(without)})
			if got := e.checkTemplate(t.Context()); got.Status != c.want || !strings.Contains(got.Detail, c.detail) || (got.Fix == "") != (c.want == OK) {
				t.Errorf("%+v", got)
			}
		})
	}
}
