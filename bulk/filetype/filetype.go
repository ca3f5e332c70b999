// Package filetype recognises files that are not text by their first bytes: archives,
// compressed files, office documents, UTF-16, HTML. It does not check text.
package filetype

import (
	"bytes"
	"strings"
)

// Peek is how many bytes of a file Foreign needs. Fewer are enough except for tar.
const Peek = tarAt + len(tarMagic)

// A tar archive has its magic after the name and mode of its first file.
const (
	tarMagic = "ustar"
	tarAt    = 257
)

// magic describes the files that begin with start.
type magic struct{ start, what, advice string }

// magics are the types that operators are likely to give.
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

// Foreign returns the type of a file that is not text, and what to do with it. ok is false
// if the file may be text. Gzip is not text either: callers decompress it first.
func Foreign(start []byte) (what, advice string, ok bool) {
	for _, m := range magics() {
		if bytes.HasPrefix(start, []byte(m.start)) {
			return m.what, m.advice, true
		}
	}
	if len(start) >= Peek && string(start[tarAt:Peek]) == tarMagic {
		return "a tar archive", "unpack it first", true
	}
	if len(start) > 1 && (start[0] == 0 || start[1] == 0) {
		return "UTF-16 or UTF-32 without a byte order mark", "save it as UTF-8", true
	}
	text := strings.TrimLeft(strings.TrimPrefix(string(start), "\ufeff"), " \t\r\n")
	if strings.HasPrefix(text, "<") {
		return "HTML or XML", "open it: it may be an error page, for example of an expired link", true
	}
	return "", "", false
}
