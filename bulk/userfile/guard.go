package userfile

import (
	"errors"
	"strings"
)

// guard is what Auth0's export job puts before every text of CSV, so that no
// spreadsheet takes one for a formula.
const guard = "'"

// errUnguarded is one row's fault.
var errUnguarded = errors.New("column user_id does not begin with ' as it does in the rows before: the row is of another export")

// guards says what cells begin with that is not theirs. One file is of one export, so
// its first user id decides for the whole of it.
type guards struct{ known, all bool }

// remove takes the guard from the cells of a row; id is the cell of the user id.
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

// isFormula reports whether a cell is a guard and what a spreadsheet would take for a
// formula: other programs guard nothing else.
func isFormula(cell string) bool {
	return len(cell) > 1 && cell[0] == '\'' && strings.IndexByte("=+-@", cell[1]) >= 0
}
