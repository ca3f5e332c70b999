package recording

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

const (
	// queued is how many records may wait for the disk. Further ones are dropped.
	queued = 1024
	// maxWrite is roughly how many bytes are written at once.
	maxWrite = 64 << 10
	// retryAfter is how long recording stays stopped after a disk error.
	retryAfter = time.Minute
	// drainMost is how long Run waits for the queue at the end.
	drainMost = 5 * time.Second
	// unauthenticatedBytes is more than the record of a call without the key can have.
	unauthenticatedBytes = 2 << 10
)

// Options configure a Writer. All fields except Key are required.
type Options struct {
	// Dir is the directory of the files. It is created with mode 0700 if it is missing.
	Dir string
	// Key is the public key that credentials are sealed for. If nil, nothing is sealed.
	Key *[32]byte
	// Hash is the keyed hash that the log uses.
	Hash func(string) string
	// MaxBytes is the size limit of a file. All files together hold at most 16 times as
	// much: the oldest are deleted first.
	MaxBytes int64
	// Keep is how long a record is stored at most.
	Keep    time.Duration
	Log     *zap.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time
}

// Writer records events. A disk error stops the recording for a minute, and nothing else.
// It is safe for concurrent use.
type Writer struct {
	opts    Options
	metrics *writerMetrics
	queue   chan Record
	// unauthenticatedLimit limits the bytes that calls without the key may fill: within
	// Options.Keep about one file, of the 16 that there may be.
	unauthenticatedLimit *rate.Limiter
	// stoppedUntil is when the disk is tried again, in nanoseconds since 1970.
	stoppedUntil atomic.Int64
	files        files         // used by Run only
	text         *bytes.Buffer // used by Run only: the records to write next
}

// New returns a Writer and creates its directory. It does not fail if the disk is full.
func New(opts Options) (*Writer, error) {
	switch {
	case opts.Dir == "" || opts.Hash == nil || opts.MaxBytes <= 0 || opts.Keep <= 0:
		return nil, errors.New("recording: directory, hash, size and time are required")
	case opts.Log == nil || opts.Metrics == nil || opts.Now == nil:
		return nil, errors.New("recording: log, metrics and clock are required")
	}
	if opts.Key != nil {
		if err := checkPublic(opts.Key); err != nil {
			return nil, fmt.Errorf("recording: public key: %w", err)
		}
	}
	if err := prepare(opts.Dir); err != nil && !isFull(err) {
		return nil, fmt.Errorf("recording: %w", err)
	}
	m, err := newWriterMetrics(opts.Metrics)
	if err != nil {
		return nil, err
	}
	return &Writer{
		opts: opts, metrics: m, queue: make(chan Record, queued), text: &bytes.Buffer{}, unauthenticatedLimit: newUnauthenticatedLimit(opts),
		files: files{dir: opts.Dir, maxBytes: opts.MaxBytes, keep: opts.Keep, now: opts.Now, create: create},
	}, nil
}

// newUnauthenticatedLimit allows a burst of a few dozen calls, more if files are larger.
func newUnauthenticatedLimit(opts Options) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(float64(opts.MaxBytes)/opts.Keep.Seconds()), int(max(opts.MaxBytes/maxFiles, unauthenticatedBytes)))
}

// Redact returns the part of a body that may be recorded, with the Writer's hash.
func (w *Writer) Redact(body []byte) json.RawMessage { return redact(body, w.opts.Hash) }

// Record queues an event for the disk. It drops and counts the event if the queue is full,
// or if there are so many calls without the key that they would displace the others. It
// seals before it returns, and never blocks.
func (w *Writer) Record(e Event) {
	switch {
	case w.opts.Now().UnixNano() < w.stoppedUntil.Load():
		w.metrics.dropped.WithLabelValues(droppedStopped).Inc()
		return
	case len(w.queue) == cap(w.queue): // spare the sealing
		w.metrics.dropped.WithLabelValues(droppedQueue).Inc()
		return
	case e.Status == http.StatusUnauthorized && !w.unauthenticatedLimit.AllowN(w.opts.Now(), unauthenticatedBytes):
		w.metrics.dropped.WithLabelValues(droppedUnauthenticated).Inc()
		return
	}
	select {
	case w.queue <- e.record(w.opts.Key, w.opts.Hash):
	default:
		w.metrics.dropped.WithLabelValues(droppedQueue).Inc()
	}
}

// Run writes until ctx ends. Then it writes what is queued, for five seconds at most.
func (w *Writer) Run(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.run(ctx)
	}()
	<-ctx.Done()
	patience := time.NewTimer(drainMost)
	defer patience.Stop()
	select {
	case <-ended:
	case <-patience.C:
		w.opts.Log.Error("the recording was not written to its end", zap.Int("lines", len(w.queue)))
	}
}

func (w *Writer) run(ctx context.Context) {
	w.sweep()
	tick := time.NewTicker(w.files.sweepEvery())
	defer tick.Stop()
	for {
		select {
		case record := <-w.queue:
			w.write(record)
		case <-tick.C:
			w.sweep()
		case <-ctx.Done():
			w.drain()
			return
		}
	}
}

// drain writes the queue and closes the file.
func (w *Writer) drain() {
	for record, ok := w.next(); ok; record, ok = w.next() {
		w.write(record)
	}
	if err := w.files.close(); err != nil {
		w.stopped(err)
	}
}

// next returns a queued record; ok is false if there is none.
func (w *Writer) next() (record Record, ok bool) {
	select {
	case record = <-w.queue:
		return record, true
	default:
		return Record{}, false
	}
}

// write writes a record, and the queued ones behind it.
func (w *Writer) write(record Record) {
	w.text.Reset()
	lines := 0
	for more := true; more; {
		if w.encode(record) {
			lines++
		}
		if more = w.text.Len() < maxWrite; more {
			record, more = w.next()
		}
	}
	if w.opts.Now().UnixNano() < w.stoppedUntil.Load() {
		w.metrics.dropped.WithLabelValues(droppedStopped).Add(float64(lines))
		return
	}
	if err := w.files.write(w.text.Bytes()); err != nil {
		w.metrics.dropped.WithLabelValues(droppedStopped).Add(float64(lines))
		w.stopped(err)
		return
	}
	w.metrics.written.Add(float64(lines))
	if w.stoppedUntil.Swap(0) != 0 {
		w.metrics.stopped.Set(0)
		w.opts.Log.Info("recording resumed")
	}
}

// encode appends one record to the text.
func (w *Writer) encode(record Record) bool {
	encoder := json.NewEncoder(w.text)
	encoder.SetEscapeHTML(false)
	before := w.text.Len()
	if err := encoder.Encode(record); err != nil {
		w.text.Truncate(before)
		w.metrics.dropped.WithLabelValues(droppedBroken).Inc()
		return false
	}
	return true
}

// stopped stops writing for a while. It logs the first of several errors in a row.
func (w *Writer) stopped(err error) {
	first := w.stoppedUntil.Swap(w.opts.Now().Add(retryAfter).UnixNano()) == 0
	w.metrics.stopped.Set(1)
	if first {
		w.opts.Log.Error("recording stopped; ferry tries again every minute, logins go on", zap.Error(err))
	}
}

func (w *Writer) sweep() {
	if err := w.files.sweep(); err != nil {
		w.opts.Log.Warn("old recordings are still there", zap.Error(err))
	}
}
