package provision_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/bulk/plan"
	"ferry/kratos"
	"ferry/provenance"
	"ferry/provision"
)

// walked is a Kratos with one identity, whose walks are counted.
type walked struct {
	walks atomic.Int32
	fails atomic.Bool
}

func (w *walked) Knows(context.Context, string) (bool, error) { return false, nil }

func (w *walked) CreateOne(context.Context, []byte) (kratos.Created, error) {
	return kratos.Created{}, errors.New("not in this test")
}

func (w *walked) Walk(_ context.Context, each func(kratos.Record) error) error {
	w.walks.Add(1)
	if w.fails.Load() {
		return errors.New("down")
	}
	return each(kratos.Record{Identity: kratos.Identity{Binding: provenance.Binding{Subjects: []string{"auth0|one"}}}})
}

// forgetful is a register that can lose what it has.
type forgetful struct {
	*provision.FileRegister

	lost atomic.Bool
}

func (f *forgetful) Complete(ctx context.Context) (bool, error) {
	complete, err := f.FileRegister.Complete(ctx)
	return complete && !f.lost.Load(), err
}

func (f *forgetful) SetComplete(ctx context.Context, life string) error {
	f.lost.Store(false)
	return f.FileRegister.SetComplete(ctx, life)
}

// TestRun: Kratos is walked at the start, again after a failure, every ten minutes, and within
// seconds after the register lost its users.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		register, err := provision.OpenRegister("")
		if err != nil {
			t.Fatal(err)
		}
		people, users := &walked{}, &forgetful{FileRegister: register}
		people.fails.Store(true)
		p, err := provision.New(provision.Options{
			Identities: people, Register: users, Log: zap.NewNop(), Hash: func(text string) string { return text }, Now: time.Now,
			Load: func(context.Context) (plan.Options, error) { return plan.Options{}, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go p.Run(ctx)
		synctest.Wait()
		if err := p.Ready(ctx); !errors.Is(err, provision.ErrNotReady) || people.walks.Load() != 1 {
			t.Fatalf("%v after %d walks", err, people.walks.Load())
		}
		people.fails.Store(false)
		steps := []struct {
			name  string
			lost  bool
			after time.Duration
			walks int32
		}{
			{"after a failure", false, 6 * time.Second, 2},
			{"until ten minutes are over", false, 9 * time.Minute, 2},
			{"after ten minutes", false, time.Minute + time.Second, 3},
			{"after a loss", true, 6 * time.Second, 4},
			{"after that", false, time.Minute, 4},
		}
		for _, step := range steps {
			if step.lost {
				users.lost.Store(true)
			}
			<-time.After(step.after) // of the fake clock
			synctest.Wait()
			if n := people.walks.Load(); n != step.walks || p.Ready(ctx) != nil {
				t.Errorf("%s: %d walks, %v", step.name, n, p.Ready(ctx))
			}
		}
		if has, err := users.Has(ctx, []string{"auth0|one"}); err != nil || !has {
			t.Errorf("the user of the identity: %v, %v", has, err)
		}
	})
}

// TestRegisterMetrics: the metrics say whether the register is complete, and how readings ended.
func TestRegisterMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		people, metrics := &walked{}, prometheus.NewRegistry()
		var users *forgetful
		d := newDesk(t, func(o *provision.Options) {
			users = &forgetful{FileRegister: o.Register.(*provision.FileRegister)}
			o.Identities, o.Register, o.Metrics = people, users, metrics
		})
		people.fails.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go d.Run(ctx)
		for _, step := range []struct {
			fails, lost bool
			after       time.Duration
			want        string
		}{
			{true, false, time.Second, "complete 0, failed 1, ok 0"},
			{false, false, 5 * time.Second, "complete 1, failed 1, ok 1"},
			{true, true, 6 * time.Second, "complete 0, failed 2, ok 1"},
			{false, false, 5 * time.Second, "complete 1, failed 2, ok 2"},
		} {
			people.fails.Store(step.fails)
			if step.lost {
				users.lost.Store(true)
			}
			<-time.After(step.after) // of the fake clock
			synctest.Wait()
			if shown := registerMetrics(t, metrics); shown != step.want {
				t.Errorf("%s, want %s", shown, step.want)
			}
		}
	})
}

// registerMetrics returns what the metrics say about the register.
func registerMetrics(t *testing.T, metrics *prometheus.Registry) string {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, family := range families {
		for _, m := range family.GetMetric() {
			switch family.GetName() {
			case "ferry_users_register_complete":
				parts = append(parts, fmt.Sprintf("complete %v", m.GetGauge().GetValue()))
			case "ferry_users_register_readings_total":
				parts = append(parts, fmt.Sprintf("%s %v", m.GetLabel()[0].GetValue(), m.GetCounter().GetValue()))
			}
		}
	}
	return strings.Join(parts, ", ")
}

// TestReadyWaits: a login at the start waits for the first walk, and no longer than it may.
func TestReadyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		register, err := provision.OpenRegister("")
		if err != nil {
			t.Fatal(err)
		}
		d := newDesk(t, func(o *provision.Options) { o.Register, o.ReadyWait = register, 5*time.Second })
		began := time.Now()
		if err := d.Ready(t.Context()); !errors.Is(err, provision.ErrNotReady) || time.Since(began) != 5*time.Second {
			t.Errorf("without a walk: %v after %s", err, time.Since(began))
		}
		var running sync.WaitGroup
		running.Go(func() {
			if err := d.Ready(t.Context()); err != nil {
				t.Errorf("with a walk: %v", err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		running.Go(func() { d.Run(ctx) })
		<-time.After(time.Second)
		cancel()
		running.Wait()
	})
}
