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

// batchTap stands before Kratos' admin API and keeps what is to be created.
type batchTap struct {
	url string

	mu     sync.Mutex
	bodies []json.RawMessage
}

func newBatchTap(t testing.TB, k *kratostest.Kratos) *batchTap {
	t.Helper()
	target, err := url.Parse(k.AdminURL())
	if err != nil {
		t.Fatal(err)
	}
	tap := &batchTap{}
	server := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		if r.In.Method == http.MethodPatch && r.In.URL.Path == "/admin/identities" {
			r.Out.Body = tap.keep(t, r.In.Body)
		}
	}})
	t.Cleanup(server.Close)
	tap.url = server.URL
	return tap
}

func (tap *batchTap) keep(t testing.TB, body io.Reader) io.ReadCloser {
	text, err := io.ReadAll(body)
	if err != nil {
		t.Error(err)
	}
	var batch struct {
		Identities []struct {
			Create json.RawMessage `json:"create"`
		} `json:"identities"`
	}
	if err := json.Unmarshal(text, &batch); err != nil {
		t.Error(err)
	}
	tap.mu.Lock()
	defer tap.mu.Unlock()
	for _, item := range batch.Identities {
		tap.bodies = append(tap.bodies, item.Create)
	}
	return io.NopCloser(bytes.NewReader(text))
}
