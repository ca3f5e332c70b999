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

// splice puts lines, without their ends, in place of those from line first up to but
// not including line end, and parses the result.
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
		return fmt.Errorf("edit kratos.yml: what was written at line %d does not fit: %w", first+1, err)
	}
	return nil
}

// lineEnd is how a text ends its lines.
func lineEnd(text string) string {
	if line, _, ended := strings.Cut(text, "\n"); ended && strings.HasSuffix(line, "\r") {
		return "\r\n"
	}
	return "\n"
}

// indent is the column of a line's first character; -1: the line is blank.
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

// last is the line behind the last one that belongs to a place: blank lines at its
// end do not, nor comments to the left of column, which are about what follows.
func (d *document) last(at place, column int) int {
	end := at.end
	for end > at.line+1 && (d.indent(end-1) < 0 || d.isComment(end-1) && d.indent(end-1) < column) {
		end--
	}
	return end
}

// style is how the file indents around a place.
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

// below is the column of the first key or dash inside a place.
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

// indents is a walk through the file that finds its first steps.
type indents struct{ style }

// general is the style of the file as a whole: the first of each kind in it.
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

// Visit implements ast.Visitor. A list that is not indented is noted as -1.
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

// insert adds entries to a mapping that may be empty, behind those it has.
func (d *document) insert(at place, entries ...node) error {
	s := d.style(at)
	column, ok := d.below(at)
	if !ok {
		if at, ok = d.emptied(at); !ok {
			return at.cannot("cannot be edited: write it in block style, a line for each key")
		}
		column = at.column + s.step
	}
	var lines []string
	for _, entry := range entries {
		lines = append(lines, s.lines(entry, column)...)
	}
	end := d.last(at, column)
	return d.splice(end, end, lines)
}

// emptied makes a comment of the {}, [], ~ or null in an entry that is empty, from
// which Remove restores it. Only the line changes: the parse that follows is the
// caller's.
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

// What a merge writes behind a key that had no value, so that it can be undone.
const (
	wasMark  = "# was " // in front of {}, [], ~ or null
	wasEmpty = " # was empty"
)

// wasPattern finds such a mark at the beginning of what stands behind a key.
var wasPattern = regexp.MustCompile(`^(?: # was empty|([ \t]+)# was (\{\}|\[\]|~|null))`)

// restored is what stood behind a key before emptied marked it; ok is false where
// there is no mark.
func restored(rest string) (was string, ok bool) {
	found := wasPattern.FindStringSubmatch(rest)
	if found == nil {
		return rest, false
	}
	return found[1] + found[2] + rest[len(found[0]):], true
}

// replace writes an entry anew, with all that belongs to it.
func (d *document) replace(at place, fresh node) error {
	if !at.keyed {
		return at.cannot("cannot be replaced")
	}
	lines := d.style(at).lines(node{key: fresh.key, value: fresh.value, remark: fresh.remark, children: fresh.children}, at.column)
	// The key may stand behind a dash.
	lines[0] = d.bareLine(at.line)[:at.column] + lines[0][at.column:]
	return d.splice(at.line, d.last(at, at.column+1), lines)
}

// set gives an entry another scalar and keeps the way it is quoted, its anchor and
// its comment. A scalar over several lines is written anew.
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
	old, ok := scalar(line[start:])
	_, alias := at.value.(*ast.AliasNode)
	if !ok || start >= len(line) || !alias && !sameScalar(old, at.value) {
		return d.replace(at, node{key: key, value: quoteLike(`"`, value)})
	}
	fresh := line[:start] + quoteLike(old, value) + line[start+len(old):]
	return d.splice(at.line, at.line+1, []string{fresh})
}

// scalar is the scalar that a text begins with, where it ends on this line.
func scalar(text string) (string, bool) {
	switch {
	case text == "" || strings.ContainsRune("|>{[!", rune(text[0])):
		return "", false
	case text[0] == '"':
		for i := 1; i < len(text); i++ {
			switch text[i] {
			case '\\':
				i++
			case '"':
				return text[:i+1], true
			}
		}
		return "", false
	case text[0] == '\'':
		for i := 1; i < len(text); i++ {
			if text[i] == '\'' && !strings.HasPrefix(text[i+1:], "'") {
				return text[:i+1], true
			} else if text[i] == '\'' {
				i++
			}
		}
		return "", false
	}
	if comment := strings.Index(text, " #"); comment >= 0 {
		text = text[:comment]
	}
	text = strings.TrimRight(text, " \t")
	return text, text != "" && !strings.HasPrefix(text, "#")
}

// sameScalar reports whether a scalar's text is all that the parser saw.
func sameScalar(text string, value ast.Node) bool {
	parsed, ok := value.(ast.ScalarNode)
	var alone any
	if !ok || yaml.Unmarshal([]byte(text), &alone) != nil {
		return false
	}
	return fmt.Sprint(alone) == fmt.Sprint(parsed.GetValue())
}

// quoteLike writes a scalar as the old one was written, if it can be.
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
		if text, ok := lookup(back, "a"); ok && text == value {
			return value
		}
	}
	return strconv.Quote(value)
}
