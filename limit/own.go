package limit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// FileName is the name of the file in the data directory.
const FileName = "failed-logins.json"

// ownLevel is how full the budget of ferry's own address was at the last failed login.
type ownLevel int

const (
	ownFree ownLevel = iota
	ownWarned
	ownStopped
)

// ownFailed logs a change of the budget of ferry's own address, and stores it. level is how
// many failed logins Auth0 counts against the address now.
func (l *Limits) ownFailed(level float64) {
	failed := int(math.Ceil(level))
	next := ownFree
	switch {
	case l.rules.Address == 0:
	case failed >= l.rules.Address:
		next = ownStopped
	case failed >= l.warnAt:
		next = ownWarned
	}
	l.raiseOwn(level)
	l.mu.Lock()
	last := l.own
	l.own = next
	l.mu.Unlock()
	fields := []zap.Field{zap.Int("failed_logins", failed), zap.Int("stops_at", l.rules.Address), zap.Int("auth0_blocks_at", l.opts.SuspiciousIP), zap.Duration("one_more_every", l.rules.AddressEvery)}
	switch {
	case next <= last:
	case next == ownStopped:
		l.opts.Log.Error("failed logins from ferry's own address are used up: logins get 424 until Auth0 allows more; forward the user's address, or put ferry's on Auth0's allow lists", fields...)
	default:
		l.opts.Log.Warn("failed logins from ferry's own address are almost used up: Auth0 would block it for all users; forward the user's address, or put ferry's on Auth0's allow lists", fields...)
	}
	l.store()
}

// raiseOwn raises the count of ferry's own address to what Redis counted: it holds here too, if
// Redis fails, and the metrics show it.
func (l *Limits) raiseOwn(level float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := l.opts.Now().Add(time.Duration(level * float64(l.rules.AddressEvery)))
	if until.After(l.counts.own.until) {
		l.counts.own.until = until
	}
}

// store writes the count of ferry's own address to the file.
func (l *Limits) store() {
	if l.file == nil {
		return
	}
	l.file.mu.Lock()
	defer l.file.mu.Unlock()
	l.mu.Lock()
	until := l.counts.own.until
	l.mu.Unlock()
	if err := l.file.write(until, l.opts.Now()); err != nil {
		l.opts.Log.Warn("failed logins not stored: a restart forgets them", zap.Error(err))
	}
}

// ownFailures is how many failed logins Auth0 counts against ferry's own address now, as far as
// this process knows.
func (l *Limits) ownFailures() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return math.Ceil(l.counts.own.level(l.opts.Now(), l.rules.AddressEvery))
}

// file keeps the time of a bucket.
type file struct {
	path string
	mu   sync.Mutex // while it is written
}

type fileContent struct {
	// Until is the time at which none of the failed logins counts any more.
	Until time.Time `json:"until"`
	// Written is when that was written. If it is in the future, the clock was put back since:
	// Until is as far from now as it was from Written.
	Written time.Time `json:"written"`
}

// read returns the zero time if there is no file, or if it was damaged. The time has the monotonic
// reading of now: it stays right if the clock is set while ferry runs.
func (f *file) read(now time.Time, log *zap.Logger) (time.Time, error) {
	err := os.MkdirAll(filepath.Dir(f.path), 0o700)
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT): // no reason not to start
		log.Warn("failed logins not stored: a restart forgets them", zap.Error(err))
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("limit: create the directory: %w", err)
	}
	text, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("limit: read the failed logins: %w", err)
	}
	var content fileContent
	if err := json.Unmarshal(text, &content); err != nil {
		log.Warn("the count of failed logins from ferry's own address starts again at 0: the file is damaged", zap.String("file", f.path))
		return time.Time{}, nil
	}
	since := now
	if content.Written.After(now) {
		since = content.Written
	}
	return now.Add(content.Until.Sub(since)), nil
}

// write replaces the file at once, so that a crash leaves the old one or the new one. until is
// stored as so far from now by the clock.
func (f *file) write(until, now time.Time) error {
	text, err := json.Marshal(fileContent{now.Add(until.Sub(now)).UTC(), now.UTC()})
	if err != nil {
		return err
	}
	temporary := f.path + ".new"
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil { // the disk may have been full at the start
		return fmt.Errorf("limit: create the directory: %w", err)
	}
	if err := writeSynced(temporary, append(text, '\n')); err != nil {
		return fmt.Errorf("limit: write the failed logins: %w", err)
	}
	if err := os.Rename(temporary, f.path); err != nil {
		return fmt.Errorf("limit: write the failed logins: %w", err)
	}
	return nil
}

func writeSynced(path string, text []byte) error {
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // G304: in FERRY_DATA_DIR, by a constant name
	if err != nil {
		return err
	}
	_, err = to.Write(text)
	return errors.Join(err, to.Sync(), to.Close())
}
