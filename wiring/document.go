package wiring

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// document is one YAML document: its lines, which are edited, and their parsed form.
type document struct {
	lines []string // each with its own line end
	root  ast.Node
	all   map[string]any
	end   int // the line after the last one of the root
	// base is the path of Kratos' configuration in a file that nests it.
	base   []string
	top    place          // the place at base
	values map[string]any // the values at base
}

// byteOrderMark may begin a file. It is hidden from the parser.
const byteOrderMark = "\ufeff"

func parse(text string, base ...string) (*document, error) {
	d := &document{lines: strings.SplitAfter(text, "\n"), base: base}
	if d.lines[len(d.lines)-1] == "" {
		d.lines = d.lines[:len(d.lines)-1]
	}
	return d, d.read()
}

// text returns the whole file.
func (d *document) text() string { return strings.Join(d.lines, "") }

// read parses the lines.
func (d *document) read() error {
	text := strings.ReplaceAll(strings.TrimPrefix(d.text(), byteOrderMark), "\r\n", "\n")
	if strings.Contains(text, "\r") {
		return errors.New("read kratos.yml: there is a carriage return without a line feed")
	}
	file, err := parser.ParseBytes([]byte(text), 0)
	if err != nil {
		return fmt.Errorf("read kratos.yml: %s", reason(err))
	}
	bodies := 0
	for _, doc := range file.Docs {
		if doc == nil { // an empty document
			continue
		}
		switch body := doc.Body.(type) {
		case nil, *ast.DirectiveNode:
		case *ast.MappingNode, *ast.MappingValueNode, *ast.AnchorNode:
			bodies++
			d.root, d.end = body, len(d.lines)
			if doc.End != nil {
				d.end = doc.End.Position.Line - 1
			}
		default:
			return errors.New("read kratos.yml: it is not a mapping; TOML and lists cannot be merged")
		}
	}
	if bodies == 0 {
		return errors.New("read kratos.yml: it contains 0 documents instead of one: put the output without --merge into an empty file")
	}
	if bodies > 1 {
		return fmt.Errorf("read kratos.yml: it contains %d documents instead of one", bodies)
	}
	d.all = nil
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	if err := decoder.Decode(&d.all); err != nil {
		return fmt.Errorf("read kratos.yml: %s", reason(err))
	}
	if mapping, ok := d.root.(*ast.MappingNode); ok && mapping.IsFlowStyle {
		return errors.New("read kratos.yml: it is JSON, or YAML in flow style; only YAML in block style can be merged")
	}
	return d.enter()
}

// enter finds the place at base.
func (d *document) enter() error {
	d.top, d.values = place{line: -1, end: d.end, value: bare(d.root)}, d.all
	for i, key := range d.base {
		next, found, err := d.step(d.top, key, d.base[:i])
		if err != nil {
			return err
		}
		inner, ok := Lookup(d.values, key)
		if d.values, _ = inner.(map[string]any); !found || !ok || d.values == nil {
			return fmt.Errorf("read kratos.yml: %s is not a mapping", strings.Join(d.base[:i+1], "."))
		}
		d.top = next
	}
	return nil
}

// reason returns the parser's error without its excerpt of the file, which may contain a
// secret.
func reason(err error) string {
	var syntax yaml.Error
	if !errors.As(err, &syntax) || syntax.GetToken() == nil {
		return "it is not valid YAML"
	}
	return fmt.Sprintf("line %d is not valid YAML", syntax.GetToken().Position.Line)
}

// place is the position of an entry of a mapping, an item of a list, or the root.
type place struct {
	path   string   // for errors
	keys   []string // the path from the root of the file
	line   int      // line of the key or the dash, from 0; -1: the root
	column int      // column of the key or the dash, in bytes from 0
	colon  int      // column after the key's colon or the dash, in bytes from 0
	end    int      // the line after the last one that can belong to it
	value  ast.Node
	keyed  bool // an entry of a mapping
}

// Lookup returns the value at a path. The steps through lists are indexes.
func Lookup(value any, path ...string) (any, bool) {
	for _, step := range path {
		switch here := value.(type) {
		case map[string]any:
			inner, ok := here[step]
			if !ok {
				return nil, false
			}
			value = inner
		case []any:
			index, err := strconv.Atoi(step)
			if err != nil || index < 0 || index >= len(here) {
				return nil, false
			}
			value = here[index]
		default:
			return nil, false
		}
	}
	return value, true
}

// locate follows a path as far as the file has it. It returns the last place and the
// missing steps. If something on the way cannot be edited, the error names its line.
func (d *document) locate(path ...string) (at place, missing []string, err error) {
	at = d.top
	for i, step := range path {
		next, found, err := d.step(at, step, append(d.base[:len(d.base):len(d.base)], path[:i]...))
		if err != nil || !found {
			return at, path[i:], err
		}
		at = next
	}
	return at, nil, nil
}

// bare returns a value without its anchor.
func bare(value ast.Node) ast.Node {
	if anchor, ok := value.(*ast.AnchorNode); ok {
		return bare(anchor.Value)
	}
	return value
}

func (d *document) step(at place, key string, above []string) (next place, found bool, err error) {
	keys := append(above[:len(above):len(above)], key)
	switch value := at.value.(type) {
	case *ast.NullNode:
		return place{}, false, nil
	case *ast.MappingNode:
		if value.IsFlowStyle {
			if len(value.Values) == 0 {
				return place{}, false, nil
			}
			return place{}, false, at.cannot("is written in flow style, {...}: write it in block style, with a line for each key")
		}
		return d.entry(at, value.Values, keys)
	case *ast.MappingValueNode:
		return d.entry(at, []*ast.MappingValueNode{value}, keys)
	case *ast.SequenceNode:
		return d.item(at, value, keys)
	case *ast.AliasNode:
		return place{}, false, at.cannot("is an alias: replace it by its value")
	}
	return place{}, false, at.cannot("is neither a mapping nor a list that can be edited")
}

// cannot returns an error about a place that cannot be edited.
func (p place) cannot(why string) error {
	return fmt.Errorf("edit kratos.yml: line %d: %s %s", p.line+1, p.path, why)
}

// entry finds a key of a block mapping.
func (d *document) entry(at place, entries []*ast.MappingValueNode, keys []string) (next place, found bool, err error) {
	key := keys[len(keys)-1]
	for i, entry := range entries {
		token := entry.Key.GetToken()
		if token.Value != key || entry.Key.IsMergeKey() {
			continue
		}
		next := place{path: strings.Join(keys, "."), keys: keys, line: token.Position.Line - 1, end: at.end, value: bare(entry.Value), keyed: true}
		if i+1 < len(entries) {
			next.end = entries[i+1].Key.GetToken().Position.Line - 1
		}
		if next.column, next.colon = d.columns(token.Position.Line, token.Position.Column, entry.Start.Position.Line, entry.Start.Position.Column, ':'); next.colon == 0 {
			return place{}, false, next.cannot("is written in a way that cannot be edited")
		}
		return next, true, nil
	}
	for _, entry := range entries {
		if !entry.Key.IsMergeKey() {
			continue
		}
		if _, merged := Lookup(d.all, append(at.keys[:len(at.keys):len(at.keys)], key)...); merged {
			return place{}, false, at.cannot("takes " + key + " from an alias (<<): replace the alias by its value")
		}
	}
	return place{}, false, nil
}

// item finds an item of a block list.
func (d *document) item(at place, list *ast.SequenceNode, keys []string) (next place, found bool, err error) {
	i, err := strconv.Atoi(keys[len(keys)-1])
	if err != nil {
		return place{}, false, at.cannot("is a list, not a mapping")
	}
	if list.IsFlowStyle {
		return place{}, false, at.cannot("is written in flow style, [...]: write it in block style, with a dash for each item")
	}
	if i >= len(list.Entries) {
		return place{}, false, nil
	}
	start := list.Entries[i].Start.Position
	next = place{path: strings.Join(keys, "."), keys: keys, line: start.Line - 1, end: at.end, value: bare(list.Entries[i].Value)}
	if i+1 < len(list.Entries) {
		next.end = list.Entries[i+1].Start.Position.Line - 1
	}
	if next.column, next.colon = d.columns(start.Line, start.Column, start.Line, start.Column, '-'); next.colon == 0 {
		return place{}, false, next.cannot("is written in a way that cannot be edited")
	}
	return next, true, nil
}

// columns converts the parser's positions, in characters from 1, to bytes from 0. It checks
// that the mark, a colon or a dash, is at its position and on the line of its key. If not,
// behind is 0.
func (d *document) columns(line, column, markLine, markColumn int, mark byte) (start, behind int) {
	if line != markLine || line < 1 || line > len(d.lines) || column < 1 || markColumn < column {
		return 0, 0
	}
	characters := []rune(d.bareLine(line - 1))
	if markColumn > len(characters) {
		return 0, 0
	}
	start = len(string(characters[:column-1]))
	at := len(string(characters[:markColumn-1]))
	text := d.bareLine(line - 1)
	if text[at] != mark || strings.Trim(text[:start], " -") != "" {
		return 0, 0
	}
	return start, at + 1
}

// bareLine returns a line without its line end and the byte order mark.
func (d *document) bareLine(i int) string {
	line := strings.TrimRight(d.lines[i], "\r\n")
	if i == 0 {
		line = strings.TrimPrefix(line, byteOrderMark)
	}
	return line
}
