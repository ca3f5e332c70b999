package hashfile

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"ferry/bulk/inputfile"
)

// lines reads entries that are a line each.
type lines struct{ in *inputfile.Lines }

func (l lines) place() (start, end int64) { return l.in.Place() }

func (l lines) next() ([]byte, error) {
	text, err := l.in.Next()
	return bytes.Trim(text, inputfile.Blanks), err
}

// lineAt reads the line that begins at an offset of a file of the given size.
func lineAt(file io.ReaderAt, offset, size int64) ([]byte, error) {
	const usual = 1 << 10 // bytes; a line has about half of that
	in := bufio.NewReaderSize(io.NewSectionReader(file, offset, size-offset), usual)
	text, err := inputfile.NewLines(in, 0, maxLine).Next()
	if errors.Is(err, io.EOF) || errors.Is(err, inputfile.ErrTooLong) {
		return nil, errChanged
	}
	return bytes.Trim(text, inputfile.Blanks), err
}
