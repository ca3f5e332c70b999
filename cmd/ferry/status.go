package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"ferry/bulk/progress"
	"ferry/bulk/status"
	"ferry/bulk/tempfile"
	"ferry/bulk/userfile"
	"ferry/config"
	"ferry/transport"
)

// statusFlags are the flags of `ferry status`.
type statusFlags struct {
	watch      bool
	every      time.Duration
	json       bool
	stragglers string
	users      string
	metrics    []string
	content    contentFlags
}

func statusCommand(stdout, stderr io.Writer) *cobra.Command {
	var flags statusFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how many users have migrated and how many are still pending.",
		Long: "Reads all identities in Kratos, which takes some seconds for tens of thousands, and shows how many have\n" +
			"migrated, how many are pending, and when the last would migrate at the recent rate. --stragglers writes the\n" +
			"pending users as CSV, for a mailing, the latest login first; --users adds the last login from an\n" +
			"export. --metrics adds what a running ferry decided in mode observe. With --watch, a reading that fails is\n" +
			"reported and the next one follows; if the first reading fails, the command ends.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case flags.watch && flags.every < time.Second:
				return errors.New("--every must be 1s or more")
			case flags.stragglers == "-":
				return errors.New("--stragglers must be a file: standard output has the numbers")
			case flags.users != "" && flags.stragglers == "":
				return errors.New("--users needs --stragglers FILE")
			case flags.users == "-":
				return errors.New("--users must be a file: it is read each time")
			case samePlace(flags.users, flags.stragglers):
				return errors.New("--stragglers would overwrite the users file: name another file")
			}
			if err := metricsURLs(flags.metrics); err != nil {
				return err
			}
			columns, _, err := flags.content.parse()
			if err != nil {
				return err
			}
			return asFailed(flags.run(cmd.Context(), columns, stdout, stderr))
		},
	}
	cmd.Flags().BoolVar(&flags.watch, "watch", false, "read repeatedly until interrupted")
	cmd.Flags().DurationVar(&flags.every, "every", time.Minute, "time between two readings")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print one line of JSON per reading")
	cmd.Flags().StringVar(&flags.stragglers, "stragglers", "", "`FILE` for the pending identities, CSV")
	cmd.Flags().StringArrayVar(&flags.metrics, "metrics", nil, "`URL` of the admin listener of a running ferry: adds what it decided in mode observe; repeat it for each ferry")
	flags.content.bindColumns(cmd)
	cmd.Flags().StringVar(&flags.users, "users", "", "users `FILE` of an export: adds the last login, locale and name to the stragglers")
	return cmd
}

func (f *statusFlags) run(ctx context.Context, columns userfile.Columns, stdout, stderr io.Writer) error {
	cfg, err := config.LoadFor(config.Kratos)
	if err != nil {
		return err
	}
	identities, err := bulkKratos(cfg)
	if err != nil {
		return err
	}
	read := func() (status.Status, error) {
		return f.read(func(to io.Writer) (status.Status, error) {
			return f.status(ctx, columns, status.Options{Kratos: identities, Stragglers: to, Progress: progress.NewTerminal(stderr), Now: time.Now, Metrics: f.metrics, Client: metricsClient()})
		})
	}
	for first := true; ; first = false {
		current, err := read()
		switch {
		case f.watch && ctx.Err() != nil:
			return nil // the normal end of a watch
		case err != nil && first:
			return startAgain(walked(ctx, err))
		case err != nil:
			_, _ = fmt.Fprintf(stderr, "this reading failed, the next is in %s: %v\n", f.every, walked(ctx, err))
		default:
			if err := f.print(stdout, current); err != nil || !f.watch {
				return err
			}
		}
		timer := time.NewTimer(f.every)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// status reads the status once.
func (f *statusFlags) status(ctx context.Context, columns userfile.Columns, opts status.Options) (current status.Status, err error) {
	if f.users != "" {
		if opts.Users, err = userfile.Open(ctx, f.users, nil, "", columns); err != nil {
			return current, err
		}
		defer func() { err = errors.Join(err, opts.Users.Close()) }()
	}
	return status.Read(ctx, opts)
}

// read reads the status and replaces the stragglers' file, if one is named, once it is
// complete. Its mode is 0600, because it has addresses.
func (f *statusFlags) read(read func(io.Writer) (status.Status, error)) (current status.Status, err error) {
	path := f.stragglers
	if path == "" {
		return read(nil)
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // the file is replaced, not a link to it
	}
	write := func(to *os.File) (err error) {
		current, err = read(to)
		return err
	}
	if info, err := os.Stat(path); err != nil || info.Mode().IsRegular() {
		err = tempfile.Replace(path, write)
		return current, err
	}
	pipe, err := os.OpenFile(path, os.O_WRONLY, 0) //nolint:gosec // G304: the file that the operator names
	if err != nil {
		return current, err
	}
	err = errors.Join(write(pipe), pipe.Close())
	return current, err
}

func (f *statusFlags) print(w io.Writer, s status.Status) error {
	if f.json {
		return json.NewEncoder(w).Encode(s)
	}
	return s.Print(w)
}

// metricsURLs replaces the values of --metrics by the URLs of the metrics.
func metricsURLs(bases []string) error {
	for i, base := range bases {
		at, err := status.MetricsURL(base)
		if err != nil {
			return fmt.Errorf("--metrics %w", err)
		}
		bases[i] = at
	}
	return nil
}

// metricsTimeout limits the reading of the metrics of one ferry.
const metricsTimeout = 10 * time.Second

// metricsClient returns the client that reads metrics.
func metricsClient() *http.Client {
	return &http.Client{
		Transport:     transport.New(transport.Options{Proxy: http.ProxyFromEnvironment, OwnConnections: true}),
		Timeout:       metricsTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
