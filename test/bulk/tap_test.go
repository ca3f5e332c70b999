package bulk

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"ferry/test/kratostest"
)

// batchTap is a proxy for Kratos' admin API that keeps the bodies of batches.
type batchTap struct {
	url string

	mu     sync.Mutex
	bodies []json.RawMessage
}

func newBatchTap(tb testing.TB, k *kratostest.Kratos) *batchTap {
	tb.Helper()
	target, err := url.Parse(k.AdminURL())
	if err != nil {
		tb.Fatal(err)
	}
	tap := &batchTap{}
	server := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		if r.In.Method == http.MethodPatch && r.In.URL.Path == "/admin/identities" {
			r.Out.Body = tap.keep(tb, r.In.Body)
		}
	}})
	tb.Cleanup(server.Close)
	tap.url = server.URL
	return tap
}

func (tap *batchTap) keep(tb testing.TB, body io.Reader) io.ReadCloser {
	tb.Helper()
	text, err := io.ReadAll(body)
	if err != nil {
		tb.Error(err)
	}
	var batch struct {
		Identities []struct {
			Create json.RawMessage `json:"create"`
		} `json:"identities"`
	}
	if err := json.Unmarshal(text, &batch); err != nil {
		tb.Error(err)
	}
	tap.mu.Lock()
	defer tap.mu.Unlock()
	for _, item := range batch.Identities {
		tap.bodies = append(tap.bodies, item.Create)
	}
	return io.NopCloser(bytes.NewReader(text))
}
