package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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
		Short: "Make recorded hook calls again, and compare ferry's answers with the recorded ones.",
		Long: "Makes recorded hook calls again and compares the answers, status and word, with the recorded ones. A FILE is a\n" +
			"recording (FERRY_RECORD_DIR), a body that Kratos sent, or a folder of both. The key is the first of FERRY_HOOK_KEYS,\n" +
			"FERRY_LOG_HASH_KEY finds the people of --passwords in a recording. A recording holds no passwords: what neither\n" +
			"--unseal nor --passwords gives back is left out, and counted.\n" +
			"Exit 0: all answers are as recorded, 1: one is not, a file cannot be read, or nothing was replayed, 2: wrong usage.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := flags.prepare(args)
			if err != nil {
				return err
			}
			defer run.target.client.CloseIdleConnections()
			return work(func(ctx context.Context) error { return run.do(ctx, stdout, stderr) })(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.target, "target", "", "`URL` of ferry's listener for Kratos, without a path; without it, where FERRY_LISTEN says")
	f.StringVar(&flags.admin, "target-admin", "", "`URL` of the same ferry's listener for the operator; without it, where FERRY_ADMIN_LISTEN says")
	f.StringVar(&flags.unseal, "unseal", "", "private key `KEYFILE` of ferry record keygen, for recordings made with FERRY_RECORD_KEY")
	f.StringVar(&flags.passwords, "passwords", "", "`FILE` with a line {\"identifier\":\"…\",\"password\":\"…\"} for each person whose password is known")
	f.Float64Var(&flags.rate, "rate", 0, "calls a second at most; 0: as fast as they are answered")
	f.IntVar(&flags.concurrency, "concurrency", 1, "calls at once; with more than one, they no longer keep their order")
	f.IntVar(&flags.repeat, "repeat", 1, "how often everything is replayed")
	f.StringSliceVar(&flags.only, "only", nil, "only calls with this recorded `OUTCOME`; more of them with commas")
	f.BoolVar(&flags.diff, "diff", false, "print every call that was answered otherwise, with both answers")
	f.BoolVar(&flags.json, "json", false, "print the result of every call as NDJSON, and the summary as its last line")
	f.BoolVar(&flags.production, "against-production", false, "replay even where passwords leave this machine, and leave out what might count as a failed attempt")
	return cmd
}

// replayRun is a replay that can begin.
type replayRun struct {
	flags  replayFlags
	cfg    *config.Config
	target *replayTarget
	source *recording.Source
	logins *recording.Logins

	progress *progress.Terminal
	out      io.Writer
	printed  error // the first that printing met
	summary  replaySummary
}

// replaySummary is what came of a replay.
type replaySummary struct {
	Calls      int            `json:"calls"`
	Same       int            `json:"same"`
	Differ     int            `json:"differ"`
	Answered   int            `json:"answered"` // nothing is recorded to compare with
	Failed     int            `json:"failed"`
	Unreadable int            `json:"unreadable"`
	PassedOver int            `json:"passed_over"` // files of folders that hold no call
	Skipped    map[string]int `json:"skipped"`
}

// prepare finds everything that a replay needs. Its errors are wrong usage.
func (f replayFlags) prepare(args []string) (*replayRun, error) {
	if f.concurrency < 1 || f.concurrency > maxReplayConcurrency || f.repeat < 1 || f.rate < 0 {
		return nil, fmt.Errorf("--concurrency is 1 to %d, --repeat 1 or more, --rate 0 or more", maxReplayConcurrency)
	}
	if f.diff && f.json {
		return nil, errors.New("--json and --diff: keep one, --json has both answers of every call")
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
	run := &replayRun{flags: f, cfg: cfg, summary: replaySummary{Skipped: map[string]int{}}}
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

// recordedOutcomes are the outcomes that a recording can have.
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
	logins := recording.NewLogins(private, cfg.LogHashKey)
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
			Restore: r.logins.Restore, PerSecond: r.flags.rate, Concurrency: r.flags.concurrency, Round: round,
			Only: r.flags.only, Careful: r.flags.production, Each: r.each, Fault: r.fault,
		}, r.source.Calls(r.progress.Add))
	}
	r.progress.Done()
	return errors.Join(err, r.conclude(err, stderr))
}

// each counts a result and prints it.
func (r *replayRun) each(result recording.Result) {
	s := &r.summary
	s.Calls++
	switch result.Verdict {
	case recording.VerdictSame:
		s.Same++
	case recording.VerdictDiffers:
		s.Differ++
	case recording.VerdictAnswered:
		s.Answered++
	case recording.VerdictFailed:
		s.Failed++
	case recording.VerdictSkipped:
		s.Skipped[result.Reason]++
	}
	switch {
	case r.flags.json:
		r.note(json.NewEncoder(r.out).Encode(result))
	case result.Verdict == recording.VerdictFailed:
		r.progress.Say(result.At + ": " + result.Reason)
	case r.flags.diff && result.Verdict == recording.VerdictDiffers:
		_, err := io.WriteString(r.out, diffText(result))
		r.note(err)
	}
}

func (r *replayRun) note(err error) {
	if r.printed == nil {
		r.printed = err
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

// diffText is a call that was answered otherwise, for people.
func diffText(result recording.Result) string {
	var out strings.Builder
	then, now := result.Recorded, result.Answered
	fmt.Fprintf(&out, "%s  %s\n", result.At, result.Route)
	fmt.Fprintf(&out, "  - %d %s\n  + %d %s\n", then.Status, then.Answer, now.Status, now.Answer)
	fmt.Fprintf(&out, "    recorded: %s", then.Outcome)
	for _, fact := range []struct{ name, value string }{
		{"reason", then.Reason},
		{"auth0_error", then.UpstreamCode},
		{"identity_id", then.IdentityID},
		{"identifier_hash", then.Identifier},
		{"request_id", then.RequestID},
	} {
		if fact.value != "" {
			fmt.Fprintf(&out, ", %s %s", fact.name, fact.value)
		}
	}
	if then.UpstreamStatus != 0 {
		fmt.Fprintf(&out, ", auth0_status %d", then.UpstreamStatus)
	}
	fmt.Fprintf(&out, "\n    now: request_id %s in ferry's log\n", result.RequestID)
	return out.String()
}

// conclude prints the summary; its error is why the exit status is 1.
func (r *replayRun) conclude(cut error, stderr io.Writer) error {
	if r.flags.json {
		r.note(json.NewEncoder(r.out).Encode(map[string]replaySummary{"summary": r.summary}))
	}
	s := r.summary
	line := func(n int, format string, args ...any) {
		if n > 0 {
			_, _ = fmt.Fprintf(stderr, "%9d "+format+"\n", append([]any{n}, args...)...)
		}
	}
	line(s.Same, "answered as recorded")
	line(s.Differ, "answered otherwise")
	line(s.Answered, "answered, with nothing recorded to compare")
	line(s.Failed, "not answered")
	line(s.Unreadable, "could not be read")
	for _, reason := range slices.Sorted(maps.Keys(s.Skipped)) {
		line(s.Skipped[reason], "left out: %s", reason)
	}
	line(s.PassedOver, "files of the folders hold no call")
	switch {
	case r.printed != nil:
		return fmt.Errorf("print the results: %w", r.printed)
	case cut != nil:
		return nil
	case s.Differ > 0 && !r.flags.diff && !r.flags.json:
		return fmt.Errorf("%d calls were answered otherwise: --diff shows them", s.Differ)
	case s.Differ > 0 || s.Failed > 0 || s.Unreadable > 0:
		return fmt.Errorf("%d calls were answered otherwise, %d not at all, %d could not be read", s.Differ, s.Failed, s.Unreadable)
	case s.Same+s.Answered == 0:
		return errors.New("nothing was replayed")
	}
	return nil
}
