package hashfile

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const bufferSize = 64 << 10

// blanks are those of JSON.
const blanks = " \t\r\n"

// lines reads one line after the other and knows where each begins.
type lines struct {
	in     *bufio.Reader
	start  int64  // of the last line
	offset int64  // behind it
	held   []byte // a line longer than the buffer
}

func (l *lines) place() (start, end int64) { return l.start, l.offset }

// next gives a line without the blanks around it, valid until the next one; of a line
// that is too long only the error.
func (l *lines) next() ([]byte, error) {
	l.start = l.offset
	l.held = l.held[:0]
	tooLong := false
	for {
		part, err := l.in.ReadSlice('\n')
		l.offset += int64(len(part))
		full := errors.Is(err, bufio.ErrBufferFull)
		switch {
		case err != nil && !full && !errors.Is(err, io.EOF):
			return nil, err
		case errors.Is(err, io.EOF) && l.offset == l.start:
			return nil, io.EOF
		case !full && len(l.held) == 0 && !tooLong:
			return bytes.Trim(part, blanks), nil
		}
		if tooLong = tooLong || len(l.held)+len(part) > maxLine; !tooLong {
			l.held = append(l.held, part...)
		}
		if full {
			continue
		}
		if tooLong {
			return nil, errTooLong
		}
		return bytes.Trim(l.held, blanks), nil
	}
}

// lineAt reads the line that begins at an offset, of a file that had the size.
func lineAt(file io.ReaderAt, offset, size int64) ([]byte, error) {
	text := make([]byte, 0, 1<<10) // one is half of that
	for {
		part := text[len(text):min(int64(cap(text)), size-offset)]
		n, err := file.ReadAt(part, offset+int64(len(text)))
		switch {
		case n == len(part):
		case errors.Is(err, io.EOF):
			return nil, errChanged
		default:
			return nil, err
		}
		text = text[:len(text)+n]
		if end := bytes.IndexByte(part, '\n'); end >= 0 {
			return bytes.Trim(text[:len(text)-n+end], blanks), nil
		}
		if offset+int64(len(text)) == size {
			return bytes.Trim(text, blanks), nil
		}
		if len(text) > maxLine {
			return nil, errChanged
		}
		text = append(make([]byte, 0, 2*cap(text)), text...)
	}
}
