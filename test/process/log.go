package process

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Log keeps everything a process prints, and copies it to Tee. It is deliberately
// without a limit: tests search the whole of it for secrets. The zero value is
// ready; it is safe for concurrent use once it is written to.
type Log struct {
	// Tee receives a copy; nil is nobody.
	Tee io.Writer

	mu  sync.Mutex
	all bytes.Buffer
}

// Write never fails, not even when Tee does: that would break the child's pipe.
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

// String is all that was printed so far.
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

// Tail is the last n lines.
func (l *Log) Tail(n int) string {
	lines := strings.Split(strings.TrimSpace(l.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
