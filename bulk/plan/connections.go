package plan

import (
	"fmt"
	"maps"
	"slices"
)

// maxConnections bounds the connections that warnings list.
const maxConnections = 16

// connections counts the pending users of each connection; "" if the file does not have it.
type connections map[string]int

func (c connections) add(name string) {
	if _, known := c[name]; known || name == "" || len(c) < maxConnections {
		c[name]++
	}
}

// warnings warns of users whose logins ask the wrong connection, or none. The hook asks the
// connection that the identity records, if it is a realm, and the first realm if the
// identity records none.
func (c connections) warnings(realms []string) []string {
	if len(realms) == 0 {
		return nil // the hook asks the tenant's default directory about everyone
	}
	var all []string
	if c[""] > 0 && len(realms) > 1 {
		all = append(all, fmt.Sprintf("the file does not have the connection of %d pending users: the hook will ask only %s, the first of FERRY_AUTH0_REALMS, about them",
			c[""], realms[0]))
	}
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if name != "" && !slices.Contains(realms, name) {
			all = append(all, fmt.Sprintf("%d pending users are of the connection %s: they cannot log in until FERRY_AUTH0_REALMS lists it", c[name], name))
		}
	}
	return all
}
