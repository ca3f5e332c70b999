package plan

import (
	"fmt"
	"maps"
	"slices"
)

// maxConnections is how many connections are told apart in a warning.
const maxConnections = 16

// connections counts the pending users of each connection; "" is those of whom the file
// does not tell it.
type connections map[string]int

func (c connections) add(name string) {
	if _, known := c[name]; known || len(c) < maxConnections {
		c[name]++
	}
}

// warnings says whose logins ask the wrong connection, or none: the hook asks the one
// that an identity records if it is among the realms, and the first realm where an
// identity records none.
func (c connections) warnings(realms []string) []string {
	if len(realms) == 0 {
		return nil // the tenant's default directory is asked about everyone
	}
	var all []string
	if c[""] > 0 && len(realms) > 1 {
		all = append(all, fmt.Sprintf("the file does not tell the connection of %d pending users: they will be asked about in %s, the first of FERRY_AUTH0_REALMS, and in no other; "+
			"export the field identities[0].connection", c[""], realms[0]))
	}
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if name != "" && !slices.Contains(realms, name) {
			all = append(all, fmt.Sprintf("%d pending users are of the connection %s: they cannot log in before FERRY_AUTH0_REALMS lists it", c[name], name))
		}
	}
	return all
}
