package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// logWatchWait is how long a log line may follow its answer.
const logWatchWait = 10 * time.Second

var errNotLogged = errors.New("ferry's log has no line about the call")

// logged is a line of ferry's log about a call.
type logged struct {
	RequestID string `json:"request_id"`
	Outcome   string `json:"outcome"`
	Reason    string `json:"reason"`
}

// logWatch reads ferry's log as it is written, and keeps the lines about watched calls.
type logWatch struct {
	mu      sync.Mutex
	partial []byte
	watched bool
	said    map[string]logged
	news    chan struct{} // closed and replaced at every new line
}

func newLogWatch() *logWatch { return &logWatch{said: map[string]logged{}, news: make(chan struct{})} }

// watch starts keeping lines until they are read.
func (w *logWatch) watch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watched = true
}

func (w *logWatch) Write(p []byte) (int, error) {
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

// of waits for the log line of a call and removes it.
func (w *logWatch) of(ctx context.Context, requestID string) (logged, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, logWatchWait, errNotLogged)
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
