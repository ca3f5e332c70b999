package reconcile_test

import (
	"reflect"
	"testing"
	"time"

	"ferry/bulk/reconcile"
	"ferry/test/bulktest"
)

// TestReconcileObstacles: each user counts in the connection of the export, with the first
// thing that is in the way, and with a login of the last 90 days.
func TestReconcileObstacles(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.Add(bulktest.Pending("auth0|pending", "pending@x.test"))
	f.Add(bulktest.Pending("auth0|factor", "factor@x.test"))
	f.Add(bulktest.Bound("auth0|hash", "hash@x.test"))
	f.Add(bulktest.Bound("auth0|renamed", "old@x.test"))
	lately := bulktest.With{"last_login": time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)}
	longAgo := bulktest.With{"last_login": time.Now().Add(-91 * 24 * time.Hour).UTC().Format(time.RFC3339)}
	mfa := bulktest.With{"multifactor": []any{"sms"}}
	social := func(connection, id string) bulktest.With {
		return bulktest.With{"user_id": connection + "|" + id, "identities": []any{map[string]any{"provider": connection, "user_id": id, "connection": connection, "isSocial": true}}}
	}
	rows := []string{
		bulktest.Verified("pending", "pending@x.test", lately),
		bulktest.Verified("factor", "factor@x.test", mfa, longAgo),
		bulktest.Verified("hash", "hash@x.test", lately),
		bulktest.Verified("renamed", "new@x.test", lately),
		bulktest.Verified("missing", "missing@x.test", lately),
		bulktest.Verified("blocked", "blocked@x.test", lately, bulktest.With{"blocked": true}),
		bulktest.Verified("skipped", "skipped@x.test", mfa, lately),
		bulktest.Verified("1", "google@x.test", lately, social("google-oauth2", "1")),
		bulktest.Verified("invalid", "", lately, bulktest.With{"email": nil}),
	}
	result, _, _ := reconciling(t, f, rows, nil)
	want := map[string]reconcile.Connection{
		"users": {Users: 8, NoIdentity: 3, LoseActive: 4, Obstacles: map[reconcile.Obstacle]int{
			reconcile.ObstacleMissing: 2, reconcile.ObstacleFactor: 2, reconcile.ObstacleHindered: 1, reconcile.ObstacleUnmapped: 1,
		}},
		"google-oauth2": {Users: 1, NoIdentity: 1, LoseActive: 1, Obstacles: map[reconcile.Obstacle]int{reconcile.ObstacleSocial: 1}},
	}
	if !reflect.DeepEqual(result.Connections, want) {
		t.Errorf("got  %+v\nwant %+v", result.Connections, want)
	}
}
