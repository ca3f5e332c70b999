package hook

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"ferry/kratos"
	"ferry/mapping"
	"ferry/state"
)

// slowRecords is a Kratos that fails at once or, unless answers is set, only when the
// caller gives up.
type slowRecords struct {
	oneRecord

	answers bool
	times   *[]time.Duration
	started time.Time
}

func (s slowRecords) Read(ctx context.Context, _ string) (kratos.Record, error) {
	if !s.answers {
		<-ctx.Done()
	}
	*s.times = append(*s.times, time.Since(s.started))
	return kratos.Record{}, errors.New("down")
}

// TestRetriesEndWithTheLease: this replica makes no more tries when another one may
// lease the profile.
func TestRetriesEndWithTheLease(t *testing.T) {
	for name, answers := range map[string]bool{"refused at once": true, "no answer": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, err := newMetrics(prometheus.NewRegistry())
				if err != nil {
					t.Fatal(err)
				}
				var tries []time.Duration
				core, logs := observer.New(zapcore.ErrorLevel)
				records := slowRecords{answers: answers, times: &tries, started: time.Now()}
				c := newProfileSyncer(SyncOptions{Records: records, Mapper: mapping.Default}, zap.New(core), func(string) string { return "#" }, m, time.Now)
				if _, result := c.sync(t.Context(), state.Lease{Handoff: state.Handoff{IdentityID: "i", Subject: "auth0|1"}}); result != "queued" {
					t.Fatal(result)
				}
				c.running.Wait()
				if len(tries) < 2 || tries[len(tries)-1] >= state.LeaseTime {
					t.Errorf("tried at %v, the lease ends at %s", tries, state.LeaseTime)
				}
				if lost := logs.FilterMessage("profile not written").All(); len(lost) != 1 || lost[0].ContextMap()["subject_hash"] != "#" {
					t.Errorf("logged %v", lost)
				}
			})
		})
	}
}
