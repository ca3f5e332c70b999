package filetype_test

import (
	"strings"
	"testing"

	"ferry/bulk/filetype"
)

func TestForeign(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ start, what string }{
		"nothing":       {"", ""},
		"NDJSON":        {`{"user_id":"auth0|1"}`, ""},
		"an array":      {`[{"user_id":"auth0|1"}]`, ""},
		"CSV":           {"user_id,email\n", ""},
		"a mark":        {"\ufeffuser_id,email\n", ""},
		"long text":     {strings.Repeat("user_id,", 100), ""},
		"zip":           {"PK\x03\x04\x14\x00", "a zip archive"},
		"empty zip":     {"PK\x05\x06" + strings.Repeat("\x00", 18), "an empty zip archive"},
		"gzip":          {"\x1f\x8b\x08", "a gzip file"},
		"xz":            {"\xfd7zXZ\x00\x00", "an xz file"},
		"zstd":          {"\x28\xb5\x2f\xfd\x24", "a zstd file"},
		"bzip2":         {"BZh91AY&SY", "a bzip2 file"},
		"7z":            {"7z\xbc\xaf\x27\x1c\x00\x04", "a 7z archive"},
		"tar":           {"users.json" + strings.Repeat("\x00", 247) + "ustar\x00", "a tar archive"},
		"xls":           {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an office document"},
		"UTF-16":        {"\xff\xfe{\x00", "UTF-16"},
		"pgp":           {"-----BEGIN PGP MESSAGE-----", "encrypted"},
		"a web page":    {"\n<!DOCTYPE html>", "HTML or XML"},
		"an S3 refusal": {"\ufeff<?xml version=\"1.0\"?><Error>", "HTML or XML"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			what, advice, ok := filetype.Foreign([]byte(c.start))
			if what != c.what || ok != (c.what != "") || ok != (advice != "") {
				t.Errorf("%q, %q, %v; want %q", what, advice, ok, c.what)
			}
		})
	}
}
