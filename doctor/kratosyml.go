package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"

	"ferry/secret"
	"ferry/wiring"
)

// byteOrderMark may begin a file; the parser does not see it.
const byteOrderMark = "\ufeff"

// tomlPattern is a table of TOML, or a key with its value.
var tomlPattern = regexp.MustCompile(`(?m)^\s*(\[[\w."-]+\]|[\w.-]+\s*=\s*["'\[{\dtf].*)\s*(#.*)?$`)

// kratosConfig is a kratos.yml, or the JSON of one. A nil one holds nothing.
type kratosConfig struct{ values map[string]any }

// parseKratosConfig reads a kratos.yml. Its errors never quote the file, which holds
// secrets.
func parseKratosConfig(text []byte) (*kratosConfig, error) {
	var values map[string]any
	err := yaml.Unmarshal(bytes.TrimPrefix(text, []byte(byteOrderMark)), &values)
	var syntax yaml.Error
	switch {
	case err != nil && tomlPattern.Match(text):
		return nil, errors.New("it is TOML")
	case errors.As(err, &syntax) && syntax.GetToken() != nil:
		return nil, fmt.Errorf("line %d is not YAML that can be read", syntax.GetToken().Position.Line)
	case err != nil:
		return nil, errors.New("it is not YAML")
	case len(values) == 0:
		return nil, errors.New("it holds nothing")
	}
	return &kratosConfig{values}, nil
}

// lookup returns the value at a path, or nil.
func lookup(value any, path ...string) any {
	found, _ := wiring.Lookup(value, path...)
	return found
}

func (k *kratosConfig) get(path ...string) any {
	if k == nil {
		return nil
	}
	return lookup(k.values, path...)
}

func (k *kratosConfig) text(path ...string) string {
	text, _ := k.get(path...).(string)
	return text
}

func (k *kratosConfig) list(path ...string) []any {
	list, _ := k.get(path...).([]any)
	return list
}

// unresolved: something fills the value in before Kratos reads it.
func unresolved(text string) bool { return strings.Contains(text, "${") }

// call is how Kratos calls a hook.
type call struct {
	url, method, body string
	auth              any // the whole key
	response          any
	interrupts        any
}

// callOf reads the config of a hook.
func callOf(config any) call {
	text := func(name string) string {
		text, _ := lookup(config, name).(string)
		return text
	}
	return call{
		url: text("url"), method: text("method"), body: text("body"),
		auth: lookup(config, "auth"), response: lookup(config, "response"), interrupts: lookup(config, "can_interrupt"),
	}
}

// migration is the call of the migration hook.
func (k *kratosConfig) migration() call { return callOf(k.get(wiring.MigrateHookKeys("config")...)) }

// afterLogin are the hooks that run after a login with a password: those of all logins
// only where there are none for passwords.
func (k *kratosConfig) afterLogin() []any { return k.after("password") }

// after are the hooks that run after a login by the method: those of all logins only where
// there are none of its own.
func (k *kratosConfig) after(method string) []any {
	if hooks := k.list(wiring.AfterLoginKeys(method, "hooks")...); len(hooks) > 0 {
		return hooks
	}
	return k.list(wiring.AfterLoginKeys("hooks")...)
}

// ferrys are the calls of ferry's after-login hook in a list.
func ferrys(hooks []any) []call {
	var calls []call
	for _, hook := range hooks {
		c := callOf(lookup(hook, "config"))
		if lookup(hook, "hook") == "web_hook" && strings.HasSuffix(pathOf(c.url), wiring.AfterLoginPath) {
			calls = append(calls, c)
		}
	}
	return calls
}

// holdsKey reports whether a key of ferry's is in the file itself.
func (k *kratosConfig) holdsKey() bool {
	for _, c := range append(ferrys(k.afterLogin()), k.migration()) {
		for _, name := range []string{"value", "password"} {
			if key, _ := lookup(c.auth, "config", name).(string); key != "" && !unresolved(key) {
				return true
			}
		}
	}
	return false
}

// endsEarly reports whether a hook before ferry's may end the login.
func (k *kratosConfig) endsEarly() bool {
	for _, hook := range k.afterLogin() {
		switch {
		case len(ferrys([]any{hook})) > 0:
			return false
		case lookup(hook, "hook") == requireVerified:
			return true
		}
	}
	return false
}

// others are the names of the hooks in a that are not in b.
func others(a, b []any) []string {
	var names []string
	for _, hook := range a {
		known := len(ferrys([]any{hook})) > 0
		for _, other := range b {
			known = known || reflect.DeepEqual(hook, other)
		}
		if name, _ := lookup(hook, "hook").(string); !known && name != "" {
			names = append(names, plain(name))
		}
	}
	return names
}

func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Path
}

// shown is an address without what may be secret in it.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "an address that is none"
	}
	return plain(u.Scheme + "://" + u.Host + u.Path)
}

// authorize puts onto a request what Kratos would.
func (c call) authorize(req *http.Request) {
	text := func(name string) string {
		text, _ := lookup(c.auth, "config", name).(string)
		return text
	}
	switch lookup(c.auth, "type") {
	case "basic_auth":
		req.SetBasicAuth(text("user"), text("password"))
	case "api_key":
		if text("in") == "cookie" {
			req.AddCookie(&http.Cookie{Name: text("name"), Value: text("value")}) //nolint:gosec // as Kratos does
			return
		}
		req.Header.Set(text("name"), text("value"))
	}
}

// bearer is a call with ferry's own key, where no kratos.yml says how.
func bearer(address string, key secret.String) call {
	return call{url: address, method: http.MethodPost, auth: map[string]any{
		"type": "api_key", "config": map[string]any{"name": "Authorization", "value": "Bearer " + key.Reveal(), "in": "header"},
	}}
}
