package arch

import "strings"

// Policy configures the rules.
type Policy struct {
	// MaxLines is the maximum length of a Go file. Tests and generated files are exempt.
	MaxLines int
	// LongFiles may be longer, each for the reason given.
	LongFiles map[string]string
	// BadNames are package names that do not describe a package.
	BadNames []string
	// Forbidden are texts that no file of the tree may contain, with the reason.
	Forbidden map[string]string
}

// Ferry is the policy of this module.
func Ferry() Policy {
	return Policy{
		MaxLines:  400,
		LongFiles: map[string]string{},
		BadNames:  []string{"util", "utils", "common", "helper", "helpers", "misc"},
		Forbidden: map[string]string{
			// Joined here, so that this file does not contain it.
			strings.Join([]string{"..", "shared"}, "/"): "a clone has no such directory; copy what is needed into the project",
		},
	}
}
