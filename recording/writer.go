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
	// queued lines wait for the disk; what comes on top of them is dropped.
	queued = 1024
	// maxWrite is about how much is written at once.
	maxWrite = 64 << 10
	// retryAfter is how long recording stays stopped after a fault of the disk.
	retryAfter = time.Minute
	// drainMost is how long the end waits for what is still queued.
	drainMost = 5 * time.Second
	// strangerBytes is more than the line of a call without the key can have.
	strangerBytes = 2 << 10
)

// Options are what a Writer is made of. All are required but Key.
type Options struct {
	// Dir is where the files are. It is made, mode 0700, if it is not there.
	Dir string
	// Key seals what the owner of its private half may have back; nil: nothing is
	// sealed.
	Key *[32]byte
	// Hash is the keyed hash of the log.
	Hash func(string) string
	// MaxBytes is how large a file grows. All files of the directory together hold at
	// most 16 times as much: the oldest go first.
	MaxBytes int64
	// Keep is how long a line is kept at most.
	Keep    time.Duration
	Log     *zap.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time
}

// Writer records calls. A fault of the disk stops the recording for a minute, and
// nothing else. It is safe for concurrent use.
type Writer struct {
	opts    Options
	metrics *writerMetrics
	queue   chan Line
	// strangers is what may be kept, in bytes, of calls without the key: in all of the
	// time that a line is kept about one file's worth, of the 16 that there may be.
	strangers *rate.Limiter
	// stoppedUntil is when the disk is tried again, in nanoseconds since 1970.
	stoppedUntil atomic.Int64
	files        files         // Run's alone
	text         *bytes.Buffer // Run's alone: lines that are written next
}

// New makes a Writer and its directory; the error says what is wrong with either. A
// disk that is full is no error.
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
		opts: opts, metrics: m, queue: make(chan Line, queued), text: &bytes.Buffer{}, strangers: forStrangers(opts),
		files: files{dir: opts.Dir, maxBytes: opts.MaxBytes, keep: opts.Keep, now: opts.Now, create: create},
	}, nil
}

// forStrangers lets a few dozen calls be kept at once, more where files are larger.
func forStrangers(opts Options) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(float64(opts.MaxBytes)/opts.Keep.Seconds()), int(max(opts.MaxBytes/maxFiles, strangerBytes)))
}

// Redact is what may be kept of a body, with the Writer's hash.
func (w *Writer) Redact(body []byte) json.RawMessage { return Redact(body, w.opts.Hash) }

// Record keeps a call, or drops and counts it where the disk cannot follow, or where
// there are so many without the key that they would push out the others. It seals
// before it returns, and waits for nothing.
func (w *Writer) Record(s Served) {
	switch {
	case w.opts.Now().UnixNano() < w.stoppedUntil.Load():
		w.metrics.dropped.WithLabelValues(droppedStopped).Inc()
		return
	case len(w.queue) == cap(w.queue): // spare the sealing
		w.metrics.dropped.WithLabelValues(droppedQueue).Inc()
		return
	case s.Status == http.StatusUnauthorized && !w.strangers.AllowN(w.opts.Now(), strangerBytes):
		w.metrics.dropped.WithLabelValues(droppedStranger).Inc()
		return
	}
	select {
	case w.queue <- s.line(w.opts.Key, w.opts.Hash):
	default:
		w.metrics.dropped.WithLabelValues(droppedQueue).Inc()
	}
}

// Run writes until ctx ends, and then what is queued, for five seconds at most.
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
		case line := <-w.queue:
			w.write(line)
		case <-tick.C:
			w.sweep()
		case <-ctx.Done():
			w.drain()
			return
		}
	}
}

// drain writes what is queued and closes the file.
func (w *Writer) drain() {
	for line, ok := w.next(); ok; line, ok = w.next() {
		w.write(line)
	}
	if err := w.files.close(); err != nil {
		w.stopped(err)
	}
}

// next is a line that waits; ok is false where none does.
func (w *Writer) next() (line Line, ok bool) {
	select {
	case line = <-w.queue:
		return line, true
	default:
		return Line{}, false
	}
}

// write writes a line, and those that wait behind it.
func (w *Writer) write(line Line) {
	w.text.Reset()
	lines := 0
	for more := true; more; {
		if w.encode(line) {
			lines++
		}
		if more = w.text.Len() < maxWrite; more {
			line, more = w.next()
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
		w.opts.Log.Info("recording goes on")
	}
}

// encode puts one line into the text.
func (w *Writer) encode(line Line) bool {
	encoder := json.NewEncoder(w.text)
	encoder.SetEscapeHTML(false)
	before := w.text.Len()
	if err := encoder.Encode(line); err != nil {
		w.text.Truncate(before)
		w.metrics.dropped.WithLabelValues(droppedBroken).Inc()
		return false
	}
	return true
}

// stopped lets nothing be written for a while. It says so once, however often the
// disk is tried in vain.
func (w *Writer) stopped(err error) {
	first := w.stoppedUntil.Swap(w.opts.Now().Add(retryAfter).UnixNano()) == 0
	w.metrics.stopped.Set(1)
	if first {
		w.opts.Log.Error("recording stopped; it is tried again every minute, logins go on", zap.Error(err))
	}
}

func (w *Writer) sweep() {
	if err := w.files.sweep(); err != nil {
		w.opts.Log.Warn("old recordings are still there", zap.Error(err))
	}
}
