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
	"sync"
	"time"

	"go.uber.org/zap"

	"ferry/kratos"
)

// Register remembers the Auth0 users whom Kratos has, or once had. Nobody is ever removed:
// a user whose identity was deleted is not created again.
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

// Run keeps the register up to date until ctx ends.
func (p *Provisioner) Run(ctx context.Context) {
	for {
		started := p.opts.Now()
		err := p.walk(ctx)
		pause := max(walkEvery, walkRest*p.opts.Now().Sub(started))
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			p.opts.Log.Warn("identities not walked: until a first walk succeeds, nobody unknown can log in", zap.Error(err))
			pause = walkRetry
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
			if complete, err := p.opts.Register.Complete(ctx); err == nil && !complete {
				return true
			}
		case <-ctx.Done():
			return false
		}
	}
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

// Ready reports whether identities can be created: the register must know whom Kratos has.
func (p *Provisioner) Ready(ctx context.Context) error {
	complete, err := p.opts.Register.Complete(ctx)
	if err == nil && !complete {
		err = ErrNotReady
	}
	return err
}

// ErrNotReady is returned until Kratos was walked once.
var ErrNotReady = errors.New("kratos has not been walked yet")

// fileMagic begins the file of a FileRegister. Records of fixed size follow: a digest of a
// user id each, and zeros after a whole walk.
const fileMagic = "ferry users 1\n\x00\x00"

// FileRegister is a Register in memory, and in a file if it has one. It takes 16 bytes of the
// file, and about 40 of memory, for each user.
type FileRegister struct {
	mu       sync.Mutex
	users    map[[16]byte]struct{}
	complete bool
	file     *os.File // nil: memory only
}

// OpenRegister opens the register in the directory, or makes it; with an empty directory it is
// in memory only. Only one process may use the directory.
func OpenRegister(dir string) (*FileRegister, error) {
	r := &FileRegister{users: map[[16]byte]struct{}{}}
	if dir == "" {
		return r, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("users register: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "users"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("users register: %w", err)
	}
	if err := r.load(file); err != nil {
		return nil, errors.Join(fmt.Errorf("users register: %s: %w", file.Name(), err), file.Close())
	}
	r.file = file
	return r, nil
}

// load reads the file. A record that was cut off at its end is removed.
func (r *FileRegister) load(file *os.File) error {
	in := bufio.NewReader(file)
	var record [16]byte
	size := int64(0)
	for {
		_, err := io.ReadFull(in, record[:])
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return err
		}
		switch {
		case size == 0 && string(record[:]) != fileMagic:
			return errors.New("this is not a register of ferry: remove it, or name another FERRY_DATA_DIR")
		case size == 0:
		case record == [16]byte{}:
			r.complete = true
		default:
			r.users[record] = struct{}{}
		}
		size += int64(len(record))
	}
	if err := file.Truncate(size); err != nil {
		return err
	}
	if size > 0 {
		return nil
	}
	_, err := file.WriteString(fileMagic)
	return err
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

// write appends records. A write that failed half way would shift those after it, so its
// part is removed.
func (r *FileRegister) write(records []byte) error {
	if r.file == nil || len(records) == 0 {
		return nil
	}
	before, err := r.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := r.file.Write(records); err != nil {
		return errors.Join(err, r.file.Truncate(before))
	}
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
		return nil
	}
	r.complete = true
	return r.write(make([]byte, 16))
}

// Close closes the file.
func (r *FileRegister) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
