package wiring

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"ferry/secret"
)

// Fingerprint tells keys apart without showing them: the first 8 hexadecimal digits of
// the key's SHA-256. A key of 32 random characters cannot be guessed from it.
func Fingerprint(key secret.String) string {
	const shown = 8
	sum := sha256.Sum256([]byte(key.Reveal()))
	return hex.EncodeToString(sum[:])[:shown]
}

// variablePrefix begins a value that something else fills in: Kratos' environment, or
// the operator's own tools.
const variablePrefix = "${"

// variable is the environment variable by which Kratos takes the value at a path of
// its configuration; the steps through lists are indexes.
func variable(path ...string) string { return strings.ToUpper(strings.Join(path, "_")) }

// KeyVariables are the variables from which Kratos takes the key with what Fragment
// prints.
func KeyVariables() []string {
	return []string{
		variable(migratePath("config", "auth", "config", "value")...),
		variable(afterPath("password", "hooks", "0", "config", "auth", "config", "value")...),
	}
}

// keyValue is what stands in the file for the header of an auth block: the key, or the
// name of the variable from which Kratos takes it.
func (o Options) keyValue(auth ...string) string {
	if o.KeyFromEnvironment {
		return variablePrefix + variable(append(auth[:len(auth):len(auth)], "config", "value")...) + "}"
	}
	return o.bearer()
}

// authsOf are the auth blocks of ferry's hooks in a configuration.
func authsOf(values map[string]any) []any {
	var auths []any
	if address, _ := lookup(values, migratePath("config", "url")...); address != nil {
		auth, _ := lookup(values, migratePath("config", "auth")...)
		auths = append(auths, auth)
	}
	for _, path := range [][]string{afterPath("password", "hooks"), afterPath("hooks")} {
		list, _ := lookup(values, path...)
		hooks, _ := list.([]any)
		for _, i := range indexes(hooks) {
			auth, _ := lookup(hooks[i], "config", "auth")
			auths = append(auths, auth)
		}
	}
	return auths
}

// variables are those that the file names where ferry's hooks have their keys.
func variables(values map[string]any) []string {
	var names []string
	for _, auth := range authsOf(values) {
		value, _ := lookup(auth, "config", "value")
		text, _ := value.(string)
		if name, ok := strings.CutPrefix(strings.TrimSuffix(text, "}"), variablePrefix); ok {
			names = append(names, name)
		}
	}
	return names
}

// sentKeys are the keys that ferry's hooks in a configuration send.
func sentKeys(values map[string]any) []secret.String {
	var keys []secret.String
	for _, auth := range authsOf(values) {
		value, _ := lookup(auth, "config", "value")
		password, _ := lookup(auth, "config", "password")
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

// adviseKeys notes which keys Kratos sends from now on, and which it does not: taking
// the wrong one out of ferry's settings is an outage.
func (m *merger) adviseKeys(before []secret.String) {
	key, accepted := m.o.Key, m.o.Accepted
	if key.Empty() || m.o.KeyFromEnvironment || len(m.variables) > 0 {
		return
	}
	if len(accepted) > 0 && !hasKey(accepted, key) {
		m.note("Kratos sends the key %s, which is not one of FERRY_HOOK_KEYS: ferry refuses it", Fingerprint(key))
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
			m.note("Kratos still sends the key %s, the first of FERRY_HOOK_KEYS, and not %s: if %s is the one to go, put %s first and merge again before you take it out", Fingerprint(key), Fingerprint(other), Fingerprint(key), Fingerprint(other))
		}
	}
}

// shownKeys are the keys whose fingerprints a diff shows.
func (m *merger) shownKeys(before []secret.String) []secret.String {
	keys := append(slices.Clone(before), m.o.Accepted...)
	if !m.o.Key.Empty() && !hasKey(keys, m.o.Key) {
		keys = append(keys, m.o.Key)
	}
	return keys
}
