package hook_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ferry/wire"
)

// BenchmarkLogin is one login that matches, from the call of the hook to its answer. Auth0 is a
// server in this process that answers at once; Kratos and the state are in memory.
func BenchmarkLogin(b *testing.B) {
	auth0, _ := benchAuth0(b, 0)
	handler := ferryHandler(b, auth0.URL)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		benchLogin(b, handler, n)
	}
}

// benchLogin calls the hook with the nth delivery.
func benchLogin(b *testing.B, handler http.Handler, n int) {
	b.Helper()
	req := httptest.NewRequestWithContext(b.Context(), http.MethodPost, wire.MigrationPath, strings.NewReader(`{"identifier":"`+typed+`","password":"`+canary+`"}`))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set(wire.HeaderTriggerID, fmt.Sprintf("00000000-0000-4000-8000-%012d", n))
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, req)
	if answer.Body.String() != matched {
		b.Fatalf("%d %s", answer.Code, answer.Body)
	}
}
