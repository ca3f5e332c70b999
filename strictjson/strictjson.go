// Package strictjson decodes JSON that a trust decision rests on. It reads one
// value and nothing after it, matches keys exactly, and refuses what two readers
// could read differently: a key that occurs twice in an object, or twice but for
// its case, and text that is not UTF-8.
package strictjson

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ErrAmbiguous is an object with a key that occurs twice, or twice but for its case.
var ErrAmbiguous = errors.New("a key occurs twice, or twice but for its case")

// errMalformed stands for every fault of the text. The decoder's own error
// quotes what it read, and that may be a secret.
var errMalformed = errors.New("not the JSON expected")

// Unmarshal decodes the one JSON value in data into v. Unknown keys are ignored.
// Its errors never hold any part of data.
//
// The keys of an object below one of the opaque names are free to differ in case
// only: they are somebody's data (Auth0's user_metadata, say), never a protocol.
func Unmarshal(data []byte, v any, opaque ...string) error {
	if _, err := Value(data, opaque...); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v, jsontext.AllowDuplicateNames(true)); err != nil { // Value found none
		return errMalformed
	}
	return nil
}

// Value decodes the one JSON value in data, whatever it is: objects become
// map[string]any, lists []any, and numbers [encoding/json.Number], digit for digit.
// It accepts what [Unmarshal] accepts and has the same errors.
func Value(data []byte, opaque ...string) (any, error) {
	r := reader{dec: jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true)), opaque: opaque} // add finds them
	value, err := r.value(false)
	if err != nil {
		return nil, err
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errMalformed
	}
	return value, nil
}

// reader reads values token by token. The decoder refuses text that is not UTF-8 and
// bounds the depth of nesting.
type reader struct {
	dec    *jsontext.Decoder
	opaque []string
}

// value reads the next value. within says that it lies below an opaque name.
func (r reader) value(within bool) (any, error) {
	token, err := r.dec.ReadToken()
	if err != nil {
		return nil, errMalformed
	}
	switch token.Kind() {
	case '{':
		return r.object(within)
	case '[':
		return r.list(within)
	case '"':
		return token.String(), nil
	case '0':
		return stdjson.Number(token.String()), nil
	case 't', 'f':
		return token.Bool(), nil
	default:
		return nil, nil
	}
}

func (r reader) object(within bool) (any, error) {
	seen := keys{exact: within}
	out := map[string]any{}
	for r.dec.PeekKind() != '}' {
		token, err := r.dec.ReadToken()
		if err != nil {
			return nil, errMalformed
		}
		key := token.String()
		if err := seen.add(key); err != nil {
			return nil, err
		}
		if out[key], err = r.value(within || slices.Contains(r.opaque, key)); err != nil {
			return nil, err
		}
	}
	return out, r.end()
}

func (r reader) list(within bool) (any, error) {
	out := []any{}
	for r.dec.PeekKind() != ']' {
		element, err := r.value(within)
		if err != nil {
			return nil, err
		}
		out = append(out, element)
	}
	return out, r.end()
}

// end reads the end of an object or a list.
func (r reader) end() error {
	if _, err := r.dec.ReadToken(); err != nil {
		return errMalformed
	}
	return nil
}

// keys are those of one open object, the first few in a list, because most objects
// have no more. Keys that differ only in case are the same unless exact.
type keys struct {
	few   []string
	many  map[string]struct{}
	exact bool
}

const few = 16

func (k *keys) add(key string) error {
	if !k.exact {
		key = fold(key)
	}
	if _, twice := k.many[key]; twice || slices.Contains(k.few, key) {
		return ErrAmbiguous
	}
	if len(k.few) < few {
		k.few = append(k.few, key)
		return nil
	}
	if k.many == nil {
		k.many = map[string]struct{}{}
	}
	k.many[key] = struct{}{}
	return nil
}

// fold maps keys that differ in case only to one text, by Unicode's simple
// folding: what encoding/json would take for the same key is the same here.
func fold(key string) string { return strings.Map(foldRune, key) }

func foldRune(r rune) rune {
	switch {
	case r >= 'A' && r <= 'Z':
		return r - 'A' + 'a' // most keys are in lower case: nothing to copy
	case r < utf8.RuneSelf:
		return r
	}
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return unicode.ToLower(least)
}
