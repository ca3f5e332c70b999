package kratos_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"ferry/kratos"
)

// BenchmarkFind measures one lookup by identifier, which reads a list.
func BenchmarkFind(b *testing.B) {
	one := identity(id)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body := one
		if strings.HasSuffix(r.URL.Path, "/identities") {
			body = "[" + one + "]"
		}
		_, _ = w.Write([]byte(body))
	}))
	defer srv.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c, err := kratos.New(kratos.Options{AdminURL: srv.URL, Timeout: 5 * time.Second, Transport: transport})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Find(b.Context(), person); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWalk measures one page of 500 identities.
func BenchmarkWalk(b *testing.B) {
	page := []byte("[" + strings.Join(identityList(500), ",") + "]")
	c := client(b, "http://kratos.invalid", roundTrip(func(*http.Request) (*http.Response, error) {
		return respond(http.StatusOK, http.Header{"Link": {`</x>; rel="first"`}}, page), nil
	}))
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Walk(b.Context(), func(kratos.Record) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
