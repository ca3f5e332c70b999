package wiring

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// copiedComment is above the copies. Remove recognises copies by it.
func (l hookList) copiedComment() string {
	return "# Copied from " + l.globalName() + ", which do not run where this list is."
}

// isCopied reports whether a line is above copies.
func isCopied(line string) bool {
	line = strings.TrimSpace(line)
	return line == loginList().copiedComment() || line == hookList{flow: registrationFlow}.copiedComment()
}

// copies returns the items of the global list with their comments, for a list that replaces
// it.
func (m *merger) copies(l hookList) (node, error) {
	from, _, err := m.locate(l.global()...)
	if err != nil {
		return node{}, err
	}
	items, err := m.items(from)
	return node{raw: append([]string{l.copiedComment()}, items...)}, err
}

// appendCopies adds them after ferry's hook, the only one in its list.
func (m *merger) appendCopies(l hookList) error {
	copied, err := m.copies(l)
	if err != nil {
		return err
	}
	at, _, err := m.locate(l.path()...)
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
