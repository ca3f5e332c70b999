// Package strictjson decodes JSON that a trust decision rests on. It reads one
// value and nothing after it, matches keys exactly, and refuses what two readers
// could read differently: a key that occurs twice in an object, or twice but for
// its case, and text that is not UTF-8.
package strictjson

import (
	"bytes"
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
	if err := checkKeys(data, opaque); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v, jsontext.AllowDuplicateNames(true)); err != nil { // checkKeys found none
		return errMalformed
	}
	return nil
}

// object is one open object or array: the keys seen so far, folded, the first few
// in a list, because most objects have no more.
type object struct {
	few    []string
	many   map[string]struct{}
	opaque bool
}

const few = 16

// checkKeys walks data once. jsontext itself refuses bad UTF-8 and nesting without
// end.
func checkKeys(data []byte, opaque []string) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true)) // add finds them
	var open []object
	nextOpaque := false
	for {
		tok, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errMalformed
		}
		switch tok.Kind() {
		case '{', '[':
			within := len(open) > 0 && open[len(open)-1].opaque
			open = append(open, object{opaque: within || nextOpaque})
			nextOpaque = false
		case '}', ']':
			open = open[:len(open)-1]
		case '"':
			if !isKey(dec) {
				nextOpaque = false
				continue
			}
			key := tok.String()
			if err := open[len(open)-1].add(key); err != nil {
				return err
			}
			nextOpaque = slices.Contains(opaque, key)
		default:
			nextOpaque = false
		}
	}
}

// isKey reports whether the string that was just read is an object's key.
func isKey(dec *jsontext.Decoder) bool {
	kind, length := dec.StackIndex(dec.StackDepth())
	return kind == '{' && length%2 == 1
}

func (o *object) add(key string) error {
	if !o.opaque {
		key = fold(key)
	}
	if _, twice := o.many[key]; twice || slices.Contains(o.few, key) {
		return ErrAmbiguous
	}
	if len(o.few) < few {
		o.few = append(o.few, key)
		return nil
	}
	if o.many == nil {
		o.many = map[string]struct{}{}
	}
	o.many[key] = struct{}{}
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
