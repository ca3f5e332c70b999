package userfile

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"ferry/bulk/inputfile"
)

// encoding finds out whether a file is in another encoding than UTF-8: it has more bytes that
// are not UTF-8 than characters of UTF-8 beyond ASCII. Two characters of another encoding can
// be one of UTF-8 by chance.
type encoding struct {
	bad    int // bytes that are not UTF-8
	first  int // line of the first one
	beyond int // characters beyond ASCII
}

func (e *encoding) note(line int, raw []byte) {
	if utf8.RuneCount(raw) == len(raw) && utf8.Valid(raw) {
		return // ASCII
	}
	for text := raw; len(text) > 0; {
		char, size := utf8.DecodeRune(text)
		text = text[size:]
		switch {
		case char == utf8.RuneError && size == 1:
			if e.bad == 0 {
				e.first = line
			}
			e.bad++
		case char >= utf8.RuneSelf:
			e.beyond++
		}
	}
}

func (e *encoding) fault() error {
	if e.bad <= e.beyond {
		return nil
	}
	return inputfile.NewFault(fmt.Sprintf("the file is not UTF-8 at row %d, and probably Windows-1252 or Latin-1", e.first),
		"convert it: iconv -f WINDOWS-1252 -t UTF-8 FILE >CONVERTED")
}

// newDecoder accepts duplicate names and invalid UTF-8, which make a row invalid later.
func newDecoder(text []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}
