package audit

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

const (
	// queued is how many records may wait for the disk: some minutes of logins.
	queued = 8192
	// retryAfter is how long a line waits that could not be written.
	retryAfter = time.Second
	// drainMost is how long Run waits for the disk at the end. It is less than what the server
	// waits for its background work.
	drainMost = 1500 * time.Millisecond
	// Anyone who reaches a port can fail to authenticate: failuresBurst such records at once, and
	// one a second.
	failuresBurst = 20
)

// Stdout is the Path for standard output.
const Stdout = "-"

// Options configure a Writer. Stdout is required if Path is "-", everything else always.
type Options struct {
	// Path is a file, which is created with mode 0600 and appended to, or "-".
	Path   string
	Stdout io.Writer
	// Ferry is ferry's version.
	Ferry   string
	Log     *zap.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time
}

// Writer writes records. It is safe for concurrent use.
type Writer struct {
	opts     Options
	instance string
	metrics  *metrics
	failures *rate.Limiter
	seq      atomic.Uint64
	queue    chan Record
	reopen   chan struct{}

	// The rest is used by Run only.
	out     io.Writer
	file    *os.File // nil: standard output, or the file could not be opened
	partial bool     // the last line was not written to its end
	failing bool
}

// New returns a Writer with its file open; the error names what is missing, or why the file
// cannot be written.
func New(opts Options) (*Writer, error) {
	if opts.Path == "" || opts.Path == Stdout && opts.Stdout == nil || opts.Ferry == "" || opts.Log == nil || opts.Metrics == nil || opts.Now == nil {
		return nil, errors.New("audit: path, standard output, version, log, metrics and clock are required")
	}
	m, err := newMetrics(opts.Metrics)
	if err != nil {
		return nil, err
	}
	w := &Writer{
		opts: opts, instance: newInstance(), metrics: m, failures: rate.NewLimiter(1, failuresBurst),
		queue: make(chan Record, queued), reopen: make(chan struct{}, 1),
	}
	if opts.Path == Stdout {
		w.out = opts.Stdout
		return w, nil
	}
	return w, w.open()
}

// Append appends one record to a file that no Writer of this process has open.
func Append(path, ferry string, now time.Time, r Record) error {
	file, cut, err := openFile(path)
	if err != nil {
		return err
	}
	r.Version, r.Instance, r.Seq, r.Ferry, r.Time = Version, newInstance(), 1, ferry, now.UTC()
	line, err := encode(r)
	if cut {
		line = append([]byte("\n"), line...)
	}
	if err == nil {
		_, err = file.Write(line)
	}
	if err != nil {
		err = fmt.Errorf("audit: write: %w", withoutPath(err))
	}
	return errors.Join(err, closeFile(file))
}

// newInstance returns a random name for a start.
func newInstance() string { return rand.Text()[:12] }

// open reopens the file. If that fails, the old one stays in use.
func (w *Writer) open() error {
	file, cut, err := openFile(w.opts.Path)
	if err != nil {
		return err
	}
	old := w.file
	w.file, w.out, w.partial = file, file, cut
	if old != nil {
		return closeFile(old)
	}
	return nil
}

// openFile opens a file to append to it. cut is true if its last line has no end.
func openFile(path string) (file *os.File, cut bool, err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, false, errors.New("audit: open: not a regular file") // a pipe would block
	}
	file, err = os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600) //nolint:gosec // G304: a setting names it
	if err != nil {
		return nil, false, fmt.Errorf("audit: open: %w", withoutPath(err))
	}
	return file, isCut(file), nil
}

// isCut reports whether the last line of the file has no end, because the disk was full.
func isCut(file *os.File) bool {
	last := make([]byte, 1)
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	n, _ := file.ReadAt(last, info.Size()-1)
	return n == 1 && last[0] != '\n'
}

func closeFile(file *os.File) error {
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("audit: close: %w", withoutPath(err))
	}
	return nil
}

// Record queues a record. It never blocks. It drops and counts the record if the queue is full,
// or if it is one of too many failures to authenticate.
func (w *Writer) Record(r Record) {
	if r.Action == AuthenticationFailure && !w.failures.AllowN(w.opts.Now(), 1) {
		w.metrics.dropped.WithLabelValues(droppedUnauthenticated).Inc()
		return
	}
	r.Version, r.Instance, r.Ferry, r.Time = Version, w.instance, w.opts.Ferry, w.opts.Now().UTC()
	r.Seq = w.seq.Add(1)
	select {
	case w.queue <- r:
	default:
		w.metrics.dropped.WithLabelValues(droppedQueue).Inc()
	}
}

// Reopen has the file reopened, after logrotate renamed it.
func (w *Writer) Reopen() {
	select {
	case w.reopen <- struct{}{}:
	default: // it will be
	}
}

// Run writes until ctx ends. Then it writes what is queued, for drainMost at most.
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
		w.metrics.dropped.WithLabelValues(droppedStopped).Add(float64(len(w.queue)))
		w.opts.Log.Error("the audit log was not written to its end", zap.Int("records", len(w.queue)))
	}
}

func (w *Writer) run(ctx context.Context) {
	for {
		select {
		case r := <-w.queue:
			w.write(ctx, r)
		case <-w.reopen:
			w.openAgain()
		case <-ctx.Done():
			w.drain(ctx)
			return
		}
	}
}

// drain writes the queue and closes the file.
func (w *Writer) drain(ctx context.Context) {
	for {
		select {
		case r := <-w.queue:
			w.write(ctx, r)
			continue
		default:
		}
		break
	}
	if w.file != nil {
		if err := closeFile(w.file); err != nil {
			w.opts.Log.Error("audit log", zap.Error(err))
		}
	}
}

func (w *Writer) openAgain() {
	if w.opts.Path == Stdout {
		return
	}
	if err := w.open(); err != nil {
		w.opts.Log.Error("the audit log could not be reopened; the old file stays in use", zap.Error(err))
		return
	}
	w.opts.Log.Info("audit log reopened")
}

// write writes a record. It tries until it succeeds, or once if ferry stops.
func (w *Writer) write(ctx context.Context, r Record) {
	line, err := encode(r)
	if err != nil {
		w.metrics.dropped.WithLabelValues(droppedBroken).Inc()
		return
	}
	for {
		text := line
		if w.partial { // end the line that was cut
			text = append([]byte("\n"), line...)
		}
		n, err := w.out.Write(text)
		if err == nil {
			w.wrote()
			return
		}
		w.partial = w.partial || n > 0
		w.failed(err)
		if ctx.Err() != nil {
			w.metrics.dropped.WithLabelValues(droppedStopped).Inc()
			return
		}
		w.pause(ctx)
	}
}

// pause waits before the next try.
func (w *Writer) pause(ctx context.Context) {
	timer := time.NewTimer(retryAfter)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.reopen:
		w.openAgain()
	case <-ctx.Done():
	}
}

// encode returns the line of a record.
func encode(r Record) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(r)
	return text.Bytes(), err
}

func (w *Writer) wrote() {
	w.partial = false
	w.metrics.written.Inc()
	if w.failing {
		w.failing = false
		w.metrics.stopped.Set(0)
		w.opts.Log.Info("the audit log is written again")
	}
}

// failed notes an error. It logs the first of several in a row.
func (w *Writer) failed(err error) {
	if w.failing {
		return
	}
	w.failing = true
	w.metrics.stopped.Set(1)
	w.opts.Log.Error("the audit log cannot be written; ferry tries again every second, logins go on", zap.Error(withoutPath(err)))
}

// withoutPath is the cause alone.
func withoutPath(err error) error {
	var fault *fs.PathError
	if errors.As(err, &fault) {
		return fault.Err
	}
	return err
}
