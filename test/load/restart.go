package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"ferry/test/redistest"
)

// restartOptions say how two ferries are restarted.
type restartOptions struct {
	rate     float64 // logins per second
	restarts int
	pause    time.Duration // between two restarts
}

// restarted is the result of a rolling restart.
type restarted struct {
	report

	Restarts int `json:"restarts"`
	Grants   int `json:"grants"`
	Repeats  int `json:"repeats"`
}

func (r *restarted) String() string {
	return fmt.Sprintf("rolling restart: %d restarts, %d logins, %d calls repeated by the client, %d logins failed, %d grants, %d passwords sent again, p99 %.1f ms",
		r.Restarts, r.Logins, r.Retried, failures(r.report), r.Grants, r.Repeats, float64(r.P99)/1000)
}

func failures(r report) (n int) {
	for _, count := range r.Failed {
		n += count
	}
	return n
}

// restart measures a rolling restart of two ferries behind nginx.
func (r *rig) restart(ctx context.Context, all *results, say func(string)) (err error) {
	if r.nginx == nil {
		return nil
	}
	o := r.opts.restart
	say(fmt.Sprintf("restart: %d restarts at %.0f logins per second", o.restarts, o.rate))
	if err := r.setLatency(ctx, 50*time.Millisecond); err != nil {
		return err
	}
	redis, err := redistest.Start(ctx, r.dir, redistest.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, redis.Stop()) }()
	pair, err := r.startPair(ctx, redis.URL())
	defer func() { err = errors.Join(err, pair.stop()) }()
	if err != nil {
		return err
	}
	front, err := startNginx(ctx, r.dir, "pair", pair.at(0), pair.at(1))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, front.stop()) }()

	before, err := r.grants(ctx)
	if err != nil {
		return err
	}
	a := attack{
		URL: front.url, Rate: o.rate, Time: time.Duration(o.restarts+1) * o.pause * 2, People: r.opts.People, First: r.next, Find: r.opts.Find, Kratos: true,
	}
	got, restarts, err := pair.restartDuring(ctx, a, o)
	if err != nil {
		return err
	}
	r.next += got.Logins
	now, err := r.grants(ctx)
	if err != nil {
		return err
	}
	all.Restart = &restarted{report: got, Restarts: restarts, Grants: now.Grants - before.Grants, Repeats: now.Repeats - before.Repeats}
	if failures(got) > 0 || all.Restart.Repeats > 0 {
		all.note(fmt.Errorf("%s: %v", all.Restart, got.Failed))
	}
	return nil
}

// pair is two ferries that share a Redis.
type pair struct {
	rig      *rig
	ferries  [2]*ferry
	hooksAt  [2]string
	settings []string
}

func (r *rig) startPair(ctx context.Context, redisURL string) (*pair, error) {
	p := &pair{rig: r, settings: []string{"FERRY_STATE_URL=" + redisURL, "FERRY_STATE_KEY=" + strings.Repeat("load-state-key", 3)}}
	for i := range p.ferries {
		var err error
		if p.hooksAt[i], err = freeAddress(ctx); err != nil {
			return p, err
		}
		if err := p.start(ctx, i); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (p *pair) at(i int) string { return "http://" + p.hooksAt[i] }

func (p *pair) start(ctx context.Context, i int) (err error) {
	p.ferries[i], err = p.rig.startFerry(ctx, p.hooksAt[i], p.settings...)
	return err
}

func (p *pair) stop() error {
	var errs []error
	for _, f := range p.ferries {
		if f != nil {
			errs = append(errs, f.stop())
		}
	}
	return errors.Join(errs...)
}

// restartDuring restarts the ferries one after the other, while an attack is under way.
func (p *pair) restartDuring(ctx context.Context, a attack, o restartOptions) (got report, restarts int, err error) {
	ended := make(chan error, 1)
	go func() {
		var err error
		got, err = attackFrom(ctx, a)
		ended <- err
	}()
	for restarts < o.restarts {
		select {
		case err := <-ended:
			return got, restarts, errors.Join(err, errors.New("the attack ended before the last restart"))
		case <-time.After(o.pause):
		}
		i := restarts % len(p.ferries)
		err := p.ferries[i].stop()
		if err == nil {
			err = p.start(ctx, i)
		}
		if err != nil {
			return got, restarts, errors.Join(err, <-ended)
		}
		restarts++
	}
	return got, restarts, <-ended
}
