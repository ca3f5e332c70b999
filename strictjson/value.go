package strictjson

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Value decodes the one JSON value in data, whatever it is: objects become
// map[string]any, lists []any, and numbers json.Number, digit for digit. It accepts
// what [Unmarshal] accepts and has the same errors, in a fraction of the time.
func Value(data []byte, opaque ...string) (any, error) {
	if !jsontext.Value(data).IsValid(jsontext.AllowDuplicateNames(true)) { // object finds them
		if err := checkKeys(data, opaque); err != nil {
			return nil, err
		}
		return nil, errMalformed
	}
	r, ok := readers.Get().(*reader)
	if !ok {
		r = new(reader)
	}
	defer r.release()
	r.text, r.opaque = data, opaque
	value := r.value(false)
	if r.ambiguous {
		return nil, ErrAmbiguous
	}
	return value, nil
}

//nolint:gochecknoglobals // memory to use again, and names of keys; see release
var readers sync.Pool // of *reader

// reader walks a text that is known to be one JSON value, so it looks for no fault
// of grammar again.
type reader struct {
	text      []byte
	at        int
	opaque    []string
	members   []member // of all open objects, those of the innermost one last
	ambiguous bool
	// names are keys that were met before, by a hash. Most texts have the same ones.
	names [256]string
}

// release keeps nothing of the text but names of a protocol's keys: what is below an
// opaque name is never among them.
func (r *reader) release() {
	if cap(r.members) > maxKept {
		r.members = nil
	}
	r.text, r.opaque, r.at, r.ambiguous = nil, nil, 0, false
	readers.Put(r)
}

const (
	maxKept = 1 << 10 // members
	maxName = 32      // bytes
)

type member struct {
	key   string
	value any
}

// value reads the next value. within says that it lies below an opaque name.
func (r *reader) value(within bool) any {
	switch r.next() {
	case '{':
		return r.object(within)
	case '[':
		return r.list(within)
	case '"':
		return string(r.quoted())
	case 't':
		r.at += len("true")
		return true
	case 'f':
		r.at += len("false")
		return false
	case 'n':
		r.at += len("null")
		return nil
	default:
		return r.number()
	}
}

// next passes blanks, and with them commas and colons: the text is valid, so they
// stand where they should.
func (r *reader) next() byte {
	for {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			r.at++
		default:
			return c
		}
	}
}

// object makes the map once its members are counted.
func (r *reader) object(within bool) map[string]any {
	first, lower := len(r.members), true
	for r.at++; r.next() != '}'; {
		key, isLower := r.key(within)
		lower = lower && isLower
		value := r.value(within || slices.Contains(r.opaque, key))
		r.members = append(r.members, member{key, value})
	}
	r.at++
	own := r.members[first:]
	object := make(map[string]any, len(own))
	for i := range own {
		object[own[i].key] = own[i].value
	}
	r.ambiguous = r.ambiguous || len(object) < len(own) || !within && !lower && sameButForCase(own)
	clear(own) // the room serves the next text as well
	r.members = r.members[:first]
	return object
}

// list makes the slice once its elements are counted.
func (r *reader) list(within bool) []any {
	first := len(r.members)
	for r.at++; r.next() != ']'; {
		value := r.value(within)
		r.members = append(r.members, member{value: value})
	}
	r.at++
	own := r.members[first:]
	list := make([]any, len(own))
	for i := range own {
		list[i] = own[i].value
	}
	clear(own)
	r.members = r.members[:first]
	return list
}

// key reads a string that is a key, and reports whether fold is sure to leave it as it
// is.
func (r *reader) key(within bool) (key string, lower bool) {
	start, hash := r.at+1, uint8(0)
	lower = true
	end := start
	for ; r.text[end] != '"'; end++ {
		c := r.text[end]
		if c == '\\' {
			return string(r.quoted()), false
		}
		lower = lower && c < utf8.RuneSelf && (c < 'A' || c > 'Z')
		hash = hash*31 + c
	}
	r.at = end + 1
	name := r.text[start:end]
	if within || len(name) > maxName {
		return string(name), lower
	}
	if r.names[hash] != string(name) {
		r.names[hash] = string(name)
	}
	return r.names[hash], lower
}

// sameButForCase reports whether two keys are. Few objects have many.
func sameButForCase(members []member) bool {
	if len(members) > few {
		var o object
		return slices.ContainsFunc(members, func(m member) bool { return o.add(m.key) != nil })
	}
	for i, m := range members {
		for _, other := range members[:i] {
			if sameFolded(m.key, other.key) {
				return true
			}
		}
	}
	return false
}

// sameFolded reports whether fold makes the same of both.
func sameFolded(a, b string) bool {
	for a != "" && b != "" {
		r, n := utf8.DecodeRuneInString(a)
		s, m := utf8.DecodeRuneInString(b)
		if r != s && foldRune(r) != foldRune(s) {
			return false
		}
		a, b = a[n:], b[m:]
	}
	return a == b
}

func (r *reader) number() json.Number {
	start := r.at
	for r.at < len(r.text) && isOfNumber(r.text[r.at]) {
		r.at++
	}
	return json.Number(r.text[start:r.at])
}

func isOfNumber(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

// quoted reads a string. What it returns may be a part of the text.
func (r *reader) quoted() []byte {
	start := r.at
	length := bytes.IndexByte(r.text[start+1:], '"')
	if plain := r.text[start+1 : start+1+length]; bytes.IndexByte(plain, '\\') < 0 {
		r.at = start + length + 2
		return plain
	}
	for r.at++; r.text[r.at] != '"'; r.at++ {
		if r.text[r.at] == '\\' {
			r.at++ // whatever is escaped does not end the string
		}
	}
	r.at++
	text, _ := jsontext.AppendUnquote(nil, r.text[start:r.at]) // it is valid, see Value
	return text
}
