package gen_test

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"ferry/test/auth0sim/gen"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// generate makes a tenant in a new directory.
func generate(t *testing.T, o gen.Options) (dir string, s gen.Summary) {
	t.Helper()
	o.Dir = filepath.Join(t.TempDir(), "new", "tenant")
	s, err := gen.Write(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return o.Dir, s
}

// lines are those of a file, without their ends.
func lines(t *testing.T, dir, name string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if len(text) == 0 || text[len(text)-1] != '\n' {
		t.Fatalf("%s does not end with a line's end", name)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// decoded reads every line of a file.
func decoded[T any](t *testing.T, dir, name string) []T {
	t.Helper()
	var all []T
	for _, line := range lines(t, dir, name) {
		var one T
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		dec.UseNumber()
		if err := dec.Decode(&one); err != nil {
			t.Fatalf("%s: %v: %s", name, err, line)
		}
		all = append(all, one)
	}
	return all
}

// sums are the SHA-256 of everything in a directory.
func sums(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][32]byte{}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[entry.Name()] = sha256.Sum256(text)
	}
	return found
}

func TestSameSeedSameBytes(t *testing.T) {
	t.Parallel()
	first, _ := generate(t, gen.Options{Users: 700, Seed: 7, Format: gen.FormatAll})
	second, _ := generate(t, gen.Options{Users: 700, Seed: 7, Format: gen.FormatAll})
	other, _ := generate(t, gen.Options{Users: 700, Seed: 8, Format: gen.FormatAll})
	a, b, c := sums(t, first), sums(t, second), sums(t, other)
	if len(a) != 7 || !reflect.DeepEqual(a, b) {
		t.Errorf("%d files, and they differ", len(a))
	}
	for name := range a {
		if (a[name] == c[name]) != (name == gen.SchemaFile) {
			t.Errorf("%s with another seed is the same: %t", name, a[name] == c[name])
		}
	}
}

// 500 lines hold every kind, every outcome and every reason, whatever the seed.
func TestEverythingOccurs(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		dir, s := generate(t, gen.Options{Users: 500, Seed: seed})
		everyOne(t, seed, gen.Outcomes(), s.Outcomes)
		everyOne(t, seed, gen.Reasons(), s.Reasons)
		everyOne(t, seed, gen.Kinds(), s.Kinds)
		if s.Users != 500 || s.Blanks == 0 || len(lines(t, dir, gen.HashesFile)) != s.Hashes {
			t.Errorf("seed %d: got %+v", seed, s)
		}
	}
}

// everyOne wants each counted, and nothing else.
func everyOne[T comparable](t *testing.T, seed uint64, names []T, counts map[T]int) {
	t.Helper()
	for _, name := range names {
		if counts[name] == 0 {
			t.Errorf("seed %d: there is no %v", seed, name)
		}
	}
	if len(counts) != len(names) {
		t.Errorf("seed %d: got %v", seed, counts)
	}
}

// There is one expectation for each line that is not blank, in their order.
func TestLinesMatch(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 98, 1234} {
		dir, s := generate(t, gen.Options{Users: n, Seed: 3})
		users := lines(t, dir, gen.UsersFile)
		expected := decoded[gen.Expected](t, dir, gen.ExpectedFile)
		if len(expected) != n || s.Users != n || len(users) != n+s.Blanks || users[0][0] != '{' {
			t.Fatalf("%d: got %d lines, %d expectations, %+v", n, len(users), len(expected), s)
		}
		for i, line := range users {
			if line != "" {
				matches(t, i+1, line, expected[0])
				expected = expected[1:]
			}
		}
	}
}

// matches compares a line with what is expected of it.
func matches(t *testing.T, number int, line string, e gen.Expected) {
	t.Helper()
	var user struct {
		ID any `json:"user_id"`
	}
	err := json.Unmarshal([]byte(line), &user)
	id, _ := user.ID.(string)
	if number != e.Line || id != e.UserID || (err != nil || id == "") != (e.Reason == gen.Unreadable) {
		t.Errorf("line %d is %s, expected %+v", number, line, e)
	}
	needsReason := e.Outcome != gen.CreatedHash && e.Outcome != gen.CreatedSocial
	if (e.Reason != "") != needsReason || !slices.Contains(gen.Kinds(), e.Kind) {
		t.Errorf("got %+v", e)
	}
}

// formats are the users in every format.
type formats struct {
	lines    []string
	elements []json.RawMessage
	table    [][]string
}

func readFormats(t *testing.T, dir string) formats {
	t.Helper()
	f := formats{lines: lines(t, dir, gen.UsersFile)}
	if err := json.Unmarshal([]byte(strings.Join(lines(t, dir, gen.ArrayFile), "\n")), &f.elements); err != nil {
		t.Fatal(err)
	}
	text := lines(t, dir, gen.CSVFile)
	table, err := csv.NewReader(strings.NewReader(strings.Join(text, "\n"))).ReadAll()
	if err != nil || len(table) != len(text) {
		t.Fatalf("%d lines hold %d records: %v", len(text), len(table), err)
	}
	f.table = table
	return f
}

// cell is the value of a line in the table.
func (f formats) cell(e gen.Expected, name string) string {
	return f.table[e.CSVLine-1][slices.Index(f.table[0], name)]
}

// The other formats have the same users, at the lines that are expected.
func TestFormats(t *testing.T) {
	t.Parallel()
	dir, _ := generate(t, gen.Options{Users: 600, Seed: 5, Format: gen.FormatAll})
	f := readFormats(t, dir)
	held := 0
	for _, e := range decoded[gen.Expected](t, dir, gen.ExpectedFile) {
		line := f.lines[e.Line-1]
		if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "}") {
			if e.CSVLine != 0 || e.Element != 0 {
				t.Errorf("got %+v", e)
			}
			continue
		}
		held++
		if string(f.elements[e.Element-1]) != line || f.cell(e, "user_id") != e.UserID {
			t.Errorf("line %d: got %s", e.Line, f.elements[e.Element-1])
		}
		f.sameCells(t, line, e)
	}
	if held != len(f.elements) || held != len(f.table)-1 {
		t.Errorf("%d objects, %d elements, %d records", held, len(f.elements), len(f.table)-1)
	}
}

// sameCells compares a line with its record: what has a form of its own there.
func (f formats) sameCells(t *testing.T, line string, e gen.Expected) {
	t.Helper()
	var user struct {
		Phone   string `json:"phone_number"`
		Created any    `json:"created_at"`
		Own     struct {
			Consent struct{ Given *bool }
		} `json:"user_metadata"`
	}
	if err := json.Unmarshal([]byte(line), &user); err != nil {
		t.Fatal(err)
	}
	given := ""
	if user.Own.Consent.Given != nil {
		given = strconv.FormatBool(*user.Own.Consent.Given)
	}
	created := ""
	if at := date(t, user.Created); !at.IsZero() {
		created = at.Format("2006-01-02T15:04:05.000Z")
	}
	if strings.TrimPrefix(f.cell(e, "phone_number"), "'") != user.Phone || f.cell(e, "created_at") != created ||
		f.cell(e, "user_metadata.consent.given") != given {
		t.Errorf("line %d: got %q", e.CSVLine, f.table[e.CSVLine-1])
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	good := gen.Options{Users: 1, Dir: "x"}
	for want, change := range map[string]func(*gen.Options){
		"users: 0: want 1 to 10000000":                 func(o *gen.Options) { o.Users = 0 },
		"users: 10000001: want 1 to 10000000":          func(o *gen.Options) { o.Users = 10_000_001 },
		"out: want a directory":                        func(o *gen.Options) { o.Dir = "" },
		"cost: 3: want 4 to 15":                        func(o *gen.Options) { o.Cost = 3 },
		"cost: 16: want 4 to 15":                       func(o *gen.Options) { o.Cost = 16 },
		`format: "xml": want ndjson, csv, json or all`: func(o *gen.Options) { o.Format = "xml" },
	} {
		bad := good
		change(&bad)
		if err := bad.Check(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if _, err := gen.Write(t.Context(), bad); err == nil || err.Error() != "generate: "+want {
			t.Errorf("got %v", err)
		}
	}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
}

func TestWriteFails(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := gen.Write(t.Context(), gen.Options{Users: 1, Dir: file}); !errors.Is(err, os.ErrExist) && err == nil {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gen.Write(ctx, gen.Options{Users: 5000, Dir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}
