package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"ferry/test/await"
	"ferry/test/ferrytest/built"
)

// TestMain runs a part if the test program was started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == partName {
		main()
		return
	}
	built.Main(m)
}

// startRig starts the parts, and stops them with the test.
func startRig(t *testing.T, change func(*options)) *rig {
	t.Helper()
	opts := defaults()
	opts.Ferry, opts.People, opts.Runs, opts.Time, opts.Workers, opts.logins, opts.wait = built.Ferry(t), 20, 1, 150*time.Millisecond, 4, 60, 300*time.Millisecond
	opts.latencies = [3]time.Duration{0, 2 * time.Millisecond, 5 * time.Millisecond}
	if change != nil {
		change(&opts)
	}
	r, err := newRig(t.Context(), opts, t.TempDir())
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.nginx == nil {
		t.Fatal("nginx is not installed")
	}
	return r
}

// TestLoad makes all measurements at their smallest size: every answer is right, each login
// costs one grant, no password is sent twice, and no login fails while ferries restart.
func TestLoad(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*options){
		"HTTP/2, by id": func(o *options) {
			o.restart = restartOptions{rate: 50, restarts: 2, pause: 400 * time.Millisecond}
		},
		"HTTP/1.1, by identifier": func(o *options) {
			o.HTTP1, o.Find, o.Only = true, true, []string{"saturation"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRig(t, change)
			all, err := r.all(t.Context(), func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			if err := all.fault(false); err != nil {
				t.Error(err)
			}
			count, err := r.grants(t.Context())
			if err != nil || count.Grants != r.next || count.Repeats != 0 {
				t.Errorf("%+v for %d logins, %v", count, r.next, err)
			}
			if rows := len(all.Saturation); rows != 7 {
				t.Errorf("%d rows of saturation, %v", rows, all.LeftOut)
			}
			if r.opts.does("restart") && (all.Restart == nil || all.Restart.Restarts != 2 || all.Restart.Logins == 0) {
				t.Errorf("restart: %v", all.Restart)
			}
		})
	}
}

// beside is how much more memory ferry may take in TestWaiting than its goal, which `make load`
// measures on a quiet machine: other tests run beside this one and delay the collector.
const beside = 1.05

// TestWaiting: 1,000 logins that wait for Auth0 at once take no more memory than
// docs/performance.md promises, within what other tests add.
func TestWaiting(t *testing.T) {
	t.Parallel()
	r := startRig(t, func(o *options) { o.People, o.logins, o.wait = defaults().People, defaults().logins, defaults().wait })
	var all results
	if err := r.waiting(t.Context(), &all, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if err := all.fault(false); err != nil {
		t.Error(err)
	}
	if got := all.Waiting[0].Most.ResidentMiB; got <= 0 || got > beside*goalWaiting {
		t.Errorf("%.1f MiB resident, at most %.1f", got, beside*goalWaiting)
	}
}

// TestNothingLeaks: after logins with right and wrong passwords, ferry has the goroutines
// and descriptors that it had before.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	r := startRig(t, nil)
	err := r.withFerry(t.Context(), func(ferry subject) error {
		attack := func(wrong bool, logins int) {
			f, err := r.measure(t.Context(), ferry, attack{Workers: 8, Logins: logins, Wrong: wrong, Time: time.Minute})
			if err == nil {
				err = f.fault(ferry.name)
			}
			if err != nil || f.Logins != logins {
				t.Errorf("%d logins: %v", f.Logins, err)
			}
		}
		attack(false, 20)
		before, err := r.usage(t.Context(), ferry)
		if err != nil {
			return err
		}
		attack(false, 400)
		attack(true, 20) // fewer than any limit
		var now usage
		var failed error
		if !await.True(func() bool {
			now, failed = r.usage(t.Context(), ferry)
			return failed != nil || now.Goroutines <= before.Goroutines+10 && now.Descriptors <= before.Descriptors+10
		}) {
			failed = fmt.Errorf("%+v, before %+v", now, before)
		}
		return failed
	})
	if err != nil {
		t.Error(err)
	}
}

// TestSoak: five minutes of logins at a constant rate, which take more memory, descriptors
// and goroutines at the end than in the middle only within bounds. ferry keeps results for two
// minutes, so that less time says nothing.
func TestSoak(t *testing.T) {
	t.Parallel()
	r := startRig(t, func(o *options) {
		o.Soak, o.SoakRate, o.People = 5*time.Minute, 40, defaults().People
	})
	var all results
	if err := r.soak(t.Context(), &all, func(string) {}); err != nil {
		t.Fatal(err)
	}
	t.Log(all.Soak)
	if err := all.fault(false); err != nil {
		t.Error(err)
	}
	if got := all.Soak; got.Logins < 10_000 || got.Thirds[0].ResidentMiB == 0 || got.Thirds[2].Goroutines == 0 {
		t.Errorf("%+v", got)
	}
}

// TestSoakIsFlat: growth in the last third of a soak is a fault.
func TestSoakIsFlat(t *testing.T) {
	t.Parallel()
	at := func(memory float64, count int) usage { return usage{memory, count, count} }
	for name, c := range map[string]struct {
		thirds [3]usage
		flat   bool
	}{
		"flat":          {[3]usage{at(40, 50), at(80, 60), at(81, 61)}, true},
		"memory grows":  {[3]usage{at(40, 50), at(80, 60), at(90, 60)}, false},
		"sockets leak":  {[3]usage{at(40, 50), at(80, 60), at(80, 90)}, false},
		"memory shrank": {[3]usage{at(40, 50), at(80, 60), at(60, 60)}, true},
	} {
		if err := (&soaked{Thirds: c.thirds}).fault(); (err == nil) != c.flat {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestGarbageCollector: ferry serve leaves GOGC and GOMEMLIMIT to the operator, and sets the
// collector where they are not set.
func TestGarbageCollector(t *testing.T) {
	t.Parallel()
	r := startRig(t, nil)
	for name, c := range map[string]struct {
		env         []string
		percent     float64
		memoryLimit float64
	}{
		"unset":      {nil, 0, 0},
		"GOGC=100":   {[]string{"GOGC=100"}, 100, 0},
		"GOGC=15":    {[]string{"GOGC=15"}, 15, 0},
		"GOMEMLIMIT": {[]string{"GOMEMLIMIT=200MiB"}, 0, 200 << 20},
	} {
		f, err := r.startFerry(t.Context(), anyPort, c.env...)
		if err != nil {
			t.Fatal(err)
		}
		percent, limit := metric(t, r, f, "go_gc_gogc_percent"), metric(t, r, f, "go_gc_gomemlimit_bytes")
		if c.percent > 0 && percent != c.percent || c.percent == 0 && percent <= 100 {
			t.Errorf("%s: the collector runs at %v %%", name, percent)
		}
		if c.memoryLimit > 0 && limit != c.memoryLimit || limit <= 0 {
			t.Errorf("%s: the limit is %v", name, limit)
		}
		if err := f.stop(); err != nil {
			t.Error(err)
		}
	}
}

// metric reads a gauge of ferry.
func metric(t *testing.T, r *rig, f *ferry, name string) float64 {
	t.Helper()
	text, err := r.request(t.Context(), http.MethodGet, f.adminURL+metricsPath)
	if err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil || families[name] == nil {
		t.Fatalf("no %s, %v", name, err)
	}
	return families[name].GetMetric()[0].GetGauge().GetValue()
}

// TestCommand: --help explains, --json is one object, and a wrong flag is a wrong usage.
func TestCommand(t *testing.T) {
	t.Parallel()
	run := func(args ...string) (status int, stdout, stderr string) {
		var out, errs bytes.Buffer
		status = execute(t.Context(), args, &out, &errs)
		return status, out.String(), errs.String()
	}
	if status, stdout, _ := run("--help"); status != exitOK || !strings.Contains(stdout, "--soak") || !strings.Contains(stdout, "nginx") {
		t.Errorf("%d: %s", status, stdout)
	}
	if status, _, stderr := run("--only", "everything"); status != exitUsage || !strings.Contains(stderr, "saturation") {
		t.Errorf("%d: %s", status, stderr)
	}
	status, stdout, stderr := run("--only=saturation", "--runs=1", "--time=200ms", "--workers=2", "--people=5", "--json", "--ferry", built.Ferry(t))
	var all results
	if err := json.Unmarshal([]byte(stdout), &all); err != nil || status != exitOK || len(all.Saturation) != 7 || all.Saturation[0].Logins == 0 {
		t.Errorf("%d, %v: %s%s", status, err, stdout, stderr)
	}
}

// TestWrongAnswersAreFaults: an attack on something else than a hook is a fault.
func TestWrongAnswersAreFaults(t *testing.T) {
	t.Parallel()
	r := startRig(t, nil)
	f, err := r.measure(t.Context(), subject{server: r.kratos}, attack{Workers: 2, Logins: 4, Time: time.Minute})
	if err != nil || f.fault("kratos") == nil {
		t.Errorf("%+v, %v", f, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.measure(gone, r.bareSubject(), attack{Workers: 1, Logins: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
