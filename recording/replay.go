package recording

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"ferry/secret"
	"ferry/wire"
)

const (
	maxReplayAnswer = 1 << 20
	// maxUnanswered is how many calls in a row may get no answer before the replay ends.
	maxUnanswered = 10
)

// ReplayOptions configure a replay. Target, Key, Client, Restore, Each and Fault are
// required.
type ReplayOptions struct {
	// Target is the base URL of ferry's hooks listener.
	Target string
	// Key authenticates the calls.
	Key secret.String
	// Client makes the calls. It must not follow redirects, because the calls have passwords.
	Client *http.Client
	// Restore returns the credentials that a recording has replaced. If it returns a reason,
	// or a call needs credentials that it does not return, the call is skipped. An error ends
	// the replay.
	Restore func(context.Context, ReplayCall) (login Login, skip string, err error)
	// PerSecond limits the rate of calls; 0 does not limit it.
	PerSecond float64
	// Concurrency is the number of concurrent calls. With 0 or 1, calls keep their order, and
	// Restore is called when the previous call is done.
	Concurrency int
	// Only are the recorded outcomes to replay; if empty, all.
	Only []string
	// Careful skips the calls that might count as a failed attempt at Auth0.
	Careful bool
	// Each is called with each result, Fault with each error of reading calls. They are not
	// called concurrently.
	Each  func(Result)
	Fault func(error)
}

// Verdict is the kind of a Result.
type Verdict string

const (
	// VerdictSame means that the answer is the recorded one.
	VerdictSame Verdict = "same"
	// VerdictDiffers means that the answer differs from the recorded one.
	VerdictDiffers Verdict = "differs"
	// VerdictAnswered means that there is an answer, but no recorded one.
	VerdictAnswered Verdict = "answered"
	// VerdictSkipped means that the call was not made, for the Reason.
	VerdictSkipped Verdict = "skipped"
	// VerdictFailed means that there was no answer, for the Reason.
	VerdictFailed Verdict = "failed"
)

// Result is the result of one call. It holds no personal data.
type Result struct {
	At       string  `json:"at"`
	Route    string  `json:"route"`
	Verdict  Verdict `json:"result"`
	Reason   string  `json:"reason,omitempty"`
	Recorded *Facts  `json:"recorded,omitempty"`
	Answered *Facts  `json:"answered,omitempty"`
	// RequestID is the request id of the new call, as in ferry's log.
	RequestID string `json:"request_id,omitempty"`
	// Took is in milliseconds.
	Took float64 `json:"took_ms,omitempty"`
}

// Facts are an answer and, if it was recorded, the record's other fields.
type Facts struct {
	Status int `json:"status"`
	// Answer is the status in the body, if it has one.
	Answer         string    `json:"answer,omitempty"`
	Time           time.Time `json:"time,omitzero"`
	Outcome        string    `json:"outcome,omitempty"`
	Reason         string    `json:"reason,omitempty"`
	IdentityID     string    `json:"identity_id,omitempty"`
	Identifier     string    `json:"identifier_hash,omitempty"`
	UpstreamStatus int       `json:"auth0_status,omitempty"`
	UpstreamCode   string    `json:"auth0_error,omitempty"`
	RequestID      string    `json:"request_id,omitempty"`
}

var errNoAnswer = errors.New("replay: the target does not answer")

// Replay makes the calls again, with new ids: equal delivery ids stay equal. It returns after
// the last answer. Its error ends the replay; errors of single calls are in their Results.
func Replay(ctx context.Context, opts ReplayOptions, calls iter.Seq2[ReplayCall, error]) error {
	r := &replay{opts: opts, limit: rate.NewLimiter(rate.Inf, 1), ids: uuid.New()}
	if opts.PerSecond > 0 {
		r.limit.SetLimit(rate.Limit(opts.PerSecond))
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(opts.Concurrency, 1))
	err := r.run(ctx, group, calls)
	if ended := group.Wait(); ended != nil {
		return ended
	}
	return err
}

type replay struct {
	opts  ReplayOptions
	limit *rate.Limiter
	ids   uuid.UUID // namespace of the new delivery ids

	mu         sync.Mutex
	unanswered int // calls in a row
}

func (r *replay) run(ctx context.Context, group *errgroup.Group, calls iter.Seq2[ReplayCall, error]) error {
	for call, err := range calls {
		if err != nil {
			r.fault(err)
			continue
		}
		req, skip, err := r.prepare(ctx, call)
		if err != nil {
			return fmt.Errorf("replay %s: %w", call.At, err)
		}
		if skip != "" {
			result := newResult(call)
			result.Verdict, result.Reason = VerdictSkipped, skip
			if err := r.report(result); err != nil {
				return err
			}
			continue
		}
		if err := r.limit.Wait(ctx); err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		if r.opts.Concurrency > 1 {
			group.Go(func() error { return r.make(ctx, call, req) })
		} else if err := r.make(ctx, call, req); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("replay: %w", context.Cause(ctx))
		}
	}
	return nil
}

// prepare returns the content of a call, or the reason to skip it.
func (r *replay) prepare(ctx context.Context, call ReplayCall) (req content, skip string, err error) {
	switch {
	case len(r.opts.Only) > 0 && !slices.Contains(r.opts.Only, call.Record.Outcome):
		return content{}, skippedOutcome, nil
	case r.opts.Careful && call.mayCountAsFailure():
		return content{}, skippedFailure, nil
	}
	login, skip, err := r.opts.Restore(ctx, call)
	if skip != "" || err != nil {
		return content{}, skip, err
	}
	return call.content(login)
}

// make makes the call and reports the result. Its error ends the replay.
func (r *replay) make(ctx context.Context, call ReplayCall, req content) error {
	result := newResult(call)
	result.RequestID = uuid.NewString()
	started := time.Now()
	answered, err := r.send(ctx, call, req, result.RequestID)
	result.Took = float64(time.Since(started).Microseconds()) / 1000
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("replay: %w", context.Cause(ctx))
	case err != nil:
		result.Verdict, result.Reason = VerdictFailed, err.Error()
	default:
		result.Answered = &answered
		result.Verdict = compare(result.Recorded, answered)
	}
	return r.report(result)
}

// compare compares an answer with the recorded one. Answers whose status word was not
// recorded are compared by HTTP status only.
func compare(recorded *Facts, answered Facts) Verdict {
	switch {
	case recorded == nil:
		return VerdictAnswered
	case recorded.Status != answered.Status, recorded.Answer != "" && recorded.Answer != answered.Answer:
		return VerdictDiffers
	}
	return VerdictSame
}

func (r *replay) send(ctx context.Context, call ReplayCall, req content, requestID string) (Facts, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.opts.Target+wire.HooksPath+call.Record.Route, req.body)
	if err != nil {
		return Facts{}, errors.New("invalid target URL")
	}
	request.ContentLength = req.length
	for name, value := range call.Record.Headers {
		if isReplayed(name) {
			request.Header.Set(name, value)
		}
	}
	if delivery := request.Header.Get(wire.HeaderTriggerID); delivery != "" {
		request.Header.Set(wire.HeaderTriggerID, uuid.NewSHA1(r.ids, []byte(delivery)).String())
	}
	request.Header.Set(wire.HeaderRequestID, requestID)
	if req.keyed {
		request.Header.Set("Authorization", "Bearer "+r.opts.Key.Reveal())
	}
	response, err := r.opts.Client.Do(request)
	if err != nil {
		return Facts{}, fmt.Errorf("no answer: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxReplayAnswer))
	if err != nil {
		return Facts{}, fmt.Errorf("incomplete answer: %w", err)
	}
	return Facts{Status: response.StatusCode, Answer: answerWord(text)}, nil
}

// answerWord returns the status in an answer of the migration hook, or "" for another answer.
func answerWord(body []byte) string {
	var answer struct {
		Status string `json:"status"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return "" // the status of a problem report is a number
	}
	return answer.Status
}

func newResult(call ReplayCall) Result {
	record := call.Record
	result := Result{At: call.At, Route: record.Route}
	if call.Recorded() {
		result.Recorded = &Facts{
			Status: record.Status, Answer: answerWord(record.Answer), Time: record.Time, Outcome: record.Outcome, Reason: record.Reason,
			IdentityID: record.IdentityID, Identifier: record.Identifier,
			UpstreamStatus: record.UpstreamStatus, UpstreamCode: record.UpstreamCode, RequestID: record.Headers[wire.HeaderRequestID],
		}
	}
	return result
}

// report reports a result. Its error ends the replay: too many calls got no answer.
func (r *replay) report(result Result) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opts.Each(result)
	switch result.Verdict {
	case VerdictFailed:
		if r.unanswered++; r.unanswered >= maxUnanswered {
			return errNoAnswer
		}
	case VerdictSame, VerdictDiffers, VerdictAnswered:
		r.unanswered = 0
	case VerdictSkipped:
	}
	return nil
}

func (r *replay) fault(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opts.Fault(err)
}
