package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"ferry/mapping"
)

// Organizations maps Auth0's connections to the UUIDs of Kratos' organizations.
type Organizations map[string]string

// ParseOrganizations parses CONNECTION=UUID pairs.
func ParseOrganizations(pairs []string) (Organizations, error) {
	organizations := Organizations{}
	for _, pair := range pairs {
		connection, text, _ := strings.Cut(pair, "=")
		id, err := uuid.Parse(text)
		if connection == "" || err != nil || len(text) != len(id.String()) {
			return nil, fmt.Errorf("organization %q: want CONNECTION=UUID, the connection at Auth0 and the organization at Kratos", pair)
		}
		if _, twice := organizations[connection]; twice {
			return nil, fmt.Errorf("organization: the connection %s is named twice", connection)
		}
		organizations[connection] = id.String()
	}
	return organizations, nil
}

// String lists the pairs in the order of their connections.
func (o Organizations) String() string {
	var pairs []string
	for _, connection := range slices.Sorted(maps.Keys(o)) {
		pairs = append(pairs, connection+"="+o[connection])
	}
	return strings.Join(pairs, ",")
}

// of returns the organization of a user: that of the first account whose connection has one.
func (o Organizations) of(profile mapping.Profile) string {
	if len(o) == 0 {
		return ""
	}
	for _, account := range profile.Accounts {
		if id := o[account.Connection]; id != "" {
			return id
		}
	}
	return ""
}
