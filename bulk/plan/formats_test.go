package plan_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/unicode"

	"ferry/bulk/plan"
	"ferry/bulk/supplement"
	"ferry/bulk/userfile"
	"ferry/mapping"
	"ferry/test/auth0sim/gen"
	"ferry/test/bulktest"
)

// TestFormats: the same 2,000 users become the same identities, in whatever format the file
// is.
func TestFormats(t *testing.T) {
	t.Parallel()
	const users = 2000
	dir := t.TempDir()
	if _, err := gen.Write(t.Context(), gen.Options{Users: users, Seed: 7, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	schema, err := mapping.ParseSchema(read(t, filepath.Join(dir, gen.SchemaFile)))
	if err != nil {
		t.Fatal(err)
	}
	rows := readable(read(t, filepath.Join(dir, gen.UsersFile)))
	lines := strings.Join(rows, "\n") + "\n"
	want := identities(t, schema, lines)
	if len(want) < users*2/3 {
		t.Fatalf("%d of %d users become identities", len(want), users)
	}
	marked, err := mapping.Mark([]byte(rows[0]), "acme.eu.auth0.com")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"of ferry export":       strings.Join(append([]string{string(marked)}, rows[1:]...), "\n"),
		"byte order mark":       "\ufeff" + lines,
		"UTF-16, little endian": utf16(t, unicode.LittleEndian, lines),
		"UTF-16, big endian":    utf16(t, unicode.BigEndian, lines),
		"gzip":                  packed(t, lines),
		"gzip, two members":     packed(t, strings.Join(rows[:700], "\n")+"\n") + packed(t, strings.Join(rows[700:], "\n")),
		"zip, stored":           zipped(t, zip.Store, lines),
		"zip":                   zipped(t, zip.Deflate, lines),
		"zip of CSV":            zipped(t, zip.Deflate, table(t, rows, ',')),
		"array":                 "[" + strings.Join(rows, ",") + "]",
		"array, indented":       indented(t, "["+strings.Join(rows, ",")+"]"),
		"objects, indented":     indented(t, rows...),
		"a page":                page(rows),
		"pages":                 page(rows[:50]) + "\n" + page(rows[50:1000]) + page(rows[1000:]),
		"pages, indented":       indented(t, page(rows[:50]), page(rows[50:])),
		"CSV":                   table(t, rows, ','),
		"CSV, semicolons":       table(t, rows, ';'),
		"CSV, tabs":             table(t, rows, '\t'),
		"CSV, sep=":             "sep=;\r\n" + table(t, rows, ';'),
		"CSV, UTF-16 and tabs":  utf16(t, unicode.LittleEndian, table(t, rows, '\t')),
		"two files of CSV":      table(t, rows, ',') + firstLine(table(t, rows, ',')),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := identities(t, schema, text)
			for user, body := range want {
				if got[user] != body {
					t.Fatalf("%s becomes\n%s\nnot\n%s", user, got[user], body)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d identities, want %d", len(got), len(want))
			}
		})
	}
}

// Users without the deciding fields become the same identities, once these are fetched.
func TestFetchedFields(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := gen.Write(t.Context(), gen.Options{Users: 2000, Seed: 7, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	schema, err := mapping.ParseSchema(read(t, filepath.Join(dir, gen.SchemaFile)))
	if err != nil {
		t.Fatal(err)
	}
	rows := readable(read(t, filepath.Join(dir, gen.UsersFile)))
	few, export := withoutFields(t, rows)
	want := identities(t, schema, strings.Join(rows, "\n"))
	for name, text := range map[string]string{"NDJSON": strings.Join(few, "\n"), "CSV": table(t, few, ';')} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			index, err := supplement.Open(t.Context(), strings.NewReader(packed(t, export)), int64(len(rows)), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer index.Close()
			if got := completed(t, schema, text, index.Complete); !maps.Equal(got, want) {
				t.Errorf("%d identities, want %d, or others", len(got), len(want))
			}
		})
	}
}

// withoutFields returns users without the deciding fields, and an export of those that can be
// read.
func withoutFields(t *testing.T, rows []string) (few []string, export string) {
	t.Helper()
	for _, row := range rows {
		var user map[string]json.RawMessage
		if err := json.Unmarshal([]byte(row), &user); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"blocked", "multifactor", "last_password_reset", "identities"} {
			delete(user, key)
		}
		text, err := json.Marshal(user)
		if err != nil {
			t.Fatal(err)
		}
		few = append(few, string(text))
		if _, err := mapping.FromUser([]byte(row)); err == nil {
			export += row + "\n"
		}
	}
	return few, export
}

// identities plans a users file, and returns the requests that would create identities, by
// Auth0 user id.
func identities(t *testing.T, schema *mapping.Schema, text string) map[string]string {
	t.Helper()
	return completed(t, schema, text, nil)
}

// completed is identities for users that are completed first.
func completed(t *testing.T, schema *mapping.Schema, text string, complete func([]byte) ([]byte, error)) map[string]string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := userfile.Open(t.Context(), name, nil, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	source.Complete(complete)
	bodies := map[string]string{}
	_, err = plan.Make(t.Context(), plan.Options{
		Users: source, Schema: schema, Mapper: mapping.Default(schema), Mode: plan.ModeAuto, Progress: &bulktest.Quiet{},
		Now: func() time.Time { return time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC) }, Run: "run", Strict: true,
	}, func(row plan.Row) error {
		if row.Creates() {
			bodies[row.UserID] = string(row.Body)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bodies
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// readable returns the lines that are JSON objects with one user id each; the generator
// breaks some on purpose.
func readable(file []byte) []string {
	var rows []string
	seen := map[string]bool{}
	for line := range strings.Lines(string(file)) {
		var user map[string]any
		if json.Unmarshal([]byte(line), &user) != nil {
			continue
		}
		if id, _ := user["user_id"].(string); id != "" && !seen[id] {
			seen[id] = true
			rows = append(rows, strings.TrimSpace(line))
		}
	}
	return rows
}

func page(rows []string) string {
	return `{"start":0,"limit":100,"total":2000,"users":[` + strings.Join(rows, ",") + `]}`
}

func indented(t *testing.T, values ...string) string {
	t.Helper()
	var out bytes.Buffer
	for _, value := range values {
		if err := json.Indent(&out, []byte(value), "", "  "); err != nil {
			t.Fatal(err)
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// table returns the users as CSV. Objects and lists are cells with JSON.
func table(t *testing.T, rows []string, separator rune) string {
	t.Helper()
	users := make([]map[string]json.RawMessage, len(rows))
	names := map[string]bool{}
	for i, row := range rows {
		if err := json.Unmarshal([]byte(row), &users[i]); err != nil {
			t.Fatal(err)
		}
		for name := range users[i] {
			names[name] = true
		}
	}
	header := slices.Sorted(maps.Keys(names))
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.Comma = separator
	write := func(record []string) {
		if err := w.Write(record); err != nil {
			t.Fatal(err)
		}
	}
	write(header)
	for _, user := range users {
		record := make([]string, len(header))
		for i, name := range header {
			var text string
			if value := user[name]; value == nil || string(value) == "null" {
				continue
			} else if json.Unmarshal(value, &text) != nil {
				text = string(value)
			}
			record[i] = text
		}
		write(record)
	}
	w.Flush()
	return out.String()
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line + "\n"
}

func utf16(t *testing.T, order unicode.Endianness, text string) string {
	t.Helper()
	out, err := unicode.UTF16(order, unicode.UseBOM).NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func packed(t *testing.T, text string) string {
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

func zipped(t *testing.T, method uint16, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, content := range map[string]string{"users.json": text, "__MACOSX/._users.json": "note"} {
		file, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err == nil {
			_, err = file.Write([]byte(content))
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
