package wiring

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// NotKratosError reports a file that is not a Kratos configuration.
type NotKratosError struct {
	// Keys are the top-level keys that Kratos does not have.
	Keys []string
	// At are the paths in the file at which a Kratos configuration seems to be.
	At []string
}

// Error implements error.
func (e *NotKratosError) Error() string {
	const shown = 4
	keys := e.Keys
	noun, more := "key", ""
	if len(keys) > 1 {
		noun = "keys"
	}
	if len(keys) > shown {
		keys, more = keys[:shown], ", ..."
	}
	return fmt.Sprintf("read kratos.yml: this is not a kratos.yml: Kratos does not know the %s %s%s", noun, strings.Join(keys, ", "), more)
}

// Hint returns what to do.
func (e *NotKratosError) Hint() string {
	if len(e.At) == 0 {
		return "give the file that Kratos is started with (-c)"
	}
	return "its Kratos configuration seems to be at " + strings.Join(e.At, " or ") + ": --at " + e.At[0]
}

// kratosKeys are the top-level keys of Kratos' configuration. The value reports whether
// configurations of other programs rarely have the key.
func kratosKeys() map[string]bool {
	return map[string]bool{
		"selfservice": true, "dsn": true, "identity": true, "serve": true, "courier": true, "oauth2_provider": true,
		"hashers": true, "ciphers": true, "cookies": true, "session": true, "tracing": true, "sqa-opt-out": true,
		"watch-courier": true, "expose-metrics-port": true, "feature_flags": true, "clients": true,
		"log": false, "secrets": false, "version": false, "dev": false, "help": false, "config": false, "database": false,
		"preview": false, "security": false, "organizations": false, "enterprise": false, "revision": false,
	}
}

// checkKratos rejects files that are not a Kratos configuration: values of a Helm chart, a
// ConfigMap, a compose file. It accepts unknown keys beside typical ones, because a later
// Kratos may have them.
func checkKratos(values map[string]any) error {
	known := kratosKeys()
	var unknown []string
	certain := false
	for _, key := range slices.Sorted(maps.Keys(values)) {
		typical, ok := known[key]
		certain = certain || typical
		if !ok && !strings.HasPrefix(key, "x-") {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	nested := kratosInside(values, nil)
	_, wraps := values["apiVersion"]
	if certain && len(nested) == 0 && !wraps {
		return nil
	}
	return &NotKratosError{Keys: unknown, At: nested}
}

// kratosInside returns the paths in values at which a Kratos configuration seems to be.
func kratosInside(values map[string]any, above []string) []string {
	const maxDepth = 6
	if len(above) == maxDepth {
		return nil
	}
	var found []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		path := append(above[:len(above):len(above)], key)
		inner, ok := values[key].(map[string]any)
		if text, isText := values[key].(string); isText && strings.Contains(text, "\n") {
			ok = yaml.Unmarshal([]byte(text), &inner) == nil
		}
		switch {
		case !ok:
		case isKratos(inner):
			found = append(found, strings.Join(path, "."))
		default:
			found = append(found, kratosInside(inner, path)...)
		}
	}
	return found
}

// isKratos reports whether a mapping is certainly a Kratos configuration.
func isKratos(values map[string]any) bool {
	if flows, ok := Lookup(values, "selfservice"); ok {
		_, ok = flows.(map[string]any)
		return ok
	}
	_, dsn := values["dsn"].(string)
	_, identity := values["identity"].(map[string]any)
	return dsn && identity
}
