package recording

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// disk has room for left bytes in all files together. A write beyond that stores what
// fits and fails, as on a real disk.
type disk struct {
	left  atomic.Int64
	hangs chan struct{} // if set, writes block until it is closed
}

type diskFile struct {
	*os.File
	disk *disk
}

func (f diskFile) Write(text []byte) (int, error) {
	if f.disk.hangs != nil {
		<-f.disk.hangs
	}
	fits := min(int64(len(text)), f.disk.left.Load())
	f.disk.left.Add(-fits)
	n, err := f.File.Write(text[:fits])
	if err == nil && fits < int64(len(text)) {
		err = syscall.ENOSPC
	}
	return n, err
}

// onDisk starts a Writer that writes to the disk until stop is called.
func onDisk(t *testing.T, d *disk, dir string) (w *Writer, log *observer.ObservedLogs, metrics *prometheus.Registry, stop func()) {
	t.Helper()
	core, log := observer.New(zapcore.DebugLevel)
	metrics = prometheus.NewRegistry()
	w, err := New(Options{
		Dir: dir, Hash: func(string) string { return "h" }, MaxBytes: 1 << 20, Keep: 24 * time.Hour,
		Log: zap.New(core), Metrics: metrics, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.files.create = func(path string) (sink, error) {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
		return diskFile{file, d}, err
	}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { w.Run(ctx) })
	return w, log, metrics, func() { cancel(); run.Wait() }
}

func value(t *testing.T, metrics *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// wholeLinesIn counts the lines of all files and checks that each is JSON and ends in
// a newline.
func wholeLinesIn(t *testing.T, dir string) (lines int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "ferry-*.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			if !json.Valid(line) || !bytes.HasSuffix(line, []byte("\n")) {
				t.Errorf("incomplete line: %q", line)
			}
			lines++
		}
	}
	return lines
}

func checkFiles(t *testing.T, dir string, want int) {
	t.Helper()
	if names, err := os.ReadDir(dir); err != nil || len(names) != want {
		t.Errorf("got the files %v, %v, want %d", names, err, want)
	}
}

// TestFullDisk: recording stops, logs that once, loses no more lines than necessary,
// and resumes when there is room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		d.left.Store(1000)
		w, log, metrics, stop := onDisk(t, d, dir)
		defer stop()
		call := Event{Outcome: "mismatch", Time: time.Now(), Reason: strings.Repeat("x", 200)}
		for range 10 {
			w.Record(call)
			synctest.Wait()
		}
		fitted := wholeLinesIn(t, dir)
		if fitted < 2 || fitted > 3 || value(t, metrics, "ferry_recording_stopped") != 1 {
			t.Errorf("%d lines, stopped: %v", fitted, value(t, metrics, "ferry_recording_stopped"))
		}
		for range 5 { // the writer tries again every minute and fails
			<-time.After(retryAfter + time.Second)
			w.Record(call)
			synctest.Wait()
		}
		if stopped := log.FilterMessageSnippet("recording stopped"); stopped.Len() != 1 || stopped.All()[0].Level != zapcore.ErrorLevel {
			t.Errorf("the log: %v", log.All())
		}
		checkFiles(t, dir, 1) // no empty files
		d.left.Store(1 << 20)
		w.Record(call) // before the next try
		<-time.After(retryAfter + time.Second)
		w.Record(call)
		synctest.Wait()
		if got := wholeLinesIn(t, dir); got != fitted+1 || value(t, metrics, "ferry_recording_stopped") != 0 {
			t.Errorf("%d lines after there was room, want %d", got, fitted+1)
		}
		if log.FilterMessageSnippet("resumed").Len() != 1 {
			t.Errorf("the log: %v", log.All())
		}
		written, dropped := value(t, metrics, "ferry_recording_lines_total"), value(t, metrics, "ferry_recording_dropped_total")
		if int(written) != fitted+1 || written+dropped != 17 {
			t.Errorf("%v written, %v dropped", written, dropped)
		}
	})
}

// TestCutWrite: of several lines written at once, those that fit are kept whole.
func TestCutWrite(t *testing.T) {
	t.Parallel()
	d := &disk{}
	d.left.Store(25)
	dir := t.TempDir()
	f := files{dir: dir, maxBytes: 1 << 20, keep: time.Hour, now: time.Now, create: func(path string) (sink, error) {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
		return diskFile{file, d}, err
	}}
	if err := f.write([]byte("{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n")); !isFull(err) {
		t.Errorf("err = %v", err)
	}
	if got := wholeLinesIn(t, dir); got != 3 || f.open != nil {
		t.Errorf("%d lines", got)
	}
}

// TestHangingDisk: neither a call nor shutdown waits for a disk that hangs.
func TestHangingDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := &disk{hangs: make(chan struct{})}
		d.left.Store(1 << 20)
		w, log, _, stop := onDisk(t, d, dir)
		began := time.Now()
		for range 2 * queued {
			w.Record(Event{Outcome: "mismatch"})
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("calls waited %v", took)
		}
		stop()
		if took := time.Since(began); took != drainMost || log.FilterMessageSnippet("not written to its end").Len() != 1 {
			t.Errorf("the end took %v; the log: %v", took, log.All())
		}
		close(d.hangs)
	})
}

// TestDirectoryGone: a directory that was removed and cannot be created again is
// handled like a disk error.
func TestDirectoryGone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "recordings")
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		d.left.Store(1 << 20)
		w, log, _, stop := onDisk(t, d, dir)
		defer stop()
		synctest.Wait()
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		w.Record(Event{Outcome: "mismatch"})
		synctest.Wait()
		if log.FilterMessageSnippet("recording stopped").Len() != 1 {
			t.Errorf("the log: %v", log.All())
		}
	})
}
