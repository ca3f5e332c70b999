package userfile

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// blanks are those of JSON.
const blanks = " \t\r\n"

// lines reads NDJSON. A line is handed out where it stands in the buffer.
type lines struct {
	in   *bufio.Reader
	line int // the last one read
	max  int
	long func(line int) io.Writer // nil: nobody wants lines that are too long
	held []byte                   // a line longer than the buffer
}

func (l *lines) next() (Row, []byte, error) {
	for {
		l.line++
		raw, err := l.read()
		switch {
		case errors.Is(err, errTooLong):
			return Row{Line: l.line, Err: errTooLong}, nil, nil
		case err != nil:
			return Row{Line: l.line}, nil, err
		}
		if text := bytes.Trim(raw, blanks); len(text) > 0 {
			return Row{Line: l.line, JSON: text}, raw, nil
		}
	}
}

// read gives one line with its end, if it has one.
func (l *lines) read() ([]byte, error) {
	raw, err := l.in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return lastLine(raw, err)
	}
	l.held = l.held[:0]
	for errors.Is(err, bufio.ErrBufferFull) {
		l.held = append(l.held, raw...)
		if len(l.held) > l.max {
			return nil, l.pass()
		}
		raw, err = l.in.ReadSlice('\n')
	}
	l.held = append(l.held, raw...)
	if len(bytes.TrimSuffix(l.held, []byte("\n"))) > l.max && (err == nil || errors.Is(err, io.EOF)) {
		l.give(l.held)
		if err != nil {
			l.give([]byte("\n")) // it has no end
		}
		return nil, errTooLong
	}
	return lastLine(l.held, err)
}

// lastLine takes the end of the file for that of a line.
func lastLine(raw []byte, err error) ([]byte, error) {
	if errors.Is(err, io.EOF) && len(raw) > 0 {
		return raw, nil
	}
	return raw, err
}

// pass goes on to the end of a line that is too long.
func (l *lines) pass() error {
	l.give(l.held)
	for {
		raw, err := l.in.ReadSlice('\n')
		l.give(raw)
		switch {
		case err == nil:
			return errTooLong
		case errors.Is(err, io.EOF):
			l.give([]byte("\n")) // it has no end
			return errTooLong
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// give writes a part of a line that is too long to whoever wants it.
func (l *lines) give(part []byte) {
	if l.long != nil {
		_, _ = l.long(l.line).Write(part) // whoever wants it keeps its own error
	}
}
