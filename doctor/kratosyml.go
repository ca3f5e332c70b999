package doctor

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"ferry/secret"
	"ferry/wire"
	"ferry/wiring"
)

// byteOrderMark may begin a file. It is hidden from the parser.
const byteOrderMark = "\ufeff"

// webHook is the name of web hooks in kratos.yml.
const webHook = "web_hook"

// tomlPattern matches a table of TOML, or a key with its value.
var tomlPattern = regexp.MustCompile(`(?m)^\s*(\[[\w."-]+\]|[\w.-]+\s*=\s*["'\[{\dtf].*)\s*(#.*)?$`)

// kratosConfig is a kratos.yml, or the same as JSON. A nil kratosConfig is empty.
type kratosConfig struct{ values map[string]any }

// parseKratosConfig reads a kratos.yml.
func parseKratosConfig(text []byte) (*kratosConfig, error) {
	values, err := parseYAML(text)
	if err != nil {
		return nil, err
	}
	return &kratosConfig{values}, nil
}

// parseYAML reads a configuration file. Its errors never quote the file, which contains
// secrets.
func parseYAML(text []byte) (map[string]any, error) {
	var values map[string]any
	err := yaml.Unmarshal(bytes.TrimPrefix(text, []byte(byteOrderMark)), &values)
	var syntax yaml.Error
	switch {
	case err != nil && tomlPattern.Match(text):
		return nil, errors.New("it is TOML")
	case errors.As(err, &syntax) && syntax.GetToken() != nil:
		return nil, fmt.Errorf("line %d is not valid YAML", syntax.GetToken().Position.Line)
	case err != nil:
		return nil, errors.New("it is not valid YAML")
	case len(values) == 0:
		return nil, errors.New("it is empty")
	}
	return values, nil
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

// number returns a number or a text with one.
func (k *kratosConfig) number(path ...string) string {
	value := k.get(path...)
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

func (k *kratosConfig) list(path ...string) []any {
	list, _ := k.get(path...).([]any)
	return list
}

// unresolved reports whether a value contains a variable.
func unresolved(text string) bool { return strings.Contains(text, "${") }

// call is the configuration of a web hook.
type call struct {
	url, method, body string
	auth              any // the whole block
	response          any
	interrupts        any
}

// callOf reads the configuration of a web hook.
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

// migration returns the call of the migration hook.
func (k *kratosConfig) migration() call { return callOf(k.get(wiring.MigrateHookKeys("config")...)) }

// afterLogin returns the hooks that run after a login with a password.
func (k *kratosConfig) afterLogin() []any { return k.after("password") }

// after returns the hooks that run after a login with the method: its own list, or the
// list for all methods if it has none.
func (k *kratosConfig) after(method string) []any {
	if hooks := k.list(wiring.AfterLoginKeys(method, "hooks")...); len(hooks) > 0 {
		return hooks
	}
	return k.list(wiring.AfterLoginKeys("hooks")...)
}

// ferrys returns the calls of ferry's after-login hook in a list.
func ferrys(hooks []any) []call { return callsOf(hooks, wire.AfterLoginPath) }

// callsOf returns the calls of the hook of ferry's with this path in a list.
func callsOf(hooks []any, path string) []call {
	var calls []call
	for _, hook := range hooks {
		c := callOf(lookup(hook, "config"))
		if lookup(hook, "hook") == webHook && (strings.HasSuffix(pathOf(c.url), path) || unresolved(c.url) && strings.HasSuffix(c.url, path)) {
			calls = append(calls, c)
		}
	}
	return calls
}

// holdsKey reports whether the file contains a key of ferry's.
func (k *kratosConfig) holdsKey() bool {
	for _, c := range slices.Concat(ferrys(k.afterLogin()), k.signUps(), []call{k.migration()}) {
		for _, name := range []string{"value", "password"} {
			if key, _ := lookup(c.auth, "config", name).(string); key != "" && !unresolved(key) {
				return true
			}
		}
	}
	return false
}

// endsEarly reports whether a hook before ferry's can end the login.
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

// others returns the names of the hooks in a that are neither in b nor ferry's.
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

// shown returns an address without its secret parts.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "an invalid address"
	}
	return plain(u.Scheme + "://" + u.Host + u.Path)
}

// authorize authenticates a request as Kratos would.
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

// bearer returns a call with ferry's key, for use without a kratos.yml.
func bearer(address string, key secret.String) call {
	return call{url: address, method: http.MethodPost, auth: map[string]any{
		"type": "api_key", "config": map[string]any{"name": "Authorization", "value": "Bearer " + key.Reveal(), "in": "header"},
	}}
}
