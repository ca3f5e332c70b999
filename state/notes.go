package state

import (
	"context"
	"fmt"
	"time"
)

// noteTime is how long a note can be read. Redis keeps it longer.
const noteTime = 10 * 365 * 24 * time.Hour

// PutNote replaces the note of a name: a small text for all replicas that does not expire.
func (r *Redis) PutNote(ctx context.Context, name string, text []byte) error {
	place := r.keys.place("note", []byte(name))
	value := r.keys.seal("note", place, newGen(), r.opts.Now().Add(noteTime), text)
	return r.do(ctx, "put note", func(ctx context.Context) error {
		return r.client.Set(ctx, r.prefix+"note:"+place, value, 0).Err()
	})
}

// Note returns the note of a name, or nil if there is none. The error is ErrUnreadable for a
// value that cannot be decrypted.
func (r *Redis) Note(ctx context.Context, name string) ([]byte, error) {
	place := r.keys.place("note", []byte(name))
	value, err := r.get(ctx, "note", r.prefix+"note:"+place)
	if value == nil || err != nil {
		return nil, err
	}
	_, text, err := r.keys.open("note", place, value, r.opts.Now())
	if err != nil {
		return nil, fmt.Errorf("state: note: %w", err)
	}
	return text, nil
}
