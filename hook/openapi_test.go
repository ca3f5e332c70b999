package hook_test

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"

	"ferry/hook"
	"ferry/test/openapi"
	"ferry/wire"
)

var document = sync.OnceValues(func() (*openapi.Document, error) { return openapi.Read("../docs/openapi.yaml") })

// checkDocument requires that docs/openapi.yaml has the answer, and the body of the request
// if the migration hook took it.
func checkDocument(t *testing.T, req *http.Request, body string, resp *http.Response, text string) {
	t.Helper()
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	method, path := req.Method, req.URL.Path
	if !slices.Contains(doc.Operations("hooks"), method+" "+path) {
		return // TestRoutes says that ferry does not have it either
	}
	if err := doc.CheckAnswer(method, path, resp.StatusCode, resp.Header.Get("Content-Type"), text); err != nil {
		t.Errorf("docs/openapi.yaml: %v", err)
	}
	taken := []int{http.StatusOK, http.StatusForbidden, http.StatusFailedDependency}
	if path == wire.MigrationPath && slices.Contains(taken, resp.StatusCode) {
		if err := doc.CheckRequest(method, path, body); err != nil {
			t.Errorf("docs/openapi.yaml: %v", err)
		}
	}
}

// TestRoutes: docs/openapi.yaml has ferry's hooks and no others.
func TestRoutes(t *testing.T) {
	h := start(t, alice(), func(o *hook.Options) {
		o.Ensure = func(context.Context, string, bool) (string, error) { return "", nil }
	})
	var routes []string
	for _, route := range h.handler.Echo().Routes() {
		routes = append(routes, route.Method+" "+route.Path)
	}
	slices.Sort(routes)
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	if want := doc.Operations("hooks"); !slices.Equal(routes, want) {
		t.Errorf("the routes are %q, docs/openapi.yaml has %q", routes, want)
	}
}
