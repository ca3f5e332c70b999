package bulk

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"ferry/bulk/userfile"
)

// planRows is how many rows a worker plans in one go.
const planRows = 256

// portion is some rows that follow each other, and their plans once done is closed.
type portion struct {
	rows     []userfile.Row
	text     []byte
	sketches []sketch
	done     chan struct{}
}

// makePlan reads the whole file, so that nothing is written for a file that is broken,
// and so that who calls himself the same is known before anybody is created.
func (r *importer) makePlan(ctx context.Context) error {
	r.Progress.Start("plan, bytes", r.Users.Size())
	defer r.Progress.Done()
	group, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	todo := make(chan *portion, workers)
	inOrder := make(chan *portion, 2*workers)
	group.Go(func() error {
		defer close(todo)
		defer close(inOrder)
		return r.readPortions(ctx, func(p *portion) error {
			select {
			case inOrder <- p:
			case <-ctx.Done():
				return ctx.Err()
			}
			todo <- p // its workers take whatever comes
			return nil
		})
	})
	planner := &planner{opts: r.ImportOptions, run: r.Journal.run}
	for range workers {
		group.Go(func() error {
			var failed error
			for p := range todo {
				if failed == nil {
					failed = planner.portion(p)
				}
				close(p.done)
			}
			return failed
		})
	}
	tally := tally{connections: connections{}}
	group.Go(func() error {
		for p := range inOrder {
			<-p.done
			if err := r.take(p, &tally); err != nil {
				return err
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return r.judge(tally)
}

// readPortions copies the rows, which the source lends for a moment only.
func (r *importer) readPortions(ctx context.Context, send func(*portion) error) error {
	next := &portion{done: make(chan struct{})}
	var read int64
	flush := func() error {
		if len(next.rows) == 0 {
			return nil
		}
		now := r.Users.Offset()
		r.Progress.Add(now - read)
		read = now
		err := send(next)
		next = &portion{done: make(chan struct{}), text: make([]byte, 0, cap(next.text))}
		return err
	}
	for row, err := range r.Users.Rows(ctx) {
		if err != nil {
			return err
		}
		start := len(next.text)
		next.text = append(next.text, row.JSON...)
		row.JSON = next.text[start:len(next.text):len(next.text)]
		next.rows = append(next.rows, row)
		if len(next.rows) == planRows || len(next.text) > maxPortion {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// maxPortion is about how many bytes of rows wait for one worker.
const maxPortion = 4 << 20

func (p *planner) portion(rows *portion) error {
	rows.sketches = make([]sketch, 0, len(rows.rows))
	for _, row := range rows.rows {
		s, err := p.plan(row.Line, row.JSON, row.Err)
		if err != nil {
			return fmt.Errorf("line %d: %w", row.Line, err)
		}
		if p.opts.OnConflict == ConflictUpdate && s.creates() {
			s.User = slices.Clone(row.JSON)
		}
		rows.sketches = append(rows.sketches, s)
	}
	return nil
}

// tally is what the whole file tells.
type tally struct {
	rows, databases, hashed int
	connections             connections
}

// take puts what was planned into the spool, and the claims into their index.
func (r *importer) take(p *portion, t *tally) error {
	for _, s := range p.sketches {
		t.rows++
		if s.database {
			t.databases++
		}
		if s.hashed {
			t.hashed++
		}
		if s.Outcome == CreatedPending {
			t.connections.add(s.connection)
		}
		for _, note := range s.notes {
			r.warn(note)
		}
		if err := r.claim(s); err != nil {
			return err
		}
		if s.creates() {
			r.creates.add(s.Line)
		}
		if s.Line%r.Shards != r.Shard {
			continue
		}
		r.results.sketched(s)
		if err := r.plan.add(s.planned); err != nil {
			return err
		}
	}
	return nil
}

// claim notes what a row claims.
func (r *importer) claim(s sketch) error {
	for _, claim := range s.claims {
		if err := r.claims.add(claim.value, s.Line, claim.rank); err != nil {
			return err
		}
		if claim.folded == "" {
			continue
		}
		if err := r.folded.add(claim.folded, s.Line, unproven); err != nil {
			return err
		}
	}
	return nil
}

// judge warns of users whom no realm knows, and refuses a hash file of which nothing is
// about anybody in the users file.
func (r *importer) judge(t tally) error {
	for _, text := range t.connections.warnings(r.Realms) {
		r.warn(text)
	}
	if r.Hashes == nil {
		return nil
	}
	r.results.summary.HashesTotal, r.results.summary.HashesUsed = r.Hashes.Len(), t.hashed
	if r.Hashes.Len() > 0 && t.databases > 0 && t.hashed == 0 && r.Mode != ModeHook {
		return errors.New("not one hash is of a user of the users file: the two are not of the same tenant; nothing was written")
	}
	return nil
}
