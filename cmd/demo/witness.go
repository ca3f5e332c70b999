package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// witnessWait is how long a log line may come after the answer that it is about.
const witnessWait = 10 * time.Second

var errNotLogged = errors.New("ferry's log says nothing of the call")

// logged is what a line of ferry's log says of a call.
type logged struct {
	RequestID string `json:"request_id"`
	Outcome   string `json:"outcome"`
	Reason    string `json:"reason"`
}

// witness reads ferry's log as it is written, and keeps what it says of the calls
// that are watched.
type witness struct {
	mu      sync.Mutex
	partial []byte
	watched bool
	said    map[string]logged
	news    chan struct{} // closed, and made anew, when something was said
}

func newWitness() *witness { return &witness{said: map[string]logged{}, news: make(chan struct{})} }

// watch begins: from now on every line is kept until it is asked for.
func (w *witness) watch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watched = true
}

func (w *witness) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.watched {
		return len(p), nil
	}
	w.partial = append(w.partial, p...)
	for {
		line, rest, whole := bytes.Cut(w.partial, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		w.partial = bytes.Clone(rest)
		var said logged
		if json.Unmarshal(line, &said) == nil && said.RequestID != "" && said.Outcome != "" {
			w.said[said.RequestID] = said
			close(w.news)
			w.news = make(chan struct{})
		}
	}
}

// of waits for what the log says of a call, and forgets it.
func (w *witness) of(ctx context.Context, requestID string) (logged, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, witnessWait, errNotLogged)
	defer cancel()
	for {
		w.mu.Lock()
		said, ok := w.said[requestID]
		delete(w.said, requestID)
		news := w.news
		w.mu.Unlock()
		if ok {
			return said, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return logged{}, context.Cause(ctx)
		}
	}
}
