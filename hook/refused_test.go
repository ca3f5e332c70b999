package hook_test

import (
	"strings"
	"testing"

	"ferry/outcome"
	"ferry/upstream"
)

// TestRefusedUnasked: where ferry may not ask Auth0, the user sees an outage, and neither the
// log nor the metrics name a time of Auth0.
func TestRefusedUnasked(t *testing.T) {
	for reason, o := range map[string]outcome.Outcome{
		upstream.ReasonOwnRateLimit: outcome.Limited, upstream.ReasonAuth0RateLimit: outcome.Limited,
		upstream.ReasonBreakerOpen: outcome.Unavailable, upstream.ReasonBreakerProbing: outcome.Unavailable,
	} {
		t.Run(reason, func(t *testing.T) {
			f := alice()
			f.askErr = &upstream.LoginError{Outcome: o, Reason: reason}
			h := start(t, f)
			if got := h.post(t, login()); got.status != 424 || got.body != `{"status":"unavailable"}` {
				t.Errorf("%d %s", got.status, got.body)
			}
			h.close()
			if log := h.logged(); !strings.Contains(log, `"reason":"`+reason+`"`) || strings.Contains(log, "auth0_took") {
				t.Error(log)
			}
			families, err := h.registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, family := range families {
				if family.GetName() == "ferry_auth0_seconds" && family.GetMetric()[0].GetHistogram().GetSampleCount() > 0 {
					t.Error("a time of Auth0 was counted")
				}
			}
		})
	}
}
