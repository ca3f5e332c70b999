package hashfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"ferry/bulk/inputfile"
)

// table reads CSV as NDJSON, one line for each row and a blank one for the header. A row is
// one line: no field of a hash has a line break, so a quote astray costs one row.
type table struct {
	in        *inputfile.Lines
	separator rune
	names     []string
	line      []byte // not read yet
	err       error
}

// separators are those that the columns of a hash file may have.
const separators = ",;\t"

// newTable returns a table if the text is CSV: its first line has a column with user ids and
// one with hashes. Otherwise it returns nil, and has read nothing.
func newTable(in *bufio.Reader) (*table, error) {
	start, err := in.Peek(inputfile.BufferSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	header, _, _ := strings.Cut(strings.TrimPrefix(string(start), inputfile.BOM), "\n")
	for _, separator := range separators {
		names, err := row(header, separator)
		if err != nil || !slices.ContainsFunc(names, isID) || !slices.ContainsFunc(names, isHash) {
			continue
		}
		if len(slices.Compact(slices.Sorted(slices.Values(names)))) < len(names) {
			return nil, inputfile.NewFault("the header has a column twice", "remove one of them")
		}
		t := &table{in: inputfile.NewLines(in, 0, maxLine), separator: separator, names: names, line: []byte("\n")}
		_, err = t.in.Next()
		return t, err
	}
	return nil, nil //nolint:nilnil // no table is no fault
}

func isID(name string) bool {
	return slices.Contains([]string{"_id", "_ID", "id", "user_id", "userId", "alt_id"}, name)
}

func isHash(name string) bool {
	return slices.Contains([]string{"passwordHash", "password_hash", "hash", "custom_password_hash"}, name)
}

// Read implements io.Reader.
func (t *table) Read(p []byte) (int, error) {
	if len(t.line) == 0 && t.err == nil {
		t.err = t.next()
	}
	n := copy(p, t.line)
	t.line = t.line[n:]
	if n == 0 {
		return 0, t.err
	}
	return n, nil
}

// next reads a row. A row that cannot be read becomes a line that is not an entry.
func (t *table) next() error {
	t.line = []byte("!\n")
	text, err := t.in.Next()
	switch {
	case errors.Is(err, inputfile.ErrTooLong):
		return nil
	case err != nil:
		t.line = nil
		return err
	case len(bytes.Trim(text, inputfile.Blanks)) == 0:
		t.line = []byte("\n")
		return nil
	}
	cells, err := row(string(text), t.separator)
	if err != nil || len(cells) != len(t.names) || !utf8.Valid(text) {
		return nil
	}
	entry := map[string]any{}
	for i, name := range t.names {
		switch cell := cells[i]; {
		case cell == "":
		case strings.HasPrefix(cell, "{") && json.Valid([]byte(cell)):
			entry[name] = json.RawMessage(cell)
		default:
			entry[name] = cell
		}
	}
	object, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	t.line = append(object, '\n')
	return nil
}

// row reads one line of CSV.
func row(line string, separator rune) ([]string, error) {
	in := csv.NewReader(strings.NewReader(line))
	in.Comma = separator
	return in.Read()
}
