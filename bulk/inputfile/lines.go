package inputfile

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// ErrTooLong reports a line that is longer than the reader's maximum. The next line can be
// read.
var ErrTooLong = errors.New("the line is too long")

// Lines reads a file line by line.
type Lines struct {
	// Long returns a writer for the parts of a line that is too long. Nil: they are
	// dropped.
	Long func() io.Writer

	in         *bufio.Reader
	max        int
	start, end int64
	held       []byte // a line that is longer than the buffer
}

// NewLines returns a reader of lines of at most longest bytes. Offset is the place of in
// in the file.
func NewLines(in *bufio.Reader, offset int64, longest int) *Lines {
	return &Lines{in: in, end: offset, max: longest}
}

// Place returns where the last line begins and ends in the file.
func (l *Lines) Place() (start, end int64) { return l.start, l.end }

// Next returns the next line with its line end, valid until the next call. The last line
// may have no line end. At the end of the file the error is io.EOF.
func (l *Lines) Next() ([]byte, error) {
	l.start = l.end
	l.held = l.held[:0]
	tooLong := false
	for {
		part, err := l.in.ReadSlice('\n')
		l.end += int64(len(part))
		atEnd, more := errors.Is(err, io.EOF), errors.Is(err, bufio.ErrBufferFull)
		switch {
		case err != nil && !atEnd && !more:
			return nil, err
		case atEnd && l.end == l.start:
			return nil, io.EOF
		case !more && len(l.held) == 0 && !tooLong:
			return part, nil
		case tooLong:
			l.give(part)
		default:
			l.held = append(l.held, part...)
			if tooLong = len(bytes.TrimSuffix(l.held, []byte("\n"))) > l.max; tooLong {
				l.give(l.held)
				l.held = l.held[:0]
			}
		}
		switch {
		case more:
			continue
		case !tooLong:
			return l.held, nil
		case atEnd:
			l.give([]byte("\n"))
		}
		return nil, ErrTooLong
	}
}

func (l *Lines) give(part []byte) {
	if l.Long != nil {
		_, _ = l.Long().Write(part) // the writer keeps its own error
	}
}
