package userfile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"ferry/bulk/inputfile"
)

// Copy reads the file once and writes the rows that keep selects by their line, unchanged
// and in the format of the file. Pages become an array. Rows that cannot be read are
// copied too, so that they can be fixed in the copy.
//
// mark changes the first copied row that it returns no error for, except in CSV, whose header
// has every column of the file; nil: no row.
//
// The copy is not compressed. If the pass ends early, the rows until then are written, and
// the error is that of Rows.
func (s *Source) Copy(ctx context.Context, w io.Writer, keep func(line int) bool, mark func([]byte) ([]byte, error)) error {
	out := bufio.NewWriterSize(w, inputfile.BufferSize) // Flush returns its first error
	c := &copier{out: out, keep: keep, array: s.format == Array || s.format == Pages}
	if s.format != CSV {
		c.mark = mark
	}
	c.begin(s.bom)
	err := s.each(ctx, visitor{header: c.line, long: c.long, row: c.row})
	c.end()
	if flush := out.Flush(); flush != nil {
		return errors.Join(err, fmt.Errorf("copy users: %w", flush))
	}
	return err
}

type copier struct {
	out     *bufio.Writer
	keep    func(line int) bool
	mark    func([]byte) ([]byte, error) // nil once a row has the mark
	array   bool
	copied  bool // an element
	stopped bool
}

// write leaves its error to the flush, and ends the pass.
func (c *copier) write(part []byte) {
	if _, err := c.out.Write(part); err != nil {
		c.stopped = true
	}
}

func (c *copier) begin(mark bool) {
	if mark {
		c.write([]byte(inputfile.BOM))
	}
	if c.array {
		c.write([]byte("["))
	}
}

func (c *copier) row(row Row, raw []byte) bool {
	if c.keep(row.Line) {
		c.keepRow(raw)
	}
	return !c.stopped
}

func (c *copier) keepRow(raw []byte) {
	if c.mark != nil {
		if marked, err := c.mark(bytes.Trim(raw, inputfile.Blanks)); err == nil {
			raw, c.mark = marked, nil
		}
	}
	if !c.array {
		c.line(raw)
		return
	}
	if c.copied {
		c.write([]byte(","))
	}
	c.write([]byte("\n"))
	c.write(raw)
	c.copied = true
}

// line adds a line end if it is missing, as on the last line of a file.
func (c *copier) line(raw []byte) {
	c.write(raw)
	if len(raw) > 0 && !bytes.HasSuffix(raw, []byte("\n")) {
		c.write([]byte("\n"))
	}
}

func (c *copier) long(line int) io.Writer {
	if !c.keep(line) {
		return io.Discard
	}
	return c.out
}

func (c *copier) end() {
	if c.array {
		c.write([]byte("\n]\n"))
	}
}
