package hook_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"ferry/hook"
	"ferry/wire"
)

func toEnsure(r *http.Request) { r.URL.Path = wire.EnsurePath }

// TestEnsure: 204 for a valid call, whatever is known of the user, and 503 if nothing could be
// found out. What is no valid call reaches nobody.
func TestEnsure(t *testing.T) {
	t.Parallel()
	const email = "canary@example.org"
	results := map[string]error{"known": nil, "created": nil, "no_user": nil, "mfa": nil, "lookup_failed": errors.New("down"), "limited_lookups": errors.New("limit")}
	for result, fault := range results {
		asked := ""
		h := start(t, alice(), func(o *hook.Options) {
			o.Ensure = func(_ context.Context, identifier string, recovery bool) (string, error) {
				asked = identifier
				if recovery {
					asked = "recovery " + identifier
				}
				return result, fault
			}
		})
		want := http.StatusNoContent
		if fault != nil {
			want = http.StatusServiceUnavailable
		}
		for body, to := range map[string]string{
			`{"identifier":"` + email + `"}`: email, `{"identifier":" ` + email + `","flow_type":"login"}`: " " + email,
			`{"identifier":"` + email + `","flow_type":"recovery"}`: "recovery " + email,
		} {
			got := h.post(t, body, toEnsure)
			if got.status != want || asked != to || strings.Contains(got.body, email) || (fault == nil && got.body != "") {
				t.Errorf("%s, %s: %d %q, asked for %q", result, body, got.status, got.body, asked)
			}
		}
		if log := h.logged(); strings.Contains(log, "canary") || !strings.Contains(log, `"outcome":"`+result+`"`) || !strings.Contains(log, `"route":"ensure"`) {
			t.Errorf("%s: log %s", result, log)
		}
	}
}

// TestEnsureRefuses: what is not a valid call of a caller with a key does nothing.
func TestEnsureRefuses(t *testing.T) {
	t.Parallel()
	h := start(t, alice(), func(o *hook.Options) {
		o.Ensure = func(_ context.Context, identifier string, _ bool) (string, error) {
			t.Errorf("asked for %q", identifier)
			return "created", nil
		}
	})
	const email = "canary@example.org"
	for _, body := range []string{
		``, `{}`, `{"identifier":""}`, `{"identifier":" "}`, `{"identifier":7}`, `["` + email + `"]`,
		`{"identifier":"` + email + `","identifier":"b@example.org"}`,
		`{"identifier":"` + email + `"} {}`,
		`{"identifier":"` + email + `","flow_type":"settings"}`,
		`{"identifier":"` + strings.Repeat("a", 2<<20) + `@example.org"}`,
	} {
		if got := h.post(t, body, toEnsure); got.status != http.StatusBadRequest || strings.Contains(got.body, "canary") {
			t.Errorf("%.60s: %d %s", body, got.status, got.body)
		}
	}
	for name, change := range map[string]func(*http.Request){
		"no key":    func(r *http.Request) { r.Header.Del("Authorization") },
		"wrong key": func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+key+"x") },
	} {
		if got := h.post(t, `{"identifier":"`+email+`"}`, toEnsure, change); got.status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, got.status)
		}
	}
}

// TestEnsureOff: without the setting there is no such route; after the migration nobody is
// created any more; a panic is an outage.
func TestEnsureOff(t *testing.T) {
	t.Parallel()
	body := `{"identifier":"canary@example.org"}`
	if got := start(t, alice()).post(t, body, toEnsure); got.status != http.StatusNotFound {
		t.Errorf("off: %d", got.status)
	}
	asked := false
	closed := start(t, alice(), func(o *hook.Options) {
		o.Closed = true
		o.Ensure = func(context.Context, string, bool) (string, error) { asked = true; return "created", nil }
	})
	if got := closed.post(t, body, toEnsure); got.status != http.StatusNoContent || asked {
		t.Errorf("closed: %d, asked: %v", got.status, asked)
	}
	broken := start(t, alice(), func(o *hook.Options) {
		o.Ensure = func(context.Context, string, bool) (string, error) { panic("canary") }
	})
	if got := broken.post(t, body, toEnsure); got.status != http.StatusServiceUnavailable || strings.Contains(broken.logged(), "canary") {
		t.Errorf("panic: %d, %s", got.status, broken.logged())
	}
}
