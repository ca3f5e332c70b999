package reconcile

import (
	"strings"
	"time"

	"ferry/bulk/kind"
	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/kratos"
	"ferry/mapping"
)

// Connection counts the users of the file who have one Auth0 connection.
type Connection struct {
	Users int `json:"users"`
	// Obstacles counts the users for whom something is in the way, each once.
	Obstacles map[Obstacle]int `json:"obstacles"`
	// NoIdentity is the number of users without an identity who are not blocked at Auth0.
	NoIdentity int `json:"no_identity"`
	// LoseActive is the number of users who can log in only while Auth0 answers, or have no
	// identity, and logged in at Auth0 in the last 90 days.
	LoseActive int `json:"lose_access_active_90_days"`
}

// Obstacle is why a user cannot log in to Kratos as at Auth0. That a user is pending is not an
// obstacle.
type Obstacle string

// The obstacles. The plan of a migration has them as blockers.
const (
	// ObstacleMissing: the user has no identity, and an import would create it.
	ObstacleMissing Obstacle = "missing"
	// ObstacleFactor: the user has a second factor at Auth0, and either no identity for that
	// reason, or one that the hook refuses.
	ObstacleFactor Obstacle = "second_factor"
	// ObstacleSocial: the user logs in at a provider that Kratos does not have, and has no
	// identity.
	ObstacleSocial Obstacle = "social_without_provider"
	// ObstacleUnmapped: the user has no identity for another reason.
	ObstacleUnmapped Obstacle = "not_importable"
	// ObstacleHindered: the identity has other addresses or an older password, no verified
	// address, or the password is that of a linked account.
	ObstacleHindered Obstacle = "hindered"
)

// activeFor is how long ago a user may have logged in at Auth0 to count as active.
const activeFor = 90 * 24 * time.Hour

// connection returns the counts of the connection of a profile: the one with the password,
// else that of the primary account.
func (r *reconciler) connection(profile mapping.Profile) *Connection {
	name := profile.Connection
	if name == "" && len(profile.Accounts) > 0 {
		name = profile.Accounts[0].Connection
	}
	if name == "" {
		name, _, _ = strings.Cut(profile.UserID, "|")
	}
	one := r.connections[name]
	if one == nil {
		one = &Connection{Obstacles: map[Obstacle]int{}}
		r.connections[name] = one
	}
	return one
}

// isActive reports whether the user logged in at Auth0 lately.
func (r *reconciler) isActive(profile mapping.Profile) bool {
	at, known := mapping.Time(profile.Claims["last_login"])
	return known && r.Now().Sub(at) < activeFor
}

// countUser counts a user who has an identity.
func (r *reconciler) countUser(u user, record kratos.Record, how kind.Kind, against hindrance) {
	c := r.connection(u.profile)
	c.Users++
	switch against {
	case noHindrance, hinderedByBlock:
	case hinderedByFactor:
		c.Obstacles[ObstacleFactor]++
	case hinderedByLink, hinderedByName, hinderedByReset, hinderedByAddress, hinderedByCode:
		c.Obstacles[ObstacleHindered]++
	}
	if (how == kind.Pending || how == kind.Bridge) && record.Active && r.isActive(u.profile) {
		c.LoseActive++
	}
}

// countMissing counts a user without an identity.
func (r *reconciler) countMissing(row plan.Row, why results.Cause) {
	profile, err := mapping.FromUser(row.User)
	if err != nil {
		profile = mapping.Profile{UserID: row.UserID}
	}
	c := r.connection(profile)
	c.Users++
	switch why.Reason {
	case "":
		c.Obstacles[ObstacleMissing]++
	case results.ReasonMFA:
		c.Obstacles[ObstacleFactor]++
	case results.ReasonNoLogin:
		c.Obstacles[ObstacleSocial]++
	default:
		c.Obstacles[ObstacleUnmapped]++
	}
	if profile.Blocked {
		return
	}
	c.NoIdentity++
	if r.isActive(profile) {
		c.LoseActive++
	}
}

// settle makes the counts of the connections part of the result.
func (r *reconciler) settle() {
	for name, one := range r.connections {
		r.result.Connections[name] = *one
	}
}
