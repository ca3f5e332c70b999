package provision

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"go.uber.org/zap"

	"ferry/kratos"
)

// Register remembers the Auth0 users whom Kratos has, or once had. No user is ever removed: a user
// whose identity was deleted is not created again.
type Register interface {
	// Has reports whether one of the users is in it.
	Has(ctx context.Context, userIDs []string) (bool, error)
	Add(ctx context.Context, userIDs []string) error
	// Complete reports whether a whole walk of Kratos is in it.
	Complete(ctx context.Context) (bool, error)
	// Begin is called before a walk, and SetComplete with its result after every user of the
	// walk was added. SetComplete fails if the register lost users in between.
	Begin(ctx context.Context) (life string, err error)
	SetComplete(ctx context.Context, life string) error
}

// walkEvery is how often Kratos is walked. A walk of many identities takes long: the pause is
// then walkRest times as long. It ends early if the register is no longer complete.
const (
	walkEvery = 10 * time.Minute
	walkRest  = 20
	walkRetry = 5 * time.Second
	addAtOnce = 500
)

// Run keeps the register up to date, and makes the notes at Auth0, until ctx ends.
func (p *Provisioner) Run(ctx context.Context) {
	var marking sync.WaitGroup
	defer marking.Wait()
	if p.opts.Mark != nil {
		marking.Go(func() { p.mark(ctx) })
	}
	for {
		started := p.opts.Now()
		_, _ = p.look(ctx)
		_, err := p.loaded(ctx)
		if err == nil {
			err = p.walk(ctx)
		}
		pause := max(walkEvery, walkRest*p.opts.Now().Sub(started))
		if ctx.Err() == nil {
			p.metrics.walked(started, err)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			p.opts.Log.Warn("users register not up to date: before the first reading, users whom Kratos does not have cannot log in", zap.Error(err))
			pause = walkRetry
		default:
			p.opts.Log.Info("identities read: the users register is complete", zap.Duration("took", p.opts.Now().Sub(started)))
		}
		if !p.rest(ctx, pause) {
			return
		}
	}
}

// rest returns true when the next walk is due: after the pause, or as soon as the register
// has lost its users. It returns false when ctx ends.
func (p *Provisioner) rest(ctx context.Context, pause time.Duration) bool {
	over, look := time.NewTimer(pause), time.NewTicker(walkRetry)
	defer over.Stop()
	defer look.Stop()
	for {
		select {
		case <-over.C:
			return true
		case <-look.C:
			if complete, err := p.look(ctx); err == nil && !complete {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
}

// look reports whether the register is complete, and shows it in the metrics.
func (p *Provisioner) look(ctx context.Context) (bool, error) {
	complete, err := p.opts.Register.Complete(ctx)
	if ctx.Err() == nil {
		p.metrics.found(complete && err == nil)
	}
	return complete, err
}

// walk adds the users of every identity.
func (p *Provisioner) walk(ctx context.Context) error {
	var some []string
	flush := func() error {
		if len(some) == 0 {
			return nil
		}
		err := p.opts.Register.Add(ctx, some)
		some = some[:0]
		return err
	}
	life, err := p.opts.Register.Begin(ctx)
	if err != nil {
		return err
	}
	err = p.opts.Identities.Walk(ctx, func(record kratos.Record) error {
		if some = append(some, record.Binding.Subjects...); len(some) < addAtOnce {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err == nil {
		err = p.opts.Register.SetComplete(ctx, life)
	}
	return err
}

// Ready reports whether identities can be created: the register must know whom Kratos has,
// and the identity schema must be known. It waits for the first walk, up to
// Options.ReadyWait.
func (p *Provisioner) Ready(ctx context.Context) error {
	ends := time.After(p.opts.ReadyWait)
	for {
		complete, err := p.opts.Register.Complete(ctx)
		if err != nil {
			return err
		}
		if complete {
			_, err = p.loaded(ctx)
			return err
		}
		select {
		case <-time.After(readyPoll):
		case <-ends:
			return ErrNotReady
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// readyPoll is how often Ready looks whether the first walk is done.
const readyPoll = 50 * time.Millisecond

// ErrNotReady is returned until Kratos was walked once.
var ErrNotReady = errors.New("kratos' identities have not been read yet")

// fileMagic begins the file of a FileRegister. Records of fixed size follow: a digest of a
// user id each, and zeros after a whole walk.
const fileMagic = "ferry users 1\n\x00\x00"

// FileRegister is a Register in memory, and in a file if it has one. It takes 16 bytes of the
// file, and about 40 of memory, for each user.
type FileRegister struct {
	file *os.File // nil: memory only
	lock *flock.Flock

	mu       sync.Mutex
	users    map[[16]byte]struct{}
	complete bool
	size     int64  // of the file, in whole records
	pending  []byte // records that are not in the file: the last write failed
}

// OpenRegister opens the register in the directory, or makes it; with an empty directory it is
// in memory only. It fails if another process uses the directory.
func OpenRegister(dir string) (*FileRegister, error) {
	r := &FileRegister{users: map[[16]byte]struct{}{}}
	if dir == "" {
		return r, nil
	}
	if err := r.open(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("users register: %w", err), r.Close())
	}
	return r, nil
}

func (r *FileRegister) open(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, "users")
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	locked, err := lock.TryLock()
	switch {
	case err != nil:
		return err
	case !locked:
		return fmt.Errorf("%s is used by another ferry", dir)
	}
	r.lock = lock
	if r.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil { //nolint:gosec // G304: in FERRY_DATA_DIR, by a constant name
		return err
	}
	if err := r.load(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// errForeign is returned for a file that is not a register.
var errForeign = errors.New("this is not a register of ferry: remove it, or name another FERRY_DATA_DIR")

// load reads the file. A record that was cut off at its end is overwritten by the next.
func (r *FileRegister) load() error {
	in := bufio.NewReader(r.file)
	var record [16]byte
	for {
		n, err := io.ReadFull(in, record[:])
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			if r.size > 0 {
				return nil
			}
			if !strings.HasPrefix(fileMagic, string(record[:n])) {
				return errForeign
			}
			_, err := r.file.WriteAt([]byte(fileMagic), 0)
			r.size = int64(len(fileMagic))
			return err
		case err != nil:
			return err
		case r.size == 0 && string(record[:]) != fileMagic:
			return errForeign
		case r.size == 0:
		case record == [16]byte{}:
			r.complete = true
		default:
			r.users[record] = struct{}{}
		}
		r.size += int64(len(record))
	}
}

func userDigest(userID string) (digest [16]byte) {
	sum := sha256.Sum256([]byte(userID))
	copy(digest[:], sum[:])
	return digest
}

// Has implements Register.
func (r *FileRegister) Has(_ context.Context, userIDs []string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, userID := range userIDs {
		if _, has := r.users[userDigest(userID)]; has {
			return true, nil
		}
	}
	return false, nil
}

// Add implements Register.
func (r *FileRegister) Add(_ context.Context, userIDs []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var records []byte
	for _, userID := range userIDs {
		digest := userDigest(userID)
		if _, has := r.users[digest]; !has {
			r.users[digest] = struct{}{}
			records = append(records, digest[:]...)
		}
	}
	return r.write(records)
}

// write appends records, and those of earlier writes that failed. What a failed write left
// behind is overwritten by the next.
func (r *FileRegister) write(records []byte) error {
	if r.file == nil {
		return nil
	}
	r.pending = append(r.pending, records...)
	if len(r.pending) == 0 {
		return nil
	}
	if _, err := r.file.WriteAt(r.pending, r.size); err != nil {
		return fmt.Errorf("users register: %w", err)
	}
	r.size += int64(len(r.pending))
	r.pending = nil
	return nil
}

// Complete implements Register.
func (r *FileRegister) Complete(context.Context) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.complete, nil
}

// Begin implements Register.
func (r *FileRegister) Begin(context.Context) (string, error) { return "", nil }

// SetComplete implements Register.
func (r *FileRegister) SetComplete(context.Context, string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.complete {
		return r.write(nil)
	}
	r.complete = true
	return r.write(make([]byte, 16))
}

// Close closes the file.
func (r *FileRegister) Close() error {
	var err error
	if r.file != nil {
		err = r.file.Close()
	}
	if r.lock != nil {
		err = errors.Join(err, r.lock.Close())
	}
	return err
}
