package wiring

import (
	"errors"
	"reflect"
)

// errUnsafe reports a merge that would change something else.
var errUnsafe = errors.New("merge kratos.yml: it cannot be edited without changing something else, perhaps because an anchor is used elsewhere: add the fragment by hand")

// verify compares the file's values before and after: ferry's hooks are there, and nothing
// else was added, removed or moved. It protects the file against mistakes in the editing.
func (m *merger) verify(before map[string]any) error {
	now := m.values
	was, is := m.without(before), m.without(now)
	if m.o.Bridge.ID != "" {
		if was, is = withoutProviders(was), withoutProviders(is); !m.bridgeAlone(before) {
			return errUnsafe
		}
	}
	if !reflect.DeepEqual(was, is) {
		return errUnsafe
	}
	if !m.replaced {
		if !keeps(m.of(before, MigrateHookKeys()...), m.of(now, MigrateHookKeys()...), ownLeaves()) {
			return errUnsafe
		}
	}
	if m.get(MigrateHookKeys("enabled")...) != true || m.get(MigrateHookKeys("config", "url")...) != m.o.migrateURL() {
		return errUnsafe
	}
	for _, l := range m.lists {
		if err := m.verifyList(l, before); err != nil {
			return err
		}
	}
	return nil
}

// verifyList compares a list before and after.
func (m *merger) verifyList(l hookList, before map[string]any) error {
	hooksBefore, _ := m.of(before, l.path()...).([]any)
	globalBefore, _ := m.of(before, l.global()...).([]any)
	hooks, _ := m.get(l.path()...).([]any)
	global, _ := m.get(l.global()...).([]any)
	want := others(hooksBefore)
	if len(want) == 0 && len(indexes(globalBefore)) == 0 {
		want = globalBefore
	}
	if !equalLists(want, others(hooks)) || !equalLists(others(globalBefore), others(global)) {
		return errUnsafe
	}
	running := hooks
	if len(running) == 0 {
		running = global
	}
	ours := indexes(running)
	if len(ours) == 0 {
		return errUnsafe
	}
	for _, i := range ours {
		if address, _ := Lookup(running[i], "config", "url"); address != l.url(m.o) {
			return errUnsafe
		}
	}
	return nil
}

func (m *merger) of(values map[string]any, path ...string) any {
	value, _ := Lookup(values, path...)
	return value
}

// others returns the hooks that are not ferry's.
func others(hooks []any) []any {
	var rest []any
	for _, hook := range hooks {
		if len(indexes([]any{hook})) == 0 {
			rest = append(rest, hook)
		}
	}
	return rest
}

func equalLists(a, b []any) bool {
	return len(a) == len(b) && (len(a) == 0 || reflect.DeepEqual(a, b))
}

// without returns a configuration without the values that a merge may write, and without
// mappings that are then empty.
func (m *merger) without(values map[string]any) any {
	rest := dropped(values, MigrateHookKeys())
	for _, l := range m.lists {
		rest = dropped(dropped(rest, l.path()), l.global())
	}
	return rest
}

// dropped returns a copy without one path, and without mappings above it that are then
// empty.
func dropped(value any, path []string) any {
	if empty(value) || len(path) == 0 {
		return nil
	}
	here, ok := value.(map[string]any)
	if !ok {
		return value
	}
	first, below := path[0], path[1:]
	rest := make(map[string]any, len(here))
	for key, inner := range here {
		if key == first {
			inner = dropped(inner, below)
			if inner == nil {
				continue
			}
		}
		rest[key] = inner
	}
	if len(rest) == 0 {
		return nil
	}
	return rest
}

// ownLeaves are the keys of the migration hook that a merge writes.
func ownLeaves() map[string]bool {
	return map[string]bool{"enabled": true, "url": true, "method": true, "body": true, "auth": true}
}

// keeps reports whether a mapping has every value of another one, except those in own.
func keeps(before, now any, own map[string]bool) bool {
	was, ok := before.(map[string]any)
	if !ok {
		return empty(before) || reflect.DeepEqual(before, now)
	}
	for key, value := range was {
		inner, there := Lookup(now, key)
		switch {
		case own[key]:
		case key == "config":
			if !keeps(value, inner, own) {
				return false
			}
		case !there || !reflect.DeepEqual(value, inner):
			return false
		}
	}
	return true
}
