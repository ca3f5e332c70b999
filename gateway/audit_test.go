package gateway_test

import (
	"sync"
	"testing"

	"ferry/audit"
	"ferry/gateway"
)

// TestAudit: what the gateway decides is a record; what it passes on without a decision is none.
func TestAudit(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var records []audit.Record
	r := newRig(t, nil, func(o *gateway.Options) {
		o.Audit = func(one audit.Record) {
			mu.Lock()
			defer mu.Unlock()
			records = append(records, one)
		}
	})
	r.post(t, "/self-service/login?flow="+flow, passwordOf("kim@example.org", "right"))
	r.mu.Lock()
	r.known["kim@example.org"] = true
	r.mu.Unlock()
	r.post(t, "/self-service/login?flow="+flow, passwordOf("kim@example.org", "right"))
	r.send(t, "GET", "/self-service/login/flows?id="+flow, "")
	mu.Lock()
	defer mu.Unlock()
	if len(records) != 1 {
		t.Fatalf("%+v", records)
	}
	if one := records[0]; one.Action != audit.GatewaySubmit || one.Actor.Kind != audit.User || one.Outcome != "created" || one.Route != "login" || one.IdentifierHash != "hash" || one.FlowID != flow {
		t.Errorf("%+v", one)
	}
}
