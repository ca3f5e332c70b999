package wiring

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// copiedComment stands above the copies, and tells Remove which hooks are copies.
const copiedComment = "# Copied from login.after.hooks, which do not run where this list is."

// copies are the items of login.after.hooks, comments and all, for the list of logins
// with a password.
func (m *merger) copies() (node, error) {
	from, _, err := m.locate(afterPath("hooks")...)
	if err != nil {
		return node{}, err
	}
	items, err := m.items(from)
	return node{raw: append([]string{copiedComment}, items...)}, err
}

// appendCopies puts them behind ferry's hook, which was alone in its list.
func (m *merger) appendCopies() error {
	copied, err := m.copies()
	if err != nil {
		return err
	}
	at, _, err := m.locate(afterPath("password", "hooks")...)
	if err != nil {
		return err
	}
	column, ok := m.below(at)
	if !ok {
		return at.cannot("cannot be edited: write it in block style, a dash for each item")
	}
	end := m.listEnd(at, column)
	return m.splice(end, end, plain().lines(copied, column))
}

// items are the lines of a list's items, moved to column 0. Comments behind the last
// item are about something else.
func (m *merger) items(from place) ([]string, error) {
	list, ok := from.value.(*ast.SequenceNode)
	if !ok {
		return nil, from.cannot("cannot be copied: write it in block style, a dash for each item")
	}
	var anchors anchorFinder
	ast.Walk(&anchors, list)
	if anchors.found {
		return nil, from.cannot("holds an anchor (&), which a copy would define twice: write it out")
	}
	var lines []string
	if list.IsFlowStyle {
		for _, value := range list.Values {
			lines = append(lines, "- "+value.String())
		}
		return lines, nil
	}
	dash, _ := m.below(from)
	end := m.last(from, dash+1)
	for i := from.line + 1; i < end; i++ {
		lines = append(lines, shifted(m.bareLine(i), -dash))
	}
	return lines, nil
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
