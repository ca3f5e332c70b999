package recording

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"ferry/secret"
)

const (
	maxReplayAnswer = 1 << 20
	// inVain is how many calls in a row may find nobody before the replay ends.
	inVain = 10
)

// ReplayOptions say where calls are made again, and how. Target, Key and Client are
// required.
type ReplayOptions struct {
	// Target is the base URL of ferry's listener for Kratos.
	Target string
	Key    secret.String
	// Client makes the calls; it must follow no redirects, passwords are in them.
	Client *http.Client
	// Restore gives back what a recording has replaced, for calls that need it; what
	// is missing from the Login makes the call be left out. A reason to leave it out
	// is not an error: an error ends the replay. nil: nothing is known.
	Restore func(ctx context.Context, call ReplayCall) (login Login, skip string, err error)
	// PerSecond bounds the calls; 0: as fast as they are answered.
	PerSecond float64
	// Concurrency is how many are under way at once; 0 is 1, which keeps the order, and
	// prepares a call when the one before is done with.
	Concurrency int
	// Round tells the rounds of a repeated replay apart: the ids of deliveries in it
	// are its own.
	Round int
	// Only are the recorded outcomes to replay; none: all.
	Only []string
	// Careful leaves out what might count as a failed attempt at Auth0.
	Careful bool
	// Each is told what came of every call, one at a time; Fault what could not be
	// read.
	Each  func(Result)
	Fault func(error)
}

// Verdict is what came of a call that was to be made again.
type Verdict string

// The verdicts.
const (
	// VerdictSame: ferry answered as it had.
	VerdictSame Verdict = "same"
	// VerdictDiffers: it answered otherwise.
	VerdictDiffers Verdict = "differs"
	// VerdictAnswered: it answered, and nothing is recorded to compare with.
	VerdictAnswered Verdict = "answered"
	// VerdictSkipped: the call was left out, for the Reason.
	VerdictSkipped Verdict = "skipped"
	// VerdictFailed: there was no answer.
	VerdictFailed Verdict = "failed"
)

// Result is what came of one call. It holds nothing of the person's.
type Result struct {
	At       string  `json:"at"`
	Route    string  `json:"route"`
	Verdict  Verdict `json:"result"`
	Reason   string  `json:"reason,omitempty"`
	Recorded *Facts  `json:"recorded,omitempty"`
	Answered *Facts  `json:"answered,omitempty"`
	// RequestID is that of the call made again: ferry's log line has it.
	RequestID string `json:"request_id,omitempty"`
	// Took is in milliseconds.
	Took float64 `json:"took_ms,omitempty"`
}

// Facts are an answer, and what is recorded beside it.
type Facts struct {
	Status int `json:"status"`
	// Answer is the word of the body's status, where it has one.
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

// ErrNobody ends a replay whose target does not answer.
var ErrNobody = errors.New("replay: the target does not answer")

// Replay makes the calls again, each with fresh ids: two calls that were one delivery
// are one again. It returns when the last is answered. The error is of the replay as
// a whole; what comes of a call is told to Each.
func Replay(ctx context.Context, opts ReplayOptions, calls iter.Seq2[ReplayCall, error]) error {
	r := &replay{opts: opts, limit: rate.NewLimiter(rate.Inf, 1)}
	if opts.PerSecond > 0 {
		r.limit.SetLimit(rate.Limit(opts.PerSecond))
	}
	_, _ = rand.Read(r.salt[:]) // it never fails: crypto/rand ends the process first
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
	salt  [16]byte

	mu     sync.Mutex
	failed int // in a row
}

func (r *replay) run(ctx context.Context, group *errgroup.Group, calls iter.Seq2[ReplayCall, error]) error {
	for call, err := range calls {
		if err != nil {
			r.fault(err)
			continue
		}
		made, skip, err := r.prepare(ctx, call)
		if err != nil {
			return fmt.Errorf("replay %s: %w", call.At, err)
		}
		if skip != "" {
			result := newResult(call)
			result.Verdict, result.Reason = VerdictSkipped, skip
			if err := r.tell(result); err != nil {
				return err
			}
			continue
		}
		if err := r.limit.Wait(ctx); err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		if r.opts.Concurrency > 1 {
			group.Go(func() error { return r.make(ctx, call, made) })
		} else if err := r.make(ctx, call, made); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("replay: %w", context.Cause(ctx))
		}
	}
	return nil
}

// prepare makes a call's body, or says why it is left out.
func (r *replay) prepare(ctx context.Context, call ReplayCall) (made content, skip string, err error) {
	switch {
	case len(r.opts.Only) > 0 && !slices.Contains(r.opts.Only, call.Record.Outcome):
		return content{}, SkippedOutcome, nil
	case r.opts.Careful && !call.harmless():
		return content{}, SkippedFailure, nil
	}
	var login Login
	if r.opts.Restore != nil {
		if login, skip, err = r.opts.Restore(ctx, call); skip != "" || err != nil {
			return content{}, skip, err
		}
	}
	return call.content(login)
}

// make makes the call and compares. Only that nobody is there for the rest is an error.
func (r *replay) make(ctx context.Context, call ReplayCall, made content) error {
	result := newResult(call)
	result.RequestID = uuid.NewString()
	started := time.Now()
	answered, err := r.send(ctx, call, made, result.RequestID)
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
	return r.tell(result)
}

// compare holds an answer against the recorded one. A word that was not recorded is
// not compared.
func compare(recorded *Facts, answered Facts) Verdict {
	switch {
	case recorded == nil:
		return VerdictAnswered
	case recorded.Status != answered.Status, recorded.Answer != "" && recorded.Answer != answered.Answer:
		return VerdictDiffers
	}
	return VerdictSame
}

func (r *replay) send(ctx context.Context, call ReplayCall, made content, requestID string) (Facts, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.opts.Target+hooksPath+call.Record.Route, made.body)
	if err != nil {
		return Facts{}, errors.New("the target is no URL")
	}
	request.ContentLength = made.length
	for name, value := range call.Record.Headers {
		if replayedHeader(name) {
			request.Header.Set(name, value)
		}
	}
	if trigger := request.Header.Get(headerTrigger); trigger != "" {
		request.Header.Set(headerTrigger, r.delivery(trigger))
	}
	request.Header.Set(headerRequest, requestID)
	if made.keyed {
		request.Header.Set("Authorization", "Bearer "+r.opts.Key.Reveal())
	}
	response, err := r.opts.Client.Do(request)
	if err != nil {
		return Facts{}, fmt.Errorf("no answer: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxReplayAnswer))
	if err != nil {
		return Facts{}, fmt.Errorf("no whole answer: %w", err)
	}
	return Facts{Status: response.StatusCode, Answer: answerWord(text)}, nil
}

// delivery is the id of a delivery in this replay and round: equal for equal ones.
func (r *replay) delivery(recorded string) string {
	sum := sha256.New()
	sum.Write(r.salt[:])
	sum.Write([]byte(strconv.Itoa(r.opts.Round) + " " + recorded))
	id, err := uuid.FromBytes(sum.Sum(nil)[:16])
	if err != nil {
		return uuid.NewString() // never: they are 16 bytes
	}
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8 of RFC 9562: made as one likes
	return id.String()
}

// answerWord is the word of an answer of the migration hook; empty where it is another.
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
	result := Result{At: call.At, Route: call.Record.Route}
	if !call.Recorded() {
		return result
	}
	line := call.Record
	result.Recorded = &Facts{
		Status: line.Status, Answer: answerWord(line.Answer), Time: line.Time, Outcome: line.Outcome, Reason: line.Reason,
		IdentityID: line.IdentityID, Identifier: line.Identifier,
		UpstreamStatus: line.UpstreamStatus, UpstreamCode: line.UpstreamCode, RequestID: line.Headers[headerRequest],
	}
	return result
}

// tell passes a result on, and ends a replay that finds nobody.
func (r *replay) tell(result Result) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opts.Each != nil {
		r.opts.Each(result)
	}
	switch result.Verdict {
	case VerdictFailed:
		if r.failed++; r.failed >= inVain {
			return ErrNobody
		}
	case VerdictSame, VerdictDiffers, VerdictAnswered:
		r.failed = 0
	case VerdictSkipped:
	}
	return nil
}

func (r *replay) fault(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opts.Fault != nil {
		r.opts.Fault(err)
	}
}
