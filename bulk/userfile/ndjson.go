package userfile

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"ferry/bulk/inputfile"
)

// lines reads NDJSON. A line is returned where it is in the buffer.
type lines struct {
	in   *inputfile.Lines
	line int // the number of the last one
}

func newLines(in *bufio.Reader, longest int, long func(line int) io.Writer) *lines {
	l := &lines{in: inputfile.NewLines(in, 0, longest)}
	if long != nil {
		l.in.Long = func() io.Writer { return long(l.line) }
	}
	return l
}

func (l *lines) next() (Row, []byte, error) {
	for {
		l.line++
		raw, err := l.in.Next()
		switch {
		case errors.Is(err, inputfile.ErrTooLong):
			return Row{Line: l.line, Err: errTooLong}, nil, nil
		case err != nil:
			return Row{Line: l.line}, nil, err
		}
		text := bytes.TrimPrefix(raw, []byte(inputfile.BOM)) // files were put behind each other
		if text = bytes.Trim(text, inputfile.Blanks); len(text) > 0 {
			return Row{Line: l.line, JSON: text}, raw, nil
		}
	}
}
