package page_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/admin/page"
	"ferry/audit"
	"ferry/mode"
	"ferry/secret"
)

// TestAuditOfWrongKeys: a wrong key is an audit record. No key is none: every browser begins so.
func TestAuditOfWrongKeys(t *testing.T) {
	t.Parallel()
	var records []audit.Record
	modes, err := mode.New(mode.Options{Mode: "on", Cohort: "all", Log: zap.NewNop(), Metrics: prometheus.NewRegistry(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	p, err := page.New(page.Options{
		Version: "v1", Key: secret.New(key), Modes: modes, Log: zap.NewNop(), Now: time.Now,
		Facts: func(context.Context) page.Facts { return page.Facts{} }, Audit: func(r audit.Record) { records = append(records, r) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, presented := range []string{"", "wrong"} {
		req := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		if presented != "" {
			req.SetBasicAuth("kim", presented)
		}
		p.ServeHTTP(httptest.NewRecorder(), req)
	}
	if len(records) != 1 || records[0].Action != audit.AuthenticationFailure || records[0].Route != "/page" || records[0].Actor.Kind != audit.Unknown {
		t.Errorf("%+v", records)
	}
}
