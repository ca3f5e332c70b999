package config

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"ferry/secret"
)

// digestBytes is the length of a digest.
const digestBytes = 8

// undigested are the settings that change nothing that `ferry doctor` checks, or that operators
// change during a migration. A name that ends in _ stands for all that begin so.
func undigested() []string {
	return []string{
		"ADMIN_LISTEN", "MIGRATION_CLOSED", "MODE", "MODE_FILE", "COHORT", "COHORT_FILE", "DATA_DIR",
		"LOG_", "RECORD_", "PLAN_", "COUNT_",
	}
}

// Digest identifies the settings that `ferry doctor` checks. Two processes with the same values
// have the same digest. The digest tells nothing of a secret: secrets are part of it only if
// there is a hook key, which keys it.
func (c *Config) Digest() string {
	key := ""
	if len(c.HookKeys) > 0 {
		key = c.HookKeys[0].Reveal()
	}
	mac := hmac.New(sha256.New, []byte(key))
	v := reflect.ValueOf(c).Elem()
	for _, s := range settings() {
		name := strings.TrimPrefix(s.name, Prefix)
		if slices.ContainsFunc(undigested(), func(one string) bool {
			return one == name || strings.HasSuffix(one, "_") && strings.HasPrefix(name, one)
		}) {
			continue
		}
		// Lengths keep one value from running into the next.
		text := digestText(v.FieldByIndex(s.field.Index), key != "")
		_, _ = fmt.Fprintf(mac, "%s=%d:%s\n", s.name, len(text), text)
	}
	return hex.EncodeToString(mac.Sum(nil)[:digestBytes])
}

// digestText is the value as a text. Without a key it says of a secret only whether it is set.
func digestText(v reflect.Value, keyed bool) string {
	switch value := v.Interface().(type) {
	case secret.String:
		if !keyed {
			return fmt.Sprint(!value.Empty())
		}
		return value.Reveal()
	case Keys:
		var all []string
		for _, one := range value {
			all = append(all, one.Reveal())
		}
		return strings.Join(all, ",") // with any, there is a key
	case []string:
		return strings.Join(value, ",")
	default:
		return fmt.Sprint(value)
	}
}
