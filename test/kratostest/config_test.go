package kratostest

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"ferry/test/program"
)

func testPlaces() places {
	return places{
		dsn:           "sqlite:///somewhere?_fk=true",
		publicPort:    41001,
		adminPort:     41002,
		schemaURL:     "file:///somewhere/identity.schema.json",
		hookURL:       "http://127.0.0.1:41003/hooks/password-migration",
		afterLoginURL: "http://127.0.0.1:41003/hooks/after-login",
		hookKey:       "key-of-the-test",
		cookieSecret:  "cookie-secret-of-the-test",
		cipherSecret:  "cipher-secret-of-the-test-32-long",
	}
}

func shipped(t *testing.T, name string) []byte {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func parse(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var config map[string]any
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	return config
}

// leaves lists every scalar of a configuration by its path.
func leaves(prefix string, value any, into map[string]any) map[string]any {
	switch node := value.(type) {
	case map[string]any:
		for key, inner := range node {
			leaves(prefix+"."+key, inner, into)
		}
	case []any:
		for i, inner := range node {
			leaves(prefix+"."+string(rune('0'+i)), inner, into)
		}
	default:
		into[strings.TrimPrefix(prefix, ".")] = value
	}
	return into
}

func TestDeriveReplacesPlacesAndNothingElse(t *testing.T) {
	t.Parallel()
	example := shipped(t, "kratos.yml.example")
	text, err := derive(example, testPlaces(), nil)
	if err != nil {
		t.Fatal(err)
	}
	const hook = "selfservice.methods.password.config.migrate_hook.config."
	const after = "selfservice.flows.login.after.password.hooks.0.config."
	want := leaves("", parse(t, example), map[string]any{})
	for path, value := range map[string]any{
		"dsn":                        "sqlite:///somewhere?_fk=true",
		"serve.public.host":          "127.0.0.1",
		"serve.public.port":          uint64(41001),
		"serve.public.base_url":      "http://127.0.0.1:41001/",
		"serve.admin.host":           "127.0.0.1",
		"serve.admin.port":           uint64(41002),
		"serve.admin.base_url":       "http://127.0.0.1:41002/",
		"identity.schemas.0.url":     "file:///somewhere/identity.schema.json",
		"secrets.cookie.0":           "cookie-secret-of-the-test",
		"secrets.cipher.0":           "cipher-secret-of-the-test-32-long",
		"hashers.bcrypt.cost":        uint64(4),
		hook + "url":                 "http://127.0.0.1:41003/hooks/password-migration",
		hook + "auth.config.value":   "Bearer key-of-the-test",
		hook + "auth.config.name":    "Authorization",
		after + "url":                "http://127.0.0.1:41003/hooks/after-login",
		after + "auth.config.value":  "Bearer key-of-the-test",
		after + "response.ignore":    true,
		"identity.default_schema_id": "person",
		"identity.schemas.0.id":      "person",
		hook + "method":              "POST",
		hook + "auth.config.in":      "header",
		hook + "auth.type":           "api_key",
		"hashers.algorithm":          "bcrypt",
		"selfservice.methods.password.config.migrate_hook.enabled":   true,
		"selfservice.methods.password.config.haveibeenpwned_enabled": false,
	} {
		if _, ok := want[path]; !ok {
			t.Errorf("the example has no %s", path)
		}
		want[path] = value
	}
	got := leaves("", parse(t, text), map[string]any{})
	if !reflect.DeepEqual(got, want) {
		t.Errorf("derived\n%v\nwant\n%v", got, want)
	}
}

func TestDeriveKeepsTheExamplesHook(t *testing.T) {
	t.Parallel()
	p := testPlaces()
	p.hookURL, p.hookKey = "", ""
	text, err := derive(shipped(t, "kratos.yml.example"), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"http://127.0.0.1:4480/hooks/password-migration", "Bearer CHANGE-ME"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestDeriveEdit(t *testing.T) {
	t.Parallel()
	text, err := derive(shipped(t, "kratos.yml.example"), testPlaces(), func(config map[string]any) {
		if config["dsn"] != "sqlite:///somewhere?_fk=true" {
			t.Errorf("edit came before the replacements: dsn is %v", config["dsn"])
		}
		config["log"] = map[string]any{"level": "trace"}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := leaves("", parse(t, text), map[string]any{})["log.level"]; got != "trace" {
		t.Errorf("log.level is %v", got)
	}
}

func TestDeriveRefuses(t *testing.T) {
	t.Parallel()
	example := string(shipped(t, "kratos.yml.example"))
	for name, c := range map[string]struct{ text, want string }{
		"no YAML":             {"dsn: [", "parse kratos.yml.example"},
		"a missing key":       {strings.Replace(example, "\nhashers:", "\nhashes:", 1), "hashers.bcrypt.cost is missing"},
		"an empty list":       {"dsn: x\nserve: {public: {host: x, port: 1, base_url: x}, admin: {host: x, port: 1, base_url: x}}\nidentity: {schemas: []}", "identity.schemas.0.url is missing"},
		"a scalar in between": {"dsn: x\nserve: 1", "serve.public.host is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := derive([]byte(c.text), testPlaces(), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestShippedExample holds what the example must not lose to an edit.
func TestShippedExample(t *testing.T) {
	t.Parallel()
	text := string(shipped(t, "kratos.yml.example"))
	for _, want := range []string{
		"            # body: file:///etc/ferry/migrate.jsonnet\n",
		"            # body: base64://",
		"            - hook: web_hook\n",
		"                response:\n                  ignore: true\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the example", want)
		}
	}
	hook := leaves("", parse(t, []byte(text)), map[string]any{})
	if _, ok := hook["selfservice.methods.password.config.migrate_hook.config.body"]; ok {
		t.Error("body must stay a comment: 1.3.1 refuses to start with it")
	}
}
