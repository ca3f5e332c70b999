package attack

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestKeys: whatever a caller presents instead of a key, on whichever hook, the answer is the
// same 401, nothing of the body is read, and neither Kratos nor Auth0 is asked.
func TestKeys(t *testing.T) {
	s := start(t, "FERRY_ENSURE=true", "FERRY_SIGN_UP=true")
	s.admin.received()
	basic := func(user, key string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+key)) + "\r\n"
	}
	bearer := func(key string) string { return "Authorization: Bearer " + key + "\r\n" }
	credentials := map[string]string{
		"none":                 "",
		"empty":                "Authorization:\r\n",
		"no key":               bearer(""),
		"wrong":                bearer(strings.Repeat("x", len(hookKey))),
		"last byte wrong":      bearer(hookKey[:len(hookKey)-1] + "!"),
		"one byte less":        bearer(hookKey[:len(hookKey)-1]),
		"one byte more":        bearer(hookKey + "0"),
		"upper case":           bearer(strings.ToUpper(hookKey)),
		"twice in one header":  bearer(hookKey + hookKey),
		"two blanks":           bearer(" " + hookKey),
		"as in the setting":    bearer(hookKey + "," + otherKey),
		"a prefix in common":   bearer(hookKey[:16] + otherKey[16:]),
		"look-alike":           bearer(strings.Replace(hookKey, "k", "\u212a", 1)),
		"invalid UTF-8":        bearer(hookKey + "\xff"),
		"quoted":               bearer(`"` + hookKey + `"`),
		"percent-encoded":      bearer(strings.ReplaceAll(hookKey, "-", "%2D")),
		"base64":               bearer(base64.StdEncoding.EncodeToString([]byte(hookKey))),
		"200 KiB":              bearer(strings.Repeat(hookKey, 200<<10/len(hookKey))),
		"two headers":          bearer(hookKey) + bearer(hookKey),
		"a wrong header first": bearer("x") + bearer(hookKey),
		"a wrong header last":  bearer(hookKey) + bearer("x"),
		"without a scheme":     "Authorization: " + hookKey + "\r\n",
		"scheme and tab":       "Authorization: Bearer\t" + hookKey + "\r\n",
		"scheme Token":         "Authorization: Token " + hookKey + "\r\n",
		"scheme Digest":        `Authorization: Digest username="kratos", response="` + hookKey + "\"\r\n",
		"scheme Negotiate":     "Authorization: Negotiate " + hookKey + "\r\n",
		"as user":              basic(hookKey, ""),
		"basic, wrong":         basic("kratos", hookKey+"x"),
		"basic, NUL":           basic("kratos", hookKey+"\x00"),
		"basic, not base64":    "Authorization: Basic " + hookKey + "\r\n",
		"basic, no colon":      "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(hookKey)) + "\r\n",
		"in other headers":     "Proxy-Authorization: Bearer " + hookKey + "\r\nX-Api-Key: " + hookKey + "\r\nX-Forwarded-Authorization: Bearer " + hookKey + "\r\n",
		"as a cookie":          "Cookie: Authorization=" + hookKey + "\r\n",
		"other spelling":       "Authorization_: Bearer " + hookKey + "\r\n",
	}
	for _, hook := range []string{"password-migration", "after-login", "after-registration", "ensure"} {
		answers := map[string][]string{}
		for name, header := range credentials {
			// The body never comes: the answer must not wait for it.
			head := fmt.Sprintf("POST /hooks/%s?key=%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 1000000000\r\n", hook, hookKey)
			got := raw(t, s.ferry.HooksURL(), head+header+"\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 401 ") {
				t.Errorf("%s, %s: %q", hook, name, got)
			}
			status, rest, _ := strings.Cut(got, "Date: ")
			_, body, _ := strings.Cut(rest, "\r\n")
			answers[status+body] = append(answers[status+body], name)
		}
		if len(answers) != 1 {
			t.Errorf("%s: the answers differ: %v", hook, answers)
		}
	}
	if got := s.admin.received(); got != "" || s.sim.TokenRequests() != 0 {
		t.Errorf("Kratos got %q, Auth0 %d requests", got, s.sim.TokenRequests())
	}
	for line := range strings.Lines(s.ferry.Logs()) {
		if strings.Contains(line, "canary") || strings.Contains(line, "Bearer") {
			t.Errorf("the log has %s", line)
		}
	}
	// Both keys are valid, in both forms.
	for name, set := range map[string]func(*http.Request){
		"bearer":    func(*http.Request) {},
		"other key": func(r *http.Request) { r.Header.Set("Authorization", "bearer "+otherKey) },
		"basic":     func(r *http.Request) { r.SetBasicAuth("", otherKey) },
	} {
		if got := post(t, s.ferry.HooksURL()+"/hooks/password-migration", login(kim, "wrong"), set); got.status != http.StatusForbidden {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestHugeHeaders: a header that is too long ends the connection, before anything else.
func TestHugeHeaders(t *testing.T) {
	s := start(t)
	for name, l := range s.listeners() {
		got := raw(t, l.url, l.request("X-Long: "+strings.Repeat("x", 4<<20)+"\r\n", ""))
		if got != "" && !strings.HasPrefix(got, "HTTP/1.1 431 ") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
