package wiring

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// copiedComment is above the copies. Remove recognises copies by it.
const copiedComment = "# Copied from login.after.hooks, which do not run where this list is."

// copies returns the items of login.after.hooks with their comments, for the list of hooks
// after a login with a password.
func (m *merger) copies() (node, error) {
	from, _, err := m.locate(AfterLoginKeys("hooks")...)
	if err != nil {
		return node{}, err
	}
	items, err := m.items(from)
	return node{raw: append([]string{copiedComment}, items...)}, err
}

// appendCopies adds them after ferry's hook, the only one in its list.
func (m *merger) appendCopies() error {
	copied, err := m.copies()
	if err != nil {
		return err
	}
	at, _, err := m.locate(AfterLoginKeys("password", "hooks")...)
	if err != nil {
		return err
	}
	return m.insert(at, copied)
}

// items returns the lines of a list's items, moved to column 0, without comments after the
// last item.
func (m *merger) items(from place) ([]string, error) {
	list, ok := from.value.(*ast.SequenceNode)
	if !ok {
		return nil, from.cannot("cannot be copied: write it in block style, with a dash for each item")
	}
	var anchors anchorFinder
	ast.Walk(&anchors, list)
	if anchors.found {
		return nil, from.cannot("contains an anchor (&), which a copy would define twice: replace the anchor and its aliases by their value")
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

// shifted moves a line to the right, or to the left as far as it has blanks.
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
