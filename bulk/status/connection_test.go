package status_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"ferry/bulk/kind"
	"ferry/bulk/status"
	"ferry/test/bulktest"
)

// connected returns the identity with a recorded connection.
func connected(p bulktest.Identity, connection string) bulktest.Identity {
	return bulktest.Marked(p, bulktest.With{"connection": connection})
}

func TestStatusConnections(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.Add(connected(bulktest.Pending("auth0|a", "a@x.test"), "main"))
	f.Add(connected(bulktest.Migrated(1, bulktest.Now()), "main"))
	f.Add(connected(bulktest.Inactive(bulktest.Pending("auth0|i", "i@x.test")), "main"))
	noAddress := connected(bulktest.Pending("auth0|n", "n@x.test"), "names")
	noAddress.Traits = map[string]any{"username": "n"}
	f.Add(noAddress)
	f.Add(bulktest.Pending("google-oauth2|1", "g@x.test")) // no connection is recorded
	unbound := bulktest.Pending("auth0|u", "u@x.test")
	unbound.Admin = nil
	f.Add(unbound)
	f.Add(bulktest.Identity{Traits: map[string]any{"email": "own@x.test"}, Hash: bulktest.BcryptHash})

	s, _ := readStatus(t, f)
	none := map[status.Obstacle]int{}
	want := map[string]status.Connection{
		"main":              {Total: 3, Kinds: map[kind.Kind]int{kind.Pending: 1, kind.Migrated: 1, kind.Inactive: 1}, Obstacles: none},
		"names":             {Total: 1, Kinds: map[kind.Kind]int{kind.Pending: 1}, Obstacles: map[status.Obstacle]int{status.NoAddress: 1}},
		"google-oauth2":     {Total: 1, Kinds: map[kind.Kind]int{kind.Pending: 1}, Obstacles: none},
		status.NotFromAuth0: {Total: 2, Kinds: map[kind.Kind]int{kind.Pending: 1, kind.Own: 1}, Obstacles: map[status.Obstacle]int{status.Unbound: 1}},
	}
	if !reflect.DeepEqual(s.Connections, want) {
		t.Errorf("got %+v\nwant %+v", s.Connections, want)
	}
	if s.Obstacles(status.Unbound) != 1 || s.Obstacles(status.NoAddress) != 1 {
		t.Errorf("%d unbound, %d without an address", s.Obstacles(status.Unbound), s.Obstacles(status.NoAddress))
	}
}

// TestStatusConnectionsAreBounded: other programs can write any connection.
func TestStatusConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	for i := range 1100 {
		f.Add(connected(bulktest.Pending(fmt.Sprintf("auth0|%d", i), fmt.Sprintf("p%d@x.test", i)), fmt.Sprintf("c%d", i)))
	}
	s, _ := readStatus(t, f)
	if other := s.Connections[status.OtherConnections].Total; len(s.Connections) != 1001 || other != 100 {
		t.Errorf("%d connections, %d identities of others", len(s.Connections), other)
	}
}

func TestStatusPeriods(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	now := bulktest.Now()
	for i, ago := range []time.Duration{time.Minute, 2 * time.Minute, 25 * time.Hour, 15 * 24 * time.Hour} {
		f.Add(bulktest.Migrated(i, now.Add(-ago)))
	}
	s, _ := readStatus(t, f)
	const day = 24 * time.Hour
	today, hour := now.Truncate(day), now.Add(-time.Minute).Truncate(time.Hour)
	wantDays := []status.Period{{Start: today.Add(-15 * day), Migrated: 1}, {Start: today.Add(-day), Migrated: 1}, {Start: today, Migrated: 2}}
	wantHours := []status.Period{{Start: now.Add(-25 * time.Hour).Truncate(time.Hour), Migrated: 1}, {Start: hour, Migrated: 2}}
	if !reflect.DeepEqual(s.Days, wantDays) || !reflect.DeepEqual(s.Hours, wantHours) {
		t.Errorf("days %v, hours %v\nwant %v, %v", s.Days, s.Hours, wantDays, wantHours)
	}
	if s.LastMigratedAt == nil || !s.LastMigratedAt.Equal(now.Add(-time.Minute)) {
		t.Errorf("the last migrated at %v", s.LastMigratedAt)
	}
}
