package status

import (
	"slices"
	"strings"
	"time"

	"ferry/bulk/kind"
	"ferry/kratos"
)

// Connection counts the identities of one Auth0 connection.
type Connection struct {
	Total int               `json:"total"`
	Kinds map[kind.Kind]int `json:"kinds"`
	// Obstacles count the pending, active identities with something in the way that Kratos
	// knows of. An identity can have several.
	Obstacles map[Obstacle]int `json:"obstacles"`
}

// Obstacle is what keeps the user of a pending identity from migrating, or from recovering
// the account once the pending state is ended.
type Obstacle string

// The obstacles that Kratos knows of.
const (
	// Unbound is a pending identity that records no Auth0 user.
	Unbound Obstacle = "unbound"
	// NoAddress is a pending identity without an e-mail address or phone number: it cannot be
	// recovered.
	NoAddress Obstacle = "no_address"
)

// The names under which identities are counted that have no connection. Auth0 allows no
// underscore in the name of a connection.
const (
	// NotFromAuth0 has the identities that record no Auth0 user.
	NotFromAuth0 = "not_from_auth0"
	// OtherConnections has all connections after the first maxConnections.
	OtherConnections = "other_connections"
)

// maxConnections bounds the memory: the names are what other programs may have written.
const maxConnections = 1000

// ConnectionOf returns the connection of an identity: the recorded one, else the provider in
// the Auth0 user id, such as google-oauth2; NotFromAuth0 if it records no Auth0 user.
func ConnectionOf(record kratos.Record) string {
	provider, _, _ := strings.Cut(record.Binding.Primary(), "|")
	switch {
	case record.Binding.Primary() == "":
		return NotFromAuth0
	case record.Binding.Connection != "":
		return record.Binding.Connection
	}
	return provider
}

// connection returns the counts of a connection.
func (s *Status) connection(name string) *Connection {
	one := s.byConnection[name]
	if one == nil && len(s.byConnection) >= maxConnections {
		name = OtherConnections
		one = s.byConnection[name]
	}
	if one == nil {
		one = &Connection{Kinds: map[kind.Kind]int{}, Obstacles: map[Obstacle]int{}}
		s.byConnection[name] = one
	}
	return one
}

func (c *Connection) add(record kratos.Record, how kind.Kind) {
	c.Total++
	c.Kinds[how]++
	if how != kind.Pending {
		return
	}
	if record.Binding.Primary() == "" {
		c.Obstacles[Unbound]++
	}
	if len(record.Addresses) == 0 {
		c.Obstacles[NoAddress]++
	}
}

// Obstacles returns the number of identities with the obstacle, in all connections.
func (s Status) Obstacles(which Obstacle) (all int) {
	for _, one := range s.Connections {
		all += one.Obstacles[which]
	}
	return all
}

// Period is a day or an hour, in UTC, in which users migrated.
type Period struct {
	Start    time.Time `json:"start"`
	Migrated int       `json:"migrated"`
}

// hoursKept is how far back users are counted by the hour.
const hoursKept = 14 * day

// count counts a migration.
func (s *Status) count(at time.Time) {
	at = at.UTC()
	if s.LastMigratedAt == nil || at.After(*s.LastMigratedAt) {
		s.LastMigratedAt = &at
	}
	s.days[at.Truncate(day)]++
	if s.At.Sub(at) < hoursKept {
		s.hours[at.Truncate(time.Hour)]++
	}
}

// settle makes the exported counts of the collected ones.
func (s *Status) settle() {
	s.Days, s.Hours = periods(s.days), periods(s.hours)
	s.Connections = make(map[string]Connection, len(s.byConnection))
	for name, one := range s.byConnection {
		s.Connections[name] = *one
	}
	s.days, s.hours, s.byConnection = nil, nil, nil
}

func periods(counts map[time.Time]int) []Period {
	all := make([]Period, 0, len(counts))
	for start, n := range counts {
		all = append(all, Period{start, n})
	}
	slices.SortFunc(all, func(a, b Period) int { return a.Start.Compare(b.Start) })
	return all
}
