package mode_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/audit"
	"ferry/mode"
)

// TestAuditOfChanges: a change, also to what is so already, is a record.
func TestAuditOfChanges(t *testing.T) {
	t.Parallel()
	var records []audit.Record
	modes, err := mode.New(mode.Options{
		Mode: "on", Cohort: "all", Audit: func(r audit.Record) { records = append(records, r) }, Log: zap.NewNop(), Metrics: prometheus.NewRegistry(), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := modes.Set(mode.Change{Mode: "off", Cohort: "@example.com", Who: "kim", From: "127.0.0.1:9"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := modes.Set(mode.Change{Mode: "wrong"}); err == nil || len(records) != 2 {
		t.Fatalf("%v, %+v", err, records)
	}
	if r := records[0]; r.Action != audit.ModeChange || r.Actor != (audit.Actor{Kind: audit.Operator, Name: "kim", From: "127.0.0.1:9"}) || r.Outcome != "changed" ||
		r.Reason != "admin" || r.Mode != "off" || r.ModeWas != "on" || r.Cohort != "@example.com" || r.CohortWas != "all" {
		t.Errorf("%+v", r)
	}
	if r := records[1]; r.Outcome != "unchanged" || r.ModeWas != "off" {
		t.Errorf("%+v", r)
	}
}
