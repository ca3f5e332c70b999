package userfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"ferry/bulk/inputfile"
)

var (
	errHeader = inputfile.NewFault("the header is not valid CSV", "a users file begins with {, with [, or with the names of its columns")
	errQuote  = inputfile.NewFault("a quote is not closed", "close it, or double it if it is part of the cell")
)

// table reads CSV.
type table struct {
	in          *csv.Reader
	window      *window
	columns     *column
	names       []string // of the fields that the columns have; "" for one to ignore
	apostrophes apostrophes
	titles      []string
	header      []byte // as in the file, with a line that names the separator
	before      int    // lines before the header
	line        int    // the line on which the last row begins
	max         int
	json        []byte
}

// newTable reads the header.
func newTable(in *bufio.Reader, columns Columns, longest, held int) (*table, error) {
	first, separator, err := readSeparator(in, columns)
	if err != nil {
		return nil, err
	}
	t := &table{window: &window{in: in, max: held}, before: bytes.Count(first, []byte("\n")), max: longest}
	t.in = csv.NewReader(bufio.NewReaderSize(t.window, inputfile.BufferSize))
	t.in.Comma = separator
	t.in.ReuseRecord = true
	t.in.FieldsPerRecord = -1 // counted in next: a blank line is not a row
	titles, raw, err := t.record()
	var malformed *csv.ParseError
	switch {
	case errors.Is(err, io.EOF), errors.As(err, &malformed):
		return nil, errHeader
	case err != nil:
		return nil, err
	}
	t.header, t.titles = slices.Concat(first, raw), slices.Clone(titles)
	t.columns, t.names, err = readHeader(t.titles, columns)
	return t, err
}

func (t *table) next() (Row, []byte, error) {
	record, raw, err := t.record()
	for err == nil && t.isHeader(record) { // files were put behind each other
		record, raw, err = t.record()
	}
	var malformed *csv.ParseError
	if errors.As(err, &malformed) {
		t.line = malformed.StartLine + t.before
		return Row{Line: t.line, Err: quoteFault(malformed, t.before)}, raw, nil
	}
	if err != nil {
		return Row{Line: t.line + 1}, nil, err
	}
	t.line, _ = t.in.FieldPos(0)
	t.line += t.before
	row := Row{Line: t.line}
	switch {
	case len(raw) > t.max:
		row.Err = errTooLong
	case len(record) != len(t.titles):
		row.Err = fmt.Errorf("the row has %d cells and the header %d", len(record), len(t.titles))
	default:
		row.Err = t.apostrophes.remove(record, t.columns.cell)
	}
	if row.Err == nil {
		t.json, row.Err = t.columns.appendObject(t.json[:0], record)
	}
	if row.Err == nil {
		row.JSON = t.json
	}
	return row, raw, nil
}

// isHeader reports whether a row repeats the header.
func (t *table) isHeader(record []string) bool {
	return len(record) == len(t.titles) && strings.TrimPrefix(record[0], inputfile.BOM) == t.titles[0] && slices.Equal(record[1:], t.titles[1:])
}

// quoteFault names the lines that a misplaced quote affects. Reading continues with the
// line after them.
func quoteFault(at *csv.ParseError, before int) error {
	if at.Line == at.StartLine {
		return errors.New("a quote is misplaced")
	}
	return fmt.Errorf("a quote is misplaced or missing: lines %d to %d were read as one row", at.StartLine+before, at.Line+before)
}

// record reads the next row that is not blank. Errors other than *csv.ParseError, which
// is about one row, end the file.
func (t *table) record() (record []string, raw []byte, err error) {
	for {
		record, err = t.in.Read()
		end := t.in.InputOffset()
		atEnd := t.window.ends(end)
		raw = trimLines(t.window.cut(end))
		switch {
		case err != nil && atEnd && t.window.failed != nil:
			return nil, nil, t.window.failed // the row is cut off, not malformed
		case atEnd && isOpen(err, raw):
			return nil, nil, errQuote
		case err == nil && len(bytes.Trim(raw, inputfile.Blanks)) == 0:
			t.line++
		default:
			return record, raw, err
		}
	}
}

// isOpen reports whether a row failed because a quote is still open at its end. The
// error's position is then after its last line.
func isOpen(err error, raw []byte) bool {
	var malformed *csv.ParseError
	if !errors.As(err, &malformed) || !errors.Is(err, csv.ErrQuote) {
		return false
	}
	last := bytes.TrimSuffix(bytes.TrimSuffix(raw, []byte("\n")), []byte("\r"))
	last = last[bytes.LastIndexByte(last, '\n')+1:]
	return malformed.Column > len(last)
}

// trimLines removes the empty lines before a row.
func trimLines(raw []byte) []byte {
	for {
		rest := bytes.TrimPrefix(bytes.TrimPrefix(raw, []byte("\r\n")), []byte("\n"))
		if len(rest) == len(raw) {
			return raw
		}
		raw = rest
	}
}

// window buffers the bytes read since the end of the last row.
type window struct {
	in     io.Reader
	held   []byte
	head   int   // start of the row in held
	start  int64 // start of the row in the file
	max    int
	failed error // a read error other than io.EOF
}

func (w *window) Read(p []byte) (int, error) {
	if w.head > 0 {
		w.held = w.held[:copy(w.held, w.held[w.head:])]
		w.head = 0
	}
	if len(w.held) > w.max {
		w.failed = errHeld
		return 0, errHeld
	}
	n, err := w.in.Read(p)
	w.held = append(w.held, p[:n]...)
	if err != nil && !errors.Is(err, io.EOF) {
		w.failed = err
	}
	return n, err
}

// ends reports whether nothing was read after the offset.
func (w *window) ends(offset int64) bool {
	return offset-w.start == int64(len(w.held)-w.head)
}

// cut returns the bytes before the offset, valid until the next Read.
func (w *window) cut(offset int64) []byte {
	n := int(offset - w.start)
	raw := w.held[w.head : w.head+n]
	w.head, w.start = w.head+n, offset
	return raw
}
