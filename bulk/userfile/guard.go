package userfile

import (
	"errors"
	"strings"
)

// guard is the character that Auth0's export job puts before every text in CSV, so that
// spreadsheets do not treat it as a formula.
const guard = "'"

// errUnguarded is the error of one row.
var errUnguarded = errors.New("column user_id does not begin with ' as in earlier rows: the row is from another export")

// guards records whether the cells of a file are guarded. The first user id decides for
// the whole file.
type guards struct{ known, all bool }

// remove removes the guard from the cells of a row. id is the index of the user id.
func (g *guards) remove(cells []string, id int) error {
	guarded := strings.HasPrefix(cells[id], guard)
	if !g.known && strings.Contains(cells[id], "|") {
		g.known, g.all = true, guarded
	}
	if g.all && !guarded && cells[id] != "" {
		return errUnguarded
	}
	for i, cell := range cells {
		switch {
		case g.all:
			cells[i] = strings.TrimPrefix(cell, guard)
		case isFormula(cell):
			cells[i] = cell[len(guard):]
		}
	}
	return nil
}

// isFormula reports whether a cell is a guard followed by a formula. Programs other than
// Auth0 guard nothing else.
func isFormula(cell string) bool {
	return len(cell) > 1 && cell[0] == '\'' && strings.IndexByte("=+-@", cell[1]) >= 0
}
