package hashfile

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/blake2b"

	"ferry/bulk/inputfile"
)

func pack(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "hashes")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// index opens a file that holds the text, and holds the directory for temporary files
// against what is left there.
func index(t *testing.T, text string) *Index {
	t.Helper()
	dir := t.TempDir()
	x, err := Open(t.Context(), write(t, text), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	empty(t, dir)
	return x
}

func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("left in the directory for temporary files: %v, %v", entries, err)
	}
}

// user is a line with as little as it may have.
func user(id, hash, more string) string {
	return fmt.Sprintf(`{"_id":{"$oid":%q},"passwordHash":%q%s}`, id, hash, more) + "\n"
}

func day(n int) string {
	return fmt.Sprintf(`,"password_set_date":{"$date":"2020-01-%02dT00:00:00.000Z"}`, n)
}

// found is what Find says, in words.
func found(t *testing.T, x *Index, subject string) string {
	t.Helper()
	hash, ok, err := x.Find(subject)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "none"
	}
	if hash.Subject != subject {
		t.Errorf("asked for %s, found %s", subject, hash.Subject)
	}
	text := hash.Hash.Reveal()
	if hash.Twice {
		text += " twice"
	}
	return text
}

// theirs is a line as Auth0's documentation shows it.
const theirs = `{"_id":{"$oid":"5dea9f9c82dd7c0e76e4ec93"},"email_verified":false,"email":"user@example.com","passwordHash":"$2b$10$abc","password_set_date":{"$date":"2019-12-06T18:36:12.412Z"},"tenant":"acme","connection":"Username-Password-Authentication","_tmp_is_unique":true,"identifiers":[{"type":"email","value":"user@example.com","verified":false}]}` + "\n"

func TestFind(t *testing.T) {
	imported := strings.Replace(theirs, "}\n", `,"alt_id":"euclid"}`+"\n", 1)
	text := theirs + strings.Replace(imported, "$abc", "$def", 1) + user("3", "last", "")
	half := len(text) / 2
	for name, text := range map[string]string{
		"plain": text, "no last end": strings.TrimSpace(text), "crlf, blanks": "\n \n" + strings.ReplaceAll(text, "\n", "\r\n\r\n"), "mark": "\ufeff" + text,
		"gzip": pack(t, text), "two members": pack(t, text[:half]) + pack(t, text[half:]), "mark, gzip": pack(t, "\ufeff"+text),
	} {
		t.Run(name, func(t *testing.T) {
			x := index(t, text)
			for subject, want := range map[string]string{
				"auth0|5dea9f9c82dd7c0e76e4ec93": "$2b$10$abc", "auth0|euclid": "$2b$10$def", "auth0|3": "last",
				"auth0|user@example.com": "none", "user@example.com": "none", "auth0|4": "none", "auth0|": "none", "": "none", "3": "none", "AUTH0|euclid": "none",
			} {
				if got := found(t, x, subject); got != want {
					t.Errorf("%q: %s, want %s", subject, got, want)
				}
			}
			hash, _, err := x.Find("auth0|5dea9f9c82dd7c0e76e4ec93")
			if err != nil || hash.Tenant != "acme" || hash.Connection != "Username-Password-Authentication" || !hash.SetAt.Equal(time.Date(2019, 12, 6, 18, 36, 12, 412e6, time.UTC)) {
				t.Errorf("found %+v, %v", hash, err)
			}
			if bad, first, _ := unreadable(x); x.Len() != 3 || bad != 0 || first != 0 || !slices.Equal(x.Tenants(), []string{"acme"}) {
				t.Errorf("%d lines, %d bad (first %d), tenants %v", x.Len(), bad, first, x.Tenants())
			}
			sum := blake2b.Sum256([]byte(text))
			if x.Digest() != hex.EncodeToString(sum[:]) {
				t.Error("the digest is not that of the file")
			}
		})
	}
}

func TestSeveralLinesOfOneUser(t *testing.T) {
	other := user("2", "other", day(9))
	for name, c := range map[string]struct{ text, want string }{
		"newest last":           {user("1", "a", day(1)) + other + user("1", "b", day(2)), "b"},
		"newest first":          {user("1", "a", day(3)) + user("1", "b", day(2)) + other, "a"},
		"newest between":        {user("1", "a", day(1)) + user("1", "b", day(3)) + user("1", "c", day(2)), "b"},
		"two of one day":        {user("1", "a", day(1)) + user("1", "b", day(1)), "a twice"},
		"the same line":         {user("1", "a", day(1)) + user("1", "a", day(1)), "a"},
		"two newest":            {user("1", "a", day(1)) + user("1", "b", day(2)) + user("1", "c", day(2)), "b twice"},
		"two, then a newer":     {user("1", "a", day(1)) + user("1", "b", day(1)) + user("1", "c", day(2)), "c"},
		"a date unknown, newer": {user("1", "a", day(1)) + user("1", "b", `,"password_set_date":"01/02/2024"`), "a twice"},
		"a date unknown, first": {user("1", "b", `,"password_set_date":"01/02/2024"`) + user("1", "a", day(1)), "a twice"},
		"a date unknown, alone": {user("1", "b", `,"password_set_date":"01/02/2024"`), " twice"},
		"no dates":              {user("1", "a", "") + user("1", "b", ""), "a twice"},
		"a date against none":   {user("1", "a", "") + user("1", "b", day(1)), "b"},
		"none against a date":   {user("1", "a", day(1)) + user("1", "b", ""), "a"},
		"by alt_id and by _id":  {user("1", "a", day(1)) + user("9", "b", `,"alt_id":"1"`+day(2)), "b"},
		"old, before all times": {user("1", "a", `,"password_set_date":"1901-01-01T00:00:00Z"`) + user("1", "b", ""), "a"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := found(t, index(t, c.text), "auth0|1"); got != c.want {
				t.Errorf("found %s, want %s", got, c.want)
			}
		})
	}
}

// TestSameMark: users whose marks do not differ are still told apart.
func TestSameMark(t *testing.T) {
	text := user("1", "a", "") + user("2", "b", "") + user("1", "c", day(1)) + user("3", "d", "")
	x, err := open(t.Context(), write(t, text), "", func(string) uint64 { return 7 << 40 })
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	for subject, want := range map[string]string{"auth0|1": "c", "auth0|2": "b", "auth0|3": "d", "auth0|4": "none"} {
		if got := found(t, x, subject); got != want {
			t.Errorf("%s: %s, want %s", subject, got, want)
		}
	}
}

func TestManyLines(t *testing.T) {
	const users = chunkSize + 17
	var text strings.Builder
	for i := range users {
		text.WriteString(user(fmt.Sprint(i), fmt.Sprint("hash ", i), ""))
	}
	x := index(t, text.String())
	var group sync.WaitGroup
	for part := range 4 {
		group.Go(func() {
			for i := part; i < users; i += 61 {
				hash, ok, err := x.Find(fmt.Sprint("auth0|", i))
				if err != nil || !ok || hash.Twice || hash.Hash.Reveal() != fmt.Sprint("hash ", i) {
					t.Errorf("%d: %v, %v", i, ok, err)
				}
			}
		})
	}
	group.Wait()
	if got := found(t, x, fmt.Sprint("auth0|", users)); got != "none" || x.Len() != users {
		t.Errorf("%s of %d", got, x.Len())
	}
}

// unreadable returns how many entries are not hashes, the first, and why it is none.
func unreadable(x *Index) (count, first int, why error) {
	for i, u := range x.Unreadable() {
		if count += u.Count; i == 0 {
			first, why = u.First, u.Why
		}
	}
	return count, first, why
}

func TestUnreadable(t *testing.T) {
	huge := user("7", strings.Repeat("x", maxLine), "")
	fits := user("8", strings.Repeat("x", maxLine-100), "")
	text := user("1", "a", `,"tenant":"b"`) + "\nhello\n" + huge + user("2", "", "") + huge[:inputfile.BufferSize] + "\n" + fits + user("3", "c", `,"tenant":"a"`) + huge[:len(huge)-2]
	x := index(t, text)
	if bad, first, _ := unreadable(x); bad != 5 || first != 3 || x.Len() != 3 {
		t.Errorf("%d unreadable, the first is line %d; %d readable", bad, first, x.Len())
	}
	if got, want := fmt.Sprint(x.Unreadable()), fmt.Sprint([]Unreadable{{errJSON, 2, 3}, {inputfile.ErrTooLong, 2, 4}, {errNoHash, 1, 5}}); got != want {
		t.Errorf("by reason %s, not %s", got, want)
	}
	if found(t, x, "auth0|1") != "a" || found(t, x, "auth0|3") != "c" || len(found(t, x, "auth0|8")) != maxLine-100 || found(t, x, "auth0|7") != "none" {
		t.Error("the others are not found")
	}
	if !slices.Equal(x.Tenants(), []string{"a", "b"}) {
		t.Errorf("tenants %v", x.Tenants())
	}
}

func TestTenantsAreBounded(t *testing.T) {
	var text strings.Builder
	for i := range 40 {
		text.WriteString(user(fmt.Sprint(i), "a", fmt.Sprintf(`,"tenant":"t%02d"`, 39-i)))
	}
	if got := index(t, text.String()).Tenants(); len(got) != 16 || !slices.IsSorted(got) {
		t.Errorf("tenants %v", got)
	}
}

func TestFatal(t *testing.T) {
	var text strings.Builder
	for i := range 2000 {
		text.WriteString(user(fmt.Sprint(i*7919), fmt.Sprint("canary", i*i), ""))
	}
	packed := pack(t, text.String())
	wrongSum := []byte(packed)
	wrongSum[len(wrongSum)-8] ^= 1
	damaged := []byte(packed)
	for i := range 64 {
		damaged[len(damaged)/2+i] = 0xff
	}
	for name, c := range map[string]struct{ text, want string }{
		"gzip cut":         {packed[:len(packed)-3], "the gzip file ends too early at line 2001: copy the whole file again"},
		"gzip cut at once": {packed[:5], "the gzip file ends too early at line 1: copy the whole file again"},
		"gzip, wrong sum":  {string(wrongSum), "the gzip file is damaged at line 2001: copy it again, and check it with gzip -t"},
		"gzip, damaged":    {string(damaged), "the gzip file is damaged at line"},
		"gzip and more":    {packed + "more and more", "the gzip file has other data after its end at line 2001: copy it again, and check it with gzip -t"},
		"encrypted":        {"\x85\x02\x0c\x03", "the file is not text at line 1: Auth0 delivers it encrypted: decrypt it with gpg first"},
		"array cut":        {"[" + strings.TrimSuffix(user("1", "canary", ""), "\n") + ",", "the array or an object is not closed at entry 2: copy the whole file again"},
		"array, syntax":    {"[" + user("1", "canary", "") + "canary]", "the array or an object is not JSON at entry 2: decrypt and copy the file again"},
		"object cut":       {"{\n\"_id\":\"canary\",\n", "the array or an object is not closed at entry 1: copy the whole file again"},
		"zip":              {"PK\x03\x04", "the zip archive is damaged or not whole: copy the whole file again"},
		"utf-16":           {"\xff\xfe{\x00", "the file is UTF-16 at line 1: save it as UTF-8"},
		"gzip in gzip":     {pack(t, packed), "the file is a gzip file at line 1: unpack it first"},
		"encrypted, text":  {"-----BEGIN PGP MESSAGE-----\n\ncanary", "the file is not text at line 1: Auth0 delivers it encrypted: decrypt it with gpg first"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := Open(t.Context(), write(t, c.text), dir)
			if err == nil || !strings.HasPrefix(err.Error(), "read hash file: "+c.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("err = %v", err)
			}
			empty(t, dir)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, text := range []string{text.String(), packed} {
		if _, err := Open(ctx, write(t, text), t.TempDir()); !errors.Is(err, context.Canceled) {
			t.Errorf("err = %v", err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(t.Context(), dir+"/none", dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Open(t.Context(), dir, dir); err == nil || !strings.Contains(err.Error(), "it is a directory") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Open(t.Context(), write(t, pack(t, theirs)), dir+"/none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

func TestNothing(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "blank": "\n\n", "mark": "\ufeff", "gzip": pack(t, "")} {
		t.Run(name, func(t *testing.T) {
			x := index(t, text)
			if bad, _, _ := unreadable(x); x.Len() != 0 || bad != 0 || len(x.Tenants()) != 0 || found(t, x, "auth0|1") != "none" {
				t.Errorf("%d lines, %d bad", x.Len(), bad)
			}
		})
	}
}

func TestPipe(t *testing.T) {
	for name, text := range map[string]string{"plain": theirs, "gzip": pack(t, theirs)} {
		t.Run(name, func(t *testing.T) {
			out, in, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			if _, err := in.WriteString(text); err != nil {
				t.Fatal(err)
			}
			in.Close()
			dir := t.TempDir()
			x, err := Open(t.Context(), fmt.Sprintf("/dev/fd/%d", out.Fd()), dir)
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			empty(t, dir)
			if got := found(t, x, "auth0|5dea9f9c82dd7c0e76e4ec93"); got != "$2b$10$abc" {
				t.Errorf("found %s", got)
			}
		})
	}
}

func TestCopyIsItsOwnersAlone(t *testing.T) {
	x := index(t, pack(t, theirs))
	info, err := x.file.(*os.File).Stat()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestFileChanges: a hash is never taken from a line that was not there when the file
// was opened.
func TestFileChanges(t *testing.T) {
	name := write(t, user("1", "a", "")+user("2", "b", ""))
	x, err := Open(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	for _, text := range []string{
		user("3", "a", "") + user("2", "b", ""), "hello" + user("1", "a", "") + user("2", "b", ""), user("1", "a", "")[:20], "", strings.Repeat("x", 200),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := x.Find("auth0|1"); ok || !errors.Is(err, errChanged) {
			t.Errorf("%.10s…: %v, %v", text, ok, err)
		}
	}
	x.Close()
	if _, ok, err := x.Find("auth0|1"); ok || !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v, %v", ok, err)
	}
}

// TestTable: CSV is read as the objects that its rows stand for, and a row that is none has
// its reason.
func TestTable(t *testing.T) {
	const header = "_id;passwordHash;password_set_date;tenant\n"
	for name, text := range map[string]string{
		"semicolons": header + "5d;$2b$10$abc;2019-12-06T18:36:12.412Z;acme\n6d;;;\n7d;h\n",
		"commas":     strings.ReplaceAll(header, ";", ",") + "\"auth0|5d\",$2b$10$abc,2019-12-06 18:36:12.412,acme\r\n6d,,,\r\n7d,h\r\n",
		"quotes":     strings.ReplaceAll(header, ";", ",") + "5d,$2b$10$abc,1575657372412,acme\n\"6d,\n7d,h\n",
		"tabs, mark": "\ufeff" + strings.ReplaceAll(header, ";", "\t") + "5d\t$2b$10$abc\t1575657372412\tacme\n6d\t\t\t\n7d\th",
	} {
		for packing, text := range map[string]string{"plain": text, "gzip": pack(t, text)} {
			t.Run(name+"/"+packing, func(t *testing.T) {
				x := index(t, text)
				hash, ok, err := x.Find("auth0|5d")
				if err != nil || !ok || hash.Hash.Reveal() != "$2b$10$abc" || hash.Tenant != "acme" || !hash.SetAt.Equal(time.Date(2019, 12, 6, 18, 36, 12, 412e6, time.UTC)) {
					t.Errorf("found %+v, %t, %v", hash, ok, err)
				}
				bad, first, why := unreadable(x)
				if x.Len() != 1 || bad != 2 || first != 3 || why == nil {
					t.Errorf("%d found, %d bad, the first %d: %v", x.Len(), bad, first, why)
				}
			})
		}
	}
}
