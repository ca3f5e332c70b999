package wiring

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"ferry/wire"
)

// addHook adds ferry's hook to a list, or updates it.
func (m *merger) addHook(l hookList) error {
	hooks, _ := m.get(l.path()...).([]any)
	global, _ := m.get(l.global()...).([]any)
	switch ours := indexes(hooks); {
	case len(hooks) == 0 && len(indexes(global)) > 0 && m.o.SignUp && l.flow == registrationFlow:
		return fmt.Errorf("merge kratos.yml: %s has ferry's hook, and Kratos reads the answers of hooks only in %s: remove it there and merge again", l.globalName(), l.name())
	case len(hooks) == 0 && len(indexes(global)) > 0:
		return m.updateHooks(l, global, l.global()...)
	case len(hooks) == 0:
		return m.newHooks(l, global)
	case len(ours) == 0:
		m.warnShadowed(l, hooks, global)
		m.keyUnknown()
		return m.firstHook(l)
	case len(ours) == len(hooks) && len(indexes(global)) == 0 && len(global) > 0:
		if err := m.appendCopies(l); err != nil {
			return err
		}
		return m.updateHooks(l, hooks, l.path()...)
	default:
		m.warnShadowed(l, hooks, global)
		return m.updateHooks(l, hooks, l.path()...)
	}
}

// indexes returns the indexes of ferry's hooks in a list.
func indexes(hooks []any) []int {
	var ours []int
	for i, hook := range hooks {
		name, _ := Lookup(hook, "hook")
		address, _ := Lookup(hook, "config", "url")
		text, ok := address.(string)
		if ok && name == webHook && (strings.HasSuffix(text, wire.AfterLoginPath) || strings.HasSuffix(text, wire.AfterRegistrationPath)) {
			ours = append(ours, i)
		}
	}
	return ours
}

// warnShadowed notes the hooks that the operator's own list already switches off.
func (m *merger) warnShadowed(l hookList, hooks, global []any) {
	for _, hook := range global {
		if name, ok := Lookup(hook, "hook"); ok && !contains(hooks, hook) {
			m.note("%s has %v, which %s does not have: it does not run after %s, and did not before", l.globalName(), name, l.name(), l.what())
		}
	}
}

func contains(hooks []any, hook any) bool {
	return slices.ContainsFunc(hooks, func(one any) bool { return reflect.DeepEqual(one, hook) })
}

// newHooks creates a list.
func (m *merger) newHooks(l hookList, global []any) error {
	m.keyUnknown()
	hooks := []node{l.item(m.o)}
	if len(global) > 0 {
		copied, err := m.copies(l)
		if err != nil {
			return err
		}
		hooks = append(hooks, copied)
	}
	at, missing, err := m.locate(l.path()...)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		list := node{key: "hooks", children: hooks}
		return m.insert(at, within(missing[:len(missing)-1], list))
	}
	return m.insert(at, hooks...)
}

// firstHook inserts ferry's hook before the items of a list. When Kratos runs the list, the
// password was right. If a hook before ferry's ended the login, such as
// require_verified_address, ferry would not learn of it. The other hooks still run.
func (m *merger) firstHook(l hookList) error {
	at, _, err := m.locate(l.path()...)
	if err != nil {
		return err
	}
	column, ok := m.below(at)
	if !ok {
		return at.cannot(notBlockStyle)
	}
	begin := m.listBegin(at, column)
	return m.splice(begin, begin, m.itemStyle(at).lines(l.item(m.o), column))
}

// itemStyle returns the style of a list, with the distance from a dash to its keys.
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

// updateHooks updates ferry's hooks in a list, and moves the first of them to the top.
func (m *merger) updateHooks(l hookList, hooks []any, list ...string) error {
	ours := indexes(hooks)
	if ours[0] > 0 {
		if err := m.moveFirst(ours[0], list...); err != nil {
			return err
		}
		ours[0] = 0
	}
	if len(ours) > 1 {
		m.note("%s calls ferry %d times: one call is enough", strings.Join(list, "."), len(ours))
	}
	for _, i := range ours {
		if err := m.updateHook(l, append(list[:len(list):len(list)], strconv.Itoa(i), "config")...); err != nil {
			return err
		}
	}
	return nil
}

// answered returns what Kratos will do with ferry's answer: what the options say, or else
// what the file says.
func (m *merger) answered(response any) string {
	if there, ok := response.(map[string]any); m.o.Response == "" && ok && there[Parse] == true {
		return Parse
	}
	return m.o.Response
}

func (m *merger) updateHook(l hookList, path ...string) error {
	below := func(step string) []string { return append(path[:len(path):len(path)], step) }
	if err := m.ensure(l.url(m.o), below("url")...); err != nil {
		return err
	}
	if err := m.ensure("POST", below("method")...); err != nil {
		return err
	}
	response := m.get(below("response")...)
	if l.flow == registrationFlow {
		return m.updateParsed(response, below)
	}
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

// updateParsed updates the rest of a hook whose answer Kratos must read.
func (m *merger) updateParsed(response any, below func(string) []string) error {
	if err := m.body(AfterRegistrationJsonnet(), below("body")...); err != nil {
		return err
	}
	if !reflect.DeepEqual(response, map[string]any{Parse: true}) {
		if err := m.put(parseNode(), below("response")...); err != nil {
			return err
		}
	}
	return m.auth(below("auth")...)
}
