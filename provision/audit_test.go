package provision_test

import (
	"testing"

	"ferry/audit"
	"ferry/provision"
)

// TestAudit: an identity that is created is a record, and one that exists is none.
func TestAudit(t *testing.T) {
	t.Parallel()
	var records []audit.Record
	d := newDesk(t, func(o *provision.Options) { o.Audit = func(r audit.Record) { records = append(records, r) } }, user(kim, "kim@example.org", true, nil))
	var created string
	for range 2 {
		result, err := d.ByIdentifier(t.Context(), provision.DoorIdentifier, "kim@example.org")
		if err != nil {
			t.Fatal(err)
		}
		if result.Created {
			created = result.IdentityID
		}
	}
	if len(records) != 1 || created == "" {
		t.Fatalf("%+v", records)
	}
	if r := records[0]; r.Action != audit.IdentityCreated || r.Outcome != "created" || r.Reason != string(provision.DoorIdentifier) || r.IdentityID != created || r.SubjectHash != kim || r.Mode != "on" {
		t.Errorf("%+v", r)
	}
}
