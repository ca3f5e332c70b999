package bulk

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"ferry/bulk/results"
	"ferry/bulk/userfile"
)

// chunkRows is how many rows a worker plans at a time.
const chunkRows = 256

// chunk is some consecutive rows. Their drafts are ready when done is closed.
type chunk struct {
	rows   []userfile.Row
	text   []byte
	drafts []draft
	done   chan struct{}
}

// planPass reads the whole file and plans every row. Nothing is written to Kratos before
// it ends, so a broken file changes nothing, and all rows with the same identifier are known.
func (r *importer) planPass(ctx context.Context) error {
	r.Progress.Start("plan, bytes", r.Users.Size())
	defer r.Progress.Done()
	group, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	todo := make(chan *chunk, workers)
	inOrder := make(chan *chunk, 2*workers)
	group.Go(func() error {
		defer close(todo)
		defer close(inOrder)
		return r.readChunks(ctx, func(p *chunk) error {
			select {
			case inOrder <- p:
			case <-ctx.Done():
				return ctx.Err()
			}
			todo <- p // the workers drain it, also after an error
			return nil
		})
	})
	planner := &planner{opts: r.ImportOptions, run: r.Journal.run}
	for range workers {
		group.Go(func() error {
			var failed error
			for p := range todo {
				if failed == nil {
					failed = planner.planChunk(p)
				}
				close(p.done)
			}
			return failed
		})
	}
	counts := counts{connections: connections{}}
	group.Go(func() error {
		for p := range inOrder {
			<-p.done
			if err := r.addChunk(p, &counts); err != nil {
				return err
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return r.checkCounts(counts)
}

// readChunks copies the rows into chunks, because the source reuses their memory.
func (r *importer) readChunks(ctx context.Context, send func(*chunk) error) error {
	next := &chunk{done: make(chan struct{})}
	var read int64
	flush := func() error {
		if len(next.rows) == 0 {
			return nil
		}
		now := r.Users.Offset()
		r.Progress.Add(now - read)
		read = now
		err := send(next)
		next = &chunk{done: make(chan struct{}), text: make([]byte, 0, cap(next.text))}
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
		if len(next.rows) == chunkRows || len(next.text) > maxChunkBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// maxChunkBytes is the approximate size of a chunk.
const maxChunkBytes = 4 << 20

func (p *planner) planChunk(rows *chunk) error {
	rows.drafts = make([]draft, 0, len(rows.rows))
	for _, row := range rows.rows {
		s, err := p.plan(row.Line, row.JSON, row.Err)
		if err != nil {
			return fmt.Errorf("line %d: %w", row.Line, err)
		}
		if p.opts.OnConflict == ConflictUpdate && s.creates() {
			s.User = slices.Clone(row.JSON)
		}
		rows.drafts = append(rows.drafts, s)
	}
	return nil
}

// counts are totals of the whole file.
type counts struct {
	rows, databases, hashed int
	connections             connections
}

// addChunk writes the rows of a chunk to the plan and their keys to the index.
func (r *importer) addChunk(p *chunk, t *counts) error {
	for _, s := range p.drafts {
		t.rows++
		if s.database {
			t.databases++
		}
		if s.hashed {
			t.hashed++
		}
		if s.Outcome == results.CreatedPending {
			t.connections.add(s.connection)
		}
		for _, note := range s.notes {
			r.warn(note)
		}
		if err := r.index(s); err != nil {
			return err
		}
		if s.creates() {
			r.creates.Add(s.Line)
		}
		if s.Line%r.Shards != r.Shard {
			continue
		}
		r.results.addDraft(s)
		if err := r.plan.add(s.planRow); err != nil {
			return err
		}
	}
	return nil
}

// index adds the identifiers of a row to the index.
func (r *importer) index(s draft) error {
	for _, key := range s.keys {
		if err := r.identifiers.add(key.value, s.Line, key.rank); err != nil {
			return err
		}
		if key.folded == "" {
			continue
		}
		if err := r.folded.add(key.folded, s.Line, rankUnverified); err != nil {
			return err
		}
	}
	return nil
}

// checkCounts warns of users in connections that the hook does not ask, and refuses a hash
// file that has no hash of any user in the users file.
func (r *importer) checkCounts(t counts) error {
	for _, text := range t.connections.warnings(r.Realms) {
		r.warn(text)
	}
	if r.Hashes == nil {
		return nil
	}
	r.results.summary.HashesTotal, r.results.summary.HashesUsed = r.Hashes.Len(), t.hashed
	if r.Hashes.Len() > 0 && t.databases > 0 && t.hashed == 0 && r.Mode != ModeHook {
		return errors.New("no hash belongs to a user in the users file: the two files are from different tenants; nothing was written")
	}
	return nil
}
