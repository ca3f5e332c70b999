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
)

// shownCalls is how many calls are shown one by one; after them only what is wrong.
const shownCalls = 200

func replayCommand(o options) *cobra.Command {
	return &cobra.Command{
		Use:   "replay FILE…",
		Short: "Make recorded hook calls again, on people made to fit",
		Long: "Makes recorded hook calls again: a FILE is a recording (FERRY_RECORD_DIR), a body that Kratos sent, or a folder\n" +
			"of both. For every call a user at the simulated Auth0 and an identity in the real Kratos are made up so that what\n" +
			"was recorded must come of it; no keys and no passwords are needed. Of a body alone the password is right.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("replay: name a recording, a body that Kratos sent, or a folder of them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			source, err := recording.OpenSource(args...)
			if err != nil {
				return err // a name that nothing is found under is wrong usage
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

// rerun is the replay of a recording on the stack.
type rerun struct {
	stack    *stack
	say      *narrator
	fixtures *fixtures

	calls, right, wrong int
	passed              int            // files without a call
	left                map[string]int // calls left out, by reason
}

// tell makes the calls one after the other.
func (r *rerun) tell(ctx context.Context, source *recording.Source) error {
	if err := r.fixtures.prepare(ctx); err != nil {
		return err
	}
	r.stack.logWatch.watch()
	r.say.step("The recorded calls are made again, as Kratos made them.",
		"For each one a user and an identity are made up, of whom the same must come.")
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
	}, source.Calls(nil))
	if err = errors.Join(err, r.say.err); err != nil {
		return err
	}
	return r.sumUp()
}

// look holds what came of a call against what must come of it. The answer alone
// does not tell the outcomes apart: ferry's log does.
func (r *rerun) look(ctx context.Context, result recording.Result) error {
	expected, migration := r.fixtures.expected, result.Route == recording.RouteMigration
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

// answered puts an answer into words; empty for none.
func answered(facts *recording.Facts) string {
	if facts == nil {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", facts.Status, facts.Answer))
}

// expectedAnswer is that of a body alone: a right password, or one too long to ask
// about. The hook after a login has nothing to say.
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

// sumUp is the one line to remember.
func (r *rerun) sumUp() error {
	for _, reason := range slices.Sorted(maps.Keys(r.left)) {
		r.say.printf("     left out: %d calls: %s\n", r.left[reason], reason)
	}
	if r.passed > 0 {
		r.say.printf("     passed over: %d files hold no call of a hook\n", r.passed)
	}
	line := fmt.Sprintf("%d of %d calls came to what was recorded.", r.right, r.calls)
	switch {
	case r.wrong > 0:
		r.say.printf("\n%s\n", r.say.paint(red, "NOT AS EXPECTED: "+line))
		return fmt.Errorf("%d calls or files were not as they must be; the end of ferry's log:\n%s", r.wrong, tail(r.stack.ferry.Logs()))
	case r.calls == 0:
		return errors.New("nothing was replayed")
	}
	r.say.printf("\n%s\n", r.say.paint(bold, "All as expected. "+line))
	return r.say.err
}

// relaxed are no limits at all: the calls are of many people's, and come from one.
func relaxed() map[string]any {
	off := map[string]any{"enabled": false}
	return map[string]any{"brute_force": off, "suspicious_ip": off, "same_user": off, "rate_limit": off, "userinfo": off}
}

// emptyTenant is the demo's without its people.
func emptyTenant() auth0sim.Tenant {
	tenant := *auth0sim.DemoTenant()
	tenant.Users = nil
	return tenant
}
