package hashfile

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"ferry/bulk/inputfile"
)

// table reads CSV as NDJSON, one line for each row and a blank one for the header.
type table struct {
	in    *csv.Reader
	names []string
	line  []byte // not read yet
	err   error
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
		titles := csv.NewReader(strings.NewReader(header))
		titles.Comma = separator
		names, err := titles.Read()
		if err != nil || !slices.ContainsFunc(names, isID) || !slices.ContainsFunc(names, isHash) {
			continue
		}
		t := &table{in: csv.NewReader(in), names: names, line: []byte("\n")}
		t.in.Comma, t.in.FieldsPerRecord = separator, -1
		_, err = t.in.Read()
		return t, err
	}
	return nil, nil //nolint:nilnil // no table is no fault
}

func isID(name string) bool {
	return slices.Contains([]string{"_id", "_ID", "id", "user_id", "alt_id"}, name)
}

func isHash(name string) bool {
	return slices.Contains([]string{"passwordHash", "password_hash", "custom_password_hash"}, name)
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

// next reads a row. One that cannot be read becomes a line that is none.
func (t *table) next() error {
	record, err := t.in.Read()
	var malformed *csv.ParseError
	if errors.As(err, &malformed) || err == nil && len(record) != len(t.names) {
		t.line = []byte("!\n")
		return nil
	}
	if err != nil {
		return err
	}
	entry := map[string]any{}
	for i, name := range t.names {
		switch cell := record[i]; {
		case cell == "":
		case strings.HasPrefix(cell, "{") && json.Valid([]byte(cell)):
			entry[name] = json.RawMessage(cell)
		default:
			entry[name] = cell
		}
	}
	text, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	t.line = append(text, '\n')
	return nil
}
