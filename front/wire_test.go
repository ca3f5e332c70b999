package front_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"ferry/front"
	"ferry/test/faultyhttp"
	"ferry/test/proxytest"
)

// TestAnswersSentTwice: if Hydra's answers are sent twice or lost, no client gets the answer to
// another one, such as its tokens, and no request is sent again.
func TestAnswersSentTwice(t *testing.T) {
	t.Parallel()
	proxytest.AnswersSentTwice(t, http.StatusServiceUnavailable, 2_000, func(behind *url.URL) http.Handler {
		return newRig(t, nil, func(o *front.Options) { o.Hydra = behind }).made
	}, func(i int) (path, contentType, body string) {
		return "/oauth/token", "application/x-www-form-urlencoded", fmt.Sprintf("grant_type=authorization_code&client_id=spa&code=%d.", i)
	})
}

// TestAnswersThatDoNotEnd: 101 Switching Protocols, also to a client that asks for it, and
// informational answers without an end are no answers of Hydra.
func TestAnswersThatDoNotEnd(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]faultyhttp.Fault{"101": faultyhttp.Switch, "103 without end": faultyhttp.EndlessInformational} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			behind := proxytest.Faulty(t, func(*http.Request) faultyhttp.Fault { return fault })
			r := newRig(t, nil, func(o *front.Options) { o.Hydra = behind })
			for _, path := range []string{"/oauth/token", "/userinfo"} {
				if got := r.send(t, http.MethodGet, path, "", "Connection", "Upgrade", "Upgrade", "ferry"); got.Status < http.StatusInternalServerError {
					t.Errorf("%+v", got)
				}
			}
		})
	}
}
