package mode

import (
	"errors"
	"io"
	"os"
	"strings"
	"time"
)

const (
	// fileEvery is how often the files are read. A change counts once two readings agree, so
	// that no half-written file does.
	fileEvery = 500 * time.Millisecond
	// maxFileBytes is the longest file.
	maxFileBytes = 16 << 10
)

// file is a file with one value.
type file struct {
	name string // of the setting, without _FILE
	path string
	set  func(*values, string) error
	seen content // when its value was last taken
	last content // when it was last read
}

// content is what a file had.
type content struct {
	text string // without blanks and line ends around it
	err  error  // why it could not be read
}

func (c content) same(other content) bool {
	if c.err != nil && other.err != nil {
		return c.err.Error() == other.err.Error()
	}
	return c == other
}

// label is the name in metrics and in the log.
func (f *file) label() string { return strings.ToLower(f.name) }

// read reads the file.
func (f *file) read() content {
	info, err := os.Stat(f.path)
	switch {
	case err != nil:
		return content{err: withoutPath(err)}
	case !info.Mode().IsRegular():
		return content{err: errors.New("it is not a regular file")} // a pipe would block
	}
	open, err := os.Open(f.path)
	if err != nil {
		return content{err: withoutPath(err)}
	}
	defer func() { _ = open.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(open, maxFileBytes+1))
	switch {
	case err != nil:
		return content{err: withoutPath(err)}
	case len(text) > maxFileBytes:
		return content{err: errors.New("the file is too long")}
	}
	return content{text: strings.TrimSpace(string(text))}
}

// changed reads the file, and reports whether it differs from what was last taken, and is as
// it was at the reading before.
func (f *file) changed() bool {
	before := f.last
	f.last = f.read()
	if f.last.same(f.seen) || !f.last.same(before) {
		return false
	}
	f.seen = f.last
	return true
}

// withoutPath is the cause alone: a secret may have been put into the setting by mistake.
func withoutPath(err error) error {
	var fault *os.PathError
	if errors.As(err, &fault) {
		return fault.Err
	}
	return err
}
