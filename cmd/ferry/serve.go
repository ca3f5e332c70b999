package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"ferry/admin"
	"ferry/config"
	"ferry/hook"
	"ferry/kratos"
	"ferry/tracing/otlp"
)

// serveName is the name of the command.
const serveName = "serve"

func serveCommand(stderr io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   serveName,
		Short: "Answer Kratos' hooks until SIGTERM or SIGINT; on SIGHUP, reopen the audit log or, without one, read the mode file.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			hangups := make(chan os.Signal, 1)
			signal.Notify(hangups, syscall.SIGHUP)
			defer signal.Stop(hangups)
			signal.Ignore(syscall.SIGPIPE) // logins continue when the reader of the log ends
			cfg, err := config.Load()
			if err != nil {
				return asFailed(err)
			}
			log, err := newLogger(cfg, stderr)
			if err != nil {
				return asFailed(err)
			}
			return asFailed(serve(cmd.Context(), cfg, log, hangups))
		},
	}
}

// serve serves until ctx is done, then drains. At each hangup it reads the mode again.
func serve(ctx context.Context, cfg *config.Config, log *zap.Logger, hangups <-chan os.Signal) error {
	defer governHeap(log)()
	s, err := newServer(cfg, log)
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	err = s.wait(ctx, hangups)
	s.Stop(context.WithoutCancel(ctx))
	return err
}

// wait waits until ctx is done or a listener fails.
func (s *server) wait(ctx context.Context, hangups <-chan os.Signal) error {
	for {
		select {
		case <-hangups:
			s.hangUp()
		case <-ctx.Done():
			return nil
		case err := <-s.failed:
			return err
		}
	}
}

// newRegistry returns the registry of the metrics, with those of the process.
func newRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ferry_build_info", Help: "1, with the version of this ferry.", ConstLabels: prometheus.Labels{"version": buildVersion()},
		}, func() float64 { return 1 }))
	return registry
}

func newServer(cfg *config.Config, log *zap.Logger) (*server, error) {
	registry := newRegistry()
	trail, err := newAudit(cfg, log, registry)
	if err != nil {
		return nil, err
	}
	modes, err := newModes(cfg, recordTo(trail), log, registry)
	if err != nil {
		return nil, err
	}
	traces, err := newTraces(cfg, log, registry)
	if err != nil {
		return nil, err
	}
	auth0, guard, err := guardedUpstream(cfg, traces, log, registry)
	if err != nil {
		return nil, err
	}
	identities, err := loginKratos(cfg, traces.Client(otlp.PeerKratos, true))
	if err != nil {
		return nil, err
	}
	hashKey := logHashKey(cfg)
	opts, err := hookOptions(cfg, hashKey, identities, auth0, traces)
	if err != nil {
		return nil, err
	}
	store, err := newStore(cfg, hashKey, log, registry)
	if err != nil {
		return nil, err
	}
	if opts.Limits, err = newLimits(cfg, store, hashKey, log, registry); err != nil {
		return nil, err
	}
	opts.Store, opts.Log, opts.Metrics, opts.Modes, opts.DelayRefusals = store, log, registry, modes, true
	opts.Audit = recordTo(trail)
	s := &server{
		cfg: cfg, log: log, failed: make(chan error, 5), modes: modes, guard: guard, traces: traces, audit: trail, hashKey: hashKey, metrics: registry,
		background: []func(context.Context){auth0.Run, store.Run, modes.Run}, close: store.Close,
	}
	if traces != nil {
		s.background = append(s.background, traces.Run)
	}
	if trail != nil {
		s.background = append(s.background, trail.Run)
	}
	if err := s.addRecorder(&opts); err != nil {
		return nil, err
	}
	if err := s.addHooks(opts, identities, store); err != nil {
		return nil, err
	}
	if err := s.addTokenFront(remintDeps{auth0: auth0, identities: identities, store: store, doors: s.doors}); err != nil {
		return nil, err
	}
	return s, s.addAdmin(store, registry)
}

// addRecorder adds the recorder of hook calls, if there is one.
func (s *server) addRecorder(opts *hook.Options) error {
	recorder, err := newRecorder(s.cfg, s.hashKey, s.log, s.metrics)
	if err != nil || recorder == nil {
		return err
	}
	opts.Recorder = recorder
	s.background = append(s.background, recorder.Run)
	return nil
}

// addHooks adds the hooks listener, and the gateway's.
func (s *server) addHooks(opts hook.Options, identities *kratos.Client, store store) error {
	var err error
	if s.cfg.CreatesIdentities() {
		if s.doors, err = addDoors(&opts, s.cfg, identities, store, s.modes, s.hashKey, s.traces); err != nil {
			return err
		}
		s.background = append(s.background, s.doors.provisioner.Run)
	}
	hooks, err := hook.New(opts)
	if err != nil {
		return err
	}
	s.drain = hooks.Drain
	if s.cfg.GatewayListen != "" || s.cfg.ForwardAuthListen != "" {
		front, err := newGateway(s.cfg, hooks, identities, s.doors, s.modes, s.hashKey, s.traces, recordTo(s.audit), s.log, s.metrics)
		if err != nil {
			return err
		}
		s.addGateway(front)
	}
	s.hooks = s.httpServer(tracedHooks(s.traces, hooks.Echo(), s.cfg.HookKeys))
	s.hooks.RegisterOnShutdown(hooks.StopDelays)
	return nil
}

// addAdmin adds the admin listener, and the count of the identities and the history that it
// shows.
func (s *server) addAdmin(store store, metrics *prometheus.Registry) error {
	counts, err := newCensus(s.cfg, s.log, metrics)
	if err != nil {
		return err
	}
	if counts != nil {
		s.background = append(s.background, counts.Run)
	}
	kept, err := newHistory(s.cfg, store, s.log)
	if err != nil {
		return err
	}
	before := s.close
	s.close = func() error { return errors.Join(kept.Close(), before()) }
	facts, err := newPageFacts(s.cfg, store, s.guard, counts, kept, s.log, metrics)
	if err != nil {
		return err
	}
	s.background = append(s.background, facts.recorder.Run)
	shown, err := s.newPage(facts)
	if err != nil {
		return err
	}
	operator, err := admin.Echo(admin.Options{
		Version: buildVersion(), Ready: s.ready.Load, Metrics: metrics, Upstream: s.upstream, Modes: s.modes, ModeKey: s.cfg.AdminKey, Page: shown, Audit: recordTo(s.audit),
	})
	if err != nil {
		return err
	}
	s.admin = s.httpServer(operator)
	s.admin.RegisterOnShutdown(shown.Close)
	return nil
}
