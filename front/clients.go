package front

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"ferry/hydra"
)

const (
	// clientFresh is how long a client counts as it was read, and clientStale how long it does
	// while Hydra's admin API does not answer.
	clientFresh = time.Minute
	clientStale = time.Hour
	// clientTime bounds the reading of one.
	clientTime = 5 * time.Second
	// maxClients bounds the clients that are kept.
	maxClients = 10_000
)

// clients keeps clients of Hydra for a short time. It is safe for concurrent use.
type clients struct {
	registry registry
	now      func() time.Time
	flight   singleflight.Group

	mu   sync.Mutex
	kept map[string]keptClient
}

// keptClient is a client as it was read.
type keptClient struct {
	client hydra.OAuth2Client
	known  bool // Hydra has it
	readAt time.Time
}

func newClients(from registry, now func() time.Time) *clients {
	return &clients{registry: from, now: now, kept: map[string]keptClient{}}
}

// get returns a client. known is false if Hydra has no such client. The error means that Hydra
// could not be asked.
func (c *clients) get(ctx context.Context, id string) (client hydra.OAuth2Client, known bool, err error) {
	if id == "" {
		return hydra.OAuth2Client{}, false, nil
	}
	c.mu.Lock()
	kept, ok := c.kept[id]
	c.mu.Unlock()
	age := c.now().Sub(kept.readAt)
	if ok && age < clientFresh {
		return kept.client, kept.known, nil
	}
	read, err := c.read(ctx, id)
	switch {
	case err == nil:
		return read.client, read.known, nil
	case ok && age < clientStale:
		return kept.client, kept.known, nil
	}
	return hydra.OAuth2Client{}, false, err
}

// read reads a client. Concurrent callers for the same client wait for the same answer.
func (c *clients) read(ctx context.Context, id string) (keptClient, error) {
	done := c.flight.DoChan(id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clientTime)
		defer cancel()
		client, err := c.registry.OAuth2Client(ctx, id)
		var fault *hydra.Error
		unknown := errors.As(err, &fault) && fault.Kind == hydra.Refused
		if err != nil && !unknown {
			return keptClient{}, err
		}
		read := keptClient{client, err == nil, c.now()}
		c.keep(id, read)
		return read, nil
	})
	select {
	case <-ctx.Done():
		return keptClient{}, ctx.Err()
	case result := <-done:
		read, _ := result.Val.(keptClient)
		return read, result.Err
	}
}

// keep keeps a client. Strangers can name any id, so there is a bound; beyond it everything is read
// again.
func (c *clients) keep(id string, read keptClient) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.kept) >= maxClients {
		clear(c.kept)
	}
	c.kept[id] = read
}

// onceAMinute says of a bounded number of names whether they come for the first time in a minute.
type onceAMinute struct {
	now func() time.Time

	mu    sync.Mutex
	since time.Time
	seen  map[string]bool
}

// maxNames bounds the names of one minute.
const maxNames = 100

func newOnceAMinute(now func() time.Time) *onceAMinute { return &onceAMinute{now: now} }

func (o *onceAMinute) first(name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := o.now(); now.Sub(o.since) >= time.Minute || o.seen == nil {
		o.since, o.seen = now, map[string]bool{}
	}
	if o.seen[name] || len(o.seen) >= maxNames {
		return false
	}
	o.seen[name] = true
	return true
}
