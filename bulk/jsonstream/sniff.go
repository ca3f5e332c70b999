package jsonstream

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Shape is how the objects are arranged in a file.
type Shape int

// The shapes.
const (
	// Lines is one object per line, and every file that has no other shape.
	Lines Shape = iota
	// Array is one or more arrays of objects.
	Array
	// Objects is objects in a row that are not one per line.
	Objects
	// Pages is one or more answers of the Management API to a list of users with totals,
	// also in an array: objects with the users in a list named "users".
	Pages
)

// mostSniffed is how many bytes Sniff reads at most.
const mostSniffed = 64 << 20

// Sniff tells the shape of a file from its first object. The error is a read error: a file
// that is not JSON, or is cut off, also has a shape.
func Sniff(in io.Reader) (Shape, error) {
	marked := &lineMark{in: io.LimitReader(in, mostSniffed), newline: -1}
	s := sniffer{dec: newDecoder(marked), mark: marked}
	shape := s.shape()
	return shape, marked.failed
}

type sniffer struct {
	dec  *jsontext.Decoder
	mark *lineMark
}

func (s sniffer) shape() Shape {
	switch s.dec.PeekKind() {
	case '[':
		if _, err := s.dec.ReadToken(); err == nil && s.dec.PeekKind() == '{' {
			if page, err := s.object(); page && err == nil {
				return Pages
			}
		}
		return Array
	case '{':
		page, err := s.object()
		switch {
		case err != nil && s.mark.onlyBrace():
			return Objects // no line of an NDJSON file is only a bracket
		case err != nil:
			return Lines
		case page:
			return Pages
		case s.mark.between(0, s.dec.InputOffset()), s.another():
			return Objects
		}
	}
	return Lines
}

// object skips the next object. It returns early if the object is a page.
func (s sniffer) object() (page bool, err error) {
	if _, err := s.dec.ReadToken(); err != nil {
		return false, err
	}
	user, empty := false, false
	for s.dec.PeekKind() == '"' {
		name, err := s.dec.ReadToken()
		if err != nil {
			return false, err
		}
		switch text := name.String(); {
		case text == usersKey && s.dec.PeekKind() == '[' && !user:
			if page, empty, err = s.list(); page || err != nil {
				return page, err
			}
			continue
		case text == "user_id":
			user = true
		}
		if err := s.dec.SkipValue(); err != nil {
			return false, err
		}
	}
	_, err = s.dec.ReadToken()
	return empty && !user, err
}

// list reports whether the next list has an object. If not, it skips the list.
func (s sniffer) list() (objects, empty bool, err error) {
	if _, err := s.dec.ReadToken(); err != nil {
		return false, false, err
	}
	for empty = true; ; empty = false {
		switch s.dec.PeekKind() {
		case '{':
			return true, false, nil
		case ']':
			_, err := s.dec.ReadToken()
			return false, empty, err
		}
		if err := s.dec.SkipValue(); err != nil {
			return false, false, err
		}
	}
}

// another reports whether a second object begins on the line on which the first ends.
func (s sniffer) another() bool {
	end := s.dec.InputOffset()
	if s.dec.PeekKind() != '{' {
		return false
	}
	_, err := s.dec.ReadToken()
	return err == nil && !s.mark.between(end, s.dec.InputOffset())
}

// lineMark records where the first line that is not blank ends.
type lineMark struct {
	in      io.Reader
	read    int64
	begun   bool
	line    []byte // its first bytes that are not blank
	newline int64  // -1: not read yet
	failed  error  // a read error other than io.EOF
}

func (m *lineMark) Read(p []byte) (int, error) {
	n, err := m.in.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		m.failed = err
	}
	if m.newline < 0 {
		m.look(p[:n])
	}
	m.read += int64(n)
	return n, err
}

func (m *lineMark) look(text []byte) {
	at := m.read
	if !m.begun {
		rest := bytes.TrimLeft(text, blanks)
		at += int64(len(text) - len(rest))
		text, m.begun = rest, len(rest) > 0
	}
	line, _, found := bytes.Cut(text, []byte("\n"))
	for i := 0; i < len(line) && len(m.line) < mostOfLine; i++ {
		if strings.IndexByte(blanks, line[i]) < 0 {
			m.line = append(m.line, line[i])
		}
	}
	if found {
		m.newline = at + int64(len(line))
	}
}

// mostOfLine is how many bytes of the first line are kept, enough to know that it is more
// than a bracket.
const mostOfLine = 2

// between reports whether the first line ends between two offsets.
func (m *lineMark) between(start, end int64) bool {
	return m.newline >= start && m.newline < end
}

// onlyBrace reports whether the first line is only a bracket.
func (m *lineMark) onlyBrace() bool { return string(m.line) == "{" }
