package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// results are everything that a run of this program found.
type results struct {
	Machine    string     `json:"machine"`
	Saturation []row      `json:"saturation,omitempty"`
	Rates      []row      `json:"rates,omitempty"`
	Waiting    []row      `json:"waiting,omitempty"`
	Restart    *restarted `json:"restart,omitempty"`
	Soak       *soaked    `json:"soak,omitempty"`
	Goals      []goal     `json:"goals"`
	// LeftOut says what could not be measured here.
	LeftOut []string `json:"left_out,omitempty"`

	faults []error
}

// row is the median of the runs on one subject. The maximum of what it used is over all runs.
type row struct {
	Subject string        `json:"subject"`
	Latency time.Duration `json:"auth0_latency_ns"`
	Runs    int           `json:"runs"`
	figures
}

// goal is a figure that ferry has to keep below or above a bound.
type goal struct {
	Name  string  `json:"name"`
	Got   float64 `json:"got"`
	Bound float64 `json:"bound"`
	Held  bool    `json:"held"`
}

func (all *results) atMost(name string, got, bound float64) {
	all.Goals = append(all.Goals, goal{name, got, bound, got <= bound})
}

func (all *results) atLeast(name string, got, bound float64) {
	all.Goals = append(all.Goals, goal{name, got, bound, got >= bound})
}

// note keeps a fault of an attack.
func (all *results) note(err error) {
	if err != nil {
		all.faults = append(all.faults, err)
	}
}

// fault is the error of wrong answers, and of missed goals if they are to be checked.
func (all *results) fault(check bool) error {
	errs := slices.Clone(all.faults)
	for _, g := range all.Goals {
		if check && !g.Held {
			errs = append(errs, fmt.Errorf("goal missed: %s: %.2f, and the bound is %.2f", g.Name, g.Got, g.Bound))
		}
	}
	return errors.Join(errs...)
}

// all makes the measurements that were asked for.
func (r *rig) all(ctx context.Context, say func(string)) (*results, error) {
	all := &results{Machine: fmt.Sprintf("%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())}
	if r.nginx == nil {
		all.LeftOut = append(all.LeftOut, "nginx is not installed: no (b), no restart")
	}
	for _, m := range []struct {
		name string
		run  func(context.Context, *results, func(string)) error
	}{
		{"saturation", r.saturation},
		{"rates", r.rates},
		{"waiting", r.waiting},
		{"restart", r.restart},
		{"soak", r.soak},
	} {
		if !r.opts.does(m.name) {
			continue
		}
		if err := m.run(ctx, all, say); err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return all, nil
}

// print prints tables for people.
func (all *results) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s\n", all.Machine)
	for _, part := range []struct {
		name string
		rows []row
	}{{"saturation (closed loop)", all.Saturation}, {"rates (open loop)", all.Rates}, {"waiting", all.Waiting}} {
		if len(part.rows) == 0 {
			continue
		}
		fmt.Fprintf(t, "\n%s\n\tauth0\tlogins/s\tCPU µs\tp50 ms\tp99 ms\tp99.9 ms\tMiB\tfds\tgoroutines\truns\t\n", part.name)
		for _, r := range part.rows {
			fmt.Fprintf(t, "%s\t%s\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.0f\t%d\t%d\t%d\t\n", r.Subject, r.Latency, r.PerSec, r.CPU,
				float64(r.P50)/1000, float64(r.P99)/1000, float64(r.P999)/1000, r.Most.ResidentMiB, r.Most.Descriptors, r.Most.Goroutines, r.Runs)
		}
	}
	if all.Restart != nil {
		fmt.Fprintf(t, "\n%s\n", all.Restart)
	}
	if all.Soak != nil {
		fmt.Fprintf(t, "\n%s\n", all.Soak)
	}
	fmt.Fprintln(t)
	for _, g := range all.Goals {
		word := "held  "
		if !g.Held {
			word = "MISSED"
		}
		fmt.Fprintf(t, "%s %s: %.2f (bound %.2f)\n", word, g.Name, g.Got, g.Bound)
	}
	for _, what := range all.LeftOut {
		fmt.Fprintf(t, "left out: %s\n", what)
	}
	return t.Flush()
}
