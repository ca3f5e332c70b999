package wiring

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"ferry/secret"
)

// Fingerprint identifies a key without showing it: the first 8 hexadecimal digits of its
// SHA-256. A key of 32 random characters cannot be guessed from it.
func Fingerprint(key secret.String) string {
	const shown = 8
	sum := sha256.Sum256([]byte(key.Reveal()))
	return hex.EncodeToString(sum[:])[:shown]
}

// variablePrefix begins a value that Kratos' environment or the operator's tools fill in.
const variablePrefix = "${"

// Variable returns the environment variable that sets the value at a path of Kratos'
// configuration. The steps through lists are indexes.
func Variable(path ...string) string { return strings.ToUpper(strings.Join(path, "_")) }

// KeyVariables returns the environment variables that set the keys in Fragment's output.
func (o Options) KeyVariables() []string {
	names := []string{Variable(MigrateHookKeys("config", "auth", "config", "value")...)}
	for _, l := range o.lists() {
		names = append(names, Variable(append(l.path(), "0", "config", "auth", "config", "value")...))
	}
	return names
}

// keyValue returns the header's value in an auth block: the key, or the environment
// variable that sets it.
func (o Options) keyValue(auth ...string) string {
	if o.KeyFromEnvironment {
		return variablePrefix + Variable(append(auth[:len(auth):len(auth)], "config", "value")...) + "}"
	}
	return o.bearer()
}

// authsOf returns the auth blocks of ferry's hooks in a configuration.
func authsOf(values map[string]any) []any {
	var auths []any
	if address, _ := Lookup(values, MigrateHookKeys("config", "url")...); address != nil {
		auth, _ := Lookup(values, MigrateHookKeys("config", "auth")...)
		auths = append(auths, auth)
	}
	for _, path := range hookPaths() {
		list, _ := Lookup(values, path...)
		hooks, _ := list.([]any)
		for _, i := range indexes(hooks) {
			auth, _ := Lookup(hooks[i], "config", "auth")
			auths = append(auths, auth)
		}
	}
	return auths
}

// variables returns the environment variables that set the keys of ferry's hooks.
func variables(values map[string]any) []string {
	var names []string
	for _, auth := range authsOf(values) {
		value, _ := Lookup(auth, "config", "value")
		text, _ := value.(string)
		if name, ok := strings.CutPrefix(strings.TrimSuffix(text, "}"), variablePrefix); ok {
			names = append(names, name)
		}
	}
	return names
}

// sentKeys returns the keys that ferry's hooks in a configuration send.
func sentKeys(values map[string]any) []secret.String {
	var keys []secret.String
	for _, auth := range authsOf(values) {
		value, _ := Lookup(auth, "config", "value")
		password, _ := Lookup(auth, "config", "password")
		text, _ := value.(string)
		if other, ok := password.(string); ok && text == "" {
			text = other
		}
		key := secret.New(strings.TrimPrefix(text, bearerPrefix))
		if text != "" && !strings.Contains(text, variablePrefix) && !hasKey(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

func hasKey(keys []secret.String, key secret.String) bool {
	return slices.ContainsFunc(keys, func(one secret.String) bool { return one.Reveal() == key.Reveal() })
}

// adviseKeys notes which keys Kratos sends now and which it no longer sends. Removing the
// wrong key from ferry's settings causes an outage.
func (m *merger) adviseKeys(before []secret.String) {
	key, accepted := m.o.Key, m.o.Accepted
	if key.Empty() || m.o.KeyFromEnvironment || len(m.variables) > 0 {
		return
	}
	if len(accepted) > 0 && !hasKey(accepted, key) {
		m.note("Kratos sends the key %s, which is not in FERRY_HOOK_KEYS: ferry refuses it", Fingerprint(key))
	}
	for _, old := range before {
		if old.Reveal() != key.Reveal() && old.Reveal() != Placeholder {
			m.note("Kratos sends the key %s now instead of %s: leave %s in FERRY_HOOK_KEYS until every Kratos has read the file", Fingerprint(key), Fingerprint(old), Fingerprint(old))
		}
	}
	if !hasKey(before, key) {
		return
	}
	for _, other := range accepted {
		if other.Reveal() != key.Reveal() {
			m.note("Kratos still sends the key %s, the first of FERRY_HOOK_KEYS, and not %s: to remove %s, first put %s at the front and merge again", Fingerprint(key), Fingerprint(other), Fingerprint(key), Fingerprint(other))
		}
	}
}

// shownKeys returns the keys whose fingerprints a diff shows.
func (m *merger) shownKeys(before []secret.String) []secret.String {
	keys := append(slices.Clone(before), m.o.Accepted...)
	if !m.o.Key.Empty() && !hasKey(keys, m.o.Key) {
		keys = append(keys, m.o.Key)
	}
	return keys
}
