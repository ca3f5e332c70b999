package userfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// userID is the column that every file has.
const userID = "user_id"

// maxDepth is how many names a column's name may have, far below what a decoder bears.
const maxDepth = 100

// kind is what the cells of a column are.
type kind int

const (
	text kind = iota
	truth
	number
	// whole is JSON where it begins as an object or a list does, else text.
	whole
)

// column is one of the header's columns, or what the names of several begin with.
type column struct {
	name    string // as the header has it, whole
	key     []byte // quoted, with its colon
	cell    int
	kind    kind
	columns []*column          // empty: it is a column of the header's
	folded  map[string]*column // those by their last name, whatever its case
	last    string
}

// readHeader makes a tree of the columns' names. Names that two readers could take for
// the same end the pass.
func readHeader(names []string) (*column, error) {
	if !slices.Contains(names, userID) {
		return nil, &fault{"the header has no column user_id", "export it as user_id, separated by commas"}
	}
	root := &column{folded: map[string]*column{}}
	for i, name := range names {
		if err := root.add(name, i); err != nil {
			return nil, err
		}
	}
	return root, nil
}

// add puts a column below those that its name begins with. A name with an index, such
// as identities[0].connection, is one name.
func (c *column) add(name string, cell int) error {
	parts := []string{name}
	if !strings.Contains(name, "[") {
		parts = strings.Split(name, ".")
	}
	if slices.Contains(parts, "") {
		return &fault{fmt.Sprintf("column %d of the header has no name, or a part of it has none", cell+1), "name it or remove it"}
	}
	if len(parts) > maxDepth {
		return &fault{fmt.Sprintf("the name of column %d has more than %d parts", cell+1, maxDepth), "rename it or remove it"}
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
			return &fault{fmt.Sprintf("columns %q and %q of the header are the same, or differ in case only, or one is a part of the other", child.name, name), "export one of them"}
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
		return nil, &fault{fmt.Sprintf("the name of column %d is not UTF-8", cell+1), "save the file as UTF-8"}
	}
	c := &column{name: name, last: last, key: append(key, ':'), cell: cell}
	switch name {
	case "email_verified", "phone_verified", "blocked":
		c.kind = truth
	case "logins_count":
		c.kind = number
	case "identities", "multifactor", "user_metadata", "app_metadata":
		c.kind = whole
	}
	return c, nil
}

// fold maps names that differ in case only to one text.
func fold(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// appendObject writes the cells as one JSON object. Empty ones are absent.
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

// filled reports whether there is anything to write.
func (c *column) filled(cells []string) bool {
	if c.folded == nil {
		return cells[c.cell] != ""
	}
	return slices.ContainsFunc(c.columns, func(child *column) bool { return child.filled(cells) })
}

// appendCell writes a cell that is not empty as what its column holds.
func (c *column) appendCell(dst []byte, cell string) ([]byte, error) {
	cell = unguarded(cell)
	switch c.kind {
	case truth:
		return c.appendTruth(dst, cell)
	case number:
		if value := jsontext.Value(cell); value.Kind() != '0' || !value.IsValid() {
			return dst, fmt.Errorf("column %s is no number", c.name)
		}
		return append(dst, cell...), nil
	case whole:
		if cell[0] == '{' || cell[0] == '[' {
			if !jsontext.Value(cell).IsValid() {
				return dst, fmt.Errorf("column %s begins as JSON does and is none", c.name)
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

// unguarded takes away the quote that keeps a spreadsheet from taking a cell for a
// formula.
func unguarded(cell string) string {
	if len(cell) > 1 && cell[0] == '\'' && strings.IndexByte("=+-@", cell[1]) >= 0 {
		return cell[1:]
	}
	return cell
}
