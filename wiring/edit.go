package wiring

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// splice replaces the lines from first up to but not including end by lines without line
// ends, and parses the result.
func (d *document) splice(first, end int, lines []string) error {
	ending := lineEnd(d.lines[0])
	fresh := make([]string, 0, len(lines))
	for _, line := range lines {
		fresh = append(fresh, line+ending)
	}
	marked := first == 0 && end > 0 && strings.HasPrefix(d.lines[0], byteOrderMark)
	d.lines = slices.Replace(d.lines, first, end, fresh...)
	if marked && len(d.lines) > 0 {
		d.lines[0] = byteOrderMark + d.lines[0]
	}
	if err := d.read(); err != nil {
		return fmt.Errorf("edit kratos.yml: the result of the edit at line %d is not valid: %w", first+1, err)
	}
	return nil
}

// lineEnd returns the line end that a text uses.
func lineEnd(text string) string {
	if line, _, ended := strings.Cut(text, "\n"); ended && strings.HasSuffix(line, "\r") {
		return "\r\n"
	}
	return "\n"
}

// indent returns the column of a line's first character, or -1 for a blank line.
func (d *document) indent(line int) int {
	text := d.bareLine(line)
	trimmed := strings.TrimLeft(text, " ")
	if strings.TrimSpace(trimmed) == "" {
		return -1
	}
	return len(text) - len(trimmed)
}

func (d *document) isComment(line int) bool {
	return strings.HasPrefix(strings.TrimLeft(d.bareLine(line), " \t"), "#")
}

// last returns the line after the last one that belongs to a place. Blank lines at its
// end, and comments to the left of column, belong to what follows.
func (d *document) last(at place, column int) int {
	end := at.end
	for end > at.line+1 && (d.indent(end-1) < 0 || d.isComment(end-1) && d.indent(end-1) < column) {
		end--
	}
	return end
}

// style returns how the file indents around a place.
func (d *document) style(at place) style {
	s := d.general()
	if at.line < 0 {
		return s
	}
	if column, ok := d.below(at); ok && column > at.column && at.keyed {
		if _, list := at.value.(*ast.SequenceNode); !list {
			s.step = column - at.column
		}
	}
	return s
}

// below returns the column of the first key or dash inside a place.
func (d *document) below(at place) (column int, ok bool) {
	var token ast.Node
	switch value := at.value.(type) {
	case *ast.MappingNode:
		if value.IsFlowStyle || len(value.Values) == 0 {
			return 0, false
		}
		token = value.Values[0].Key
	case *ast.MappingValueNode:
		token = value.Key
	case *ast.SequenceNode:
		if value.IsFlowStyle || len(value.Entries) == 0 {
			return 0, false
		}
		return value.Entries[0].Start.Position.Column - 1, true
	default:
		return 0, false
	}
	return token.GetToken().Position.Column - 1, true
}

// indents is a visitor that finds the first indentation of each kind.
type indents struct{ style }

// general returns the style of the file: the first indentation of each kind.
func (d *document) general() style {
	var found indents
	ast.Walk(&found, d.root)
	fallback := plain()
	if found.step == 0 {
		found.step = fallback.step
	}
	if found.item == 0 {
		found.item = fallback.item
	}
	if found.list < 0 {
		found.list = 0
	} else if found.list == 0 {
		found.list = found.step
	}
	return found.style
}

// Visit implements ast.Visitor. It records a list that is not indented as -1.
func (s *indents) Visit(n ast.Node) ast.Visitor {
	entry, ok := n.(*ast.MappingValueNode)
	if !ok || entry.IsFlowStyle {
		return s
	}
	column := entry.Key.GetToken().Position.Column
	switch value := bare(entry.Value).(type) {
	case *ast.MappingNode:
		if !value.IsFlowStyle && len(value.Values) > 0 && s.step == 0 {
			s.step = value.Values[0].Key.GetToken().Position.Column - column
		}
	case *ast.SequenceNode:
		if value.IsFlowStyle || len(value.Entries) == 0 || s.list != 0 {
			break
		}
		dash := value.Entries[0].Start.Position.Column
		if s.list = dash - column; s.list == 0 {
			s.list = -1
		}
		if mapping, ok := value.Entries[0].Value.(*ast.MappingNode); ok && !mapping.IsFlowStyle && len(mapping.Values) > 0 {
			s.item = mapping.Values[0].Key.GetToken().Position.Column - dash
		}
	}
	return s
}

// insert adds entries to a mapping, or items to a list, after those it has. The mapping or
// list may be empty.
func (d *document) insert(at place, added ...node) error {
	s := d.style(at)
	column, ok := d.below(at)
	if !ok {
		if at, ok = d.emptied(at); !ok {
			return at.cannot(notBlockStyle)
		}
		column = at.column + s.step
		if added[0].isItem() {
			column = at.column + s.list
		}
	}
	var lines []string
	for _, n := range added {
		lines = append(lines, s.lines(n, column)...)
	}
	margin := column
	if _, list := at.value.(*ast.SequenceNode); list && column == at.column {
		margin++ // a comment at the column of the key is not in the list
	}
	end := d.last(at, margin)
	return d.splice(end, end, lines)
}

const notBlockStyle = "cannot be edited: write it in block style, a line for each key or a dash for each item"

// emptied turns the {}, [], ~ or null of an empty entry into a comment, from which Remove
// restores it. It changes only the line; the caller must parse again.
func (d *document) emptied(at place) (place, bool) {
	if !at.keyed {
		return at, false
	}
	line := d.bareLine(at.line)
	rest := strings.TrimLeft(line[at.colon:], " \t")
	blanks := line[at.colon : len(line)-len(rest)]
	for _, empty := range []string{"{}", "[]", "~", "null", ""} {
		behind, ok := strings.CutPrefix(rest, empty)
		comment := strings.TrimLeft(behind, " \t")
		if !ok || comment != "" && !strings.HasPrefix(comment, "#") {
			continue
		}
		mark := blanks + wasMark + rest
		switch {
		case empty == "" && wasPattern.MatchString(line[at.colon:]):
			return at, true
		case empty == "":
			mark = wasEmpty + blanks + rest
		}
		d.lines[at.line] = strings.Replace(d.lines[at.line], line, line[:at.colon]+mark, 1)
		return at, true
	}
	return at, false
}

// What a merge writes after a key that had no value. Remove undoes it.
const (
	wasMark  = "# was " // before {}, [], ~ or null
	wasEmpty = " # was empty"
)

// wasPattern matches such a mark at the beginning of the text after a key.
var wasPattern = regexp.MustCompile(`^(?: # was empty|([ \t]+)# was (\{\}|\[\]|~|null))`)

// restored returns the text after a key before emptied marked it. ok is false if there is
// no mark.
func restored(rest string) (was string, ok bool) {
	found := wasPattern.FindStringSubmatch(rest)
	if found == nil {
		return rest, false
	}
	return found[1] + found[2] + rest[len(found[0]):], true
}

// replace replaces an entry with everything that belongs to it.
func (d *document) replace(at place, fresh node) error {
	if !at.keyed {
		return at.cannot("cannot be replaced")
	}
	lines := d.style(at).lines(node{key: fresh.key, value: fresh.value, remark: fresh.remark, children: fresh.children}, at.column)
	// The key may be after a dash.
	lines[0] = d.bareLine(at.line)[:at.column] + lines[0][at.column:]
	return d.splice(at.line, d.last(at, at.column+1), lines)
}

// set gives an entry another scalar, and keeps its quotes, its anchor and its comment. A
// scalar over several lines is replaced as a whole.
func (d *document) set(at place, key, value string) error {
	line := d.bareLine(at.line)
	start := at.colon + len(line[at.colon:]) - len(strings.TrimLeft(line[at.colon:], " \t"))
	if strings.HasPrefix(line[start:], "&") {
		name := strings.IndexByte(line[start:]+" ", ' ')
		start = min(start+name+1, len(line))
	}
	if _, null := at.value.(*ast.NullNode); null && (start == len(line) || line[start] == '#') {
		fresh := strings.TrimRight(line[:at.colon]+" "+quoteLike(`"`, value)+" "+line[start:], " ")
		return d.splice(at.line, at.line+1, []string{fresh})
	}
	old, ok := scalarText(at.value)
	if !ok || !strings.HasPrefix(line[start:], old) {
		return d.replace(at, node{key: key, value: quoteLike(`"`, value)})
	}
	fresh := line[:start] + quoteLike(old, value) + line[start+len(old):]
	return d.splice(at.line, at.line+1, []string{fresh})
}

// scalarText is a scalar or an alias as the file has it, if it is on one line.
func scalarText(value ast.Node) (string, bool) {
	switch value := value.(type) {
	case *ast.AliasNode:
		return value.String(), true
	case *ast.StringNode, *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.NullNode:
		text := strings.TrimSpace(value.GetToken().Origin)
		return text, text != "" && !strings.Contains(text, "\n")
	}
	return "", false
}

// quoteLike writes a scalar in the style of an old one, if possible.
func quoteLike(old, value string) string {
	if value == "true" {
		return value
	}
	switch {
	case strings.HasPrefix(old, "'"):
		return "'" + strings.ReplaceAll(value, "'", "''") + "'"
	case strings.HasPrefix(old, `"`):
		return strconv.Quote(value)
	}
	var back any
	if yaml.Unmarshal([]byte("a: "+value), &back) == nil {
		if text, ok := Lookup(back, "a"); ok && text == value {
			return value
		}
	}
	return strconv.Quote(value)
}
