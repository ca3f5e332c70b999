package mapping

import (
	"encoding/json"

	experiment "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// exact is any JSON value, its numbers as json.Number, digit for digit.
type exact struct{ value any }

// UnmarshalJSONFrom implements the decoder's interface.
func (e *exact) UnmarshalJSONFrom(dec *jsontext.Decoder) (err error) {
	e.value, err = readValue(dec)
	return err
}

func readValue(dec *jsontext.Decoder) (any, error) {
	token, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '{':
		return readObject(dec)
	case '[':
		return readList(dec)
	case '"':
		return token.String(), nil
	case '0':
		return json.Number(token.String()), nil
	case 't', 'f':
		return token.Bool(), nil
	default: // null: what ends an object or a list is read there
		return nil, nil
	}
}

func readObject(dec *jsontext.Decoder) (map[string]any, error) {
	object := map[string]any{}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		if object[key], err = readValue(dec); err != nil {
			return nil, err
		}
	}
	_, err := dec.ReadToken()
	return object, err
}

func readList(dec *jsontext.Decoder) ([]any, error) {
	list := []any{}
	for dec.PeekKind() != ']' {
		element, err := readValue(dec)
		if err != nil {
			return nil, err
		}
		list = append(list, element)
	}
	_, err := dec.ReadToken()
	return list, err
}

// plainJSON is a value as a decoder would have made it: times, structures and typed
// lists become what JSON has for them.
func plainJSON(v any) (any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out exact
	err = experiment.Unmarshal(text, &out)
	return out.value, err
}
