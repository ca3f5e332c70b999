package main

import (
	"context"
	"fmt"
	"time"
)

const (
	// soakSamples is how often the usage is read.
	soakSamples = 120
	// soakGrowth and soakGrowthMiB are how much more memory the last third of a soak may use
	// than the second, as a share and in MiB; soakGrowthCount is for descriptors and goroutines.
	soakGrowth      = 0.05
	soakGrowthMiB   = 2.0
	soakGrowthCount = 20.0
)

// soaked is the result of a soak: what was used in the median of its thirds.
type soaked struct {
	report

	CPU    float64  `json:"cpu_us_per_login"`
	Thirds [3]usage `json:"thirds"`
}

func (s *soaked) String() string {
	text := fmt.Sprintf("soak: %d logins in %.0f s, %.0f µs of CPU per login, p99 %.1f ms; median of each third:", s.Logins, s.Seconds, s.CPU, float64(s.P99)/1000)
	for _, u := range s.Thirds {
		text += fmt.Sprintf("\n  %.1f MiB, %d descriptors, %d goroutines", u.ResidentMiB, u.Descriptors, u.Goroutines)
	}
	return text
}

// soak makes logins at a constant rate.
func (r *rig) soak(ctx context.Context, all *results, say func(string)) error {
	say(fmt.Sprintf("soak: %s at %.0f logins per second", r.opts.Soak, r.opts.SoakRate))
	if err := r.setLatency(ctx, 50*time.Millisecond); err != nil {
		return err
	}
	return r.withFerry(ctx, func(ferry subject) error {
		var samples []usage
		stop := r.sample(ctx, ferry, r.opts.Soak/soakSamples, func(u usage) { samples = append(samples, u) })
		f, err := r.measure(ctx, ferry, attack{Rate: r.opts.SoakRate, Time: r.opts.Soak})
		stop()
		if err != nil {
			return err
		}
		all.note(f.fault("soak"))
		all.Soak = &soaked{report: f.report, CPU: f.CPU}
		for i := range all.Soak.Thirds {
			all.Soak.Thirds[i] = middleUsage(samples[i*len(samples)/3 : (i+1)*len(samples)/3])
		}
		all.note(all.Soak.fault())
		return nil
	})
}

// fault reports growth from the second third to the last. The first one fills what is kept
// for two minutes.
func (s *soaked) fault() error {
	then, now := s.Thirds[1], s.Thirds[2]
	if now.ResidentMiB > then.ResidentMiB*(1+soakGrowth)+soakGrowthMiB ||
		float64(now.Descriptors-then.Descriptors) > soakGrowthCount || float64(now.Goroutines-then.Goroutines) > soakGrowthCount {
		return fmt.Errorf("the soak is not flat: %s", s)
	}
	return nil
}

// middleUsage returns the median of each.
func middleUsage(samples []usage) usage {
	var memory, descriptors, goroutines []float64
	for _, u := range samples {
		memory, descriptors, goroutines = append(memory, u.ResidentMiB), append(descriptors, float64(u.Descriptors)), append(goroutines, float64(u.Goroutines))
	}
	if len(memory) == 0 {
		return usage{}
	}
	return usage{median(memory), int(median(descriptors)), int(median(goroutines))}
}
