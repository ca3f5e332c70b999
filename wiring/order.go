package wiring

import (
	"slices"
	"strconv"
)

// listBegin returns the line before which a new first item is inserted. Comments above the
// first item stay with it. Comments that are indented deeper than the dashes belong to the
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

// moveFirst moves an item of a list, with the comments above it, to the top. An item with
// an alias to an earlier item cannot be moved; a note says so.
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
		return at.cannot(notBlockStyle)
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
		m.note("line %d: ferry's hook is not the first of %s, and cannot be moved there: replace the aliases (*) in it by their values", item.line+1, at.path)
		return m.read()
	}
	return nil
}

// commentsAbove returns the line of the first comment about an item.
func (m *merger) commentsAbove(item place) int {
	first := item.line
	for first > 0 && m.isComment(first-1) && m.indent(first-1) == item.column &&
		!isCopied(m.bareLine(first-1)) {
		first--
	}
	return first
}
