package wiring

import (
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// afterLogin puts ferry's hook into the list of logins with a password, or brings it
// up to date where it is.
func (m *merger) afterLogin() error {
	hooks, _ := m.get(afterPath("password", "hooks")...).([]any)
	global, _ := m.get(afterPath("hooks")...).([]any)
	switch ours := indexes(hooks); {
	case len(hooks) == 0 && len(indexes(global)) > 0:
		return m.updateHooks(global, afterPath("hooks")...)
	case len(hooks) == 0:
		return m.newHooks(global)
	case len(ours) == 0:
		m.warnShadowed(hooks, global)
		m.keyUnknown()
		return m.firstHook()
	case len(ours) == len(hooks) && len(indexes(global)) == 0 && len(global) > 0:
		if err := m.appendCopies(); err != nil {
			return err
		}
		return m.updateHooks(hooks, afterPath("password", "hooks")...)
	default:
		m.warnShadowed(hooks, global)
		return m.updateHooks(hooks, afterPath("password", "hooks")...)
	}
}

// indexes are those of ferry's hooks in a list.
func indexes(hooks []any) []int {
	var ours []int
	for i, hook := range hooks {
		name, _ := lookup(hook, "hook")
		address, _ := lookup(hook, "config", "url")
		if text, ok := address.(string); ok && name == webHook && strings.HasSuffix(text, AfterLoginPath) {
			ours = append(ours, i)
		}
	}
	return ours
}

// warnShadowed tells of hooks that the operator's own list switches off already.
func (m *merger) warnShadowed(hooks, global []any) {
	for _, hook := range global {
		if name, ok := lookup(hook, "hook"); ok && !contains(hooks, hook) {
			m.note("login.after.hooks has %v, which login.after.password.hooks lacks: it does not run after logins with a password, nor did it before", name)
		}
	}
}

func contains(hooks []any, hook any) bool {
	for _, one := range hooks {
		if reflect.DeepEqual(one, hook) {
			return true
		}
	}
	return false
}

// newHooks makes the list for logins with a password, which until now there was none of.
func (m *merger) newHooks(global []any) error {
	m.keyUnknown()
	hooks := []node{m.o.afterLoginNode()}
	if len(global) > 0 {
		copied, err := m.copies()
		if err != nil {
			return err
		}
		hooks = append(hooks, copied)
	}
	path := afterPath("password", "hooks")
	at, missing, err := m.locate(path...)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		list := node{key: "hooks", children: hooks}
		return m.insert(at, within(missing[:len(missing)-1], list))
	}
	return m.fill(at, hooks)
}

// fill writes items into a list that has none.
func (m *merger) fill(at place, items []node) error {
	s := m.style(at)
	column := at.column + s.list
	at, ok := m.emptied(at)
	if !ok {
		return at.cannot("cannot be edited: write it in block style, a dash for each item")
	}
	var lines []string
	for _, item := range items {
		lines = append(lines, s.lines(item, column)...)
	}
	end := m.last(at, column)
	return m.splice(end, end, lines)
}

// firstHook puts ferry's hook at the beginning of a list that has items. By the time
// that Kratos runs the list, the password has been proven; a hook before ferry's that
// ends the login, such as require_verified_address, would keep from ferry that it was.
// All of them stay in force.
func (m *merger) firstHook() error {
	at, _, err := m.locate(afterPath("password", "hooks")...)
	if err != nil {
		return err
	}
	column, ok := m.below(at)
	if !ok {
		return at.cannot("cannot be edited: write it in block style, a dash for each item")
	}
	begin := m.listBegin(at, column)
	return m.splice(begin, begin, m.itemStyle(at).lines(m.o.afterLoginNode(), column))
}

// listEnd is the line behind a list's last one. Comments at the dashes' own column
// belong to the list only where that is not the column of the key above it, too.
func (m *merger) listEnd(at place, column int) int {
	if column == at.column {
		column++
	}
	return m.last(at, column)
}

// itemStyle is the style of a list, from a dash to its keys as its items have it.
func (m *merger) itemStyle(at place) style {
	s := m.style(at)
	list, ok := at.value.(*ast.SequenceNode)
	if !ok {
		return s
	}
	for _, entry := range list.Entries {
		if mapping, ok := bare(entry.Value).(*ast.MappingNode); ok && !mapping.IsFlowStyle && len(mapping.Values) > 0 {
			first := mapping.Values[0].Key.GetToken().Position
			if first.Line == entry.Start.Position.Line {
				s.item = first.Column - entry.Start.Position.Column
			}
			break
		}
	}
	return s
}

// updateHooks brings ferry's hooks in a list up to date, and the first of them to its
// beginning.
func (m *merger) updateHooks(hooks []any, list ...string) error {
	ours := indexes(hooks)
	if ours[0] > 0 {
		if err := m.moveFirst(ours[0], list...); err != nil {
			return err
		}
		ours[0] = 0
	}
	if len(ours) > 1 {
		m.note("%s calls ferry %d times: once is enough", strings.Join(list, "."), len(ours))
	}
	for _, i := range ours {
		if err := m.updateHook(append(list[:len(list):len(list)], strconv.Itoa(i), "config")...); err != nil {
			return err
		}
	}
	return nil
}

// answered is what Kratos will do with ferry's answer: what the options say, else what
// the file does.
func (m *merger) answered(response any) string {
	if there, ok := response.(map[string]any); m.o.Response == "" && ok && there[Parse] == true {
		return Parse
	}
	return m.o.Response
}

func (m *merger) updateHook(path ...string) error {
	below := func(step string) []string { return append(path[:len(path):len(path)], step) }
	if err := m.ensure(m.o.afterLoginURL(), below("url")...); err != nil {
		return err
	}
	if err := m.ensure("POST", below("method")...); err != nil {
		return err
	}
	response := m.get(below("response")...)
	if err := m.body(AfterLoginJsonnet(m.answered(response)), below("body")...); err != nil {
		return err
	}
	want := map[string]any{m.o.responseNode().children[0].key: true}
	if empty(response) || m.o.Response != "" && !reflect.DeepEqual(response, want) {
		if err := m.put(m.o.responseNode(), below("response")...); err != nil {
			return err
		}
	}
	return m.auth(below("auth")...)
}
