package remint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"ferry/audit"
	"ferry/hydra"
	"ferry/mode"
	"ferry/outcome"
	"ferry/state"
	"ferry/tracing"
	"ferry/upstream"
)

const (
	// claimSlack is how much longer than the work a claim lasts.
	claimSlack = 5 * time.Second
	// claimPoll is how often a request looks whether another one of the same token has ended.
	claimPoll = 50 * time.Millisecond
	// The answer of Auth0 is written so often before ferry goes on without.
	writeTries = 3
	writePause = 200 * time.Millisecond
)

// end is how a request ended.
type end struct {
	is     result
	reason string // one word for the log; empty: the result says it
	tokens hydra.Tokens
	// identity and subject are those of the user, as far as they are known.
	identity, subject string
	asked             bool // Auth0 was asked
	known             bool // Hydra has the client
	fault             error
}

// Refresh decides about one request. It goes on if the caller goes away, and returns within
// Options.Timeout.
func (r *Reminter) Refresh(ctx context.Context, req Request) Answer {
	return r.answer(ctx, req, act{name: "remint", do: (*job).run})
}

// act is what is done about a token.
type act struct {
	name string // of its span
	do   func(*job, context.Context) end
	// forAll: also for clients whose tokens are not re-minted.
	forAll bool
}

// Revoke revokes a refresh token of Auth0, of any client of Hydra, with the successor and the chain
// at Hydra that are kept for it. It goes on if the caller goes away, and returns within Options.Timeout.
func (r *Reminter) Revoke(ctx context.Context, req Request) Answer {
	return r.answer(ctx, req, act{name: "revoke", do: (*job).revoke, forAll: true})
}

// answer answers a request by an act.
func (r *Reminter) answer(ctx context.Context, req Request, do act) Answer {
	ctx, span := tracing.Start(ctx, do.name)
	defer span.End()
	started := r.opts.Now()
	e := r.decide(ctx, req, do)
	tracing.Ended(span, string(e.is), e.reason)
	a := answerTo(e.is, e.tokens)
	r.note(ctx, req, e, a.Status, r.opts.Now().Sub(started))
	return a
}

// decide returns the end of a request. A client that is not enabled costs nothing.
func (r *Reminter) decide(ctx context.Context, req Request, do act) end {
	switch {
	case !do.forAll && !slices.Contains(r.opts.Clients, req.Credentials.ClientID) && r.opts.Clients[0] != AllClients:
		return end{is: resultNotEnabled}
	case r.opts.Closed:
		return end{is: resultClosed}
	case r.opts.Mode() != mode.On:
		return end{is: resultPaused}
	case req.RefreshToken.Empty():
		return end{is: resultRejected, reason: "no_token"}
	}
	lasting, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.opts.Timeout)
	done := make(chan end, 1)
	go func() {
		defer cancel()
		done <- r.guarded(lasting, req, do)
	}()
	select {
	case e := <-done:
		return e
	case <-ctx.Done():
		return end{is: resultUnavailable, reason: "caller_gone"}
	}
}

// guarded is work that does not end the process if it panics.
func (r *Reminter) guarded(ctx context.Context, req Request, do act) (e end) {
	defer func() {
		if fault := recover(); fault != nil {
			// The value may quote a token.
			r.opts.Log.Error("panic", zap.String("type", fmt.Sprintf("%T", fault)), zap.Stack("stack"))
			e = end{is: resultUnavailable, reason: upstream.ReasonPanic}
		}
	}()
	return r.work(ctx, req, do)
}

// work checks the client, and then works on its token.
func (r *Reminter) work(ctx context.Context, req Request, do act) end {
	j := &job{Reminter: r, req: req, key: keyOf(req.Credentials.ClientID, req.RefreshToken)}
	e := j.checkClient(ctx)
	if e.is == "" {
		e = j.inTurn(ctx, do)
	}
	e.asked, e.known = j.asked, j.client.ID != ""
	return e
}

// inTurn waits until no other request works on the token, and goes on from the record.
func (j *job) inTurn(ctx context.Context, do act) end {
	r := j.Reminter
	release, err := r.claim(ctx, j.key)
	if err != nil {
		return end{is: resultUnavailable, reason: "claim", fault: err}
	}
	defer release()
	if err := j.load(ctx); err != nil {
		return end{is: resultUnavailable, reason: "store", fault: err}
	}
	return do.do(j, ctx)
}

// claim waits until no other request works on the token.
func (r *Reminter) claim(ctx context.Context, key [32]byte) (release func(), err error) {
	for {
		won, err := r.opts.Store.Claim(ctx, key, r.claimFor())
		if err != nil {
			return nil, err
		}
		if won {
			return func() {
				if err := r.opts.Store.Unclaim(context.WithoutCancel(ctx), key); err != nil {
					r.opts.Log.Warn("remint: claim not released: it expires by itself", zap.Error(err))
				}
			}, nil
		}
		if !pause(ctx, claimPoll) {
			return nil, errBusy
		}
	}
}

// claimFor is how long a claim lasts, whoever makes it: Redis shortens a claim to the time of
// whoever asks for it next.
func (r *Reminter) claimFor() time.Duration { return r.opts.Timeout + claimSlack }

var errBusy = errors.New("another request with the same token is in progress")

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// load reads the record. One that cannot be read counts as none: without its successor the token
// may be refused at Auth0, but waiting does not help.
func (j *job) load(ctx context.Context) error {
	text, ok, err := j.opts.Store.Get(ctx, j.key)
	if err == nil && ok {
		j.record, err = decode(text)
	}
	if errors.Is(err, state.ErrUnreadable) || errors.Is(err, errRecord) {
		j.opts.Log.Error("remint: a record cannot be read: the token counts as new", zap.String("client_id", j.client.ID), zap.Error(err))
		return nil
	}
	return err
}

// save writes the record. It tries more than once, because what was redeemed is lost otherwise.
func (j *job) save(ctx context.Context, keep time.Duration) error {
	text, err := j.record.encode()
	for try := 1; err == nil; try++ {
		if err = j.opts.Store.Put(ctx, j.key, text, keep); err == nil || try == writeTries || !pause(ctx, writePause) {
			return err
		}
		err = nil
	}
	return err
}

// auth0End is the end of a request because of an answer of Auth0, or of none.
func auth0End(err error) end {
	var fault *upstream.LoginError
	if !errors.As(err, &fault) {
		return end{is: resultUnavailable, reason: "unknown_error", fault: err}
	}
	switch fault.Outcome {
	case outcome.Denied, outcome.Blocked, outcome.MFARequired:
		return end{is: resultRejected, reason: fault.Reason}
	case outcome.Misconfigured:
		return end{is: resultMisconfigured, reason: fault.Reason, fault: err}
	case outcome.Match, outcome.Mismatch, outcome.Leaked, outcome.Throttled, outcome.Locked, outcome.SubjectMismatch, outcome.Unbound,
		outcome.Inactive, outcome.NotPending, outcome.Oversize, outcome.Closed, outcome.Paused, outcome.Observed, outcome.Suspicious,
		outcome.Limited, outcome.Unavailable, outcome.InvalidResponse:
	}
	return end{is: resultUnavailable, reason: fault.Reason, fault: err}
}

// hydraEnd is the end of a request because of an answer of Hydra, or of none.
func hydraEnd(err error) end {
	var fault *hydra.Error
	if !errors.As(err, &fault) {
		return end{is: resultUnavailable, reason: "unknown_error", fault: err}
	}
	e := end{is: resultUnavailable, reason: "hydra_" + fault.Reason, fault: err}
	switch fault.Kind {
	case hydra.Refused:
		e.is = resultInvalidClient
	case hydra.Misconfigured:
		e.is = resultMisconfigured
	case hydra.Garbled, hydra.Unavailable:
	}
	return e
}

// note writes what became of a request into the log, the audit log and the metrics.
func (r *Reminter) note(ctx context.Context, req Request, e end, status int, took time.Duration) {
	clientID := req.Credentials.ClientID
	r.metrics.count(clientID, e)
	if e.is == resultNotEnabled {
		return // anyone can ask for any client: it is counted, and fills no log
	}
	subjectHash := ""
	if e.subject != "" {
		subjectHash = r.opts.Hash(e.subject)
	}
	fields := []zap.Field{
		zap.String("client_id", clientID), zap.String("result", string(e.is)), zap.Bool("auth0_asked", e.asked), zap.Duration("took", took),
	}
	for _, one := range [][2]string{{"reason", e.reason}, {"identity_id", e.identity}, {"subject_hash", subjectHash}, {"request_id", req.RequestID}} {
		if one[1] != "" {
			fields = append(fields, zap.String(one[0], one[1]))
		}
	}
	switch {
	case e.is == resultMisconfigured:
		r.opts.Log.Error("remint", append(fields, zap.Error(e.fault))...)
	case e.fault != nil:
		r.opts.Log.Warn("remint", append(fields, zap.Error(e.fault))...)
	default:
		r.opts.Log.Info("remint", fields...)
	}
	record := audit.Record{
		Action: audit.Remint, Actor: audit.Actor{Kind: audit.Client}, Outcome: string(e.is), Reason: e.reason, Mode: r.opts.Mode().String(),
		Status: status, ClientID: clientID, IdentityID: e.identity, SubjectHash: subjectHash, Auth0Asked: e.asked, RequestID: req.RequestID,
	}
	record.TraceID, record.SpanID = tracing.IDs(ctx)
	r.opts.Audit(record)
}
