package process

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Log keeps everything a process prints, and copies it to Tee. It has no size limit,
// because tests search all of it for secrets. The zero value is ready to use. It is
// safe for concurrent use.
type Log struct {
	// Tee receives a copy, unless it is nil.
	Tee io.Writer

	mu  sync.Mutex
	all bytes.Buffer
}

// Write never fails, not even if Tee does: an error would break the child's pipe.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(p)
	if l.Tee != nil {
		if _, err := l.Tee.Write(p); err != nil {
			fmt.Fprintf(&l.all, "output could not be copied: %v\n", err)
			l.Tee = nil
		}
	}
	return len(p), nil
}

// String returns everything printed so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// Contains reports whether text was printed.
func (l *Log) Contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.all.Bytes(), []byte(text))
}

// Tail returns the last n lines.
func (l *Log) Tail(n int) string {
	lines := strings.Split(strings.TrimSpace(l.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
