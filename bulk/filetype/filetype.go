// Package filetype recognises files that a reader of text cannot read, by their first
// bytes: archives, compressed files other than gzip, office documents, UTF-16, HTML.
package filetype

import (
	"bytes"
	"strings"
)

// Peek is how many bytes of a file Foreign looks at. Fewer are enough for all but tar.
const Peek = tarAt + len(tarMagic)

// A tar archive has its mark behind the name and mode of its first file.
const (
	tarMagic = "ustar"
	tarAt    = 257
)

// magic is what files of one type begin with.
type magic struct{ start, what, advice string }

// magics are the types that operators have handed in, or are likely to.
func magics() []magic {
	const unpack = "unpack it first"
	return []magic{
		{"PK\x03\x04", "a zip archive", "unpack it first; if it is a spreadsheet, save it as CSV"},
		{"PK\x05\x06", "an empty zip archive", "export the file again"},
		{"PK\x07\x08", "a zip archive", unpack},
		{"\x1f\x8b", "a gzip file", unpack},
		{"\xfd7zXZ\x00", "an xz file", unpack},
		{"\x28\xb5\x2f\xfd", "a zstd file", unpack},
		{"BZh", "a bzip2 file", unpack},
		{"7z\xbc\xaf\x27\x1c", "a 7z archive", unpack},
		{"Rar!\x1a\x07", "a rar archive", unpack},
		{"\x04\x22\x4d\x18", "an lz4 file", unpack},
		{"LZIP", "an lzip file", unpack},
		{"\x1f\x9d", "a compress (.Z) file", unpack},
		{"\xd0\xcf\x11\xe0", "an office document", "save it as CSV"},
		{"SQLite format 3\x00", "an SQLite database", "export its rows as NDJSON or CSV"},
		{"PAR1", "a Parquet file", "export it as NDJSON or CSV"},
		{"\xff\xfe", "UTF-16", "save it as UTF-8"},
		{"\xfe\xff", "UTF-16", "save it as UTF-8"},
		{"-----BEGIN PGP", "encrypted", "decrypt it with gpg first"},
	}
}

// Foreign says what a file is that begins so, and what to do with it; ok is false for
// anything that may be text. Gzip is foreign as well: callers unpack it before they ask.
func Foreign(start []byte) (what, advice string, ok bool) {
	for _, m := range magics() {
		if bytes.HasPrefix(start, []byte(m.start)) {
			return m.what, m.advice, true
		}
	}
	if len(start) >= Peek && string(start[tarAt:Peek]) == tarMagic {
		return "a tar archive", "unpack it first", true
	}
	text := strings.TrimLeft(strings.TrimPrefix(string(start), "\ufeff"), " \t\r\n")
	if strings.HasPrefix(text, "<") {
		return "HTML or XML", "look into it: it may be an error page, of an expired link for instance", true
	}
	return "", "", false
}
