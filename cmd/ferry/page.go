package main

import (
	"context"
	"net"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"ferry/admin/page"
	"ferry/bulk/kind"
	"ferry/bulk/status"
	"ferry/census"
	"ferry/config"
	"ferry/history"
	"ferry/kratos"
	"ferry/migration"
	"ferry/state"
	"ferry/transport"
	"ferry/upstream"
	"ferry/verification"
)

const (
	// The page asks for these things at most this often, and only while someone is viewing it.
	historyEvery = 30 * time.Second
	recordsEvery = 5 * time.Second
	checkEvery   = 15 * time.Second
	// checkTimeout limits the check whether Kratos and Redis answer.
	checkTimeout = 2 * time.Second
)

// newHistory opens the history: in Redis if the state is there, else in FERRY_DATA_DIR, else in
// memory.
func newHistory(cfg *config.Config, store store, log *zap.Logger) (*history.History, error) {
	opts := history.Options{Log: log, Now: time.Now}
	if shared, ok := store.(interface{ History() *state.History }); ok {
		opts.Shared = shared.History()
	} else if cfg.DataDir != "" {
		opts.File = filepath.Join(cfg.DataDir, history.FileName)
	}
	return history.Open(opts)
}

// historyCount is what the history remembers of a count.
func historyCount(s status.Status) history.Count {
	c := history.Count{
		At: s.At, Total: s.Total, Migrated: s.Kinds[kind.Migrated] + s.Kinds[kind.Unnoted], Waiting: s.Kinds[kind.Pending],
		Connections: map[string]history.Connection{},
	}
	for name, one := range s.Connections {
		if n := (history.Connection{Migrated: one.Kinds[kind.Migrated] + one.Kinds[kind.Unnoted], Waiting: one.Kinds[kind.Pending]}); n.Migrated+n.Waiting > 0 {
			c.Connections[name] = n
		}
	}
	return c
}

// recordsIn returns where the records of commands are; nil: nowhere.
func recordsIn(cfg *config.Config, store store) verification.Store {
	if shared, ok := store.(verification.Store); ok {
		return shared
	}
	if cfg.DataDir != "" {
		return verification.Directory(cfg.DataDir)
	}
	return nil
}

// cached is a value that is read again after a while.
type cached[T any] struct {
	every time.Duration
	read  func(ctx context.Context) T

	at    time.Time
	value T
}

func (c *cached[T]) get(ctx context.Context) T {
	if now := time.Now(); c.at.IsZero() || now.Sub(c.at) >= c.every {
		c.value, c.at = c.read(ctx), now
	}
	return c.value
}

// recordsRead are the records of commands.
type recordsRead struct {
	records verification.Records
	fault   string
}

// pageFacts collects what the page shows. It is not safe for concurrent use; the page asks one
// time after the other.
type pageFacts struct {
	cfg      *config.Config
	counts   *census.Census // nil: this ferry does not count
	recorder *history.Recorder
	guard    *upstream.Guard
	kept     bool // records are kept

	history cached[history.Data]
	records cached[recordsRead]
	remints cached[[]status.Remint]
	kratos  cached[page.Kratos]
	redis   *cached[page.Redis] // nil: the state is in memory
}

// newPageFacts makes pageFacts, and the recorder that has to run.
func newPageFacts(cfg *config.Config, store store, guard *upstream.Guard, counts *census.Census, kept *history.History, log *zap.Logger, metrics prometheus.Gatherer) (*pageFacts, error) {
	f := &pageFacts{cfg: cfg, counts: counts, guard: guard}
	_, err := planRules(cfg)
	if err != nil {
		return nil, err
	}
	f.recorder, err = history.NewRecorder(history.RecorderOptions{History: kept, Metrics: metrics, Log: log, Now: time.Now, Count: func() (history.Count, bool) {
		last, counted := f.last()
		return historyCount(last), counted
	}})
	if err != nil {
		return nil, err
	}
	asked, err := newKratos(cfg, kratos.Options{Timeout: checkTimeout, Transport: transport.New(transport.Options{MaxRequests: 1})})
	if err != nil {
		return nil, err
	}
	f.history = cached[history.Data]{every: historyEvery, read: kept.Read}
	f.remints = cached[[]status.Remint]{every: historyEvery, read: func(context.Context) []status.Remint { return remintsIn(metrics) }}
	f.kratos = cached[page.Kratos]{every: checkEvery, read: func(ctx context.Context) page.Kratos { return checkKratos(ctx, asked) }}
	records := recordsIn(cfg, store)
	f.kept = records != nil
	f.records = cached[recordsRead]{every: recordsEvery, read: func(ctx context.Context) recordsRead { return recordsOf(ctx, records) }}
	if shared, ok := store.(interface {
		Ping(ctx context.Context) error
	}); ok {
		f.redis = &cached[page.Redis]{every: checkEvery, read: func(ctx context.Context) page.Redis {
			return page.Redis{Checked: time.Now(), Fault: errorText(shared.Ping(ctx))}
		}}
	}
	return f, nil
}

// errorText is the text of an error; empty if there is none.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// remintsIn returns the applications that came with refresh tokens of Auth0, as the metrics of this
// ferry say; nil: not known.
func remintsIn(metrics prometheus.Gatherer) []status.Remint {
	families, err := metrics.Gather()
	if err != nil {
		return nil
	}
	return status.Remints(families)
}

func checkKratos(ctx context.Context, asked *kratos.Client) page.Kratos {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	version, err := asked.Version(ctx)
	return page.Kratos{Checked: time.Now(), Version: version, Fault: errorText(err)}
}

func recordsOf(ctx context.Context, from verification.Store) recordsRead {
	if from == nil {
		return recordsRead{records: verification.Records{}}
	}
	records, err := verification.Read(ctx, from)
	return recordsRead{records, errorText(err)}
}

// last is the last count of this ferry.
func (f *pageFacts) last() (status.Status, bool) {
	if f.counts == nil {
		return status.Status{}, false
	}
	return f.counts.Last()
}

// facts returns what the page shows now.
func (f *pageFacts) facts(ctx context.Context) page.Facts {
	read := f.records.get(ctx)
	all := page.Facts{
		CountEvery: f.cfg.CountEvery, Records: read.records, RecordsKept: f.kept, RecordsFault: read.fault,
		History: f.history.get(ctx), Kratos: f.kratos.get(ctx),
	}
	if last, counted := f.last(); counted {
		all.Count = &last
		if plan, err := f.plan(ctx, last, read.records); err == nil { // newPageFacts has tried it
			all.Plan = &plan
		}
	}
	if hour, err := f.recorder.Recent(time.Hour); err == nil {
		all.LastHour = hour
	}
	if quarter, err := f.recorder.Recent(15 * time.Minute); err == nil {
		all.LastQuarter = quarter
	}
	guard := f.guard.State()
	all.Auth0 = page.Auth0{Breakers: guard.Breakers, WaitsUntil: guard.WaitsUntil}
	if f.redis != nil {
		redis := f.redis.get(ctx)
		all.Redis = &redis
	}
	return all
}

// plan is the plan by what this ferry knows. It has no kratos.yml and no export: of them it
// knows what the records say.
func (f *pageFacts) plan(ctx context.Context, last status.Status, records verification.Records) (migration.Plan, error) {
	facts, err := planFacts(f.cfg, last, records, f.kept)
	if err != nil {
		return migration.Plan{}, err
	}
	if facts.Remint {
		facts.Remints, facts.RemintsFrom = f.remints.get(ctx), "metrics"
	}
	for _, record := range records {
		if at := record.InputAt; at != nil && (facts.UsersAt == nil || at.After(*facts.UsersAt)) {
			facts.UsersAt = at
		}
	}
	return migration.Decide(facts), nil
}

// newPage makes the page.
func (s *server) newPage(facts *pageFacts) (*page.Page, error) {
	host, _, _ := net.SplitHostPort(s.cfg.AdminListen) // config has checked it
	return page.New(page.Options{
		Version: buildVersion(), Loopback: transport.IsLoopback(host), Key: s.cfg.AdminKey, Modes: s.modes,
		Facts: facts.facts, Audit: recordTo(s.audit), Log: s.log, Now: time.Now,
	})
}
