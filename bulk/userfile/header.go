package userfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"ferry/bulk/inputfile"
	"ferry/mapping"
)

// userID is the column that every file must have.
const userID = "user_id"

// maxDepth is how many parts a column's name may have, far below a JSON decoder's limit.
const maxDepth = 100

// kind is the type of the cells of a column.
type kind int

const (
	text kind = iota
	truth
	number
	// whole is JSON if it begins like an object or a list, else text.
	whole
)

// column is a column of the header, or a common prefix of several column names.
type column struct {
	name    string // the full name in the header
	key     []byte // quoted, with its colon
	cell    int
	kind    kind
	columns []*column          // empty for a column of the header
	folded  map[string]*column // columns by their last part in lower case; nil for a column of the header
	last    string
}

// readHeader builds a tree from the column names. Titles of other exports are replaced by
// the names that they stand for. Names that readers could confuse end the pass.
func readHeader(titles []string, columns Columns) (root *column, names []string, err error) {
	titles, names = fieldsOf(titles, columns)
	if err := columns.absent(titles); err != nil {
		return nil, nil, err
	}
	if !slices.Contains(names, userID) {
		return nil, nil, headerFault(titles)
	}
	root = &column{folded: map[string]*column{}}
	for i, name := range names {
		if name == "" && titles[i] != "" {
			continue // another column has the field
		}
		if err := root.add(name, i); err != nil {
			return nil, nil, err
		}
	}
	root.cell = slices.Index(names, userID)
	return root, names, nil
}

// fieldsOf returns the fields that titles stand for, and the titles without an apostrophe if
// the file has one there too.
func fieldsOf(titles []string, columns Columns) (plain, names []string) {
	plain = make([]string, len(titles))
	for i, title := range titles {
		plain[i] = strings.TrimPrefix(title, apostrophe)
	}
	names = columns.names(titles, true)
	if without := columns.names(plain, true); !slices.Contains(names, userID) && slices.Contains(without, userID) {
		return plain, without
	}
	return titles, names
}

// headerFault says why a header has no user id. It names only well-known columns, because
// the first row may hold personal data.
func headerFault(titles []string) error {
	const what = "the header has no column user_id"
	if len(titles) == 1 && slices.Contains(mapping.FieldNames(strings.Split(titles[0], "|")), userID) {
		return inputfile.NewFault("the columns are separated by bars", "separate them by commas, semicolons or tabs: user ids contain bars")
	}
	if slices.ContainsFunc(titles, func(title string) bool { return mapping.IsUserID(strings.TrimPrefix(title, apostrophe)) }) {
		return inputfile.NewFault(what+": the first row is a user", "add a row with the column names above it: user_id, email, …")
	}
	var known []string
	for _, title := range titles {
		if _, is := mapping.FieldName(title); is {
			known = append(known, title)
		}
	}
	has := fmt.Sprintf(" among its %d", len(titles))
	if len(known) > 0 {
		has += ", which have " + strings.Join(known, ", ")
	}
	return inputfile.NewFault(what+has, "rename the column whose cells look like auth0|… to user_id, or name it: --column user_id=…")
}

// add adds a column under the prefixes of its name. A name with an index, such as
// identities[0].connection, has no prefixes.
func (c *column) add(name string, cell int) error {
	parts := []string{name}
	if !strings.Contains(name, "[") {
		parts = strings.Split(name, ".")
	}
	if slices.Contains(parts, "") {
		return inputfile.NewFault(fmt.Sprintf("column %d of the header has no name, or an empty part in it", cell+1), "name it or remove it")
	}
	if len(parts) > maxDepth {
		return inputfile.NewFault(fmt.Sprintf("the name of column %d has more than %d parts", cell+1, maxDepth), "rename it or remove it")
	}
	for i, part := range parts {
		child, exists := c.folded[fold(part)]
		leaf := i == len(parts)-1
		switch {
		case !exists:
			made, err := newColumn(name, part, cell)
			if err != nil {
				return err
			}
			c.folded[fold(part)] = made
			c.columns = append(c.columns, made)
			child = made
		case child.last != part, leaf, child.folded == nil:
			return inputfile.NewFault(fmt.Sprintf("columns %q and %q of the header are the same, differ in case only, or one is a prefix of the other", child.name, name), "export only one of them")
		}
		if !leaf && child.folded == nil {
			child.folded = map[string]*column{}
		}
		c = child
	}
	return nil
}

func newColumn(name, last string, cell int) (*column, error) {
	key, err := jsontext.AppendQuote(nil, last)
	if err != nil {
		return nil, inputfile.NewFault(fmt.Sprintf("the name of column %d is not UTF-8", cell+1), "save the file as UTF-8")
	}
	c := &column{name: name, last: last, key: append(key, ':'), cell: cell}
	switch name {
	case "email_verified", "phone_verified", "blocked":
		c.kind = truth
	case "logins_count":
		c.kind = number
	case "identities", "multifactor", "user_metadata", "app_metadata", "custom_password_hash", "mfa_factors":
		c.kind = whole
	}
	return c, nil
}

// fold maps names that differ only in case to one text.
func fold(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// appendObject appends the cells as one JSON object, without empty cells.
func (c *column) appendObject(dst []byte, cells []string) (_ []byte, err error) {
	dst = append(dst, '{')
	for _, child := range c.columns {
		if !child.filled(cells) {
			continue
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(dst, child.key...)
		if child.folded != nil {
			dst, err = child.appendObject(dst, cells)
		} else {
			dst, err = child.appendCell(dst, cells[child.cell])
		}
		if err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// filled reports whether a column has a cell that is not empty.
func (c *column) filled(cells []string) bool {
	if c.folded == nil {
		return cells[c.cell] != ""
	}
	return slices.ContainsFunc(c.columns, func(child *column) bool { return child.filled(cells) })
}

// appendCell appends a cell that is not empty, as the type of its column.
func (c *column) appendCell(dst []byte, cell string) ([]byte, error) {
	switch c.kind {
	case truth:
		return c.appendTruth(dst, cell)
	case number:
		if value := jsontext.Value(cell); value.Kind() != '0' || !value.IsValid() {
			return dst, fmt.Errorf("column %s is not a number", c.name)
		}
		return append(dst, cell...), nil
	case whole:
		if cell[0] == '{' || cell[0] == '[' {
			if !jsontext.Value(cell).IsValid() {
				return dst, fmt.Errorf("column %s begins like JSON but is not valid JSON", c.name)
			}
			return append(dst, cell...), nil
		}
	case text:
	}
	out, err := jsontext.AppendQuote(dst, cell)
	if err != nil {
		return dst, fmt.Errorf("column %s is not UTF-8", c.name)
	}
	return out, nil
}

func (c *column) appendTruth(dst []byte, cell string) ([]byte, error) {
	for _, value := range []string{"true", "false"} {
		if strings.EqualFold(cell, value) {
			return append(dst, value...), nil
		}
	}
	return dst, errors.New("column " + c.name + " is neither true nor false")
}
