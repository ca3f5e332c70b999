package hashfile

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"
)

// A hash file may be alone in a zip archive; every other archive is refused with what to do.
func TestZip(t *testing.T) {
	t.Parallel()
	one := user("1", "a", "")
	for name, c := range map[string]struct{ file, says string }{
		"deflated":        {zipped(t, zip.Deflate, "hashes.json", one), ""},
		"stored, CSV":     {zipped(t, zip.Store, "hashes.csv", "user_id,hash\nauth0|1,a\n"), ""},
		"gzip within":     {zipped(t, zip.Store, "hashes.json.gz", pack(t, one)), ""},
		"notes of macOS":  {zipped(t, zip.Deflate, "hashes.json", one, "__MACOSX/._hashes.json", "x"), ""},
		"two files":       {zipped(t, zip.Deflate, "a.json", one, "b.json", one), "the zip archive has 2 files: unpack it, and give one of them"},
		"no file":         {zipped(t, zip.Deflate, "dir/", ""), "the zip archive has 0 files"},
		"office document": {zipped(t, zip.Deflate, "[Content_Types].xml", "x", "a.xml", "y"), "the file is a spreadsheet or an office document: save it as CSV"},
		"encrypted":       {encrypted(zipped(t, zip.Store, "hashes.json", one)), "the zip archive is encrypted or packed in an unusual way: unpack it first"},
		"truncated":       {zipped(t, zip.Store, "hashes.json", one)[:60], "the zip archive is damaged or not whole: copy the whole file again"},
		"other bytes":     {strings.Replace(zipped(t, zip.Store, "hashes.json", one), "passwordHash", "passwordHush", 1), "the zip archive is damaged or not whole"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, err := Open(t.Context(), write(t, c.file), t.TempDir())
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			if found(t, x, "auth0|1") != "a" {
				t.Error("the hash is not found")
			}
		})
	}
}

// zipped returns an archive of files: name, text, name, text.
func zipped(t *testing.T, method uint16, files ...string) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		file, err := w.CreateHeader(&zip.FileHeader{Name: files[i], Method: method})
		if err == nil && files[i+1] != "" {
			_, err = file.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// encrypted sets the flag of encryption in the directory of an archive.
func encrypted(archive string) string {
	const flags = 8 // the offset in an entry of the directory
	file := []byte(archive)
	file[bytes.Index(file, []byte("PK\x01\x02"))+flags] |= 1
	return string(file)
}
