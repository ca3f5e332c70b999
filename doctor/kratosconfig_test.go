package doctor_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"ferry/doctor"
)

// examined is what doctor says of a kratos.yml, by the names of the checks.
func examined(t *testing.T, text string, change func(*doctor.Options)) map[string]doctor.Check {
	t.Helper()
	o := doctor.Options{KratosConfig: []byte(text), Hooks: &http.Transport{}, Now: time.Now, ID: uuid.NewString}
	if change != nil {
		change(&o)
	}
	checks := map[string]doctor.Check{}
	for _, check := range doctor.Examine(t.Context(), o).Checks {
		if (check.Status == doctor.Fail || check.Status == doctor.Warn) == (check.Fix == "") || check.Detail == "" {
			t.Errorf("%+v", check)
		}
		checks[check.Name] = check
	}
	return checks
}

// hooked is a kratos.yml that calls ferry where nobody listens.
const hooked = `
selfservice: {methods: {password: {config: {migrate_hook: {enabled: true, config: {url: "http://127.0.0.1:1/hooks/password-migration"}}}}}}
`

// TestExceptions: Kratos reads exceptions as patterns, and so does doctor.
func TestExceptions(t *testing.T) {
	const private = hooked + "clients: {http: {disallow_private_ip_ranges: true, private_ip_exception_urls: ["
	for exceptions, want := range map[string]doctor.Status{
		"":                             doctor.Fail,
		"http://127.0.0.1:1/":          doctor.Fail,
		"'http://127.0.0.1:1/hooks/*'": doctor.OK,
		"'http://127.0.0.1:1/**'":      doctor.OK,
		"'http://[::1]/**', 'http://*.*.*.*:1/hooks/*'": doctor.OK,
	} {
		if check := examined(t, private+exceptions+"]}}\n", nil)["kratos_config.clients_http"]; check.Status != want {
			t.Errorf("%s: %+v", exceptions, check)
		}
	}
}
