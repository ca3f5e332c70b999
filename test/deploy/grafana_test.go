package deploy

import (
	"errors"
	"os"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// TestDashboard decodes the dashboard strictly against Grafana's own model: of the dashboard, of
// each kind of panel with its options, and of queries to Prometheus.
func TestDashboard(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	text, err := os.ReadFile(root + "/deploy/grafana/ferry.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard.Dashboard //nolint:staticcheck // the second version of the model is for the latest Grafana only
	for what, err := range map[string]error{"decode": d.UnmarshalJSONStrict(text), "validate": d.Validate()} {
		var faults cog.BuildErrors // without any, the error is an empty list
		if err != nil && (!errors.As(err, &faults) || len(faults) > 0) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(d.Panels) < 30 {
		t.Errorf("%d panels", len(d.Panels))
	}
}
