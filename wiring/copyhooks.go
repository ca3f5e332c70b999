package wiring

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// copyHooks copies the items of login.after.hooks, comments and all, to where the
// hooks of logins with a password stand: in front of ferry's own, or into a new list.
func (m *merger) copyHooks(inFront bool) error {
	from, _, err := m.locate(afterPath("hooks")...)
	if err != nil {
		return err
	}
	to, missing, err := m.locate(afterPath("password", "hooks")...)
	if err != nil {
		return err
	}
	if inFront {
		column, ok := m.below(to)
		if !ok {
			return to.cannot("cannot be edited: write it in block style, a dash for each item")
		}
		items, err := m.items(from, column)
		if err != nil {
			return err
		}
		return m.splice(to.line+1, to.line+1, items)
	}
	if len(missing) > 0 {
		// First the list with nothing in it, then the items: their column is known.
		if err := m.insert(to, within(missing[:len(missing)-1], node{key: "hooks"})); err != nil {
			return err
		}
		if from, _, err = m.locate(afterPath("hooks")...); err != nil {
			return err
		}
		if to, _, err = m.locate(afterPath("password", "hooks")...); err != nil {
			return err
		}
	}
	items, err := m.items(from, to.column+m.style(to).list)
	if err != nil {
		return err
	}
	return m.fill(to, func(int) []string { return items })
}

// items are the lines of a list's items, moved to a column.
func (m *merger) items(from place, column int) ([]string, error) {
	list, ok := from.value.(*ast.SequenceNode)
	if !ok {
		return nil, from.cannot("cannot be copied: write it in block style, a dash for each item")
	}
	var anchors anchorFinder
	ast.Walk(&anchors, list)
	if anchors.found {
		return nil, from.cannot("holds an anchor (&), which a copy would define twice: write it out")
	}
	comment := []string{strings.Repeat(" ", column) + "# Copied from login.after.hooks, which do not run where this list is."}
	if list.IsFlowStyle {
		return append(comment, flowItems(list, column)...), nil
	}
	dash, _ := m.below(from)
	for i := from.line + 1; i < m.listEnd(from, dash); i++ {
		comment = append(comment, shifted(m.bareLine(i), column-dash))
	}
	return comment, nil
}

// flowItems writes the items of [...], each on its line, as they stand there.
func flowItems(list *ast.SequenceNode, column int) []string {
	var lines []string
	for _, value := range list.Values {
		lines = append(lines, strings.Repeat(" ", column)+"- "+value.String())
	}
	return lines
}

// shifted moves a line by columns to the right or, as far as it has blanks, the left.
func shifted(line string, by int) string {
	if strings.TrimSpace(line) == "" || by == 0 {
		return line
	}
	if by > 0 {
		return strings.Repeat(" ", by) + line
	}
	blanks := len(line) - len(strings.TrimLeft(line, " "))
	return line[min(-by, blanks):]
}

// anchorFinder looks for anchors.
type anchorFinder struct{ found bool }

// Visit implements ast.Visitor.
func (f *anchorFinder) Visit(n ast.Node) ast.Visitor {
	if _, ok := n.(*ast.AnchorNode); ok {
		f.found = true
	}
	return f
}
