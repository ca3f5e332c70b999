package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"ferry/config"
	"ferry/hook"
	"ferry/recording"
	"ferry/secret"
)

func recordCommand(stdout, stderr io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "record",
		Short: "Make the keys of recordings; `ferry serve` records where FERRY_RECORD_DIR is set.",
		RunE: func(*cobra.Command, []string) error {
			return errors.New("name a command: ferry record keygen FILE")
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "keygen FILE",
		Short: "Make a key pair: the private key into FILE, the public one printed, for FERRY_RECORD_KEY.",
		Long: "Makes the keys with which recordings keep what a person typed. The public key is printed: as FERRY_RECORD_KEY\n" +
			"it lets ferry seal, and open nothing. The private key goes into a new FILE that only you can read, for\n" +
			"`ferry replay --unseal FILE`: keep it away from the machines on which ferry runs.\n" +
			"Exit 0: done, 1: the file cannot be written, 2: wrong usage, or the file is there already.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := os.Lstat(args[0])
			if err == nil {
				return fmt.Errorf("%s is there already: name a new file", args[0])
			}
			return work(func(context.Context) error { return keygen(args[0], stdout, stderr) })(cmd, args)
		},
	})
	return cmd
}

// keygen writes the private key before it prints the public one: nothing must be
// sealed that nobody can open.
func keygen(path string, stdout, stderr io.Writer) error {
	public, private, err := recording.GenerateKey()
	if err != nil {
		return err
	}
	text := "# The private key of ferry's recordings. It opens what this public key seals:\n" +
		"# FERRY_RECORD_KEY=" + recording.FormatKey(public) + "\n" +
		recording.FormatKey(private) + "\n"
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: name a new file", path)
	}
	if err != nil {
		return fmt.Errorf("write the private key: %w", err)
	}
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(fmt.Errorf("write the private key: %w", err), os.Remove(path))
	}
	if _, err := fmt.Fprintln(stdout, recording.FormatKey(public)); err != nil {
		return fmt.Errorf("print the public key: %w", err)
	}
	fmt.Fprintln(stderr, "the private key is in", path+"; set FERRY_RECORD_KEY to the line above where ferry runs")
	return nil
}

// recorder records for the hooks; the zero value records nothing.
type recorder struct{ *recording.Writer }

// forHooks returns nil if nothing is recorded.
func (r recorder) forHooks() hook.Recorder {
	if r.Writer == nil {
		return nil
	}
	return r.Writer
}

// Run writes until ctx ends.
func (r recorder) Run(ctx context.Context) {
	if r.Writer != nil {
		r.Writer.Run(ctx)
	}
}

// newRecorder makes the recorder that the settings ask for.
func newRecorder(cfg *config.Config, hashKey secret.String, log *zap.Logger, metrics prometheus.Registerer) (recorder, error) {
	if cfg.RecordDir == "" {
		return recorder{}, nil
	}
	if cfg.LogHashKey.Empty() {
		log.Warn("FERRY_LOG_HASH_KEY is not set: the hashes in recordings cannot be compared with those of another run")
	}
	opts := recording.Options{
		Dir: cfg.RecordDir, MaxBytes: int64(cfg.RecordMaxBytes), Keep: cfg.RecordKeep,
		Hash: func(text string) string { return hook.Hash(hashKey, text) },
		Log:  log, Metrics: metrics, Now: time.Now,
	}
	if cfg.RecordKey != "" {
		key, err := recording.ParseKey(cfg.RecordKey)
		if err != nil {
			return recorder{}, err
		}
		opts.Key = key
	}
	w, err := recording.New(opts)
	if err != nil {
		return recorder{}, err
	}
	log.Info("recording hook calls", zap.String("directory", cfg.RecordDir), zap.Bool("sealing", opts.Key != nil))
	return recorder{w}, nil
}
