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

// document is one YAML document: its lines, which are what is edited, and what a
// parser reads in them.
type document struct {
	lines []string // each with its own line end
	root  ast.Node
	all   map[string]any
	end   int // the line after the root's last one
	// base are the keys above Kratos' configuration where another file nests it.
	base   []string
	top    place          // what base leads to, else the root
	values map[string]any // what stands there
}

// byteOrderMark may begin a file; the parser does not see it.
const byteOrderMark = "\ufeff"

func parse(text string, base ...string) (*document, error) {
	d := &document{lines: strings.SplitAfter(text, "\n"), base: base}
	if d.lines[len(d.lines)-1] == "" {
		d.lines = d.lines[:len(d.lines)-1]
	}
	return d, d.read()
}

// text is the whole file.
func (d *document) text() string { return strings.Join(d.lines, "") }

// read parses the lines anew.
func (d *document) read() error {
	text := strings.ReplaceAll(strings.TrimPrefix(d.text(), byteOrderMark), "\r\n", "\n")
	if strings.Contains(text, "\r") {
		return errors.New("read kratos.yml: a carriage return stands without a line feed")
	}
	file, err := parser.ParseBytes([]byte(text), 0)
	if err != nil {
		return fmt.Errorf("read kratos.yml: %s", reason(err))
	}
	bodies := 0
	for _, doc := range file.Docs {
		if doc == nil { // so the parser says that there is nothing
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
			return errors.New("read kratos.yml: it is not a mapping; TOML cannot be merged, nor a list")
		}
	}
	if bodies == 0 {
		return errors.New("read kratos.yml: it holds 0 documents instead of one: into an empty file goes what is printed without a merge")
	}
	if bodies > 1 {
		return fmt.Errorf("read kratos.yml: it holds %d documents instead of one", bodies)
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

// enter walks to where base leads.
func (d *document) enter() error {
	d.top, d.values = place{line: -1, end: d.end, value: bare(d.root)}, d.all
	for i, key := range d.base {
		next, found, err := d.step(d.top, key, d.base[:i])
		if err != nil {
			return err
		}
		inner, ok := lookup(d.values, key)
		if d.values, _ = inner.(map[string]any); !found || !ok || d.values == nil {
			return fmt.Errorf("read kratos.yml: %s is not a mapping in it", strings.Join(d.base[:i+1], "."))
		}
		d.top = next
	}
	return nil
}

// reason is the parser's error without the excerpt of the file, which may hold a
// secret.
func reason(err error) string {
	var syntax yaml.Error
	if !errors.As(err, &syntax) || syntax.GetToken() == nil {
		return "it is not YAML"
	}
	return fmt.Sprintf("line %d is not YAML that can be read", syntax.GetToken().Position.Line)
}

// place is where an entry of a mapping, an item of a list or the root stands.
type place struct {
	path   string   // for errors
	keys   []string // the same from the root of the file
	line   int      // of the key or the dash, from 0; -1: the root
	column int      // of the key or the dash, in bytes from 0
	colon  int      // behind the key's colon or the dash, in bytes from 0
	end    int      // the line after the last that can belong to it
	value  ast.Node
	keyed  bool // an entry of a mapping
}

// lookup finds a value by its path; the steps through lists are indexes.
func lookup(value any, path ...string) (any, bool) {
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

// locate walks down a path as far as the file has it: the place it comes to and the
// steps that are not there. What cannot be edited on the way is an error that names
// the line.
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

// bare is a value without its anchor.
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
			return place{}, false, at.cannot("is written in flow style, {...}: write it in block style, a line for each key")
		}
		return d.entry(at, value.Values, keys)
	case *ast.MappingValueNode:
		return d.entry(at, []*ast.MappingValueNode{value}, keys)
	case *ast.SequenceNode:
		return d.item(at, value, keys)
	case *ast.AliasNode:
		return place{}, false, at.cannot("is an alias: write out what it stands for")
	}
	return place{}, false, at.cannot("is neither a mapping nor a list that can be edited")
}

// cannot is the error about a place that cannot be edited.
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
		if _, merged := lookup(d.all, append(at.keys[:len(at.keys):len(at.keys)], key)...); merged {
			return place{}, false, at.cannot("takes " + key + " from an alias (<<): write it out")
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
		return place{}, false, at.cannot("is written in flow style, [...]: write it in block style, a dash for each item")
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

// columns turns the parser's positions, in characters from 1, into bytes from 0, and
// checks that the mark (a colon, a dash) is where the parser saw it, on the line of
// what it belongs to. behind 0: it is not.
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

// bareLine is a line without its end, and without the byte order mark.
func (d *document) bareLine(i int) string {
	line := strings.TrimRight(d.lines[i], "\r\n")
	if i == 0 {
		line = strings.TrimPrefix(line, byteOrderMark)
	}
	return line
}
