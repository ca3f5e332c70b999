package wiring

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"ferry/wire"
)

// Remove removes what Merge added to a kratos.yml, and changes nothing else: after a merge
// into a file without ferry's hooks, it restores the file byte for byte. It also removes
// hooks of ferry's that were added by hand. Copies of the global hooks are removed too,
// because the originals run again; copies that were edited stay, and a note says so.
//
// It does not restore values of ferry's hooks that a merge changed. at is Options.At.
// Errors are as in Merge.
func Remove(file []byte, at string) (Merged, error) {
	var r remover
	left, err := edit(string(file), at, r.remove)
	if err != nil {
		return Merged{}, err
	}
	return Merged{
		Text:  []byte(left),
		Diff:  unifiedDiff(string(file), left, "without ferry", r.shown),
		Notes: r.notes,
	}, nil
}

func (r *remover) remove(d *document) error {
	r.document = d
	before := d.values
	if err := r.migrateHook(); err != nil {
		return err
	}
	for _, flow := range flows() {
		if err := r.after(flow); err != nil {
			return err
		}
	}
	if err := r.bridge(); err != nil {
		return err
	}
	if err := r.verify(before); err != nil {
		return err
	}
	r.shown = sentKeys(before)
	r.advise()
	return nil
}

// remover is a removal in progress.
type remover struct{ merger }

func (r *remover) migrateHook() error {
	address, _ := r.get(MigrateHookKeys("config", "url")...).(string)
	switch {
	case strings.HasSuffix(address, wire.MigrationPath):
		r.note("logins of pending identities now fail with an error 500 from Kratos: " +
			"`ferry status` counts these identities, and `ferry finish` ends their migration")
		return r.drop(MigrateHookKeys()...)
	case address != "":
		r.note("%s does not call ferry: it was not changed", strings.Join(MigrateHookKeys(), "."))
	}
	return nil
}

// after removes ferry's hook from every list of hooks after a flow.
func (r *remover) after(flow string) error {
	after, _ := r.get(afterKeys(flow)...).(map[string]any)
	lists := []hookList{{flow: flow}}
	for method := range after {
		if _, ok := Lookup(after, method, "hooks"); ok {
			lists = append(lists, hookList{flow: flow, method: method})
		}
	}
	slices.SortFunc(lists, func(a, b hookList) int { return slices.Compare(a.path(), b.path()) })
	for _, l := range lists {
		if err := r.hooks(l); err != nil {
			return err
		}
	}
	return nil
}

// hooks removes ferry's hooks from one list, from the last to the first.
func (r *remover) hooks(l hookList) error {
	path := l.path()
	hooks, _ := r.get(path...).([]any)
	ours := indexes(hooks)
	if len(ours) == 0 {
		return nil
	}
	copied := r.copied(path)
	global, _ := r.get(l.global()...).([]any)
	rest := others(hooks)
	if len(rest) == 0 || copied && equalLists(rest, others(global)) {
		return r.drop(path...)
	}
	if copied {
		r.note("%s was kept: its hooks were copied from %s, and differ from them now", strings.Join(path, "."), l.globalName())
	}
	for _, i := range slices.Backward(ours) {
		if err := r.drop(append(path[:len(path):len(path)], strconv.Itoa(i))...); err != nil {
			return err
		}
	}
	return nil
}

// copied reports whether a merge copied hooks into a list.
func (r *remover) copied(path []string) bool {
	at, missing, err := r.locate(path...)
	if err != nil || len(missing) > 0 {
		return false
	}
	for i := at.line + 1; i < at.end; i++ {
		if isCopied(r.bareLine(i)) {
			return true
		}
	}
	return false
}

// drop deletes an entry of a mapping or an item of a list, with the comments that a merge
// wrote above it, and the keys above that are then empty. A key that was empty before the
// merge stays.
func (r *remover) drop(path ...string) error {
	at, missing, err := r.locate(path...)
	if err != nil || len(missing) > 0 {
		return err
	}
	for !r.marked(at) && len(path) > 1 {
		above, _, err := r.locate(path[:len(path)-1]...)
		if err != nil {
			return err
		}
		if !alone(above.value) {
			break
		}
		at, path = above, path[:len(path)-1]
	}
	if len(path) == 1 && alone(r.top.value) && !r.marked(at) {
		if r.top.line < 0 || !r.marked(r.top) {
			return errors.New("remove from kratos.yml: the file contains nothing else: delete it")
		}
		at = r.top
	}
	return r.cut(at)
}

// marked reports whether a merge found a place empty.
func (r *remover) marked(at place) bool {
	return at.keyed && wasPattern.MatchString(r.bareLine(at.line)[at.colon:])
}

// alone reports whether a mapping or a list has one entry.
func alone(value ast.Node) bool {
	switch value := value.(type) {
	case *ast.MappingNode:
		return len(value.Values) == 1
	case *ast.MappingValueNode:
		return true
	case *ast.SequenceNode:
		return len(value.Entries) == 1
	}
	return false
}

// cut deletes the lines of a place. If the place is marked, its own line stays.
func (r *remover) cut(at place) error {
	if line := r.bareLine(at.line); r.marked(at) {
		column, ok := r.below(at)
		if !ok {
			return at.cannot(notBlockStyle)
		}
		first := at.line + 1
		for first < at.end && (r.indent(first) < 0 || r.isComment(first) && !ownComment(r.bareLine(first))) {
			first++
		}
		was, _ := restored(line[at.colon:])
		end := r.last(at, column+1)
		r.lines = slices.Delete(r.lines, first, end)
		if err := r.splice(at.line, at.line+1, []string{line[:at.colon] + was}); err != nil {
			return at.cannot(anchored)
		}
		return nil
	}
	if strings.TrimSpace(r.bareLine(at.line)[:at.column]) != "" {
		return at.cannot("begins after a dash, and cannot be removed: put it on its own line")
	}
	first, end := at.line, r.last(at, at.column+1)
	for first > 0 && r.indent(first-1) == at.column && ownComment(r.bareLine(first-1)) {
		first--
	}
	if err := r.splice(first, end, nil); err != nil {
		return at.cannot(anchored)
	}
	return nil
}

const anchored = "cannot be removed, perhaps because an anchor (&) in it is used elsewhere"

// earlierComments are those that an earlier ferry wrote.
func earlierComments() []string {
	return []string{
		"Keep it enabled while anybody is pending: without it, their logins fail.",
		"Kratos tells ferry who logged in; ferry brings what Auth0 knows of them, once.",
		"Keep it first: where require_verified_address runs before it, somebody who has",
		"Kratos asks ferry whether it is a user of Auth0 who signs up, before it stores the",
		"identity.",
		"The bridge: users who cannot bring their password log in at Auth0, and are the",
		"identity that ferry imported.",
	}
}

// ownComment reports whether Merge or Fragment wrote a comment.
func ownComment(line string) bool {
	text, ok := strings.CutPrefix(strings.TrimSpace(line), "# ")
	var o Options
	own := slices.Concat(o.migrateNode().comments, o.afterLoginNode().comments, afterRegistrationComments(), bridgeComments(), hooksComments(), earlierComments())
	return ok && slices.Contains(append(own, registrationComments()...), text)
}

// verify compares the file's values before and after: ferry's hooks are gone, and every
// other hook runs where it ran, or runs again.
func (r *remover) verify(before map[string]any) error {
	unsafe := fmt.Errorf("remove from kratos.yml: %w", errNotAlone)
	without := func(values map[string]any) any {
		var rest any = values
		for _, path := range [][]string{MigrateHookKeys(), AfterLoginKeys(), afterKeys(registrationFlow)} {
			rest = dropped(rest, path)
		}
		return withoutProviders(rest)
	}
	if !reflect.DeepEqual(without(before), without(r.values)) || !r.bridgeRemoved(before) {
		return unsafe
	}
	hook, left := r.of(before, MigrateHookKeys()...), r.get(MigrateHookKeys()...)
	address, _ := Lookup(hook, "config", "url")
	if text, ok := address.(string); ok && strings.HasSuffix(text, wire.MigrationPath) {
		hook = nil
	}
	if same := reflect.DeepEqual(hook, left) || empty(hook) && empty(left); !same {
		return unsafe
	}
	for _, flow := range flows() {
		was, _ := r.of(before, afterKeys(flow)...).(map[string]any)
		now, _ := r.get(afterKeys(flow)...).(map[string]any)
		for _, key := range slices.Concat(slices.Collect(maps.Keys(was)), slices.Collect(maps.Keys(now))) {
			if !sameAfter(was, now, key) {
				return unsafe
			}
		}
	}
	return nil
}

// sameAfter compares an entry after a flow: global hooks, hooks of a method, or
// something else.
func sameAfter(was, now map[string]any, key string) bool {
	global, _ := was["hooks"].([]any)
	if key == "hooks" {
		left, _ := now[key].([]any)
		return equalLists(others(global), left)
	}
	before, _ := Lookup(was, key, "hooks")
	after, _ := Lookup(now, key, "hooks")
	hooks, _ := before.([]any)
	left, _ := after.([]any)
	again := len(left) == 0 && equalLists(others(hooks), others(global))
	if same := equalLists(others(hooks), left); !same && !again {
		return false
	}
	return reflect.DeepEqual(dropped(was[key], []string{"hooks"}), dropped(now[key], []string{"hooks"}))
}

// errNotAlone reports a removal that would change something else.
var errNotAlone = errors.New("it cannot be edited without changing something else, perhaps because an anchor is used elsewhere: remove ferry's hooks by hand")

// advise notes what else in the file refers to ferry.
func (r *remover) advise() {
	excepted, _ := r.get("clients", "http", "private_ip_exception_urls").([]any)
	for _, one := range excepted {
		if text, ok := one.(string); ok && slices.ContainsFunc([]string{wire.MigrationPath, wire.AfterLoginPath, wire.AfterRegistrationPath}, func(path string) bool { return strings.HasSuffix(text, path) }) {
			r.note("clients.http.private_ip_exception_urls still contains ferry's hooks: remove them")
			return
		}
	}
}
