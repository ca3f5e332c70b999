package userfile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"ferry/bulk/inputfile"
	"ferry/mapping"
)

// Columns says which column of a file, or which key of its JSON objects, has a field of
// Auth0's that ferry would not find by itself: column by field. It takes precedence over
// another column with the field's name, which is then ignored.
type Columns map[string]string

// ParseColumns reads definitions of the form FIELD=COLUMN.
func ParseColumns(definitions []string) (Columns, error) {
	columns := Columns{}
	for _, text := range definitions {
		field, column, found := strings.Cut(text, "=")
		name, known := mapping.FieldName(field)
		switch {
		case !found || column == "":
			return nil, fmt.Errorf("--column %q is not of the form FIELD=COLUMN, such as connection=provider", text)
		case !known:
			return nil, fmt.Errorf("--column %q: Auth0 has no field %q; the fields are %s", text, field, strings.Join(mapping.Fields(), ", "))
		case columns[name] != "":
			return nil, fmt.Errorf("--column names two columns for %s", name)
		case slices.Contains(slices.Collect(maps.Values(columns)), column):
			return nil, fmt.Errorf("--column names the column %q for two fields", column)
		}
		columns[name] = column
	}
	return columns, nil
}

// String returns the definitions in the order of their fields.
func (c Columns) String() string {
	var all []string
	for _, field := range slices.Sorted(maps.Keys(c)) {
		all = append(all, field+"="+c[field])
	}
	return strings.Join(all, ",")
}

// names returns the fields that titles stand for; "" for a title to ignore. A title counts
// without an apostrophe too, because the header of an export may have one.
func (c Columns) names(titles []string, isTitle bool) []string {
	names := titles
	if isTitle {
		names = mapping.FieldNames(titles)
	}
	if len(c) == 0 {
		return names
	}
	names = slices.Clone(names)
	for field, column := range c {
		at := slices.Index(titles, column)
		if at < 0 {
			continue
		}
		for i, name := range names {
			if strings.EqualFold(name, field) {
				names[i] = ""
			}
		}
		names[at] = field
	}
	return names
}

// absent returns the fault of a column that is not among titles, or nil.
func (c Columns) absent(titles []string) error {
	for _, field := range slices.Sorted(maps.Keys(c)) {
		if !slices.Contains(titles, c[field]) {
			return inputfile.NewFault(fmt.Sprintf("the header has no column %q", c[field]), "correct --column "+field+"="+c[field])
		}
	}
	return nil
}

// errNotObject is the error of a row; the reader of the row says it more exactly.
var errNotObject = errors.New("not an object")

// renamer renames the keys of JSON objects.
type renamer struct {
	columns Columns
	seen    map[string]bool // columns that a row had
	keys    []string
	values  []jsontext.Value
	out     []byte
}

// rename returns the object with the fields' names as its keys, valid until the next call. It
// returns text that is not an object unchanged.
func (r *renamer) rename(text []byte) []byte {
	if len(r.columns) == 0 || r.read(text) != nil {
		return text
	}
	for _, column := range r.columns {
		if slices.Contains(r.keys, column) {
			r.seen[column] = true
		}
	}
	names := r.columns.names(r.keys, !slices.Contains(r.keys, userID))
	r.out = append(r.out[:0], '{')
	for i, name := range names {
		if name == "" {
			continue
		}
		if len(r.out) > 1 {
			r.out = append(r.out, ',')
		}
		key, err := jsontext.AppendQuote(r.out, name)
		if err != nil {
			return text
		}
		r.out = append(append(key, ':'), r.values[i]...)
	}
	r.out = append(r.out, '}')
	return r.out
}

// read reads the keys and values of an object.
func (r *renamer) read(text []byte) error {
	r.keys, r.values = r.keys[:0], r.values[:0]
	dec := newDecoder(text)
	if token, err := dec.ReadToken(); err != nil || token.Kind() != '{' {
		return errNotObject
	}
	for dec.PeekKind() == '"' {
		key, err := dec.ReadToken()
		if err != nil {
			return err
		}
		r.keys = append(r.keys, key.String())
		value, err := dec.ReadValue()
		if err != nil {
			return err
		}
		end := int(dec.InputOffset())
		r.values = append(r.values, text[end-len(value):end])
	}
	_, err := dec.ReadToken()
	if err == nil && len(strings.Trim(string(text[dec.InputOffset():]), inputfile.Blanks)) > 0 {
		err = errNotObject
	}
	return err
}

// unseen returns the fault of a column that no row had, or nil.
func (r *renamer) unseen() error {
	for _, field := range slices.Sorted(maps.Keys(r.columns)) {
		if column := r.columns[field]; !r.seen[column] {
			return inputfile.NewFault(fmt.Sprintf("no user has the key %q", column), "correct --column "+field+"="+column)
		}
	}
	return nil
}
