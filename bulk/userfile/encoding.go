package userfile

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"ferry/bulk/inputfile"
)

// encoding finds out whether a file is in another encoding than UTF-8: then some rows are
// not UTF-8, and none has a character of UTF-8 beyond ASCII.
type encoding struct {
	bad    int // rows that are not UTF-8
	first  int // line of the first one
	beyond bool
}

func (e *encoding) note(line int, raw []byte) {
	if !utf8.Valid(raw) {
		if e.bad == 0 {
			e.first = line
		}
		e.bad++
	}
	for text := raw; !e.beyond && len(text) > 0; {
		if text[0] < utf8.RuneSelf {
			text = text[1:]
			continue
		}
		char, size := utf8.DecodeRune(text)
		e.beyond = char != utf8.RuneError
		text = text[size:]
	}
}

func (e *encoding) fault() error {
	if e.bad == 0 || e.beyond {
		return nil
	}
	return inputfile.NewFault(fmt.Sprintf("the file is not UTF-8 at row %d, and probably Windows-1252 or Latin-1", e.first),
		"convert it: iconv -f WINDOWS-1252 -t UTF-8 FILE >CONVERTED")
}

// newDecoder accepts duplicate names and invalid UTF-8, which make a row invalid later.
func newDecoder(text []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}
