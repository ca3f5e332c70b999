package front_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"ferry/front"
	"ferry/test/faultyhttp"
)

// behindFaults starts a front before a Hydra that echoes requests, and whose answers have faults.
func behindFaults(t *testing.T, fault func(*http.Request) faultyhttp.Fault) *rig {
	t.Helper()
	at, err := url.Parse(faultyhttp.Run(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }), fault).URL)
	if err != nil {
		t.Fatal(err)
	}
	return newRig(t, nil, func(o *front.Options) { o.Hydra = at })
}

// TestAnswersSentTwice: if Hydra's answers are sent twice or lost, no client gets the answer to
// another one, such as its tokens, and no request is sent again.
func TestAnswersSentTwice(t *testing.T) {
	t.Parallel()
	const requests, clients = 2_000, 8
	var received, answers atomic.Int64
	r := behindFaults(t, func(*http.Request) faultyhttp.Fault {
		return []faultyhttp.Fault{faultyhttp.None, faultyhttp.Twice, faultyhttp.None, faultyhttp.TwiceLater, faultyhttp.Lost}[received.Add(1)%5]
	})
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			for i := client; i < requests; i += clients {
				sent := fmt.Sprintf("grant_type=authorization_code&client_id=spa&code=%d.", i)
				switch got, whole := r.whole(t.Context(), sent); {
				case whole && got.status == http.StatusOK && got.body == sent:
					answers.Add(1)
				case whole && got.status < http.StatusInternalServerError, got.status == http.StatusOK && !strings.HasPrefix(sent, got.body):
					t.Errorf("sent %s, got %d %s", sent, got.status, got.body)
				}
			}
		})
	}
	all.Wait()
	if received.Load() != requests || answers.Load() < requests*2/5 {
		t.Errorf("%d received, %d answered", received.Load(), answers.Load())
	}
}

// whole makes a token request without a network. whole is false if the front breaks the answer
// off.
func (r *rig) whole(ctx context.Context, body string) (got answered, whole bool) {
	ctx = context.WithValue(ctx, http.ServerContextKey, r.front.Config) // else the proxy only logs it
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/oauth/token", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	func() {
		defer func() { whole = recover() == nil }()
		r.front.Config.Handler.ServeHTTP(w, req)
	}()
	return answered{w.Code, w.Header(), w.Body.String()}, whole
}

// TestAnswersThatDoNotEnd: 101 Switching Protocols, also to a client that asks for it, and
// informational answers without an end are no answers of Hydra.
func TestAnswersThatDoNotEnd(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]faultyhttp.Fault{"101": faultyhttp.Switch, "103 without end": faultyhttp.EndlessInformational} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := behindFaults(t, func(*http.Request) faultyhttp.Fault { return fault })
			for _, path := range []string{"/oauth/token", "/userinfo"} {
				if got := r.send(t, http.MethodGet, path, "", "Connection", "Upgrade", "Upgrade", "ferry"); got.status < http.StatusInternalServerError {
					t.Errorf("%+v", got)
				}
			}
		})
	}
}
