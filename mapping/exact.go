package mapping

import (
	"encoding/json"
	"unicode/utf8"

	"ferry/strictjson"
)

// plainJSON is a value as a decoder would have made it: times, structures and typed
// lists become what JSON has for them, numbers json.Number, digit for digit.
func plainJSON(v any) (any, error) {
	if out, ok := copyPlain(v, maxCopy); ok {
		return out, nil
	}
	const opaque = "value" // its keys may differ in case only
	text, err := json.Marshal(map[string]any{opaque: v})
	if err != nil {
		return nil, err
	}
	read, err := strictjson.Value(text, opaque)
	if err != nil {
		return nil, err
	}
	object, _ := read.(map[string]any)
	return object[opaque], nil
}

// maxCopy is how deep copyPlain looks: a value may contain itself.
const maxCopy = 4

// copyPlain spares values of the simplest types, as marks are, the way through their
// text. It reports whether there is nothing else in the value.
func copyPlain(v any, depth int) (any, bool) {
	switch v := v.(type) {
	case nil, bool:
		return v, true
	case string:
		return v, utf8.ValidString(v)
	case map[string]any:
		if v == nil {
			return nil, true
		}
		if depth == 0 {
			return nil, false
		}
		out := make(map[string]any, len(v))
		for name, value := range v {
			plain, ok := copyPlain(value, depth-1)
			if !ok || !utf8.ValidString(name) {
				return nil, false
			}
			out[name] = plain
		}
		return out, true
	default:
		return nil, false
	}
}
