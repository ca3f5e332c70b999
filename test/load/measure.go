package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/procfs"
)

const (
	metricsPath = "/metrics/prometheus"
	// sampleEvery is how often the usage is read during an attack, and scrapeEvery how often
	// ferry's metrics at most: that takes ferry as long as several logins, and Prometheus does it
	// less often.
	sampleEvery = 500 * time.Millisecond
	scrapeEvery = 2 * time.Second
	mebibyte    = 1 << 20
)

// usage is what a process uses. Goroutines are 0 for a process without metrics.
type usage struct {
	ResidentMiB float64 `json:"resident_mib"`
	Descriptors int     `json:"descriptors"`
	Goroutines  int     `json:"goroutines,omitempty"`
}

// most returns the higher of each.
func (u usage) most(v usage) usage {
	return usage{max(u.ResidentMiB, v.ResidentMiB), max(u.Descriptors, v.Descriptors), max(u.Goroutines, v.Goroutines)}
}

// figures are the result of an attack on one subject.
type figures struct {
	report

	// CPU is the CPU time of the subject for each login, in microseconds, as the kernel
	// accounts it to the process.
	CPU float64 `json:"cpu_us_per_login"`
	// Most is the most that the subject used at a time.
	Most usage `json:"most"`
	// Grants and Repeats are what the upstream counted meanwhile.
	Grants  int `json:"grants"`
	Repeats int `json:"repeats"`
}

// fault returns what an attack must not show: a wrong answer, a login without exactly one
// grant, a password that was sent twice.
func (f figures) fault(name string) error {
	if len(f.Failed) > 0 || f.Repeats > 0 || f.Grants != f.Logins {
		return fmt.Errorf("%s: %d logins, %d grants, %d passwords sent again, unexpected answers %v", name, f.Logins, f.Grants, f.Repeats, f.Failed)
	}
	return nil
}

// subject is what an attack is measured on.
type subject struct {
	*server

	adminURL string // empty: it has no metrics
}

func (f *ferry) subject() subject { return subject{f.server, f.adminURL} }

// cpu returns the CPU time that the process has used, in seconds.
func (s *server) cpu() (float64, error) {
	p, err := procfs.NewProc(s.Pid())
	if err != nil {
		return 0, err
	}
	stat, err := p.Stat()
	return stat.CPUTime(), err
}

// peakMiB returns the most resident memory since the process began.
func (s *server) peakMiB() (float64, error) {
	p, err := procfs.NewProc(s.Pid())
	if err != nil {
		return 0, err
	}
	status, err := p.NewStatus()
	return float64(status.VmHWM) / mebibyte, err
}

// usage reads what the process uses now, without its goroutines.
func (s *server) usage() (usage, error) {
	p, err := procfs.NewProc(s.Pid())
	if err != nil {
		return usage{}, err
	}
	status, err := p.NewStatus()
	if err != nil {
		return usage{}, err
	}
	descriptors, err := p.FileDescriptorsLen()
	if err != nil {
		return usage{}, err
	}
	return usage{ResidentMiB: float64(status.VmRSS) / mebibyte, Descriptors: descriptors}, nil
}

// usage reads what the subject uses now.
func (r *rig) usage(ctx context.Context, s subject) (usage, error) {
	u, err := s.usage()
	if err == nil && s.adminURL != "" {
		u.Goroutines, err = r.goroutines(ctx, s.adminURL)
	}
	return u, err
}

// goroutines reads the number of goroutines from ferry's metrics.
func (r *rig) goroutines(ctx context.Context, adminURL string) (int, error) {
	text, err := r.request(ctx, http.MethodGet, adminURL+metricsPath)
	if err != nil {
		return 0, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	if family := families["go_goroutines"]; family != nil && len(family.GetMetric()) == 1 {
		return int(family.GetMetric()[0].GetGauge().GetValue()), nil
	}
	return 0, fmt.Errorf("read metrics: no go_goroutines")
}

// measure makes an attack on the subject.
func (r *rig) measure(ctx context.Context, s subject, a attack) (figures, error) {
	a.URL, a.People, a.First, a.Find = s.url, r.opts.People, r.next, r.opts.Find
	before, err := r.grants(ctx)
	if err != nil {
		return figures{}, err
	}
	cpu, err := s.cpu()
	if err != nil {
		return figures{}, err
	}
	var f figures
	stop := r.sample(ctx, s, sampleEvery, func(u usage) { f.Most = f.Most.most(u) })
	f.report, err = attackFrom(ctx, a)
	stop()
	if err != nil {
		return figures{}, err
	}
	r.next += f.Logins
	after, err := s.cpu()
	if err != nil {
		return figures{}, err
	}
	f.CPU = (after - cpu) * 1e6 / float64(max(1, f.Logins))
	now, err := r.grants(ctx)
	f.Grants, f.Repeats = now.Grants-before.Grants, now.Repeats-before.Repeats
	return f, err
}

// sample calls use with what the subject uses, until stop is called. A process that has just
// ended is left out.
func (r *rig) sample(ctx context.Context, s subject, every time.Duration, use func(usage)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		scraped, goroutines := time.Now(), 0
		for {
			select {
			case <-ticker.C:
				u, err := s.usage()
				if time.Since(scraped) >= scrapeEvery {
					u, err = r.usage(ctx, s)
					scraped, goroutines = time.Now(), u.Goroutines
				}
				if err == nil {
					u.Goroutines = goroutines
					use(u)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// median returns the middle of the values; of an even number the higher one.
func median[T float64 | int64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
