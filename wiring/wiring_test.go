package wiring_test

import (
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
