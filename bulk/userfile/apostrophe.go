package userfile

import (
	"errors"
	"strings"
)

// apostrophe is the character that Auth0's export job puts before every text in CSV, so that
// spreadsheets do not treat it as a formula.
const apostrophe = "'"

// errNoApostrophe is the error of one row.
var errNoApostrophe = errors.New("column user_id does not begin with ' as in earlier rows: the row is from another export")

// apostrophes records whether the cells of a file are quoted. The first user id decides for
// the whole file.
type apostrophes struct{ known, all bool }

// remove removes the apostrophe from the cells of a row. id is the index of the user id.
func (g *apostrophes) remove(cells []string, id int) error {
	quoted := strings.HasPrefix(cells[id], apostrophe)
	if !g.known && strings.Contains(cells[id], "|") {
		g.known, g.all = true, quoted
	}
	if g.all && !quoted && cells[id] != "" {
		return errNoApostrophe
	}
	for i, cell := range cells {
		switch {
		case g.all:
			cells[i] = strings.TrimPrefix(cell, apostrophe)
		case isFormula(cell):
			cells[i] = cell[len(apostrophe):]
		}
	}
	return nil
}

// isFormula reports whether a cell is a apostrophe followed by a formula. Programs other than
// Auth0 apostrophe nothing else.
func isFormula(cell string) bool {
	return len(cell) > 1 && cell[0] == '\'' && strings.IndexByte("=+-@", cell[1]) >= 0
}
