package wiring

import (
	"slices"
	"strconv"
	"strings"
)

// listBegin is the line before which a new first item goes: the comments above the
// first one stay its own. Those that are indented deeper than the dashes belong to the
// key of the list.
func (m *merger) listBegin(at place, column int) int {
	begin := at.line + 1
	for i := begin; i < len(m.lines) && (m.indent(i) < 0 || m.isComment(i)); i++ {
		if m.indent(i) > column {
			begin = i + 1
		}
	}
	return begin
}

// moveFirst brings an item of a list, with the comments above it, to its beginning. An
// item that cannot stand there, because it takes something from an anchor in those
// before it, stays where it is, and a note says so.
func (m *merger) moveFirst(index int, list ...string) error {
	at, _, err := m.locate(list...)
	if err != nil {
		return err
	}
	item, _, err := m.locate(append(list[:len(list):len(list)], strconv.Itoa(index))...)
	if err != nil {
		return err
	}
	column, ok := m.below(at)
	if !ok {
		return at.cannot("cannot be edited: write it in block style, a dash for each item")
	}
	begin, first, end := m.listBegin(at, column), m.commentsAbove(item), m.last(item, item.column+1)
	was := slices.Clone(m.lines)
	moved := make([]string, 0, end-first)
	for i := first; i < end; i++ {
		moved = append(moved, m.bareLine(i))
	}
	m.lines = slices.Delete(m.lines, first, end)
	if err := m.splice(begin, begin, moved); err != nil {
		m.lines = was
		m.note("line %d: ferry's hook is not the first of %s, and cannot be brought there: write out the aliases (*) in it", item.line+1, at.path)
		return m.read()
	}
	return nil
}

// commentsAbove is the line of the first comment above an item that is about it.
func (m *merger) commentsAbove(item place) int {
	first := item.line
	for first > 0 && m.isComment(first-1) && m.indent(first-1) == item.column &&
		strings.TrimSpace(m.bareLine(first-1)) != copiedComment {
		first--
	}
	return first
}
