package mode_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ferry/mode"
	"ferry/outcome"
	"ferry/secret"
	"ferry/test/await"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a Switch with its log, its metrics and its files.
type desk struct {
	*mode.Switch

	logs    *observer.ObservedLogs
	metrics *prometheus.Registry
	file    string // of the mode
	cohort  string // of the cohort
}

// newDesk makes a Switch whose files have these texts; "": there is no file, and the mode is on.
func newDesk(t *testing.T, modeText, cohortText string) *desk {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	d := &desk{logs: logs, metrics: prometheus.NewRegistry()}
	opts := mode.Options{Mode: "on", Cohort: "all", Key: secret.New("key"), Log: zap.New(core), Metrics: d.metrics, Now: time.Now}
	dir := t.TempDir()
	if modeText != "" {
		d.file = filepath.Join(dir, "mode")
		opts.ModeFile = d.file
		write(t, d.file, modeText)
	}
	if cohortText != "" {
		d.cohort = filepath.Join(dir, "cohort")
		opts.CohortFile = d.cohort
		write(t, d.cohort, cohortText)
	}
	var err error
	if d.Switch, err = mode.New(opts); err != nil {
		t.Fatal(err)
	}
	return d
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs the Switch until the test ends.
func (d *desk) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { d.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

func (d *desk) logged(text string) bool { return d.logs.FilterMessageSnippet(text).Len() > 0 }

// has fails if the mode is another, or the metric says another.
func (d *desk) has(t *testing.T, want mode.Mode) {
	t.Helper()
	if got := d.Mode(); got != want {
		t.Errorf("the mode is %s, want %s", got, want)
	}
	for _, m := range mode.All() {
		value := 0.0
		if m == want {
			value = 1
		}
		if got := d.metric(t, "ferry_mode", m.String()); got != value {
			t.Errorf("ferry_mode of %s is %v, want %v", m, got, value)
		}
	}
}

// metric returns a gauge or counter by the value of its first label; -1: there is none.
func (d *desk) metric(t *testing.T, name, label string) float64 {
	t.Helper()
	families, err := d.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return -1
}

// TestStartFailsClosed: a file that cannot be read or used is an error at the start.
func TestStartFailsClosed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken, long := filepath.Join(dir, "broken"), filepath.Join(dir, "long")
	write(t, broken, "On\n")
	write(t, long, strings.Repeat("on\n", 16<<10))
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*mode.Options)
		fault  string
	}{
		"no file":                  {func(o *mode.Options) { o.ModeFile = filepath.Join(dir, "none") }, "MODE_FILE"},
		"a directory":              {func(o *mode.Options) { o.ModeFile = dir }, "MODE_FILE"},
		"a pipe":                   {func(o *mode.Options) { o.ModeFile = pipe }, "MODE_FILE"},
		"another text":             {func(o *mode.Options) { o.ModeFile = broken }, "MODE_FILE"},
		"a long file":              {func(o *mode.Options) { o.ModeFile = long }, "MODE_FILE"},
		"no mode":                  {func(o *mode.Options) { o.Mode = "" }, "MODE"},
		"a cohort that is none":    {func(o *mode.Options) { o.Cohort = "some" }, "COHORT"},
		"no cohort":                {func(o *mode.Options) { o.Cohort = "" }, "COHORT"},
		"no cohort file":           {func(o *mode.Options) { o.CohortFile = filepath.Join(dir, "none") }, "COHORT_FILE"},
		"a percentage without key": {func(o *mode.Options) { o.Cohort, o.Key = "25%", secret.String{} }, "COHORT"},
	} {
		opts := mode.Options{Mode: "on", Cohort: "all", Key: secret.New("key"), Log: zap.NewNop(), Metrics: prometheus.NewRegistry(), Now: time.Now}
		c.change(&opts)
		made, err := mode.New(opts)
		var fault *mode.SettingError
		if made != nil || !errors.As(err, &fault) || fault.Name != c.fault || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := mode.New(mode.Options{}); err == nil {
		t.Error("nothing is required")
	}
}

// TestFileChanges: ferry follows its files, keeps the earlier mode where one cannot be used,
// and says so once.
func TestFileChanges(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "off\n", "@example.com")
	d.has(t, mode.Off)
	d.run(t)
	if in := d.Has(mode.User{Identifier: "kim@example.com"}); !in || d.Has(mode.User{Identifier: "kim@example.org"}) {
		t.Error("the cohort of the file is not used")
	}
	write(t, d.file, "on")
	write(t, d.cohort, "all\n")
	if !await.True(func() bool { return d.Mode() == mode.On && d.Has(mode.User{Identifier: "kim@example.org"}) }) {
		t.Fatal("a change of the files is not seen")
	}
	d.has(t, mode.On)
	write(t, d.file, "onn")
	if !await.True(func() bool { return d.logged("FERRY_MODE_FILE cannot be used") }) {
		t.Fatal("a file that cannot be used is not logged")
	}
	if err := os.Remove(d.file); err != nil {
		t.Fatal(err)
	}
	if !await.True(func() bool { return d.logs.FilterMessageSnippet("FERRY_MODE_FILE cannot be used").Len() == 2 }) {
		t.Fatal("a file that is gone is not logged")
	}
	d.has(t, mode.On)
	valid := func(file string) float64 { return d.metric(t, "ferry_mode_file_valid", file) }
	if valid("mode") != 0 || valid("cohort") != 1 {
		t.Errorf("valid: %v, %v", valid("mode"), valid("cohort"))
	}
	write(t, d.file, "observe")
	if !await.True(func() bool { return d.Mode() == mode.Observe }) {
		t.Fatal("the file is not read again")
	}
	if valid("mode") != 1 {
		t.Error("the file counts as not valid")
	}
}

// TestSet: an operator's change counts until the file changes, or is read again; what is not
// valid changes nothing.
func TestSet(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "on", "")
	status, err := d.Set(mode.Change{Mode: "off", Who: "kim", From: "127.0.0.1:1"})
	if err != nil || status.Mode != "off" || status.By != mode.ByAdmin || status.Who != "kim" || status.AtRestart.Mode != "on" || status.Cohort != "all" {
		t.Errorf("%+v, %v", status, err)
	}
	d.has(t, mode.Off)
	changed := d.logs.FilterMessage("mode changed").All()
	if len(changed) != 1 {
		t.Fatalf("%d changes are logged", len(changed))
	}
	fields := changed[0].ContextMap()
	for name, want := range map[string]string{"mode": "off", "was": "on", "by": "admin", "who": "kim", "from": "127.0.0.1:1", "cohort": "all"} {
		if fields[name] != want {
			t.Errorf("%s is logged as %v, want %s", name, fields[name], want)
		}
	}
	for _, change := range []mode.Change{{}, {Mode: "ON"}, {Mode: "on", Cohort: "x"}, {Cohort: "101%"}} {
		if _, err := d.Set(change); err == nil {
			t.Errorf("%+v is taken", change)
		}
	}
	d.has(t, mode.Off)
	if status, err := d.Set(mode.Change{Cohort: "25%"}); err != nil || status.Mode != "off" || status.Cohort != "25%" || status.AtRestart.Cohort != "all" {
		t.Errorf("%+v, %v", status, err)
	}
	d.Reload() // the file has not changed
	d.has(t, mode.On)
	if status := d.Status(); status.By != mode.BySignal || status.Cohort != "25%" {
		t.Errorf("%+v", status)
	}
	write(t, d.file, "onn")
	d.Reload()
	if !d.logged("FERRY_MODE_FILE cannot be used") || d.logged("it is as asked for") {
		t.Errorf("logged %v", d.logs.All())
	}
	without := newDesk(t, "", "")
	without.Reload()
	without.has(t, mode.On)
	if !without.logged("there is no mode file") {
		t.Error("a signal without a file is not logged")
	}
	without.Run(t.Context()) // returns: there is nothing to look at
}

// TestObserved: logins of mode observe are counted by outcome and reason.
func TestObserved(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "observe", "")
	d.Observed(outcome.Observed, "", time.Second)
	d.Observed(outcome.Oversize, "password_length", time.Millisecond)
	for _, o := range []outcome.Outcome{outcome.Observed, outcome.Oversize} {
		if n := d.metric(t, "ferry_observe_logins_total", o.String()); n != 1 {
			t.Errorf("%s is counted as %v", o, n)
		}
	}
	if !d.logged("mode") {
		t.Error("the start says nothing of the mode")
	}
}

// TestConcurrentChanges is for the race detector.
func TestConcurrentChanges(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "on", "all")
	d.run(t)
	var all sync.WaitGroup
	for _, name := range []string{"on", "observe", "off"} {
		all.Go(func() {
			for range 50 {
				if _, err := d.Set(mode.Change{Mode: name, Cohort: "50%"}); err != nil {
					t.Error(err)
				}
				d.Reload()
				d.Mode()
				d.Has(mode.User{Identifier: "kim@example.org"})
				d.Status()
			}
		})
	}
	all.Wait()
}
