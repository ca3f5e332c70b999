package gateway_test

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

	"ferry/gateway"
	"ferry/test/faultyhttp"
)

// behindFaults starts a gateway before a Kratos whose answers have faults.
func behindFaults(t *testing.T, kratos http.HandlerFunc, fault func(*http.Request) faultyhttp.Fault) *rig {
	t.Helper()
	at, err := url.Parse(faultyhttp.Run(t, kratos, fault).URL)
	if err != nil {
		t.Fatal(err)
	}
	return newRig(t, nil, func(o *gateway.Options) { o.Kratos = at })
}

// TestAnswersSentTwice: if Kratos' answers are sent twice or lost, no user gets the answer to
// another, and no request is sent again.
func TestAnswersSentTwice(t *testing.T) {
	t.Parallel()
	const requests, users = 5_000, 8
	var received, number, answered atomic.Int64
	r := behindFaults(t, func(w http.ResponseWriter, req *http.Request) {
		received.Add(1)
		_, _ = io.Copy(w, req.Body) // as a session would, it names the user
	}, func(*http.Request) faultyhttp.Fault {
		return []faultyhttp.Fault{faultyhttp.None, faultyhttp.Twice, faultyhttp.None, faultyhttp.TwiceLater, faultyhttp.Lost}[number.Add(1)%5]
	})
	var all sync.WaitGroup
	for user := range users {
		all.Go(func() {
			for i := user; i < requests; i += users {
				sent := passwordOf(fmt.Sprintf("user%d@example.org", i), "wrong")
				switch got, whole := r.whole(t.Context(), sent); {
				case whole && got.status == http.StatusOK && got.body == sent:
					answered.Add(1)
				case whole && got.status != http.StatusBadGateway, got.status == http.StatusOK && !strings.HasPrefix(sent, got.body):
					t.Errorf("sent %s, got %d %s", sent, got.status, got.body)
				}
			}
		})
	}
	all.Wait()
	if received.Load() != requests || answered.Load() < requests*2/5 {
		t.Errorf("%d received, %d answered", received.Load(), answered.Load())
	}
}

// whole sends a request to the gateway without a network. whole is false if the gateway breaks
// the answer off.
func (r *rig) whole(ctx context.Context, body string) (got answered, whole bool) {
	ctx = context.WithValue(ctx, http.ServerContextKey, r.front.Config) // else the proxy only logs it
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/self-service/settings?flow="+flow, strings.NewReader(body))
	w := httptest.NewRecorder()
	func() {
		defer func() { whole = recover() == nil }()
		r.gateway.ServeHTTP(w, req)
	}()
	return answered{w.Code, w.Header(), w.Body.String()}, whole
}

// TestAnswersThatDoNotEnd: 101 Switching Protocols, also to a user who asks for it, and
// informational answers without an end are no answers of Kratos.
func TestAnswersThatDoNotEnd(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]faultyhttp.Fault{"101": faultyhttp.Switch, "103 without end": faultyhttp.EndlessInformational} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := behindFaults(t, func(http.ResponseWriter, *http.Request) {}, func(*http.Request) faultyhttp.Fault { return fault })
			for _, got := range []answered{
				r.post(t, login, passwordOf("kim@example.org", right)),
				r.send(t, http.MethodGet, "/sessions/whoami", "", "Connection", "Upgrade", "Upgrade", "ferry"),
			} {
				if got.status != http.StatusBadGateway {
					t.Errorf("%+v", got)
				}
				checkJSON(t, got)
			}
		})
	}
}
