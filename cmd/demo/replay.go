package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"ferry/outcome"
	"ferry/recording"
	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/wire"
)

// shownCalls is how many calls are printed. After them only wrong ones are.
const shownCalls = 200

func replayCommand(o options) *cobra.Command {
	return &cobra.Command{
		Use:   "replay FILE…",
		Short: "Replay recorded hook calls, with users created for them",
		Long: "Replays recorded hook calls. FILE is a recording (FERRY_RECORD_DIR), a body that Kratos sent, or a folder\n" +
			"of both. For every call the demo creates a user at the simulated Auth0 and an identity in the real Kratos, so\n" +
			"that ferry must give the recorded outcome. It needs no keys or passwords. The password of a body is right.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("replay: give a recording, a body that Kratos sent, or a folder of them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			source, err := recording.OpenSource(args...)
			if err != nil {
				return err // a missing file is wrong usage
			}
			err = withStack(cmd.Context(), o, func(ctx context.Context, s *stack, n *narrator) error {
				r := &rerun{stack: s, say: n, fixtures: newFixtures(s), left: map[string]int{}}
				return r.tell(ctx, source)
			})
			if err != nil {
				return failedError{err}
			}
			return nil
		},
	}
}

// rerun is a replay of recordings on the stack.
type rerun struct {
	stack    *stack
	say      *narrator
	fixtures *fixtures

	calls, right, wrong int
	passed              int            // files without a call
	left                map[string]int // calls left out, by reason
}

// tell replays the calls in order.
func (r *rerun) tell(ctx context.Context, source *recording.Source) error {
	if err := r.fixtures.prepare(ctx); err != nil {
		return err
	}
	r.stack.logWatch.watch()
	r.say.step("The recorded calls are replayed, as Kratos made them.",
		"For each one a user and an identity are created that must lead to the same outcome.")
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client := &http.Client{
		Timeout: callLimit, Transport: r.stack.http.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	err := recording.Replay(ctx, recording.ReplayOptions{
		Target: r.stack.ferry.HooksURL(), Key: secret.New(r.stack.hookKey), Client: client,
		Restore: r.fixtures.restore,
		Each: func(result recording.Result) {
			if err := errors.Join(r.look(ctx, result), r.say.err); err != nil {
				cancel(err)
			}
		},
		Fault: r.fault,
	}, source.Calls(func(int64) {}))
	if err = errors.Join(err, r.say.err); err != nil {
		return err
	}
	return r.sumUp()
}

// look compares the result of a call with the expected one. The outcome is in ferry's log,
// because different outcomes have the same answer.
func (r *rerun) look(ctx context.Context, result recording.Result) error {
	expected, migration := r.fixtures.expected, result.Route == wire.RouteMigration
	switch result.Verdict {
	case recording.VerdictSkipped:
		r.left[result.Reason]++
		return nil
	case recording.VerdictFailed:
		return errors.New(result.Reason)
	case recording.VerdictSame, recording.VerdictDiffers, recording.VerdictAnswered:
	}
	got, want := answered(result.Answered), answered(result.Recorded)
	if want == "" {
		want = expectedAnswer(expected)
	}
	if migration {
		said, err := r.stack.logWatch.of(ctx, result.RequestID)
		if err != nil {
			return err
		}
		got = said.Outcome + ", " + got
		if result.Recorded != nil {
			expected = result.Recorded.Outcome
		}
		want = expected + ", " + want
	}
	r.count(result, got, want)
	return r.say.err
}

func (r *rerun) count(result recording.Result, got, want string) {
	r.calls++
	right := got == want
	if right {
		r.right++
	} else {
		r.wrong++
	}
	if r.calls == shownCalls+1 {
		r.say.printf("     ...\n")
	}
	if !right || r.calls <= shownCalls {
		r.say.fact(filepath.Base(result.At), got, want, fmt.Sprintf("(after %.0f ms)", result.Took))
	}
}

// answered describes an answer. It is empty for nil.
func answered(facts *recording.Facts) string {
	if facts == nil {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", facts.Status, facts.Answer))
}

// expectedAnswer returns the answer to a body: for a right password, for one that is too
// long, or of the after-login hook.
func expectedAnswer(expected string) string {
	switch expected {
	case outcome.Match.String():
		return "200 password_match"
	case outcome.Oversize.String():
		return "403 no_match"
	}
	return "204"
}

func (r *rerun) fault(err error) {
	var passed recording.PassedOver
	if errors.As(err, &passed) {
		r.passed++
		return
	}
	r.wrong++
	r.say.printf("     %s\n", r.say.paint(red, err.Error()))
}

// sumUp prints the totals.
func (r *rerun) sumUp() error {
	for _, reason := range slices.Sorted(maps.Keys(r.left)) {
		r.say.printf("     skipped: %d calls: %s\n", r.left[reason], reason)
	}
	if r.passed > 0 {
		r.say.printf("     skipped: %d files without a hook call\n", r.passed)
	}
	line := fmt.Sprintf("%d of %d calls had the recorded outcome.", r.right, r.calls)
	switch {
	case r.wrong > 0:
		r.say.printf("\n%s\n", r.say.paint(red, "NOT AS EXPECTED: "+line))
		return fmt.Errorf("%d calls or files were not as expected; the end of ferry's log:\n%s", r.wrong, tail(r.stack.ferry.Logs()))
	case r.calls == 0:
		return errors.New("nothing was replayed")
	}
	r.say.printf("\n%s\n", r.say.paint(bold, "All as expected. "+line))
	return r.say.err
}

// relaxed switches all limits off: calls for many users come from one address.
func relaxed() map[string]any {
	off := map[string]any{"enabled": false}
	return map[string]any{"brute_force": off, "suspicious_ip": off, "same_user": off, "userinfo": off}
}

// emptyTenant returns the demo tenant without users.
func emptyTenant() auth0sim.Tenant {
	tenant := *auth0sim.DemoTenant()
	tenant.Users = nil
	return tenant
}
