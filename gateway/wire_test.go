package gateway_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"ferry/gateway"
	"ferry/test/faultyhttp"
	"ferry/test/proxytest"
)

// TestAnswersSentTwice: if Kratos' answers are sent twice or lost, no user gets the answer to
// another, which could be a session, and no request is sent again.
func TestAnswersSentTwice(t *testing.T) {
	t.Parallel()
	proxytest.AnswersSentTwice(t, http.StatusBadGateway, 5_000, func(behind *url.URL) http.Handler {
		return newRig(t, nil, func(o *gateway.Options) { o.Kratos = behind }).gateway
	}, func(i int) (path, contentType, body string) {
		return "/self-service/settings?flow=" + flow, "application/json", passwordOf(fmt.Sprintf("user%d@example.org", i), "wrong")
	})
}

// TestAnswersThatDoNotEnd: 101 Switching Protocols, also to a user who asks for it, and
// informational answers without an end are no answers of Kratos.
func TestAnswersThatDoNotEnd(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]faultyhttp.Fault{"101": faultyhttp.Switch, "103 without end": faultyhttp.EndlessInformational} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			behind := proxytest.Faulty(t, func(*http.Request) faultyhttp.Fault { return fault })
			r := newRig(t, nil, func(o *gateway.Options) { o.Kratos = behind })
			for _, got := range []proxytest.Answer{
				r.post(t, login, passwordOf("kim@example.org", right)),
				r.send(t, http.MethodGet, "/sessions/whoami", "", "Connection", "Upgrade", "Upgrade", "ferry"),
			} {
				if got.Status != http.StatusBadGateway {
					t.Errorf("%+v", got)
				}
				checkJSON(t, got)
			}
		})
	}
}
