package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ferry/bulk/progress"
	"ferry/config"
	"ferry/hook"
	"ferry/outcome"
	"ferry/recording"
)

const maxReplayConcurrency = 256

// replayFlags are the flags of `ferry replay`.
type replayFlags struct {
	target, admin     string
	unseal, passwords string
	rate              float64
	concurrency       int
	repeat            int
	only              []string
	diff, json        bool
	production        bool
}

func replayCommand(stdout, stderr io.Writer) *cobra.Command {
	var flags replayFlags
	cmd := &cobra.Command{
		Use:   "replay FILE…",
		Short: "Repeat recorded hook calls and compare ferry's answers with the recorded ones.",
		Long: "Repeats recorded hook calls and compares the answers, status code and status word, with the recorded ones.\n" +
			"A FILE is a recording (FERRY_RECORD_DIR), a request body from Kratos, or a folder of both.\n\n" +
			"The calls use the first key of FERRY_HOOK_KEYS. Recordings have no passwords: give them with --unseal or\n" +
			"--passwords. Calls whose password is not known are skipped and counted. FERRY_LOG_HASH_KEY is needed to find the\n" +
			"users of --passwords in a recording.\n\n" +
			"Exit status: 0: all answers are as recorded. 1: an answer differs, a file cannot be read, or nothing was\n" +
			"replayed. 2: wrong usage.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := flags.prepare(args)
			if err != nil {
				return err
			}
			defer run.target.client.CloseIdleConnections()
			return asFailed(run.do(cmd.Context(), stdout, stderr))
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.target, "target", "", "`URL` of ferry's hooks listener, without a path (default: the address in FERRY_LISTEN)")
	f.StringVar(&flags.admin, "target-admin", "", "`URL` of the same ferry's admin listener (default: the address in FERRY_ADMIN_LISTEN)")
	f.StringVar(&flags.unseal, "unseal", "", "`KEYFILE` with the private key of ferry record keygen, for recordings made with FERRY_RECORD_KEY")
	f.StringVar(&flags.passwords, "passwords", "", "`FILE` with known passwords, one line {\"identifier\":\"…\",\"password\":\"…\"} per user")
	f.Float64Var(&flags.rate, "rate", 0, "maximum calls per second; 0 means no limit")
	f.IntVar(&flags.concurrency, "concurrency", 1, "number of concurrent calls; above 1, calls do not keep their order")
	f.IntVar(&flags.repeat, "repeat", 1, "number of times to replay everything")
	f.StringSliceVar(&flags.only, "only", nil, "replay only calls with this recorded `OUTCOME`; separate several with commas")
	f.BoolVar(&flags.diff, "diff", false, "print every call whose answer differs, with both answers")
	f.BoolVar(&flags.json, "json", false, "print the result of every call as NDJSON, and the summary as the last line")
	f.BoolVar(&flags.production, "against-production", false, "replay even if passwords leave this machine; skip calls that might count as a failed attempt")
	return cmd
}

// replayRun is a prepared replay.
type replayRun struct {
	flags  replayFlags
	cfg    *config.Config
	target *replayTarget
	source *recording.Source
	logins *recording.Logins

	progress *progress.Terminal
	out      io.Writer
	printErr error // the first error of printing a result
	summary  recording.Summary
}

// prepare opens everything that a replay needs. Its errors are wrong usage.
func (f replayFlags) prepare(args []string) (*replayRun, error) {
	if f.concurrency < 1 || f.concurrency > maxReplayConcurrency || f.repeat < 1 || f.rate < 0 {
		return nil, fmt.Errorf("--concurrency must be 1 to %d, --repeat 1 or more, --rate 0 or more", maxReplayConcurrency)
	}
	if f.diff && f.json {
		return nil, errors.New("--json and --diff cannot be used together; --json has both answers of every call")
	}
	if err := checkOutcomes(f.only); err != nil {
		return nil, err
	}
	cfg, err := config.LoadFor()
	if err != nil {
		return nil, err
	}
	if len(cfg.HookKeys) == 0 {
		return nil, config.Faults{{Name: "FERRY_HOOK_KEYS", Problem: "is not set; set it, or FERRY_HOOK_KEYS_FILE"}}
	}
	run := &replayRun{flags: f, cfg: cfg, summary: recording.Summary{Skipped: map[string]int{}}}
	if run.target, err = newReplayTarget(f.target, f.admin, cfg); err != nil {
		return nil, err
	}
	if run.source, err = recording.OpenSource(args...); err != nil {
		return nil, err
	}
	run.logins, err = f.logins(cfg)
	return run, err
}

func checkOutcomes(words []string) error {
	known := recordedOutcomes()
	for _, word := range words {
		if !slices.Contains(known, word) {
			return fmt.Errorf("--only %s: the outcomes are %s", word, strings.Join(known, ", "))
		}
	}
	return nil
}

// recordedOutcomes returns the outcomes that a record can have.
func recordedOutcomes() []string {
	known := []string{recording.OutcomeCaller}
	for _, o := range outcome.All() {
		known = append(known, o.String())
	}
	for _, word := range hook.AfterLoginOutcomes() {
		if !slices.Contains(known, word) {
			known = append(known, word)
		}
	}
	return known
}

func (f replayFlags) logins(cfg *config.Config) (*recording.Logins, error) {
	var private *[32]byte
	if f.unseal != "" {
		text, err := readFile(f.unseal)
		if err != nil {
			return nil, err
		}
		if private, err = recording.ParseKey(string(text)); err != nil {
			return nil, fmt.Errorf("--unseal %s: %w", f.unseal, err)
		}
	}
	var hash func(string) string
	if !cfg.LogHashKey.Empty() {
		hash = func(text string) string { return hook.Hash(cfg.LogHashKey, text) }
	}
	logins := recording.NewLogins(private, hash)
	if f.passwords == "" {
		return logins, nil
	}
	file, err := os.Open(f.passwords)
	if err != nil {
		return nil, err
	}
	return logins, errors.Join(logins.Read(file), file.Close())
}

func (r *replayRun) do(ctx context.Context, stdout, stderr io.Writer) error {
	r.out, r.progress = stdout, progress.NewTerminal(stderr)
	if err := r.target.check(ctx, r.source, r.flags.production); err != nil {
		return err
	}
	r.progress.Start("replay, bytes", r.source.Size()*int64(r.flags.repeat))
	var err error
	for round := 0; round < r.flags.repeat && err == nil; round++ {
		err = recording.Replay(ctx, recording.ReplayOptions{
			Target: r.target.hooks.String(), Key: r.cfg.HookKeys[0], Client: r.target.client,
			Restore: r.logins.Restore, PerSecond: r.flags.rate, Concurrency: r.flags.concurrency,
			Only: r.flags.only, Careful: r.flags.production, Each: r.each, Fault: r.fault,
		}, r.source.Calls(r.progress.Add))
	}
	r.progress.Done()
	if r.flags.json {
		r.printed(json.NewEncoder(r.out).Encode(map[string]recording.Summary{"summary": r.summary}))
	}
	r.summary.Print(stderr)
	if r.printErr != nil {
		return errors.Join(err, fmt.Errorf("print the results: %w", r.printErr))
	}
	if err != nil {
		return err
	}
	return r.verdict()
}

// each counts a result and prints it.
func (r *replayRun) each(result recording.Result) {
	r.summary.Add(result)
	switch {
	case r.flags.json:
		r.printed(json.NewEncoder(r.out).Encode(result))
	case result.Verdict == recording.VerdictFailed:
		r.progress.Say(result.At + ": " + result.Reason)
	case r.flags.diff && result.Verdict == recording.VerdictDiffers:
		_, err := io.WriteString(r.out, result.Diff())
		r.printed(err)
	}
}

// printed keeps the first error of printing.
func (r *replayRun) printed(err error) {
	if r.printErr == nil {
		r.printErr = err
	}
}

func (r *replayRun) fault(err error) {
	var passed recording.PassedOver
	if errors.As(err, &passed) {
		r.summary.PassedOver++
		return
	}
	r.summary.Unreadable++
	r.progress.Say(err.Error())
}

// verdict returns an error if the exit status is 1.
func (r *replayRun) verdict() error {
	switch s := r.summary; {
	case s.Differ > 0 && !r.flags.diff && !r.flags.json:
		return fmt.Errorf("%d answers differ from the recorded ones; --diff shows them", s.Differ)
	case s.Differ > 0 || s.Failed > 0 || s.Unreadable > 0:
		return fmt.Errorf("%d answers differ from the recorded ones, %d calls got no answer, %d could not be read", s.Differ, s.Failed, s.Unreadable)
	case s.Same+s.Answered == 0:
		return errors.New("nothing was replayed")
	}
	return nil
}
