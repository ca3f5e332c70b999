package mapping

import (
	"encoding/json"

	"ferry/strictjson"
)

// plainJSON is a value as a decoder would have made it: times, structures and typed
// lists become what JSON has for them, numbers json.Number, digit for digit.
func plainJSON(v any) (any, error) {
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
