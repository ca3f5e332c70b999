package strictjson

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// fewKeys is the largest number of keys that are compared one by one.
const fewKeys = 16

// check reports whether data is one JSON value that [Value] accepts, without making the
// value.
func check(data []byte, opaque []string) error {
	c := checker{dec: jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true)), opaque: opaque} // object finds them
	if err := c.value(false); err != nil {
		return err
	}
	if _, err := c.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errMalformed
	}
	return nil
}

// checker reads values token by token, as reader does.
type checker struct {
	dec    *jsontext.Decoder
	opaque []string

	// names are the keys of the objects that are open, one after the other, as they are
	// compared; ends are where each of them ends.
	names []byte
	ends  []int
}

// value reads the next value; within reports whether it is below an opaque name.
func (c *checker) value(within bool) error {
	token, err := c.dec.ReadToken()
	if err != nil {
		return errMalformed
	}
	switch token.Kind() {
	case '{':
		return c.object(within)
	case '[':
		return c.list(within)
	}
	return nil
}

func (c *checker) object(within bool) error {
	first, begin := len(c.ends), len(c.names)
	var many map[string]bool // the keys, once there are more than a few
	for c.dec.PeekKind() != '}' {
		start := len(c.names)
		isOpaque, err := c.key(within)
		if err != nil {
			return err
		}
		name := c.names[start:]
		if many == nil && len(c.ends)-first > fewKeys {
			many = c.keysSince(first, begin)
		}
		if many[string(name)] || many == nil && c.isAmong(name, first, begin) {
			return errAmbiguous
		}
		if many != nil {
			many[string(name)] = true
		}
		c.ends = append(c.ends, len(c.names))
		if err := c.value(within || isOpaque); err != nil {
			return err
		}
	}
	c.names, c.ends = c.names[:begin], c.ends[:first]
	return c.end()
}

// key reads a key and appends it to names, in the form in which keys are compared.
func (c *checker) key(within bool) (isOpaque bool, err error) {
	quoted, err := c.dec.ReadValue()
	if err != nil {
		return false, errMalformed
	}
	start := len(c.names)
	if c.names, err = jsontext.AppendUnquote(c.names, quoted); err != nil {
		return false, errMalformed
	}
	name := c.names[start:]
	for _, one := range c.opaque {
		isOpaque = isOpaque || string(name) == one
	}
	if within {
		return isOpaque, nil
	}
	for i, b := range name {
		if b >= utf8.RuneSelf {
			c.names = append(c.names[:start], fold(string(name))...)
			break
		}
		if b >= 'A' && b <= 'Z' {
			name[i] = b - 'A' + 'a'
		}
	}
	return isOpaque, nil
}

// isAmong reports whether the name is among the keys from the first on. The first begins in
// names where begin says.
func (c *checker) isAmong(name []byte, first, begin int) bool {
	for _, end := range c.ends[first:] {
		if bytes.Equal(c.names[begin:end], name) {
			return true
		}
		begin = end
	}
	return false
}

// keysSince returns the keys from the first on.
func (c *checker) keysSince(first, begin int) map[string]bool {
	keys := map[string]bool{}
	for _, end := range c.ends[first:] {
		keys[string(c.names[begin:end])] = true
		begin = end
	}
	return keys
}

func (c *checker) list(within bool) error {
	for c.dec.PeekKind() != ']' {
		if err := c.value(within); err != nil {
			return err
		}
	}
	return c.end()
}

// end reads the end of an object or a list.
func (c *checker) end() error {
	if _, err := c.dec.ReadToken(); err != nil {
		return errMalformed
	}
	return nil
}
