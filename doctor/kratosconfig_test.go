package doctor_test

import (
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"ferry/doctor"
	"ferry/secret"
	"ferry/wiring"
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

// hooked is a kratos.yml that calls ferry at an address without a listener.
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
	six := strings.NewReplacer("127.0.0.1:1", "[::1]:1").Replace(private)
	for exception, want := range map[string]doctor.Status{
		"http://[::1]:1/hooks/password-migration": doctor.Fail, `http://\[::1\]:1/hooks/password-migration`: doctor.OK,
	} {
		check := examined(t, six+"'"+exception+"']}}\n", nil)["kratos_config.clients_http"]
		if check.Status != want || want == doctor.Fail && !strings.Contains(check.Fix, `http://\[::1\]:1/hooks/password-migration`) {
			t.Errorf("%s: %+v", exception, check)
		}
	}
}

// TestTemplatesInFiles: a template that kratos.yml keeps in a file is run, as one that
// stands in it; where it cannot be read, doctor says so.
func TestTemplatesInFiles(t *testing.T) {
	const (
		key    = "0123456789abcdef0123456789abcdef"
		auth   = `auth: {type: api_key, config: {name: Authorization, value: "Bearer ` + key + `", in: header}}`
		config = `selfservice: {methods: {password: {config: {migrate_hook: {enabled: true, config: {url: "http://127.0.0.1:1/hooks/password-migration", body: "MIGRATE", ` + auth + `}}}}},
  flows: {login: {after: {password: {hooks: [{hook: web_hook, config: {url: "http://127.0.0.1:1/hooks/after-login", body: "AFTER", ` + auth + `}}]}}}}}
`
	)
	files := map[string]string{
		"./migrate.jsonnet": wiring.MigrateJsonnet(""), "/etc/after.jsonnet": wiring.AfterLoginJsonnet(""),
		"all.jsonnet": "function(ctx) ctx", "broken.jsonnet": "function(ctx) {", "empty.jsonnet": "function(ctx) {}",
	}
	for name, c := range map[string]struct {
		migrate, after   string
		template, hooked doctor.Status
		detail           string // of either
	}{
		"sound":       {"file://./migrate.jsonnet", "file:///etc/after.jsonnet", doctor.OK, doctor.OK, "what ferry needs"},
		"too long":    {"file://all.jsonnet", "file://all.jsonnet", doctor.Fail, doctor.Fail, "cookies"},
		"broken":      {"file://broken.jsonnet", "file://broken.jsonnet", doctor.Fail, doctor.Fail, "it fails"},
		"nobody":      {"file://empty.jsonnet", "file://empty.jsonnet", doctor.Fail, doctor.Fail, "pass the identity on"},
		"not there":   {"file:///etc/gone.jsonnet", "file:///etc/gone.jsonnet", doctor.Warn, doctor.Warn, "/etc/gone.jsonnet, which cannot be read here"},
		"remote":      {"https://templates.example/m", "https://templates.example/a", doctor.Skip, doctor.Skip, "not checked"},
		"filled in":   {"file://${DIR}/m", "file://${DIR}/a", doctor.Skip, doctor.Skip, "not checked"},
		"no base64":   {"base64://%", "base64://%", doctor.Fail, doctor.Fail, "it is not base64"},
		"half inline": {wiring.Base64(wiring.MigrateJsonnet("")), "file:///etc/after.jsonnet", doctor.OK, doctor.OK, "what ferry needs"},
	} {
		t.Run(name, func(t *testing.T) {
			checks := examined(t, strings.NewReplacer("MIGRATE", c.migrate, "AFTER", c.after).Replace(config), func(o *doctor.Options) {
				o.Settings.HookKeys = []secret.String{secret.New(key)}
				o.ReadTemplate = func(name string) ([]byte, error) {
					if text, ok := files[name]; ok {
						return []byte(text), nil
					}
					return nil, fs.ErrNotExist
				}
			})
			template, hooked := checks["kratos_config.template"], checks["kratos_config.after_login"]
			if template.Status != c.template || hooked.Status != c.hooked || !strings.Contains(template.Detail+hooked.Detail, c.detail) {
				t.Errorf("%+v\n%+v", template, hooked)
			}
		})
	}
}

// TestConfigFiles: what Kratos reads, doctor reads, but for TOML, and it says so.
func TestConfigFiles(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		status doctor.Status
		detail string
	}{
		"a byte order mark": {"\ufeffdsn: memory\n" + hooked, doctor.OK, ""},
		"CRLF":              {strings.ReplaceAll(hooked, "\n", "\r\n"), doctor.OK, ""},
		"JSON":              {`{"selfservice": {"methods": {"password": {"config": {"migrate_hook": {"enabled": true}}}}}}`, doctor.OK, ""},
		"TOML":              {"dsn = \"memory\"\n\n[selfservice.methods.password.config.migrate_hook]\nenabled = true\n", doctor.Fail, "it is TOML"},
		"TOML, tables":      {"[selfservice.methods.password.config.migrate_hook] # on\nenabled = true\n", doctor.Fail, "it is TOML"},
		"a list":            {"- a: 1\n", doctor.Fail, "not valid YAML"},
		"nothing":           {"# nothing\n", doctor.Fail, "is empty"},
	} {
		checks := examined(t, c.text, nil)
		if file := checks["kratos_config.file"]; file.Status != c.status || !strings.Contains(file.Detail, c.detail) {
			t.Errorf("%s: %+v", name, file)
		}
		if hook := checks["kratos_config.hook"]; c.status == doctor.OK && hook.Status != doctor.OK {
			t.Errorf("%s: %+v", name, hook)
		}
	}
}

// TestNoKey: where ferry's address is known and no key, it is the key that is missed.
func TestNoKey(t *testing.T) {
	for url, want := range map[string]string{"http://127.0.0.1:1": "FERRY_HOOK_KEYS is not set", "": "FERRY_LISTEN"} {
		check := examined(t, "dsn: memory", func(o *doctor.Options) { o.Settings.HookURL = url })["hook.round_trip"]
		if check.Status != doctor.Skip || !strings.Contains(check.Detail, want) {
			t.Errorf("%+v", check)
		}
	}
}
