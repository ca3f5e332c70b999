package arch

import "strings"

// Policy is what the rules measure a module against.
type Policy struct {
	// Leaves may be imported by every room and import no room.
	Leaves []string
	// Rooms says which other rooms each room imports. What is not listed is
	// not allowed; depguard in .golangci.yml repeats it for the editor.
	Rooms map[string][]string
	// TestRooms are further rooms that a room's tests import.
	TestRooms map[string][]string
	// MaxLines is the longest a Go file may be; tests and generated files are
	// not measured.
	MaxLines int
	// LongFiles are allowed to be longer, each for the reason given.
	LongFiles map[string]string
	// BadNames are package names that say nothing.
	BadNames []string
	// Forbidden are texts that no file of the tree may hold, with the reason.
	Forbidden map[string]string
}

// Ferry is the policy of this module. A new room gets its line here, and the
// same one in .golangci.yml, before its first import of another room.
//
// Not in the table: cmd, which imports everything, and test, which imports
// everything but config.
func Ferry() Policy {
	return Policy{
		Leaves: []string{"identifier", "jsonpatch", "outcome", "provenance", "secret", "strictjson", "transport"},
		Rooms: map[string][]string{
			"admin":     nil,
			"bulk":      {"edit", "kratos", "mapping", "upstream"},
			"config":    nil,
			"doctor":    {"kratos", "mapping", "upstream", "wiring"},
			"edit":      {"kratos", "mapping"},
			"hook":      {"edit", "kratos", "mapping", "recording", "state", "upstream"},
			"kratos":    nil,
			"mapping":   nil,
			"recording": nil,
			"state":     nil,
			"upstream":  nil,
			"wiring":    nil,
		},
		// hook must understand what the shipped Jsonnet makes Kratos send.
		TestRooms: map[string][]string{"hook": {"wiring"}},
		MaxLines:  400,
		LongFiles: map[string]string{},
		BadNames:  []string{"util", "utils", "common", "helper", "helpers", "misc"},
		Forbidden: map[string]string{
			// Joined here, so that this file does not hold it.
			strings.Join([]string{"..", "shared"}, "/"): "a clone has no such directory; copy what is needed into the project",
		},
	}
}
