package wiring

import (
	"errors"
	"reflect"
)

// errUnsafe is the end of a merge that would have changed more than it should.
var errUnsafe = errors.New("merge kratos.yml: it cannot be edited without changing something else (an anchor that is used elsewhere, perhaps): put the fragment in by hand")

// verify compares what the file said before with what it says now: ferry's own is
// there, and beside that nothing came, went or moved. It guards the operator's file
// against every mistake of the editing above it.
func (m *merger) verify(before map[string]any) error {
	now := m.values
	if !reflect.DeepEqual(without(before), without(now)) {
		return errUnsafe
	}
	if !m.replaced {
		if !keeps(m.of(before, migratePath()...), m.of(now, migratePath()...), ownLeaves()) {
			return errUnsafe
		}
	}
	if m.get(migratePath("enabled")...) != true || m.get(migratePath("config", "url")...) != m.o.migrateURL() {
		return errUnsafe
	}
	hooksBefore, _ := m.of(before, afterPath("password", "hooks")...).([]any)
	globalBefore, _ := m.of(before, afterPath("hooks")...).([]any)
	hooks, _ := m.get(afterPath("password", "hooks")...).([]any)
	global, _ := m.get(afterPath("hooks")...).([]any)
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
		if address, _ := lookup(running[i], "config", "url"); address != m.o.afterLoginURL() {
			return errUnsafe
		}
	}
	return nil
}

func (m *merger) of(values map[string]any, path ...string) any {
	value, _ := lookup(values, path...)
	return value
}

// others are the hooks that are not ferry's.
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

// without is a configuration without what a merge may write, and without the empty
// mappings that are then left on the way to it.
func without(values map[string]any) any {
	var rest any = values
	for _, path := range [][]string{migratePath(), afterPath("password", "hooks"), afterPath("hooks")} {
		rest = dropped(rest, path)
	}
	return rest
}

// dropped is a copy without one path, and without what then is empty above it.
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

// keeps reports whether every value of a mapping is in another, but for what is
// ferry's own.
func keeps(before, now any, own map[string]bool) bool {
	was, ok := before.(map[string]any)
	if !ok {
		return empty(before) || reflect.DeepEqual(before, now)
	}
	for key, value := range was {
		inner, there := lookup(now, key)
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
