package gen

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ferry/test/auth0sim"
)

const bufferSize = 1 << 18

// output is a file being written.
type output struct {
	file *os.File
	buf  *bufio.Writer
}

func create(dir, name string) (*output, error) {
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &output{file, bufio.NewWriterSize(file, bufferSize)}, nil
}

func (o *output) close() error { return errors.Join(o.buf.Flush(), o.file.Close()) }

// files are all that is written line by line; table, array and seed may be nil.
type files struct {
	open                           []*output
	users, hashes, expected, table *output
	array, seed                    *output
	rows                           *csv.Writer // into table
	summary                        Summary
	csvLine, element, seeded       int
}

// openFiles makes the directory and the files, and writes those that hold no users.
func openFiles(o Options) (*files, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(o.Dir, SchemaFile), Schema(), 0o600); err != nil {
		return nil, err
	}
	f := &files{}
	for _, one := range []struct {
		name   string
		wanted bool
		into   **output
	}{
		{UsersFile, true, &f.users},
		{HashesFile, true, &f.hashes},
		{ExpectedFile, true, &f.expected},
		{CSVFile, o.Format == FormatCSV || o.Format == FormatAll, &f.table},
		{ArrayFile, o.Format == FormatJSON || o.Format == FormatAll, &f.array},
		{SeedFile, o.Users <= maxSeeded, &f.seed},
	} {
		if !one.wanted {
			continue
		}
		opened, err := create(o.Dir, one.name)
		if err != nil {
			return nil, errors.Join(err, f.closeAll())
		}
		*one.into = opened
		f.open = append(f.open, opened)
	}
	if err := f.begin(); err != nil {
		return nil, errors.Join(err, f.closeAll())
	}
	return f, nil
}

// begin writes the text before the first user.
func (f *files) begin() error {
	if f.table != nil {
		f.rows = csv.NewWriter(f.table.buf)
		f.csvLine++
		if err := f.rows.Write(columns()); err != nil {
			return err
		}
	}
	if f.array != nil {
		if err := f.array.buf.WriteByte('['); err != nil {
			return err
		}
	}
	if f.seed == nil {
		return nil
	}
	text, err := encode(tenant())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f.seed.buf, `%s,"users":[`, bytes.TrimSuffix(text, []byte("}")))
	return err
}

// close writes the text after the last user, and closes the files.
func (f *files) close() error {
	var errs []error
	if f.rows != nil {
		f.rows.Flush()
		errs = append(errs, f.rows.Error())
	}
	if f.array != nil {
		_, err := f.array.buf.WriteString("\n]\n")
		errs = append(errs, err)
	}
	if f.seed != nil {
		_, err := f.seed.buf.WriteString("\n]}\n")
		errs = append(errs, err)
	}
	return errors.Join(append(errs, f.closeAll())...)
}

func (f *files) closeAll() error {
	var errs []error
	for _, o := range f.open {
		errs = append(errs, o.close())
	}
	return errors.Join(errs...)
}

// encode is one line of JSON, with nothing escaped that need not be.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

func (o *output) line(text []byte) error {
	if _, err := o.buf.Write(text); err != nil {
		return err
	}
	return o.buf.WriteByte('\n')
}

// put writes a row into every file.
func (f *files) put(r row) error {
	if n := f.summary.Users; n > 0 && n%blankEvery == 0 {
		f.summary.Blanks++
		if err := f.users.line(nil); err != nil {
			return err
		}
	}
	f.summary.Users++
	expected := Expected{}
	if r.person != nil {
		expected = r.person.expected()
	}
	if r.again {
		expected = Expected{UserID: expected.UserID, Blocked: expected.Blocked}
	}
	expected.Line = f.summary.Users + f.summary.Blanks
	expected.Outcome, expected.Reason, expected.Kind = r.outcome, r.reason, r.kind
	if err := f.putUser(r, &expected); err != nil {
		return err
	}
	for _, hash := range r.hashes {
		f.summary.Hashes++
		if err := f.encodeTo(f.hashes, hash); err != nil {
			return err
		}
	}
	f.summary.Outcomes[r.outcome]++
	if r.reason != "" {
		f.summary.Reasons[r.reason]++
	}
	f.summary.Kinds[r.kind]++
	return f.encodeTo(f.expected, expected)
}

func (f *files) encodeTo(o *output, v any) error {
	text, err := encode(v)
	if err != nil {
		return err
	}
	return o.line(text)
}

// putUser writes the user in every format, and into the seed.
func (f *files) putUser(r row, expected *Expected) error {
	if r.person == nil {
		return f.putRaw(r.raw, expected)
	}
	line := r.person.line()
	text, err := encode(line)
	if err != nil {
		return err
	}
	if err := f.users.line(text); err != nil {
		return err
	}
	if err := f.putElement(text, expected); err != nil {
		return err
	}
	if err := f.putRecord(line, expected); err != nil {
		return err
	}
	if f.seed == nil || r.again {
		return nil
	}
	return f.putSeed(r.person.seed())
}

// putRaw writes a line without a user; the other formats contain it only if it is an object.
func (f *files) putRaw(text string, expected *Expected) error {
	if err := f.users.line([]byte(text)); err != nil {
		return err
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(text), &line); err != nil || line == nil {
		return nil //nolint:nilerr // invalid JSON is intended
	}
	if err := f.putElement([]byte(text), expected); err != nil {
		return err
	}
	return f.putRecord(line, expected)
}

func (f *files) putElement(text []byte, expected *Expected) error {
	if f.array == nil {
		return nil
	}
	f.element++
	expected.Element = f.element
	return f.array.element(text, f.element)
}

// element writes the nth element of a list that is open.
func (o *output) element(text []byte, n int) error {
	separator := ",\n"
	if n == 1 {
		separator = "\n"
	}
	if _, err := o.buf.WriteString(separator); err != nil {
		return err
	}
	_, err := o.buf.Write(text)
	return err
}

func (f *files) putSeed(u auth0sim.User) error {
	text, err := encode(u)
	if err != nil {
		return err
	}
	f.seeded++
	return f.seed.element(text, f.seeded)
}

// columns are those of the table: metadata only by its leaves.
func columns() []string {
	return []string{
		"user_id", "email", "email_verified", "username", "phone_number", "phone_verified", "name", "given_name",
		"family_name", "nickname", "picture", "identities", "identities[0].connection", "blocked", "multifactor",
		"last_password_reset", "last_login", "last_ip", "logins_count", "created_at", "updated_at",
		"app_metadata.plan", "user_metadata.locale", "user_metadata.consent.given",
	}
}

func (f *files) putRecord(line map[string]any, expected *Expected) error {
	if f.table == nil {
		return nil
	}
	f.csvLine++
	expected.CSVLine = f.csvLine
	var record []string
	for _, column := range columns() {
		record = append(record, cell(leaf(line, column)))
	}
	return f.rows.Write(record)
}

// leaf is the value of a column; of a date that is an object, the date.
func leaf(line map[string]any, column string) any {
	if value, ok := line[column]; ok {
		if object, isObject := value.(map[string]any); isObject {
			return object["$date"]
		}
		return value
	}
	var value any = line
	for name := range strings.SplitSeq(column, ".") {
		members, _ := value.(map[string]any)
		value = members[name]
	}
	return value
}

// cell writes a value as the CSV of an export has it: a list as JSON, an object as
// nothing, and text that a spreadsheet would compute behind a quote [GAP].
func cell(v any) string {
	switch v := v.(type) {
	case nil, map[string]any:
		return ""
	case string:
		if v != "" && strings.ContainsRune("=+-@", rune(v[0])) {
			return "'" + v
		}
		return v
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}
