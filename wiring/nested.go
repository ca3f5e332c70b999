package wiring

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// edit changes the Kratos configuration in a text and returns the whole text. at is the
// path of the configuration in the text, or empty.
func edit(text, at string, change func(*document) error) (string, error) {
	// A last line without a line end gets one during the edit.
	added := ""
	if !strings.HasSuffix(text, "\n") {
		added = lineEnd(text)
	}
	d, err := parse(text + added)
	if err != nil {
		return "", err
	}
	if _, err := parse(text); err != nil {
		return "", err
	}
	keys, err := d.resolve(at)
	if err != nil {
		return "", err
	}
	outside := dropped(d.all, keys)
	if _, block := d.value(keys).(string); block {
		err = d.editBlock(keys, change)
	} else {
		d.base = keys
		err = d.editMapping(change)
	}
	if err != nil {
		return "", err
	}
	edited := strings.TrimSuffix(d.text(), added)
	if _, err := parse(edited); err != nil || len(keys) > 0 && !reflect.DeepEqual(outside, dropped(d.all, keys)) {
		return "", errUnsafe
	}
	return edited, nil
}

func (d *document) value(keys []string) any {
	value, _ := Lookup(d.all, keys...)
	return value
}

// resolve splits a path such as data.kratos.yaml into keys, which may contain dots.
func (d *document) resolve(at string) ([]string, error) {
	var keys []string
	var value any = d.all
	for rest := at; rest != ""; {
		found := false
		for end := 0; end < len(rest) && !found; {
			end++
			if end < len(rest) && rest[end] != '.' {
				continue
			}
			var inner any
			if inner, found = Lookup(value, rest[:end]); found {
				keys, value = append(keys, rest[:end]), inner
				rest = strings.TrimPrefix(rest[end:], ".")
			}
		}
		if !found {
			return nil, fmt.Errorf("read kratos.yml: the file has no %s", at)
		}
	}
	return keys, nil
}

func (d *document) editMapping(change func(*document) error) error {
	if err := d.enter(); err != nil {
		return err
	}
	if err := checkKratos(d.values); err != nil {
		return err
	}
	return change(d)
}

// blockHeader matches the text after the key of a literal block that can be edited: one
// that is indented like its first line.
var blockHeader = regexp.MustCompile(`^\s+(?:&\S+\s+)?\|[-+]?\s*(?:#.*)?$`)

// editBlock edits a configuration that is a text in another file, as in a ConfigMap.
func (d *document) editBlock(keys []string, change func(*document) error) error {
	at, missing, err := d.locate(keys...)
	if err != nil {
		return err
	}
	if _, ok := at.value.(*ast.LiteralNode); !ok || len(missing) > 0 || !blockHeader.MatchString(d.bareLine(at.line)[at.colon:]) {
		return at.cannot("is a text that cannot be edited: write it as a literal block, with | after the key and the configuration below")
	}
	first, end, column := d.block(at)
	var inner strings.Builder
	for i := first; i < end; i++ {
		inner.WriteString(shifted(d.bareLine(i), -column) + "\n")
	}
	edited, err := edit(inner.String(), "", change)
	if err != nil {
		return fmt.Errorf("in %s: %w", at.path, err)
	}
	if edited == inner.String() {
		return nil
	}
	var lines []string
	for line := range strings.Lines(edited) {
		lines = append(lines, shifted(strings.TrimSuffix(line, "\n"), column))
	}
	if err := d.splice(first, end, lines); err != nil {
		return err
	}
	if text, _ := d.value(keys).(string); strings.TrimRight(text, "\n") != strings.TrimRight(edited, "\n") {
		return errUnsafe
	}
	return nil
}

// block returns where the lines of a literal block begin and end, and their column.
func (d *document) block(at place) (first, end, column int) {
	first = at.line + 1
	column = -1
	for i := first; i < at.end; i++ {
		switch indent := d.indent(i); {
		case indent < 0:
		case column < 0:
			column, end = indent, i+1
		case indent < column:
			return first, end, column
		default:
			end = i + 1
		}
	}
	if column < 0 {
		return first, first, 0
	}
	return first, end, column
}
