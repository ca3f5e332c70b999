package bulk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"

	"ferry/bulk/results"
	"ferry/bulk/retry"
	"ferry/kratos"
	"ferry/outcome"
)

// sender makes the requests of a run, several at a time.
type sender struct {
	run   *importer
	ctx   context.Context //nolint:containedctx // it ends with the first error of the group below
	group *errgroup.Group

	batch []planRow
	bytes int
}

func (r *importer) newSender(ctx context.Context) *sender {
	group, ctx := errgroup.WithContext(ctx)
	return &sender{run: r, ctx: ctx, group: group}
}

// create puts a row into the next batch.
func (s *sender) create(p planRow) error {
	if s.bytes+len(p.Body) > maxBatchBytes && len(s.batch) > 0 {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.batch = append(s.batch, p)
	s.bytes += len(p.Body)
	if len(s.batch) >= s.run.limiter.size() {
		return s.flush()
	}
	return nil
}

// flush sends what there is.
func (s *sender) flush() error {
	rows := s.batch
	s.batch, s.bytes = nil, 0
	if len(rows) == 0 {
		return nil
	}
	return s.start(func(ctx context.Context) error { return s.run.create(ctx, rows) })
}

// resolveConflict handles a row whose user has an identity.
func (s *sender) resolveConflict(p planRow, found existingIdentity) error {
	if found.owner != ownedByUser || s.run.OnConflict != ConflictUpdate {
		return s.run.resolveConflict(s.ctx, p, found) // makes no request
	}
	return s.start(func(ctx context.Context) error { return s.run.resolveConflict(ctx, p, found) })
}

// start does a piece of work when it is its turn.
func (s *sender) start(work func(context.Context) error) error {
	if err := s.run.limiter.acquire(s.ctx); err != nil {
		return err
	}
	s.group.Go(func() error {
		defer s.run.limiter.release()
		return work(s.ctx)
	})
	return nil
}

func (s *sender) wait() error { return s.group.Wait() }

// create makes identities of the rows, in as many requests as it takes. Its error is
// one that ends the run; the rows without a result then are the next run's.
func (r *importer) create(ctx context.Context, rows []planRow) error {
	for len(rows) > 0 {
		req := r.request(rows)
		created, err := r.send(ctx, req.bodies)
		if isBroken(err) {
			return r.bisect(ctx, rows, err)
		}
		if rows, err = r.handleAnswer(ctx, req, created, err); err != nil {
			return err
		}
	}
	return nil
}

// request is what makes identities of rows.
type request struct {
	rows     []planRow
	bodies   [][]byte
	external bool // with external ids
}

func (r *importer) request(rows []planRow) request {
	req := request{rows: rows, bodies: make([][]byte, len(rows)), external: r.external()}
	for i, row := range rows {
		req.bodies[i] = row.body(req.external)
	}
	return req
}

// handleAnswer reports the results of a request and returns the rows to send again.
func (r *importer) handleAnswer(ctx context.Context, req request, created []kratos.Created, err error) (again []planRow, _ error) {
	var fault *kratos.Error
	switch {
	case err == nil:
		return r.handleCreated(ctx, req.rows, created)
	case !errors.As(err, &fault) || !isRows(fault.Status):
		return nil, err
	case req.external && strings.Contains(fault.Said, `unknown field "external_id"`):
		r.dropExternalID()
		return req.rows, nil
	default:
		return nil, r.split(ctx, req.rows, fault)
	}
}

// send makes one request, and again while Kratos does not answer. Rows that a request
// without an answer created all the same are found as conflicts with themselves.
func (r *importer) send(ctx context.Context, bodies [][]byte) (created []kratos.Created, err error) {
	err = r.retry(ctx, func() error {
		started := r.Now()
		created, err = r.Kratos.CreateBatch(ctx, bodies)
		if err == nil {
			r.limiter.answered(len(bodies), r.Now().Sub(started))
		}
		return err
	})
	return created, err
}

// retry repeats a request that Kratos did not answer, for up to RetryFor.
func (r *importer) retry(ctx context.Context, ask func() error) error {
	err := retry.Do(ctx, r.Now, r.RetryFor, ask, func(err error) bool {
		if !isTemporary(err) {
			return false
		}
		r.limiter.failed()
		r.warn("Kratos does not answer as it should: trying again for up to " + r.RetryFor.String())
		return true
	})
	var fault *kratos.Error
	switch {
	case err == nil, !errors.As(err, &fault), fault.Final(), isRows(fault.Status):
		return err
	case fault.Outcome == outcome.InvalidResponse:
		return fmt.Errorf("the answer of Kratos is not valid; nothing is lost, the same command continues from here: %w", err)
	case isUnauthorized(fault):
		return fmt.Errorf("kratos refuses ferry's token: %w", err)
	}
	return fmt.Errorf("kratos does not answer; nothing is lost, the same command continues from here: %w", err)
}

// isTemporary reports whether a request may succeed later as it is.
func isTemporary(err error) bool {
	var fault *kratos.Error
	return errors.As(err, &fault) && !fault.Final() && !isRows(fault.Status) && fault.Outcome != outcome.InvalidResponse && !isUnauthorized(fault)
}

func isUnauthorized(fault *kratos.Error) bool {
	return fault.Status == http.StatusUnauthorized || fault.Status == http.StatusForbidden
}

// isRows tells the refusals that are about what is in a request: a bad row, a conflict,
// too much at once.
func isRows(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// split deals with a request that was refused as a whole: one row of it is enough for
// that, so halves are sent until the bad ones are alone.
func (r *importer) split(ctx context.Context, rows []planRow, fault *kratos.Error) error {
	switch {
	case len(rows) > 1:
	case fault.Status == http.StatusConflict: // in words that are not Kratos' own
		return r.resolveByLookup(ctx, rows[0])
	default:
		return r.report(rows[0].result(results.Failed, "", results.Refused(fault.Status, fault.Said)))
	}
	half := len(rows) / 2
	if err := r.create(ctx, rows[:half]); err != nil {
		return err
	}
	return r.create(ctx, rows[half:])
}

// external tells whether identities get an external id.
func (r *importer) external() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ExternalID && !r.noExternal
}

// dropExternalID goes on without.
func (r *importer) dropExternalID() {
	r.mu.Lock()
	r.noExternal = true
	r.mu.Unlock()
	r.warn("this Kratos takes no external_id: the identities are made without")
}

// body is what creates the row's identity, with its external id or without.
func (p planRow) body(external bool) []byte {
	if external {
		return p.Body
	}
	return kratos.WithoutExternalID(p.Body)
}

// handleCreated reports the results of a batch and returns the rows to send again. Kratos
// 1.3.1 rolls back the whole batch if one row is in conflict, and still reports the other
// rows as created.
func (r *importer) handleCreated(ctx context.Context, rows []planRow, created []kratos.Created) (again []planRow, err error) {
	var done []results.Result
	var conflicts []planRow
	var ids []string
	for i := range created {
		item, err := r.explain(ctx, rows[i], created[i])
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
			done = append(done, rows[i].result(results.Failed, "", results.Refused(item.Status, item.Reason)))
		}
	}
	there, err := r.verify(ctx, ids, len(conflicts) > 0)
	if err != nil {
		return nil, err
	}
	for i, item := range created {
		switch {
		case item.ID == "":
		case there == nil || there[item.ID]:
			done = append(done, rows[i].result(rows[i].Outcome, item.ID, rows[i].Reason))
		default:
			again = append(again, rows[i])
		}
	}
	if err := r.report(done...); err != nil {
		return nil, err
	}
	return again, r.handleConflicts(ctx, conflicts)
}

// verify asks which of the identities are there, where there is reason to doubt it;
// nil: no doubt.
func (r *importer) verify(ctx context.Context, ids []string, doubt bool) (there map[string]bool, err error) {
	if !doubt || len(ids) == 0 {
		return nil, nil
	}
	err = r.retry(ctx, func() error {
		there, err = r.Kratos.Exist(ctx, ids)
		return err
	})
	return there, err
}
