package upstream_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/secret"
	"ferry/upstream"
)

// file is the handler of a download. It checks the request.
func file(t *testing.T, answer http.HandlerFunc) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, r *http.Request) {
		if names := slices.Sorted(func(yield func(string) bool) {
			for name := range r.Header {
				if !yield(name) {
					return
				}
			}
		}); r.Method != http.MethodGet || r.URL.String() != "/f/t.json.gz?Expires=1&Signature=a%2Fb~" || !slices.Equal(names, []string{"Accept-Encoding", "Connection", "User-Agent"}) {
			t.Errorf("%s %s %v", r.Method, r.URL, names)
		}
		answer(w, r)
	}
}

const filePath = "/f/t.json.gz?Expires=1&Signature=a%2Fb~"

// fetch reads a whole download.
func fetch(ctx context.Context, m *upstream.Management, location string) (string, int64, error) {
	d, err := m.Download(ctx, secret.New(location))
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = d.Close() }()
	text, err := io.ReadAll(d)
	return string(text), d.Size, err
}

func TestDownload(t *testing.T) {
	t.Parallel()
	type want = upstream.ManagementError
	text := strings.Repeat("0123456789", 1<<17) // longer than other answers may be
	cut := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1310720")
		_, _ = io.WriteString(w, text[:1000])
	}
	hang := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		size   int64
		want   want
	}{
		"whole": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1310720")
			_, _ = io.WriteString(w, text)
		}, 1310720, want{}},
		"no length": {func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, text)
		}, -1, want{}},
		"as it is stored": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, text)
		}, -1, want{}},
		"truncated":      {cut, 0, want{Status: 200, Temporary: true, Reason: "connection_broken"}},
		"hangs":          {hang, 0, want{Status: 200, Temporary: true, Reason: "timeout"}},
		"hangs at once":  {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0, want{Temporary: true, Reason: "timeout"}},
		"expired":        {send(403, "application/xml", "<Code>AccessDenied</Code>canary"), 0, want{Status: 403, Temporary: true, Reason: "link_refused"}},
		"gone":           {send(404, "application/xml", ""), 0, want{Status: 404, Temporary: true, Reason: "link_refused"}},
		"a part":         {send(206, "application/gzip", text), 0, want{Status: 206, Temporary: true, Reason: "link_refused"}},
		"slow down":      {send(503, "application/xml", ""), 0, want{Status: 503, Temporary: true, Reason: "server_fault"}},
		"limited":        {send(429, "application/xml", ""), 0, want{Status: 429, Temporary: true, Reason: "limited"}},
		"sent elsewhere": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, 0, want{Status: 302, Reason: "redirect"}},
		"sent far beyond": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://canary.test/", http.StatusTemporaryRedirect)
		}, 0, want{Status: 307, Reason: "redirect"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, host := exporter(t, file(t, c.answer), func(o *upstream.ManagementOptions) {
				if strings.HasPrefix(name, "hangs") {
					o.Timeout = 200 * time.Millisecond
				}
			})
			got, size, err := fetch(t.Context(), m, host+filePath)
			switch {
			case c.want != (want{}):
				if got := failure(t, err); got != c.want {
					t.Errorf("got %+v", got)
				}
			case err != nil || got != text || size != c.size:
				t.Errorf("%d of %d bytes, %v", len(got), size, err)
			}
		})
	}
}

// TestDownloadTakesItsTime: a download may take longer than a single call, until its
// caller gives up.
func TestDownloadTakesItsTime(t *testing.T) {
	t.Parallel()
	const pieces, patience = 30, 2 * time.Second
	next := make(chan struct{})
	m, host := exporter(t, file(t, func(w http.ResponseWriter, r *http.Request) {
		for range pieces {
			select {
			case <-time.After(patience / 20):
			case <-r.Context().Done():
			}
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
		}
		select {
		case <-next:
		case <-r.Context().Done():
		}
	}), func(o *upstream.ManagementOptions) { o.Timeout = patience })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d, err := m.Download(ctx, secret.New(host+filePath))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if n, err := io.ReadFull(d, make([]byte, pieces)); err != nil || n != pieces {
		t.Errorf("%d, %v", n, err)
	}
	cancel()
	_, err = d.Read(make([]byte, 1))
	if !errors.Is(err, context.Canceled) || failure(t, err).Reason != "caller_gone" {
		t.Error(err)
	}
}

// TestDownloadLinks: which URL a location leads to, for a remote Auth0 and for one on
// loopback.
func TestDownloadLinks(t *testing.T) {
	t.Parallel()
	const none = ""
	for location, want := range map[string]struct{ far, here string }{
		"x.s3.amazonaws.com/j/t.json.gz?Signature=a%2Fb~&u=http://y": {"https://x.s3.amazonaws.com/j/t.json.gz?Signature=a%2Fb~&u=http://y", "https://x.s3.amazonaws.com/j/t.json.gz?Signature=a%2Fb~&u=http://y"},
		"https://x.test/t.gz":         {"https://x.test/t.gz", "https://x.test/t.gz"},
		"HTTPS://x.test/t.gz#part":    {"https://x.test/t.gz", "https://x.test/t.gz"},
		"//x.test/t.gz":               {"https://x.test/t.gz", "https://x.test/t.gz"},
		"http://x.test/t.gz":          {none, none},
		"ftp://x.test/t.gz":           {none, none},
		"127.0.0.1:4490/t.gz":         {none, "http://127.0.0.1:4490/t.gz"},
		"http://127.0.0.1:4490/t.gz":  {none, "http://127.0.0.1:4490/t.gz"},
		"https://127.0.0.1:4490/t.gz": {none, none},
		"127.0.0.1:4491/t.gz":         {none, none},
		"http://127.0.0.1:4491/t.gz":  {none, none},
		"localhost:4490/t.gz":         {none, none},
		"LOCALHOST:4490/t.gz":         {none, none},
		"[::1]:4490/t.gz":             {none, none},
		"[::ffff:127.0.0.1]:4490/t":   {none, none},
		"0.0.0.0:4490/t.gz":           {none, none},
		"10.0.0.1/t.gz":               {none, none},
		"https://192.168.1.1/t.gz":    {none, none},
		"https://[fd00::1]/t.gz":      {none, none},
		"https://[fe80::1%25lo]/t.gz": {none, none},
		"169.254.169.254/latest":      {none, none},
		"https://8.8.8.8/t.gz":        {"https://8.8.8.8/t.gz", "https://8.8.8.8/t.gz"},
		"127.0.0.1.x.test/t.gz":       {"https://127.0.0.1.x.test/t.gz", "https://127.0.0.1.x.test/t.gz"},
		"user:pass@x.test/t.gz":       {none, none},
		"/t.gz":                       {none, none},
		"":                            {none, none},
		"https://":                    {none, none},
		"x.test:port/t.gz":            {none, none},
	} {
		for base, want := range map[string]string{"https://t.auth0.com": want.far, "http://127.0.0.1:4490": want.here} {
			var asked string
			m := stubbed(t, base, func(r *http.Request) *http.Response {
				asked = r.URL.String()
				return recorded(200, "application/gzip", "", "x")
			})
			d, err := m.Download(t.Context(), secret.New(location))
			if asked != want {
				t.Errorf("%s at %s: asked %q, want %q", location, base, asked, want)
			}
			if want == none && failure(t, err).Reason != "bad_location" {
				t.Errorf("%s: %v", location, err)
			}
			if d != nil {
				_ = d.Close()
			}
		}
	}
}
