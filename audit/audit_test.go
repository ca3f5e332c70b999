package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ferry/audit"
	"ferry/test/await"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a Writer that runs.
type world struct {
	*audit.Writer

	metrics *prometheus.Registry
	log     *observer.ObservedLogs
	stop    func() // ends Run and waits for it
}

func start(t *testing.T, change func(*audit.Options)) *world {
	t.Helper()
	core, log := observer.New(zap.InfoLevel)
	w := &world{metrics: prometheus.NewRegistry(), log: log}
	opts := audit.Options{Ferry: "v1", Log: zap.New(core), Metrics: w.metrics, Now: time.Now}
	change(&opts)
	var err error
	if w.Writer, err = audit.New(opts); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var run sync.WaitGroup
	run.Go(func() { w.Run(ctx) })
	w.stop = func() { cancel(); run.Wait() }
	t.Cleanup(w.stop)
	return w
}

func toFile(path string) func(*audit.Options) { return func(o *audit.Options) { o.Path = path } }

func login(n string) audit.Record {
	return audit.Record{Action: audit.Login, Actor: audit.Actor{Kind: audit.Caller}, Outcome: n}
}

// outcomes are the outcomes of the records in a file, which must all be whole.
func outcomes(t *testing.T, path string) (found []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var r audit.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		found = append(found, r.Outcome)
	}
	return found
}

// TestFile: records are appended, with numbers, to a file that only the owner reads; Append adds
// to the same file.
func TestFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	for _, n := range []string{"one", "two"} {
		w := start(t, toFile(path))
		w.Record(login(n))
		w.Record(login(n))
		w.stop()
	}
	if err := audit.Append(path, "v1", time.Now(), audit.Record{Action: audit.Command, Command: "import", Outcome: "three"}); err != nil {
		t.Fatal(err)
	}
	if got := outcomes(t, path); !slices.Equal(got, []string{"one", "one", "two", "two", "three"}) {
		t.Errorf("%v", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	text, _ := os.ReadFile(path)
	var first, second audit.Record
	lines := bytes.SplitN(text, []byte("\n"), 3)
	if err := errors.Join(json.Unmarshal(lines[0], &first), json.Unmarshal(lines[1], &second)); err != nil {
		t.Fatal(err)
	}
	if first.Seq != 1 || second.Seq != 2 || first.Instance != second.Instance || first.Version != audit.Version || first.Ferry != "v1" || first.Time.IsZero() {
		t.Errorf("%+v, %+v", first, second)
	}
}

// TestReopen: after logrotate renamed the file and sent SIGHUP, records go into a new one.
func TestReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	w := start(t, toFile(path))
	w.Record(login("before"))
	if !await.True(func() bool { return gauge(t, w.metrics, "ferry_audit_records_total") == 1 }) {
		t.Fatal("not written")
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	w.Reopen()
	if !await.True(func() bool { return w.log.FilterMessage("audit log reopened").Len() == 1 }) {
		t.Fatal("not reopened")
	}
	w.Record(login("after"))
	w.stop()
	if before, after := outcomes(t, path+".1"), outcomes(t, path); !slices.Equal(before, []string{"before"}) || !slices.Equal(after, []string{"after"}) {
		t.Errorf("%v, %v", before, after)
	}
}

// disk is a file on a disk that may be full. A full disk takes the beginning of a line.
type disk struct {
	mu     sync.Mutex
	full   bool
	text   bytes.Buffer
	writes int
}

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes++
	if d.full {
		n, _ := d.text.Write(p[:3])
		return n, syscall.ENOSPC
	}
	return d.text.Write(p)
}

func (d *disk) set(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

func (d *disk) lines() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Split(strings.TrimSuffix(d.text.String(), "\n"), "\n")
}

// TestFullDisk: Record returns at once, the records wait, and are written when there is room. A
// line that was cut stays alone. More than the queue holds are dropped and counted.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	d := &disk{full: true}
	w := start(t, func(o *audit.Options) { o.Path, o.Stdout = audit.Stdout, d })
	const many = 10_000
	for range many {
		w.Record(login("match"))
	}
	if !await.True(func() bool { return gauge(t, w.metrics, "ferry_audit_stopped") == 1 }) {
		t.Fatal("not noticed")
	}
	dropped := gauge(t, w.metrics, "ferry_audit_dropped_total")
	d.set(false)
	if !await.True(func() bool { return gauge(t, w.metrics, "ferry_audit_records_total")+dropped == many }) {
		t.Fatalf("%v dropped, %v written", dropped, gauge(t, w.metrics, "ferry_audit_records_total"))
	}
	w.stop()
	if dropped == 0 || gauge(t, w.metrics, "ferry_audit_stopped") != 0 || w.log.FilterLevelExact(zap.ErrorLevel).Len() != 1 {
		t.Errorf("%v dropped; %v", dropped, w.log.All())
	}
	whole := 0
	for _, line := range d.lines() {
		if json.Valid([]byte(line)) {
			whole++
		}
	}
	if whole != int(many-dropped) {
		t.Errorf("%d whole lines, %v dropped", whole, dropped)
	}
}

// gauge is the sum of the samples of a metric.
func gauge(t *testing.T, metrics *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// TestStopWithFullDisk: ferry ends although the disk is full, and counts what it lost.
func TestStopWithFullDisk(t *testing.T) {
	t.Parallel()
	d := &disk{full: true}
	w := start(t, func(o *audit.Options) { o.Path, o.Stdout = audit.Stdout, d })
	for range 3 {
		w.Record(login("match"))
	}
	w.stop()
	if n := gauge(t, w.metrics, "ferry_audit_dropped_total"); n != 3 {
		t.Errorf("%v dropped", n)
	}
}

// TestCutLine: a file whose last line was cut is continued in a new line.
func TestCutLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte(`{"v":1`), 0o600); err != nil {
		t.Fatal(err)
	}
	w := start(t, toFile(path))
	w.Record(login("match"))
	w.stop()
	text, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(text), "{\"v\":1\n{\"v\":1,") {
		t.Errorf("%q, %v", text, err)
	}
}

// TestManyFailures: a flood of calls without a key does not fill the disk.
func TestManyFailures(t *testing.T) {
	t.Parallel()
	d := &disk{}
	now := time.Now()
	w := start(t, func(o *audit.Options) { o.Path, o.Stdout, o.Now = audit.Stdout, d, func() time.Time { return now } })
	for range 1000 {
		w.Record(audit.Record{Action: audit.AuthenticationFailure, Actor: audit.Actor{Kind: audit.Unknown}, Outcome: "caller"})
	}
	w.stop()
	if n := len(d.lines()); n != 20 || d.writes != n || gauge(t, w.metrics, "ferry_audit_dropped_total") != 980 {
		t.Errorf("%d lines, %d writes", n, d.writes)
	}
}

// TestRefusedPaths: ferry does not start with an audit log that it cannot write.
func TestRefusedPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", dir, pipe, filepath.Join(dir, "missing", "audit.log")} {
		opts := audit.Options{Path: path, Ferry: "v1", Log: zap.NewNop(), Metrics: prometheus.NewRegistry(), Now: time.Now}
		if _, err := audit.New(opts); err == nil || strings.Contains(err.Error(), dir) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// TestSchema: the documented schema has the fields, actions and kinds of the code.
func TestSchema(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/audit.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	type property struct {
		Enum       []string
		Properties map[string]property
	}
	var schema struct{ Properties map[string]property }
	// The version is a constant: enum and const have other types.
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	for what, pair := range map[string][2][]string{
		"fields":          {fields(reflect.TypeFor[audit.Record]()), keys(schema.Properties)},
		"fields of actor": {fields(reflect.TypeFor[audit.Actor]()), keys(schema.Properties["actor"].Properties)},
		"actions":         {texts(audit.Actions()), schema.Properties["action"].Enum},
		"kinds":           {texts(audit.ActorKinds()), schema.Properties["actor"].Properties["kind"].Enum},
	} {
		slices.Sort(pair[0])
		slices.Sort(pair[1])
		if !slices.Equal(pair[0], pair[1]) {
			t.Errorf("%s: the code has %v, the schema %v", what, pair[0], pair[1])
		}
	}
}

func fields(of reflect.Type) (names []string) {
	for field := range of.NumField() {
		name, _, _ := strings.Cut(of.Field(field).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

func keys[V any](m map[string]V) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	return names
}

func texts[S ~string](words []S) (all []string) {
	for _, word := range words {
		all = append(all, string(word))
	}
	return all
}
