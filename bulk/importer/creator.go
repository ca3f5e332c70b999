package importer

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ferry/bulk/plan"
	"ferry/bulk/results"
	"ferry/kratos"
)

// creator creates identities: it batches rows, splits and bisects batches that Kratos
// refuses, and verifies what Kratos claims to have created.
type creator struct {
	client  *kratos.Client
	limiter *limiter
	now     func() time.Time
	// retryFor bounds the repetition of a request.
	retryFor time.Duration
	// report writes results, conflict takes rows that Kratos refused with a conflict, and
	// warn tells the operator something.
	report   func(...results.Result) error
	conflict func(context.Context, []plan.Row) error
	warn     func(string)

	lacks     lacks        // fields that bodies are sent without
	explained atomic.Int64 // rows that Kratos was asked for a reason for
}

func newCreator(r *importer) *creator {
	return &creator{
		client: r.Kratos, limiter: newLimiter(r.InFlight), now: r.Now, retryFor: r.RetryFor,
		report: r.report, conflict: r.handleConflicts, warn: r.warn,
	}
}

// batches collects rows into batches, and makes several requests at a time.
type batches struct {
	creator *creator
	ctx     context.Context //nolint:containedctx // it ends with the first error of the group below
	group   *errgroup.Group

	rows  []plan.Row
	bytes int
}

func (c *creator) newBatches(ctx context.Context) *batches {
	group, ctx := errgroup.WithContext(ctx)
	return &batches{creator: c, ctx: ctx, group: group}
}

// add adds a row to the next batch.
func (b *batches) add(row plan.Row) error {
	if b.bytes+len(row.Body) > maxBatchBytes && len(b.rows) > 0 {
		if err := b.flush(); err != nil {
			return err
		}
	}
	b.rows = append(b.rows, row)
	b.bytes += len(row.Body)
	if len(b.rows) >= b.creator.limiter.size() {
		return b.flush()
	}
	return nil
}

// flush sends the rows collected so far.
func (b *batches) flush() error {
	rows := b.rows
	b.rows, b.bytes = nil, 0
	if len(rows) == 0 {
		return nil
	}
	return b.start(func(ctx context.Context) error { return b.creator.create(ctx, rows) })
}

// start runs work once the limiter allows another request.
func (b *batches) start(work func(context.Context) error) error {
	if err := b.creator.limiter.acquire(b.ctx); err != nil {
		return err
	}
	b.group.Go(func() error {
		defer b.creator.limiter.release()
		return work(b.ctx)
	})
	return nil
}

func (b *batches) wait() error { return b.group.Wait() }

// create creates the identities of the rows, in as many requests as that takes. An error
// ends the run; rows without a result are left to the next run.
func (c *creator) create(ctx context.Context, rows []plan.Row) error {
	for len(rows) > 0 {
		req := c.request(rows)
		created, err := c.send(ctx, req.bodies)
		if isBroken(err) {
			return c.bisect(ctx, rows, err)
		}
		if rows, err = c.handleAnswer(ctx, req, created, err); err != nil {
			return err
		}
	}
	return nil
}

// request is one request that creates identities.
type request struct {
	rows    []plan.Row
	bodies  [][]byte
	without []kratos.Field // that the bodies do not have
}

func (c *creator) request(rows []plan.Row) request {
	req := request{rows: rows, bodies: make([][]byte, len(rows)), without: c.lacks.all()}
	for i, row := range rows {
		req.bodies[i] = kratos.Without(row.Body, req.without...)
	}
	return req
}

// handleAnswer reports the results of a request and returns the rows to send again.
func (c *creator) handleAnswer(ctx context.Context, req request, created []kratos.Created, err error) (again []plan.Row, _ error) {
	var fault *kratos.Error
	switch {
	case err == nil:
		return c.handleCreated(ctx, req.rows, created)
	case !errors.As(err, &fault) || !isRows(fault.Status):
		return nil, err
	}
	if field, isUnknown := kratos.UnknownField(err); isUnknown && field.IsOptional() && !slices.Contains(req.without, field) {
		c.without(field)
		return req.rows, nil
	}
	return nil, c.split(ctx, req.rows, fault)
}

// send makes one request, and repeats it while Kratos does not answer. If Kratos created the
// rows without answering, the repetition is in conflict with them, and the conflict is
// resolved by their run id.
func (c *creator) send(ctx context.Context, bodies [][]byte) (created []kratos.Created, err error) {
	err = c.retry(ctx, func() error {
		started := c.now()
		created, err = c.client.CreateBatch(ctx, bodies)
		if err == nil {
			c.limiter.answered(len(bodies), c.now().Sub(started))
		}
		return err
	})
	return created, err
}

// split handles a request that Kratos refused as a whole, which one bad row is enough for:
// it sends halves until the bad rows are alone.
func (c *creator) split(ctx context.Context, rows []plan.Row, fault *kratos.Error) error {
	switch {
	case len(rows) > 1:
	case fault.Status == http.StatusConflict: // from a proxy: Kratos reports conflicts by row
		return c.conflict(ctx, rows)
	default:
		return c.report(result(rows[0], results.Failed, "", results.Refused(fault.Status, fault.Said)))
	}
	half := len(rows) / 2
	if err := c.create(ctx, rows[:half]); err != nil {
		return err
	}
	return c.create(ctx, rows[half:])
}

// handleCreated reports the results of a batch and returns the rows to send again. Kratos
// 1.3.1 rolls back the whole batch if one row is in conflict, and still reports the other
// rows as created.
func (c *creator) handleCreated(ctx context.Context, rows []plan.Row, created []kratos.Created) (again []plan.Row, err error) {
	var done []results.Result
	var conflicts []plan.Row
	var ids []string
	for i := range created {
		item, err := c.explain(ctx, rows[i], created[i])
		if err != nil {
			return nil, err
		}
		created[i] = item
		switch {
		case item.ID != "":
			ids = append(ids, item.ID)
		case item.Status == http.StatusConflict:
			conflicts = append(conflicts, rows[i])
		default:
			done = append(done, result(rows[i], results.Failed, "", results.Refused(item.Status, item.Reason)))
		}
	}
	there, err := c.verify(ctx, ids, len(conflicts) > 0)
	if err != nil {
		return nil, err
	}
	for i, item := range created {
		switch {
		case item.ID == "":
		case there == nil || there[item.ID]:
			done = append(done, result(rows[i], rows[i].Outcome, item.ID, rows[i].Reason))
		default:
			again = append(again, rows[i])
		}
	}
	if err := c.report(done...); err != nil {
		return nil, err
	}
	return again, c.conflict(ctx, conflicts)
}

// verify asks Kratos which of the identities exist, if there is a doubt. It returns nil if
// all do.
func (c *creator) verify(ctx context.Context, ids []string, doubt bool) (there map[string]bool, err error) {
	if !doubt || len(ids) == 0 {
		return nil, nil
	}
	err = c.retry(ctx, func() error {
		there, err = c.client.Exist(ctx, ids)
		return err
	})
	return there, err
}
