package wiring

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Remove takes out of a kratos.yml what Merge put in, and touches nothing else: after a
// merge into a file that had nothing of ferry's, the file is again what it was, byte for
// byte. A hook that somebody put in by hand goes too, and so does whatever else stands
// in ferry's hooks. Copies of login.after.hooks go with ferry's hook, because those run
// again; where the copies were edited since, they stay, and a note says so.
//
// Values of a hook of ferry's that a merge changed are not restored. at is as in
// Options.At. Errors are those of Merge.
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
	if err := r.afterLogin(); err != nil {
		return err
	}
	if err := r.verify(before); err != nil {
		return err
	}
	r.shown = sentKeys(before)
	r.advise()
	return nil
}

// remover is one removal on its way.
type remover struct{ merger }

func (r *remover) migrateHook() error {
	address, _ := r.get(migratePath("config", "url")...).(string)
	switch {
	case strings.HasSuffix(address, MigrationPath):
		r.note("whoever logs in for the first time after this gets an error 500 from Kratos, for as long as their identity waits for its password: " +
			"`ferry status` counts those people, and `ferry finish` takes the flag away from them")
		return r.drop(migratePath()...)
	case address != "":
		r.note("%s calls something that is not ferry: it is left alone", strings.Join(migratePath(), "."))
	}
	return nil
}

// afterLogin takes ferry's hook out of every list of hooks after a login.
func (r *remover) afterLogin() error {
	after, _ := r.get(afterPath()...).(map[string]any)
	paths := [][]string{afterPath("hooks")}
	for method := range after {
		if _, ok := lookup(after, method, "hooks"); ok {
			paths = append(paths, afterPath(method, "hooks"))
		}
	}
	slices.SortFunc(paths, slices.Compare)
	for _, path := range paths {
		if err := r.hooks(path); err != nil {
			return err
		}
	}
	return nil
}

// hooks takes ferry's hooks out of one list, from the last to the first.
func (r *remover) hooks(path []string) error {
	hooks, _ := r.get(path...).([]any)
	ours := indexes(hooks)
	if len(ours) == 0 {
		return nil
	}
	copied := r.copied(path)
	global, _ := r.get(afterPath("hooks")...).([]any)
	rest := others(hooks)
	if len(rest) == 0 || copied && equalLists(rest, others(global)) {
		return r.drop(path...)
	}
	if copied {
		r.note("%s stays: its hooks are no longer those of login.after.hooks, from which they were copied", strings.Join(path, "."))
	}
	for _, i := range slices.Backward(ours) {
		if err := r.drop(append(path[:len(path):len(path)], strconv.Itoa(i))...); err != nil {
			return err
		}
	}
	return nil
}

// copied reports whether a merge has copied hooks into a list.
func (r *remover) copied(path []string) bool {
	at, missing, err := r.locate(path...)
	if err != nil || len(missing) > 0 {
		return false
	}
	for i := at.line + 1; i < at.end; i++ {
		if strings.TrimSpace(r.bareLine(i)) == copiedComment {
			return true
		}
	}
	return false
}

// drop deletes an entry of a mapping or an item of a list, with the comments that a
// merge put above it, and the keys above that are then left with nothing. A key that
// had nothing before the merge keeps its place.
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
			return errors.New("remove from kratos.yml: the file holds nothing else: delete it")
		}
		at = r.top
	}
	return r.cut(at)
}

// marked reports whether a merge found a place without a value.
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

// cut deletes the lines of a place; of one that is marked, those below its own.
func (r *remover) cut(at place) error {
	if line := r.bareLine(at.line); r.marked(at) {
		column, ok := r.below(at)
		if !ok {
			return at.cannot("cannot be edited: write it in block style")
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
		return at.cannot("begins behind a dash, and cannot be taken out: give it a line of its own")
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

const anchored = "cannot be taken out: an anchor (&) in it is used elsewhere, perhaps"

// ownComment reports whether a merge, or a fragment, has written a comment.
func ownComment(line string) bool {
	text, ok := strings.CutPrefix(strings.TrimSpace(line), "# ")
	var o Options
	own := append(o.migrateNode().comments, o.afterLoginNode().comments...)
	return ok && slices.Contains(append(own, hooksComments()...), text)
}

// verify compares what the file said before with what it says now: ferry's hooks are
// gone, and every other hook runs where it ran, or runs again.
func (r *remover) verify(before map[string]any) error {
	unsafe := fmt.Errorf("remove from kratos.yml: %w", errNotAlone)
	without := func(values map[string]any) any {
		var rest any = values
		for _, path := range [][]string{migratePath(), afterPath()} {
			rest = dropped(rest, path)
		}
		return rest
	}
	if !reflect.DeepEqual(without(before), without(r.values)) {
		return unsafe
	}
	hook, left := r.of(before, migratePath()...), r.get(migratePath()...)
	address, _ := lookup(hook, "config", "url")
	if text, ok := address.(string); ok && strings.HasSuffix(text, MigrationPath) {
		hook = nil
	}
	if same := reflect.DeepEqual(hook, left) || empty(hook) && empty(left); !same {
		return unsafe
	}
	was, _ := r.of(before, afterPath()...).(map[string]any)
	now, _ := r.get(afterPath()...).(map[string]any)
	for _, key := range append(keys(was), keys(now)...) {
		if !sameAfter(was, now, key) {
			return unsafe
		}
	}
	return nil
}

// sameAfter compares an entry of login.after: global hooks, those of a method, or
// something else.
func sameAfter(was, now map[string]any, key string) bool {
	global, _ := was["hooks"].([]any)
	if key == "hooks" {
		left, _ := now[key].([]any)
		return equalLists(others(global), left)
	}
	before, _ := lookup(was, key, "hooks")
	after, _ := lookup(now, key, "hooks")
	hooks, _ := before.([]any)
	left, _ := after.([]any)
	again := len(left) == 0 && equalLists(others(hooks), others(global))
	if same := equalLists(others(hooks), left); !same && !again {
		return false
	}
	return reflect.DeepEqual(dropped(was[key], []string{"hooks"}), dropped(now[key], []string{"hooks"}))
}

func keys(mapping map[string]any) []string {
	all := make([]string, 0, len(mapping))
	for key := range mapping {
		all = append(all, key)
	}
	return all
}

// errNotAlone is the end of a removal that would have changed more than it should.
var errNotAlone = errors.New("it cannot be edited without changing something else (an anchor that is used elsewhere, perhaps): take ferry's hooks out by hand")

// advise notes what else in the file is about ferry.
func (r *remover) advise() {
	excepted, _ := r.get("clients", "http", "private_ip_exception_urls").([]any)
	for _, one := range excepted {
		if text, ok := one.(string); ok && (strings.HasSuffix(text, MigrationPath) || strings.HasSuffix(text, AfterLoginPath)) {
			r.note("clients.http.private_ip_exception_urls still names ferry's hooks: take them out")
			return
		}
	}
}
