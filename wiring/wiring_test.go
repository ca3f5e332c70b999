package wiring_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-jsonnet"

	"ferry/wiring"
)

// TestClientIPHeader: all lines of the one header, joined by commas, whatever the
// case of its name.
func TestClientIPHeader(t *testing.T) {
	const ctx = `{"identifier":"a","password":"x","request_headers":{"x-FORWARDED-for":["192.0.2.1, 198.51.100.2","203.0.113.9"],"X-Real-Ip":["192.0.2.7"]}}`
	for header, want := range map[string]string{
		"":                `"ip": null`,
		"X-Forwarded-For": `"ip": "192.0.2.1, 198.51.100.2, 203.0.113.9"`,
		"X-Real-IP":       `"ip": "192.0.2.7"`,
		"True-Client-IP":  `"ip": null`,
	} {
		vm := jsonnet.MakeVM()
		vm.TLACode("ctx", ctx)
		body, err := vm.EvaluateAnonymousSnippet("migrate.jsonnet", wiring.MigrateJsonnet(header))
		if err != nil || !strings.Contains(body, want) {
			t.Errorf("%q: %s, %v", header, body, err)
		}
	}
}

func TestBase64(t *testing.T) {
	if got := wiring.Base64("function(ctx) ctx"); got != "base64://ZnVuY3Rpb24oY3R4KSBjdHg=" {
		t.Error(got)
	}
}

// TestAfterLogin runs the template over what Kratos handed to one.
func TestAfterLogin(t *testing.T) {
	for _, name := range []string{
		"v131-after-login-api-ctx", "v131-after-login-html-parse-ctx", "v131-after-login-spa-parse-ctx",
		"v262-after-login-api-ctx", "v262-after-login-api-ctx-with-metadata", "v262-after-login-browser-spa-ctx", "v262-after-login-html-parse-ctx",
	} {
		text, err := os.ReadFile("../test/testdata/payloads/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var recording struct{ Body json.RawMessage }
		var many []struct{ Body json.RawMessage }
		if json.Unmarshal(text, &many) == nil {
			recording.Body = many[0].Body
		} else if err := json.Unmarshal(text, &recording); err != nil {
			t.Fatal(err)
		}
		body := evaluate(t, wiring.AfterLoginJsonnet(""), string(recording.Body))
		var sent struct{ Identity, Flow struct{ ID string } }
		if err := json.Unmarshal([]byte(body), &sent); err != nil || sent.Identity.ID == "" || sent.Flow.ID == "" {
			t.Errorf("%s: %s, %v", name, body, err)
		}
		if strings.Contains(body, "@example.org") || strings.Contains(body, "csrf") || strings.Contains(body, "traits") {
			t.Errorf("%s: %s crosses", name, body)
		}
	}
	for _, ctx := range []string{`{}`, `{"identity":null,"flow":[],"request_headers":7}`, `{"identity":{},"flow":{},"request_headers":{"User-Agent":"x"}}`} {
		if body := evaluate(t, wiring.AfterLoginJsonnet(""), ctx); !json.Valid([]byte(body)) {
			t.Errorf("%s: %s", ctx, body)
		}
	}
}

func evaluate(t *testing.T, template, ctx string) string {
	t.Helper()
	vm := jsonnet.MakeVM()
	vm.TLACode("ctx", ctx)
	body, err := vm.EvaluateAnonymousSnippet("template", template)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
