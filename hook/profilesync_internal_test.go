package hook

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"ferry/jsonpatch"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/state"
)

// oneRecord is an admin API with one identity, or one that fails.
type oneRecord struct{ err error }

func (r oneRecord) Read(context.Context, string) (kratos.Record, error) {
	return kratos.Record{SchemaID: "person", HasPassword: true}, r.err
}

func (r oneRecord) Patch(ctx context.Context, id string, _ []jsonpatch.Op) (kratos.Record, error) {
	return r.Read(ctx, id)
}

func (oneRecord) Schema(context.Context, string) ([]byte, error) { return []byte(`{}`), nil }

type toldOf chan string

func (m toldOf) MarkMigrated(_ context.Context, userID, _ string, _ time.Time) error {
	m <- userID
	return nil
}

// fullSyncer returns a profileSyncer whose queue is full, its store and its log.
func fullSyncer(t *testing.T, records records, auth0 writeBack, expired func(string, string)) (*profileSyncer, *state.Memory, *observer.ObservedLogs) {
	t.Helper()
	m, err := newMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.WarnLevel)
	c := newProfileSyncer(SyncOptions{Records: records, Mapper: mapping.Default, WriteBack: auth0}, zap.New(core), strings.ToUpper, m, time.Now)
	c.queue = make(chan struct{})
	store := state.NewMemory(state.Options{Expired: expired})
	if err := store.Put(t.Context(), state.Handoff{IdentityID: "i", Subject: "auth0|1", Claims: []byte(`{"sub":"auth0|1"}`), MatchedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	return c, store, logs
}

func take(t *testing.T, store *state.Memory) state.Lease {
	t.Helper()
	lease, ok, err := store.Lease(t.Context(), "i", "f")
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	return lease
}

// TestQueueFull: the profile is lost, and that is logged once.
func TestQueueFull(t *testing.T) {
	c, store, logs := fullSyncer(t, oneRecord{errors.New("down")}, nil, func(string, string) { t.Error("reported again") })
	if _, result := c.sync(t.Context(), take(t, store)); result != "queue_full" {
		t.Error(result)
	}
	if n := logs.FilterMessage("profile not written").Len(); n != 1 {
		t.Errorf("logged %d times", n)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

// TestWriteBacksDoNotFillTheQueue: write-backs, of which there may be many, do not use
// the queue of the profiles.
func TestWriteBacksDoNotFillTheQueue(t *testing.T) {
	auth0 := make(toldOf, 1)
	c, store, _ := fullSyncer(t, oneRecord{}, auth0, nil)
	if _, result := c.sync(t.Context(), take(t, store)); result != "written" {
		t.Error(result)
	}
	c.Drain(t.Context())
	select {
	case got := <-auth0:
		if got != "auth0|1" {
			t.Error(got)
		}
	default:
		t.Error("no write-back")
	}
}
