// Package history remembers how the migration went: what the counts of Kratos' identities
// were, and how many logins had which outcome in each hour. It has numbers, names of outcomes
// and names of connections, and nothing about a user.
//
//	counts    the last one of each hour for [KeepHourly], of each day for [KeepDaily]
//	outcomes  of each hour, for [KeepHourly]
//
// A [History] is kept in a Redis that replicas share, else in a file, else in memory. A Redis that
// does not answer, and a file that is locked or damaged, do not keep ferry from starting or users
// from logging in: the history goes on in memory, and says so ([Data.Fault]).
//
// A [Recorder] takes the outcomes from the metrics once a minute, so that a login pays
// nothing for them. A kill -9 loses the outcomes of that minute.
package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// KeepHourly is how long the values of each hour are kept.
	KeepHourly = 14 * 24 * time.Hour
	// KeepDaily is how long the counts of each day are kept.
	KeepDaily = 1000 * 24 * time.Hour
	// MaxConnections is how many connections a Count has at most: the largest ones.
	MaxConnections = 20

	hour = time.Hour
	day  = 24 * time.Hour
)

// Count is what was counted in Kratos at a time.
type Count struct {
	At time.Time `json:"at"`
	// Total is the number of identities, Migrated those that no longer need Auth0, Waiting
	// those that do.
	Total    int `json:"total"`
	Migrated int `json:"migrated"`
	Waiting  int `json:"waiting"`
	// Connections has the same by Auth0 connection, for the largest ones.
	Connections map[string]Connection `json:"connections,omitempty"`
}

// Connection is the count of one Auth0 connection.
type Connection struct {
	Migrated int `json:"migrated"`
	Waiting  int `json:"waiting"`
}

// Hour has the outcomes of the logins of one hour.
type Hour struct {
	At       time.Time
	Outcomes map[string]int
}

// Data is what a History knows.
type Data struct {
	// Counts are in the order of time: one for each day, then one for each hour.
	Counts []Count
	// Hours are in the order of time. Hours without logins are missing.
	Hours []Hour
	// Kept says where the history is: memory, file or redis.
	Kept string
	// Fault says why it is not where it should be; empty: it is.
	Fault string
}

// The places of a history.
const (
	InMemory = "memory"
	InFile   = "file"
	InRedis  = "redis"
)

// Shared is a history that replicas share. Values are small JSON documents.
type Shared interface {
	// Add adds numbers to those of an hour.
	Add(ctx context.Context, name string, numbers map[string]int, keep time.Duration) error
	// Put replaces a value.
	Put(ctx context.Context, name string, value []byte, keep time.Duration) error
	// Read returns the values; nil for those that are missing.
	Read(ctx context.Context, names []string) ([][]byte, error)
}

// Options say where the history is. Log and Now are required.
type Options struct {
	// Shared is the history of all replicas; nil: this ferry has its own.
	Shared Shared
	// File is the path of the history's file; empty: there is none. Unused with Shared.
	File string
	Log  *zap.Logger
	Now  func() time.Time
}

// History remembers counts and outcomes. It is safe for concurrent use.
type History struct {
	opts Options

	mu     sync.Mutex
	values values         // what this ferry knows; with Shared, what it could not hand over yet
	file   *file          // nil: there is none, or it cannot be used
	fault  string         // of the file, or of the last call of Shared
	unsent map[int64]bool // with Shared: hours in values that it lacks
}

// Open opens the history. It does not fail: a file that cannot be used is reported, and the
// history begins in memory.
func Open(opts Options) (*History, error) {
	if opts.Log == nil || opts.Now == nil {
		return nil, errors.New("history: log and clock are required")
	}
	h := &History{opts: opts, values: newValues(), unsent: map[int64]bool{}}
	if opts.Shared != nil || opts.File == "" {
		return h, nil
	}
	f, kept, err := openFile(opts.File)
	if err != nil {
		h.broken(err)
		return h, nil
	}
	h.file, h.values = f, kept
	h.values.trim(opts.Now())
	return h, nil
}

// broken gives the file up. The caller holds mu, or is the only one.
func (h *History) broken(err error) {
	h.file, h.fault = nil, err.Error()
	h.opts.Log.Error("the history goes on in memory until a restart: logins and counts are not affected", zap.String("file", h.opts.File), zap.Error(err))
}

// Add adds outcomes of logins to those of the hour of at. With Shared, what could not be handed
// over is kept and tried again.
func (h *History) Add(ctx context.Context, at time.Time, outcomes map[string]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(outcomes) > 0 {
		key := at.Unix() / int64(hour/time.Second)
		h.values.add(key, outcomes)
		h.unsent[key] = true
	}
	h.values.trim(h.opts.Now())
	if h.opts.Shared != nil {
		h.send(ctx)
		return
	}
	keys := slices.Sorted(maps.Keys(h.unsent))
	if clear(h.unsent); len(keys) == 0 {
		return
	}
	h.write(func(w *writer) error {
		for _, key := range keys {
			if err := w.put(outcomesOf, key, h.values.outcomes[key]); err != nil {
				return err
			}
		}
		return nil
	})
}

// send hands the hours over that Redis lacks. The caller holds mu.
func (h *History) send(ctx context.Context) {
	for _, key := range slices.Sorted(maps.Keys(h.unsent)) {
		if numbers, ok := h.values.outcomes[key]; ok {
			if err := h.opts.Shared.Add(ctx, name(outcomesOf, key), numbers, KeepHourly); err != nil {
				h.shared(err)
				return
			}
		}
		delete(h.values.outcomes, key)
		delete(h.unsent, key)
	}
	h.shared(nil)
}

// shared notes whether Redis answered. The caller holds mu.
func (h *History) shared(err error) {
	was := h.fault
	h.fault = ""
	if err != nil {
		h.fault = err.Error()
		if was == "" {
			h.opts.Log.Warn("the history is not in Redis for now", zap.Error(err))
		}
	}
}

// Put remembers a count.
func (h *History) Put(ctx context.Context, c Count) {
	c.Connections = largest(c.Connections)
	c.At = c.At.UTC().Truncate(time.Second)
	h.mu.Lock()
	defer h.mu.Unlock()
	inHour, inDay := c.At.Unix()/int64(hour/time.Second), c.At.Unix()/int64(day/time.Second)
	h.values.hours[inHour], h.values.days[inDay] = c, c
	h.values.trim(h.opts.Now())
	if h.opts.Shared != nil {
		h.shared(h.putShared(ctx, inHour, inDay, c))
		return
	}
	h.write(func(w *writer) error {
		return errors.Join(w.put(countOfHour, inHour, c), w.put(countOfDay, inDay, c))
	})
}

func (h *History) putShared(ctx context.Context, inHour, inDay int64, c Count) error {
	value, err := encode(c)
	if err != nil {
		return err
	}
	return errors.Join(
		h.opts.Shared.Put(ctx, name(countOfHour, inHour), value, KeepHourly),
		h.opts.Shared.Put(ctx, name(countOfDay, inDay), value, KeepDaily),
	)
}

// write writes to the file, if there is one. The caller holds mu.
func (h *History) write(change func(*writer) error) {
	if h.file == nil {
		return
	}
	if err := h.file.write(h.opts.Now(), change); err != nil {
		h.broken(fmt.Errorf("write the history: %w", err))
	}
}

// Read returns what the history knows.
func (h *History) Read(ctx context.Context) Data {
	h.mu.Lock()
	defer h.mu.Unlock()
	all, kept := h.values, InMemory
	switch {
	case h.opts.Shared != nil:
		kept = InRedis
		read, err := readShared(ctx, h.opts.Shared, h.opts.Now())
		if h.shared(err); err != nil {
			kept = InMemory
			break
		}
		for key := range h.unsent {
			read.add(key, h.values.outcomes[key])
		}
		all = read
	case h.file != nil:
		kept = InFile
	}
	return all.data(kept, h.fault)
}

// Close closes the file.
func (h *History) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.file == nil {
		return nil
	}
	err := h.file.close()
	h.file = nil
	return err
}

// largest returns the connections with the most users.
func largest(all map[string]Connection) map[string]Connection {
	if len(all) <= MaxConnections {
		return all
	}
	names := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(all[b].Migrated+all[b].Waiting, all[a].Migrated+all[a].Waiting), cmp.Compare(a, b))
	})
	some := make(map[string]Connection, MaxConnections)
	for _, name := range names[:MaxConnections] {
		some[name] = all[name]
	}
	return some
}
