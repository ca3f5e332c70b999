package arch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// checkArrows holds every import against the table of rooms.
func checkArrows(m *module) []string {
	var faults []string
	for _, p := range m.packages {
		if _, known := m.policy.allowed(p.dir, false); !known {
			faults = append(faults, fmt.Sprintf("package %s is in no room of the table: add %q to Ferry() in test/arch/policy.go and to depguard in .golangci.yml, with the rooms it imports", p.dir, room(p.dir)))
			continue
		}
		for _, f := range p.files {
			faults = append(faults, checkImports(m.policy, p.dir, f)...)
		}
	}
	return faults
}

func checkImports(policy Policy, dir string, f goFile) []string {
	var faults []string
	for _, imported := range f.imports {
		target, ok := local(imported)
		if !ok || room(target) == room(dir) {
			continue
		}
		allowed, _ := policy.allowed(dir, f.test)
		switch {
		case slices.Contains(allowed, room(target)):
		case room(target) == "config":
			faults = append(faults, fmt.Sprintf("%s imports %s: only cmd reads settings; take the values that are needed as parameters, and let cmd pass them", f.path, imported))
		case len(allowed) == 0:
			faults = append(faults, fmt.Sprintf("%s imports %s, but %s imports no room at all: pass values, or declare a small interface here and let cmd tie the two", f.path, imported, room(dir)))
		default:
			faults = append(faults, fmt.Sprintf("%s imports %s, but %s may import only %s: pass values, or declare a small interface here and let cmd tie the two", f.path, imported, room(dir), strings.Join(allowed, ", ")))
		}
	}
	return faults
}

// allowed lists the rooms that a file in dir may import; known is false for a
// directory that the policy does not name.
func (p Policy) allowed(dir string, test bool) (rooms []string, known bool) {
	everything := slices.Concat(p.Leaves, slices.Sorted(maps.Keys(p.Rooms)), []string{"test"})
	from := room(dir)
	switch {
	case from == "cmd":
		return everything, true
	case from == "test":
		return slices.DeleteFunc(everything, func(r string) bool { return r == "config" }), true
	case slices.Contains(p.Leaves, from):
		rooms = nil
	default:
		others, ok := p.Rooms[from]
		if !ok {
			return nil, false
		}
		rooms = slices.Concat(p.Leaves, others)
	}
	if test {
		rooms = slices.Concat(rooms, p.TestRooms[from], []string{"test"}) // test: the simulator, the real Kratos
	}
	return rooms, true
}

// checkProgram keeps test code out of the program that operators run, at any
// distance. Test files of cmd/ferry are free to use it.
func checkProgram(m *module) []string {
	const program = "cmd/ferry"
	from := map[string]string{program: ""} // package → the one that imports it
	queue := []string{program}
	var faults []string
	for len(queue) > 0 {
		dir := queue[0]
		queue = queue[1:]
		if room(dir) == "test" {
			faults = append(faults, fmt.Sprintf("%s reaches %s (%s): test code must not ship; move what the program needs out of test/", program, dir, chain(from, dir)))
			continue
		}
		for _, next := range m.importsOf(dir) {
			if _, seen := from[next]; !seen {
				from[next] = dir
				queue = append(queue, next)
			}
		}
	}
	return faults
}

// importsOf lists the directories of this module that the package in dir
// imports outside its tests.
func (m *module) importsOf(dir string) []string {
	var dirs []string
	for _, p := range m.packages {
		if p.dir != dir {
			continue
		}
		for _, f := range p.files {
			if f.test {
				continue
			}
			for _, imported := range f.imports {
				if target, ok := local(imported); ok {
					dirs = append(dirs, target)
				}
			}
		}
	}
	return dirs
}

func chain(from map[string]string, dir string) string {
	var steps []string
	for ; dir != ""; dir = from[dir] {
		steps = append(steps, dir)
	}
	slices.Reverse(steps)
	return strings.Join(steps, " → ")
}
