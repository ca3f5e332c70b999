// Package strictjson decodes JSON that a trust decision depends on. It accepts exactly one
// value, matches keys exactly, and refuses text that two decoders could read differently:
// an object with a key that occurs twice, exactly or except for its case, and text that is
// not UTF-8. It does not check which keys are present.
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

// errAmbiguous is the error of an object with a key that occurs twice, exactly or except
// for its case.
var errAmbiguous = errors.New("a key occurs twice, exactly or except for its case")

// errMalformed replaces every other error: the decoder's own errors quote the text, which
// may be a secret.
var errMalformed = errors.New("not the JSON expected")

// Unmarshal decodes the one JSON value in data into v. Unknown keys are ignored.
// Errors never contain any part of data.
//
// Below a key with one of the opaque names, keys may differ in case only: objects there
// are user data, such as Auth0's user_metadata, and not part of a protocol.
func Unmarshal(data []byte, v any, opaque ...string) error {
	if err := check(data, opaque); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v, jsontext.AllowDuplicateNames(true)); err != nil { // check found none
		return errMalformed
	}
	return nil
}

// Value decodes the one JSON value in data. Objects become map[string]any, lists []any,
// and numbers [encoding/json.Number], digit for digit. It accepts the same texts as
// [Unmarshal] and has the same errors.
func Value(data []byte, opaque ...string) (any, error) {
	r := reader{dec: jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true)), opaque: opaque} // object finds them
	value, err := r.value(false)
	if err != nil {
		return nil, err
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errMalformed
	}
	return value, nil
}

// reader reads values token by token. The decoder refuses text that is not UTF-8 and limits
// the depth of nesting.
type reader struct {
	dec    *jsontext.Decoder
	opaque []string
}

// value reads the next value; within reports whether it is below an opaque name.
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
	seen, out := map[string]bool{}, map[string]any{}
	for r.dec.PeekKind() != '}' {
		token, err := r.dec.ReadToken()
		if err != nil {
			return nil, errMalformed
		}
		key := token.String()
		same := key
		if !within {
			same = fold(key)
		}
		if seen[same] {
			return nil, errAmbiguous
		}
		seen[same] = true
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

// NotNull is true if there was a value other than null. With the option case:ignore a name has
// several spellings, such as error and er_ror: one of them that is null does not hide another.
type NotNull bool

// UnmarshalJSON notes a value that is not null.
func (n *NotNull) UnmarshalJSON(text []byte) error {
	if string(text) != "null" {
		*n = true
	}
	return nil
}

// fold maps keys that differ in case only to one text, by Unicode's simple case folding:
// keys that encoding/json would treat as equal are equal here.
func fold(key string) string { return strings.Map(foldRune, key) }

func foldRune(r rune) rune {
	switch {
	case r >= 'A' && r <= 'Z':
		return r - 'A' + 'a' // most keys are in lower case: no copy
	case r < utf8.RuneSelf:
		return r
	}
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return unicode.ToLower(least)
}
