package config_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ferry/config"
)

const canary = "canary-93ab-0123456789-0123456789-0123456789"

// setRequired sets the settings that serve requires.
func setRequired(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"FERRY_HOOK_KEYS":           canary,
		"FERRY_AUTH0_DOMAIN":        "tenant.eu.auth0.com",
		"FERRY_AUTH0_CLIENT_ID":     "client",
		"FERRY_AUTH0_CLIENT_SECRET": canary,
		"FERRY_KRATOS_ADMIN_URL":    "http://kratos:4434",
	} {
		t.Setenv(name, value)
	}
}

func TestLoadDefaults(t *testing.T) {
	setRequired(t)
	c, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:4480" || c.AdminListen != "127.0.0.1:4481" || c.MaxPasswordBytes != 72 || c.Auth0Timeout != 8*time.Second {
		t.Errorf("defaults: %+v", c)
	}
	if c.BaseURL() != "https://tenant.eu.auth0.com" || len(c.Auth0Realms) != 0 || c.TLS() {
		t.Errorf("base URL %q, realms %q", c.BaseURL(), c.Auth0Realms)
	}
}

func TestLoadReadsEverySetting(t *testing.T) {
	setRequired(t)
	secretFile := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secretFile, []byte(" "+canary+"\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FERRY_HOOK_KEYS", strings.Repeat("a", 32)+","+strings.Repeat("b", 32))
	t.Setenv("FERRY_AUTH0_REALMS", "users,legacy")
	t.Setenv("FERRY_AUTH0_BASE_URL", "http://127.0.0.1:4490/")
	t.Setenv("FERRY_KRATOS_ADMIN_URL", "https://kratos")
	t.Setenv("FERRY_KRATOS_ADMIN_TOKEN_FILE", secretFile)
	c, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.HookKeys) != 2 || c.HookKeys[1].Reveal() != strings.Repeat("b", 32) {
		t.Errorf("%d keys", len(c.HookKeys))
	}
	if got := fmt.Sprint(c.Auth0Realms); got != "[users legacy]" {
		t.Errorf("realms %s", got)
	}
	if c.BaseURL() != "http://127.0.0.1:4490" {
		t.Errorf("base URL %q", c.BaseURL())
	}
	if got := c.KratosAdminToken.Reveal(); got != " "+canary+"\n" {
		t.Error("reading a secret from a file must remove one newline and nothing else")
	}
}

func TestEverythingMissingIsNamedAtOnce(t *testing.T) {
	_, err := config.Load()
	var faults config.Faults
	if !errors.As(err, &faults) {
		t.Fatalf("err = %v", err)
	}
	var names []string
	for _, f := range faults {
		names = append(names, f.Name)
	}
	want := "[FERRY_HOOK_KEYS FERRY_AUTH0_DOMAIN FERRY_AUTH0_CLIENT_ID FERRY_AUTH0_CLIENT_SECRET FERRY_KRATOS_ADMIN_URL]"
	if got := fmt.Sprint(names); got != want {
		t.Errorf("named %s, want %s", got, want)
	}
}

func TestFaults(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, value, want string }{
		{"FERRY_LISTEN", "4480", "FERRY_LISTEN: must be host:port"},
		{"FERRY_LISTEN", "127.0.0.1:web", "FERRY_LISTEN: must be host:port"},
		{"FERRY_LISTEN", "127.0.0.1:65536", "FERRY_LISTEN: must be host:port"},
		{"FERRY_LISTEN", "127.0.0.1:4481", "FERRY_ADMIN_LISTEN: is the same as FERRY_LISTEN"},
		{"FERRY_ADMIN_LISTEN", "127.0.0.1:-1", "FERRY_ADMIN_LISTEN: must be host:port"},
		{"FERRY_LISTEN", "", "FERRY_LISTEN: is set but empty"},
		{"FERRY_LISTEN", ":4480", "FERRY_LISTEN: is not loopback"},
		{"FERRY_LISTEN", "0.0.0.0:4480", "FERRY_LISTEN: is not loopback"},
		{"FERRY_ADMIN_LISTEN", "192.168.0.1:4481", "FERRY_ADMIN_LISTEN: is not loopback"},
		{"FERRY_TLS_CERT_FILE", missing, "FERRY_TLS_KEY_FILE: is not set"},
		{"FERRY_INSECURE_LISTEN", "perhaps", "FERRY_INSECURE_LISTEN: must be true or false"},
		{"FERRY_HOOK_KEYS", strings.Repeat("k", 31), "FERRY_HOOK_KEYS: every key must have 32 characters"},
		{"FERRY_HOOK_KEYS", canary + ",", "FERRY_HOOK_KEYS: every key must have 32 characters"},
		{"FERRY_HOOK_KEYS", canary + "," + canary + "," + canary, "FERRY_HOOK_KEYS: contains more than two keys"},
		{"FERRY_HOOK_KEYS", canary + " " + canary, "FERRY_HOOK_KEYS: a key may contain visible ASCII"},
		{"FERRY_HOOK_KEYS_FILE", missing, "FERRY_HOOK_KEYS: both it and FERRY_HOOK_KEYS_FILE"},
		{"FERRY_LOG_HASH_KEY_FILE", missing, "FERRY_LOG_HASH_KEY: FERRY_LOG_HASH_KEY_FILE cannot be read: no such file or directory"},
		{"FERRY_LOG_HASH_KEY_FILE", empty, "FERRY_LOG_HASH_KEY: the file of FERRY_LOG_HASH_KEY_FILE is empty"},
		{"FERRY_LOG_HASH_KEY", "short", "FERRY_LOG_HASH_KEY: must have 32 characters"},
		{"FERRY_MAX_PASSWORD_BYTES", "many", "FERRY_MAX_PASSWORD_BYTES: must be a whole number"},
		{"FERRY_MAX_PASSWORD_BYTES", "0", "FERRY_MAX_PASSWORD_BYTES: must be between"},
		{"FERRY_TRUSTED_PROXIES", "-1", "FERRY_TRUSTED_PROXIES: must be between"},
		{"FERRY_AUTH0_CLIENT_SECRET", "", "FERRY_AUTH0_CLIENT_SECRET: is set but empty"},
		{"FERRY_AUTH0_CLIENT_AUTH", "none", "FERRY_AUTH0_CLIENT_AUTH: must be client_secret_post"},
		{"FERRY_AUTH0_CLIENT_AUTH", "private_key_jwt", "FERRY_AUTH0_PRIVATE_KEY_FILE: is not set"},
		{"FERRY_AUTH0_PRIVATE_KEY_FILE", missing, "FERRY_AUTH0_PRIVATE_KEY_FILE: cannot be read: no such file"},
		{"FERRY_AUTH0_PRIVATE_KEY_FILE", empty, "FERRY_AUTH0_PRIVATE_KEY_FILE: contains no PEM block"},
		{"FERRY_AUTH0_CUSTOM_REALMS", "ad", "FERRY_AUTH0_CUSTOM_REALMS: lists a connection that is not"},
		{"FERRY_AUTH0_ID_TOKEN_ALG", "HS256", "FERRY_AUTH0_ID_TOKEN_ALG: must be RS256 or PS256"},
		{"FERRY_AUTH0_FORWARD_CLIENT_IP", "true", "FERRY_TRUSTED_PROXIES: is 0"},
		{"FERRY_STATE_URL", "http://redis", "FERRY_STATE_URL: must be memory:"},
		{"FERRY_STATE_URL", "redis://127.0.0.1:6379/x" + canary, "FERRY_STATE_URL: must be memory:"},
		{"FERRY_STATE_URL", "redis://127.0.0.1:6379/0/1", "FERRY_STATE_URL: must be memory:"},
		{"FERRY_STATE_URL", "rediss://127.0.0.1:6379?skip_verify=true", "FERRY_STATE_URL: must be memory:"},
		{"FERRY_STATE_URL", "redis://127.0.0.1:65536", "FERRY_STATE_URL: must be memory:"},
		{"FERRY_STATE_URL", "redis://u:" + canary + "@127.0.0.1:6379", "FERRY_STATE_KEY: must have 32 characters"},
		{"FERRY_TRAIT_POLICY", "name", "FERRY_TRAIT_POLICY: must be trait=fill"},
		{"FERRY_TRAIT_POLICY", "name=always", "FERRY_TRAIT_POLICY: must be trait=fill"},
		{"FERRY_MAPPER", missing, "FERRY_MAPPER: the file cannot be read: no such file"},
		{"FERRY_WRITE_BACK", "true", "FERRY_AUTH0_MGMT_CLIENT_SECRET: is not set"},
		{"FERRY_FORWARD_AUTH_LISTEN", "0.0.0.0:4483", "FERRY_FORWARD_AUTH_LISTEN: is not loopback"},
		{"FERRY_FORWARD_AUTH_LISTEN", "127.0.0.1:4480", "FERRY_FORWARD_AUTH_LISTEN: is the same as that of another listener"},
		{"FERRY_TOKEN_LISTEN", "0.0.0.0:4484", "FERRY_TOKEN_LISTEN: is not loopback"},
		{"FERRY_TOKEN_LISTEN", "127.0.0.1:4480", "FERRY_TOKEN_LISTEN: is the same as that of another listener"},
		{"FERRY_TOKEN_LISTEN", "127.0.0.1:4484", "FERRY_HYDRA_PUBLIC_URL: is not set, but FERRY_TOKEN_LISTEN needs it"},
		{"FERRY_TOKEN_LISTEN", "127.0.0.1:4484", "FERRY_HYDRA_ADMIN_URL: is not set, but FERRY_TOKEN_LISTEN needs it"},
		{"FERRY_TOKEN_TRUSTED_PROXIES", "17", "FERRY_TOKEN_TRUSTED_PROXIES: must be between 0 and 16"},
		{"FERRY_TOKEN_PER_MINUTE", "0", "FERRY_TOKEN_PER_MINUTE: must be between 1 and 100000"},
		{"FERRY_HYDRA_PUBLIC_URL", "hydra:4444", "FERRY_HYDRA_PUBLIC_URL: must be an http or https URL"},
		{"FERRY_HYDRA_ADMIN_URL", "http://u@hydra:4445", "FERRY_HYDRA_ADMIN_URL: must not contain a user name"},
		{"FERRY_REMINT_CLIENTS", "web", "FERRY_TOKEN_LISTEN: is not set, but FERRY_REMINT_CLIENTS needs it"},
		{"FERRY_REMINT_CLIENTS", "web, spa", "FERRY_REMINT_CLIENTS: contains an empty client id, or blanks around one"},
		{"FERRY_REMINT_CLIENTS", "web,web", "FERRY_REMINT_CLIENTS: lists a client twice"},
		{"FERRY_REMINT_CLIENTS", "web,*", "FERRY_REMINT_CLIENTS: has * beside other clients"},
		{"FERRY_ENSURE", "true", "FERRY_AUTH0_MGMT_CLIENT_ID: is not set, but FERRY_ENSURE needs it"},
		{"FERRY_SIGN_UP", "true", "FERRY_AUTH0_MGMT_CLIENT_SECRET: is not set"},
		{"FERRY_AUTH0_TENANT_DOMAIN", "https://x", "FERRY_AUTH0_TENANT_DOMAIN: must be a bare domain"},
		{"FERRY_RECORD_KEY", strings.Repeat("k", 43) + "=", "FERRY_RECORD_DIR: is not set, but FERRY_RECORD_KEY is"},
		{"FERRY_RECORD_KEY", canary, "FERRY_RECORD_KEY: must be the public key that `ferry record keygen` prints"},
		{"FERRY_RECORD_KEY", strings.Repeat("A", 43) + "=", "FERRY_RECORD_KEY: must be the public key"},
		{"FERRY_RECORD_KEY", strings.Repeat("k", 40), "FERRY_RECORD_KEY: must be the public key"},
		{"FERRY_RECORD_MAX_BYTES", "1048575", "FERRY_RECORD_MAX_BYTES: must be between 1048576"},
		{"FERRY_RECORD_MAX_BYTES", "1073741825", "FERRY_RECORD_MAX_BYTES: must be between 1048576"},
		{"FERRY_RECORD_KEEP", "59m", "FERRY_RECORD_KEEP: must be between 1h"},
		{"FERRY_RECORD_KEEP", "2161h", "FERRY_RECORD_KEEP: must be between 1h"},
		{"FERRY_BINDING", "email", "FERRY_BINDING: must be recorded or verified_identifier"},
		{"FERRY_AUTH0_DOMAIN", "https://tenant.auth0.com/", "FERRY_AUTH0_DOMAIN: must be a bare domain"},
		{"FERRY_AUTH0_DOMAIN", "Tenant.auth0.com", "FERRY_AUTH0_DOMAIN: must be a bare domain in lower case"},
		{"FERRY_AUTH0_DOMAIN", "tenant.auth0.com:65536", "FERRY_AUTH0_DOMAIN: must be a bare domain"},
		{"FERRY_AUTH0_DOMAIN", "", "FERRY_AUTH0_DOMAIN: is not set"},
		{"FERRY_AUTH0_BASE_URL", "http://tenant.auth0.com", "FERRY_AUTH0_BASE_URL: must be https, or http on loopback"},
		{"FERRY_AUTH0_BASE_URL", "tenant.auth0.com", "FERRY_AUTH0_BASE_URL: must be an http or https URL"},
		{"FERRY_AUTH0_BASE_URL", "https://u:p@tenant.auth0.com", "FERRY_AUTH0_BASE_URL: must not contain a user name"},
		{"FERRY_AUTH0_BASE_URL", "https://tenant.auth0.com#", "FERRY_AUTH0_BASE_URL: must not contain a query or fragment"},
		{"FERRY_AUTH0_BASE_URL", "https://tenant.auth0.com?", "FERRY_AUTH0_BASE_URL: must not contain a query or fragment"},
		{"FERRY_AUTH0_BASE_URL", "https://:443", "FERRY_AUTH0_BASE_URL: must be an http or https URL"},
		{"FERRY_AUTH0_BASE_URL", "http://127.0.0.1.example.org", "FERRY_AUTH0_BASE_URL: must be https, or http on loopback"},
		{"FERRY_AUTH0_BASE_URL", "http://localhost.example.org", "FERRY_AUTH0_BASE_URL: must be https, or http on loopback"},
		{"FERRY_AUTH0_BASE_URL", "http://2130706433", "FERRY_AUTH0_BASE_URL: must be https, or http on loopback"},
		{"FERRY_AUTH0_BASE_URL", "http://127.1", "FERRY_AUTH0_BASE_URL: must be https, or http on loopback"},
		{"FERRY_AUTH0_BASE_URL", "file:///etc/passwd", "FERRY_AUTH0_BASE_URL: must be an http or https URL"},
		{"FERRY_KRATOS_ADMIN_URL", "http://u@kratos:4434", "FERRY_KRATOS_ADMIN_URL: must not contain a user name"},
		{"FERRY_KRATOS_ADMIN_URL", "http://kratos:4434/#x", "FERRY_KRATOS_ADMIN_URL: must not contain a query or fragment"},
		{"FERRY_KRATOS_PUBLIC_URL", "http://kratos:4433/?x=y", "FERRY_KRATOS_PUBLIC_URL: must not contain a query or fragment"},
		{"FERRY_KRATOS_PUBLIC_URL", "unix:///run/kratos", "FERRY_KRATOS_PUBLIC_URL: must be an http or https URL"},
		{"FERRY_AUTH0_REALMS", "users,email", "FERRY_AUTH0_REALMS: email and sms are passwordless"},
		{"FERRY_AUTH0_REALMS", "users, legacy", "FERRY_AUTH0_REALMS: contains an empty name, or blanks"},
		{"FERRY_AUTH0_REALMS", "users,users", "FERRY_AUTH0_REALMS: lists a connection twice"},
		{"FERRY_AUTH0_SCOPE", "profile", "FERRY_AUTH0_SCOPE: must contain openid"},
		{"FERRY_AUTH0_SCOPE", "openid offline_access", "FERRY_AUTH0_SCOPE: must not contain offline_access"},
		{"FERRY_AUTH0_TIMEOUT", "8", "FERRY_AUTH0_TIMEOUT: must be a duration such as 8s"},
		{"FERRY_AUTH0_TIMEOUT", "21s", "FERRY_AUTH0_TIMEOUT: must be between 100ms and 20s"},
		{"FERRY_KRATOS_ADMIN_URL", "kratos:4434", "FERRY_KRATOS_ADMIN_URL: must be an http or https URL"},
		{"FERRY_KRATOS_ADMIN_URL", "http://kratos:65536", "FERRY_KRATOS_ADMIN_URL: has a port above 65535"},
		{"FERRY_KRATOS_PUBLIC_URL", "auth.example.org", "FERRY_KRATOS_PUBLIC_URL: must be an http or https URL"},
		{"FERRY_KRATOS_ADMIN_TOKEN", canary, "FERRY_KRATOS_ADMIN_URL: must be https, or http on loopback: FERRY_KRATOS_ADMIN_TOKEN"},
		{"FERRY_COUNT_EVERY", "59s", "FERRY_COUNT_EVERY: must be between 1m and 168h"},
		{"FERRY_COUNT_EVERY", "200h", "FERRY_COUNT_EVERY: must be between 1m and 168h"},
		{"FERRY_LOG_LEVEL", "loud", "FERRY_LOG_LEVEL: must be debug"},
		{"FERRY_LOG_FORMAT", "xml", "FERRY_LOG_FORMAT: must be json or console"},
		{"FERRY_AUTH0_DOMIAN", canary, "FERRY_AUTH0_DOMIAN: is not a setting; did you mean FERRY_AUTH0_DOMAIN?"},
		{"FERRY_TURBO", canary, "FERRY_TURBO: is not a setting; see `ferry config`"},
	} {
		t.Run(c.name+"="+c.value, func(t *testing.T) {
			setRequired(t)
			t.Setenv(c.name, c.value)
			_, err := config.Load()
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("err = %v, want %q in it", err, c.want)
			}
			if strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), missing) {
				t.Error("the report contains a value")
			}
		})
	}
}

func TestKubernetesServiceLinksAreIgnored(t *testing.T) {
	setRequired(t)
	for _, name := range []string{"FERRY_PORT", "FERRY_PORT_4480_TCP", "FERRY_PORT_4480_TCP_ADDR", "FERRY_SERVICE_HOST", "FERRY_SERVICE_PORT_HOOKS"} {
		t.Setenv(name, "tcp://10.0.0.1:4480")
	}
	if _, err := config.Load(); err != nil {
		t.Fatal(err)
	}
}

func TestPrivateKey(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for kind, der := range map[string][]byte{"RSA PRIVATE KEY": x509.MarshalPKCS1PrivateKey(key), "PRIVATE KEY": pkcs8} {
		setRequired(t)
		path := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("FERRY_AUTH0_PRIVATE_KEY_FILE", path)
		if err := os.Unsetenv("FERRY_AUTH0_CLIENT_SECRET"); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.PrivateKey(); err != nil || !got.Equal(key) || c.ClientAuth() != config.PrivateKeyJWT {
			t.Errorf("%s: %v, %s", kind, err, c.ClientAuth())
		}
	}
}

func TestOffLoopbackWithTheExplicitSetting(t *testing.T) {
	setRequired(t)
	t.Setenv("FERRY_LISTEN", "0.0.0.0:4480")
	t.Setenv("FERRY_INSECURE_LISTEN", "true")
	if _, err := config.Load(); err != nil {
		t.Fatal(err)
	}
}

func TestRecording(t *testing.T) {
	setRequired(t)
	t.Setenv("FERRY_RECORD_DIR", "/var/lib/ferry")
	t.Setenv("FERRY_RECORD_KEY", strings.Repeat("k", 42)+"g=")
	c, err := config.Load()
	if err != nil || c.RecordKeep != 7*24*time.Hour || c.RecordMaxBytes != 64<<20 {
		t.Fatalf("%v, %d, %v", c.RecordKeep, c.RecordMaxBytes, err)
	}
}

func TestUnprefixedNamesAreNotTaken(t *testing.T) {
	setRequired(t)
	t.Setenv("LISTEN", "127.0.0.1:1")
	t.Setenv("LOG_LEVEL", "debug")
	c, err := config.Load()
	if err != nil || c.Listen != "127.0.0.1:4480" || c.LogLevel != "info" {
		t.Fatalf("%+v, %v", c, err)
	}
}

func TestPrintShowsSourcesAndNoSecret(t *testing.T) {
	setRequired(t)
	t.Setenv("FERRY_LOG_LEVEL", "debug")
	c, err := config.Load()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), canary) {
		t.Error("a secret was printed")
	}
	got := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"FERRY_HOOK_KEYS [redacted] environment", "FERRY_LOG_LEVEL debug environment", "FERRY_LOG_FORMAT json default",
		"FERRY_KRATOS_ADMIN_TOKEN - unset", "FERRY_AUTH0_REALMS - unset", "FERRY_STATE_URL memory: default",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
	if got := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(got, canary) {
		t.Error("a formatter shows a secret of the Config")
	}
}

// TestPrintShowsNoPasswordOfAnAddress: addresses that are refused because they contain a
// password are printed too, without it.
func TestPrintShowsNoPasswordOfAnAddress(t *testing.T) {
	setRequired(t)
	for name, value := range map[string]string{
		"FERRY_KRATOS_ADMIN_URL": "http://ferry:" + canary + "@kratos:4434", "FERRY_AUTH0_BASE_URL": "https://tenant.auth0.com/?token=" + canary,
		"FERRY_AUTH0_DOMAIN": "ferry:" + canary + "@tenant.auth0.com", "FERRY_AUTH0_TENANT_DOMAIN": "tenant.auth0.com#" + canary,
	} {
		t.Setenv(name, value)
	}
	c, err := config.Load()
	var out strings.Builder
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	if text := out.String() + fmt.Sprint(err); strings.Contains(text, canary) || !strings.Contains(text, "FERRY_KRATOS_ADMIN_URL: must not contain a user name") {
		t.Errorf("printed:\n%s", text)
	}
}

var update = flag.Bool("update", false, "write the table of docs/settings.md")

// TestReadmeSettings keeps the table in docs/settings.md the same as config.Config.
func TestReadmeSettings(t *testing.T) {
	const page, from, to = "../docs/settings.md", "<!-- settings: made by `make readme` -->\n", "<!-- end of settings -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), from)
	table, tail, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("docs/settings.md has no %q … %q", from, to)
	}
	if table == config.Table() {
		return
	}
	if !*update {
		t.Fatal("the table in docs/settings.md differs from config.Config: run `make readme`")
	}
	if err := os.WriteFile(page, []byte(head+from+config.Table()+to+tail), 0o600); err != nil {
		t.Fatal(err)
	}
}
