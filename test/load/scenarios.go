package main

import (
	"context"
	"fmt"
	"time"
)

const (
	subjectFerry = "ferry"
	subjectBare  = "(a) bare"
	subjectNginx = "(b) nginx"
)

// The goals.
const (
	goalCPU        = 1.5  // of (a), per login at saturation
	goalThroughput = 0.75 // of (a), at saturation
	goalP50        = 1.0  // ms more than (a), at half load with 50 ms
	goalP99        = 3.0
	goalWaiting    = 96.0 // MiB with 1,000 logins
)

// series measures an attack on subjects in turns, and returns their medians.
func (r *rig) series(ctx context.Context, all *results, latency time.Duration, runs int, subjects []subject, attack attack) ([]row, error) {
	if err := r.setLatency(ctx, latency); err != nil {
		return nil, err
	}
	got := make([][]figures, len(subjects))
	for run := range runs {
		for i := range subjects {
			at := (i + run) % len(subjects) // nothing is always the first
			f, err := r.measure(ctx, subjects[at], attack)
			if err != nil {
				return nil, err
			}
			all.note(f.fault(fmt.Sprintf("%s, Auth0 %s", subjects[at].name, latency)))
			got[at] = append(got[at], f)
		}
	}
	var rows []row
	for i, s := range subjects {
		rows = append(rows, row{Subject: s.name, Latency: latency, Runs: runs, figures: middle(got[i])})
	}
	return rows, nil
}

// middle returns the median of each figure.
func middle(runs []figures) figures {
	of := func(value func(figures) float64) float64 {
		var values []float64
		for _, f := range runs {
			values = append(values, value(f))
		}
		return median(values)
	}
	count := func(value func(figures) int64) int64 {
		return int64(of(func(f figures) float64 { return float64(value(f)) }))
	}
	var m figures
	for _, f := range runs {
		m.Most = m.Most.most(f.Most)
		m.Logins, m.Grants, m.Repeats, m.Retried = m.Logins+f.Logins, m.Grants+f.Grants, m.Repeats+f.Repeats, m.Retried+f.Retried
		m.Seconds += f.Seconds
	}
	m.CPU, m.PerSec = of(func(f figures) float64 { return f.CPU }), of(func(f figures) float64 { return f.PerSec })
	m.P50, m.P99 = count(func(f figures) int64 { return f.P50 }), count(func(f figures) int64 { return f.P99 })
	m.P999, m.Max = count(func(f figures) int64 { return f.P999 }), count(func(f figures) int64 { return f.Max })
	m.LateP99 = count(func(f figures) int64 { return f.LateP99 })
	return m
}

// withFerry starts a ferry for some measurements.
func (r *rig) withFerry(ctx context.Context, measure func(subject) error) (err error) {
	f, err := r.startFerry(ctx, anyPort)
	if err != nil {
		return err
	}
	if err := measure(f.subject()); err != nil {
		_ = f.Stop(0)
		return err
	}
	return f.stop()
}

func (r *rig) bareSubject() subject {
	s := *r.bare
	s.name = subjectBare
	return subject{server: &s}
}

// saturation measures closed loops.
func (r *rig) saturation(ctx context.Context, all *results, say func(string)) error {
	latencies := r.opts.latencies
	for _, at := range []struct {
		latency time.Duration
		workers int
	}{{latencies[0], r.opts.Workers}, {latencies[1], 2 * r.opts.Workers}, {latencies[2], 8 * r.opts.Workers}} {
		say(fmt.Sprintf("saturation: Auth0 %s, %d at once", at.latency, at.workers))
		loop := attack{Workers: at.workers, Time: r.opts.Time}
		err := r.withFerry(ctx, func(ferry subject) error {
			subjects := []subject{r.bareSubject(), ferry}
			if _, err := r.series(ctx, all, 0, 1, subjects, attack{Workers: at.workers, Logins: 10 * at.workers, Time: r.opts.Timeout}); err != nil { // warm up
				return err
			}
			rows, err := r.series(ctx, all, at.latency, r.opts.Runs, subjects, loop)
			if err != nil {
				return err
			}
			all.Saturation = append(all.Saturation, rows...)
			name := fmt.Sprintf("Auth0 %s, %d at once", at.latency, at.workers)
			if rows[0].CPU == 0 || rows[0].PerSec == 0 {
				all.LeftOut = append(all.LeftOut, "ratios, "+name+": the runs were too short to measure CPU time")
				return nil
			}
			all.atMost("CPU per login of ferry / (a), "+name, rows[1].CPU/rows[0].CPU, goalCPU)
			all.atLeast("throughput of ferry / (a), "+name, rows[1].PerSec/rows[0].PerSec, goalThroughput)
			return nil
		})
		if err != nil {
			return err
		}
		if r.nginx != nil && at.latency == latencies[0] {
			s := *r.nginx
			s.name = subjectNginx
			rows, err := r.series(ctx, all, at.latency, 1, []subject{{server: &s}}, loop)
			if err != nil {
				return err
			}
			all.Saturation = append(all.Saturation, rows...)
		}
	}
	return nil
}

// rates measures open loops. Their rates are shares of what the machine handles at saturation
// with the same latency of the upstream.
func (r *rig) rates(ctx context.Context, all *results, say func(string)) error {
	return r.withFerry(ctx, func(ferry subject) error {
		for i, latency := range r.opts.latencies {
			workers := r.opts.Workers << (2 * i)
			say(fmt.Sprintf("rates: Auth0 %s, saturation of ferry, %d at once", latency, workers))
			full, err := r.series(ctx, all, latency, 1, []subject{ferry}, attack{Workers: workers, Time: r.opts.Time})
			if err != nil {
				return err
			}
			for _, load := range []float64{0.25, halfLoad, 0.75} {
				isGoal := i == 1 && load == halfLoad
				if err := r.rate(ctx, all, say, ferry, latency, full[0].PerSec, load, isGoal); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

const halfLoad = 0.5

// rate measures one open loop on (a) and on ferry. The goals are for one of them, which is
// measured several times.
func (r *rig) rate(ctx context.Context, all *results, say func(string), ferry subject, latency time.Duration, full, load float64, isGoal bool) error {
	rate, runs := max(1, load*full), 1
	if isGoal {
		runs = r.opts.Runs
	}
	say(fmt.Sprintf("rates: Auth0 %s, %.0f logins per second, %.0f%% of saturation", latency, rate, 100*load))
	rows, err := r.series(ctx, all, latency, runs, []subject{r.bareSubject(), ferry}, attack{Rate: rate, Time: r.opts.Time})
	if err != nil {
		return err
	}
	all.Rates = append(all.Rates, rows...)
	if isGoal {
		all.atMost(fmt.Sprintf("p50 of ferry - (a), ms, Auth0 %s, half load", latency), float64(rows[1].P50-rows[0].P50)/1000, goalP50)
		all.atMost(fmt.Sprintf("p99 of ferry - (a), ms, Auth0 %s, half load", latency), float64(rows[1].P99-rows[0].P99)/1000, goalP99)
	}
	return nil
}

// waiting measures the memory of a burst of logins that wait for Auth0.
func (r *rig) waiting(ctx context.Context, all *results, say func(string)) error {
	say(fmt.Sprintf("waiting: %d logins at once", r.opts.logins))
	return r.withFerry(ctx, func(ferry subject) error {
		rows, err := r.series(ctx, all, r.opts.wait, 1, []subject{ferry}, attack{Workers: r.opts.logins, Logins: 3 * r.opts.logins, Time: time.Minute})
		if err != nil {
			return err
		}
		if rows[0].Most.ResidentMiB, err = ferry.peakMiB(); err != nil {
			return err
		}
		all.Waiting = append(all.Waiting, rows...)
		all.atMost(fmt.Sprintf("MiB resident at most, %d logins that wait at once", r.opts.logins), rows[0].Most.ResidentMiB, goalWaiting)
		return nil
	})
}
