// Package userfile reads a file of Auth0 users in as many passes as needed: NDJSON or CSV
// from an export job, or JSON objects in an array, side by side, or in pages of the
// Management API; UTF-8 or UTF-16, plain, gzip, or alone in a zip archive.
//
// It splits the file into rows and converts CSV to JSON. It does not interpret rows. Its
// errors contain columns and row numbers, never values.
package userfile

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/maphash"
	"io"
	"iter"
	"sync/atomic"

	"golang.org/x/crypto/blake2b"

	"ferry/bulk/filetype"
	"ferry/bulk/inputfile"
	"ferry/bulk/jsonstream"
)

// Format is the format of a file.
type Format string

// The formats. The first byte that is not blank tells them apart.
const (
	// NDJSON is one user per line; it begins with {. A file without rows is NDJSON too.
	NDJSON Format = "NDJSON"
	// Array is one JSON array of users, or several in a row; it begins with [.
	Array Format = "JSON array"
	// Objects is JSON objects in a row that are not one per line; it begins with {.
	Objects Format = "JSON objects"
	// Pages is one or more answers of the Management API to a list of users with totals:
	// objects with the users in a list named "users".
	Pages Format = "pages of the Management API"
	// CSV is everything else: RFC 4180 with a header. A file whose first line does not
	// name user_id and that has objects on later lines is NDJSON with a broken line.
	CSV Format = "CSV"
)

// shape is the same as a shape of jsonstream.
func (f Format) shape() jsonstream.Shape {
	return map[Format]jsonstream.Shape{Array: jsonstream.Array, Objects: jsonstream.Objects, Pages: jsonstream.Pages}[f]
}

// Row is one user of the file.
type Row struct {
	// Line is the line on which the row begins, from 1; in formats other than NDJSON and
	// CSV, the number of the user.
	Line int
	// JSON is the user, valid until the next row. Except for CSV it is a part of the file;
	// for NDJSON it may not be valid JSON.
	JSON []byte
	// Err is why this row cannot be read, without its values. Later rows can be.
	Err error
}

// Row sizes in bytes.
const (
	maxRow = 8 << 20
	// maxHeld is the row size that ends the pass in formats where the end of a longer row
	// cannot be found without buffering it.
	maxHeld = 64 << 20
)

// Source is an open users file. Except for Offset, its methods are not safe for
// concurrent use.
type Source struct {
	raw     io.ReaderAt
	close   func() error
	size    int64
	zip     *inputfile.Zip // nil: the file is not an archive
	bom     bool
	fields  Columns
	format  Format
	row     int // maximum row size
	held    int // maximum buffered part of a row
	offset  atomic.Int64
	columns []string // of CSV, once a pass has read the header
	digest  string
	more    func([]byte) ([]byte, error) // nil: rows are complete
	seed    maphash.Seed
	print   uint64 // fingerprint of the first pass; valid once there is a digest
}

// Open opens a users file. It detects the format, gzip, zip and UTF-16 from the file's
// bytes, and skips a byte order mark. columns are those that the operator named; nil: none.
//
// The name - means stdin. Stdin, and any other file that cannot be read twice, is first
// copied to an unnamed temporary file in dir; an empty dir is the system's directory. If
// ctx ends while a read of stdin blocks, Open returns and leaves that read behind.
//
// Errors contain nothing of the file but its name.
func Open(ctx context.Context, name string, stdin io.Reader, dir string, columns Columns) (*Source, error) {
	file, size, err := openFile(ctx, name, stdin, dir)
	if err != nil {
		return nil, fmt.Errorf("open users file: %w", err)
	}
	s, err := newSource(ctx, file, size, file.Close, columns)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return s, nil
}

func newSource(ctx context.Context, raw io.ReaderAt, size int64, closer func() error, columns Columns) (*Source, error) {
	s := &Source{raw: raw, size: size, close: closer, fields: columns, seed: maphash.MakeSeed(), row: maxRow, held: maxHeld}
	var err error
	switch s.zip, err = inputfile.OpenZip(raw, size); {
	case err != nil:
		return nil, fmt.Errorf("read users file: %w", err)
	case s.zip != nil:
		s.raw, s.size = io.NewSectionReader(raw, s.zip.Offset, s.zip.Size), s.zip.Size
	}
	p, err := s.begin(ctx)
	if err != nil {
		return nil, located(err, 1)
	}
	s.bom = p.bom
	if s.format, err = detect(p.in); err != nil {
		return nil, located(err, 1)
	}
	s.offset.Store(0)
	return s, nil
}

// detect looks at the first byte that is not blank.
func detect(in *bufio.Reader) (Format, error) {
	start, _ := in.Peek(filetype.Peek) // a read below repeats an error
	if what, advice, foreign := filetype.Foreign(start); foreign {
		return "", inputfile.NewFault("the file is "+what, advice)
	}
	for {
		b, err := in.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return NDJSON, nil
		case err != nil:
			return "", err
		}
		switch b {
		case ' ', '\t', '\r', '\n':
		case '[', '{':
			return detectJSON(in)
		default:
			return named(in), nil
		}
	}
}

// detectJSON tells the JSON formats apart. The first byte was just read.
func detectJSON(in *bufio.Reader) (Format, error) {
	if err := in.UnreadByte(); err != nil {
		return "", err
	}
	shape, err := jsonstream.Sniff(in)
	for _, format := range []Format{Array, Objects, Pages} {
		if format.shape() == shape {
			return format, err
		}
	}
	return NDJSON, err
}

// named tells CSV from NDJSON with a broken first line: the header of CSV names user_id.
func named(in *bufio.Reader) Format {
	if in.UnreadByte() != nil {
		return CSV // cannot happen: a byte was just read
	}
	start, _ := in.Peek(in.Size()) // all of a short file
	header, rest, _ := bytes.Cut(start, []byte("\n"))
	if _, found := namedSeparator(string(header)); found {
		return CSV
	}
	objects := bytes.HasPrefix(rest, []byte("{")) || bytes.Contains(rest, []byte("\n{"))
	if objects && !bytes.Contains(header, []byte("user_id")) {
		return NDJSON
	}
	return CSV
}

// ErrAbsent is the error of a row whose user Auth0 does not have.
var ErrAbsent = errors.New("the user is not at Auth0: deleted since the file was exported, or of another tenant")

// Complete has each row replaced by what more returns for it: the user with further fields.
// ErrAbsent is the error of the row, which then keeps its JSON; other errors end the pass.
// Copies, and the digest, are of the file itself.
func (s *Source) Complete(more func(row []byte) ([]byte, error)) { s.more = more }

// completed completes a row.
func (s *Source) completed(row Row) (Row, error) {
	if s.more == nil || row.Err != nil {
		return row, nil
	}
	text, err := s.more(row.JSON)
	switch {
	case errors.Is(err, ErrAbsent):
		row.Err = ErrAbsent
	case err != nil:
		return row, err
	default:
		row.JSON = text
	}
	return row, nil
}

// Format returns the format of the file.
func (s *Source) Format() Format { return s.format }

// Columns returns the fields that the columns of CSV stand for. It is
// nil before the first pass, and for other formats.
func (s *Source) Columns() []string { return s.columns }

// Size returns the size of the file, not decompressed, in bytes.
func (s *Source) Size() int64 { return s.size }

// Offset returns how many bytes of Size the current or last pass has read. It is safe for
// concurrent use.
func (s *Source) Offset() int64 { return s.offset.Load() }

// Digest returns the BLAKE2b-256 of the file, not decompressed, in hexadecimal digits. It
// is empty before the first complete pass.
func (s *Source) Digest() string { return s.digest }

// Close closes the file, and deletes the copy of stdin.
func (s *Source) Close() error {
	if err := s.close(); err != nil {
		return fmt.Errorf("close users file: %w", err)
	}
	return nil
}

// Rows reads the file once from its start. An error ends the pass: ctx ended, or the rest
// of the file cannot be read; the text names the row and what to do. If the file changed
// since an earlier pass, the pass ends with an error.
func (s *Source) Rows(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		err := s.each(ctx, visitor{row: func(row Row, _ []byte) bool { return yield(row, nil) }})
		if err != nil {
			yield(Row{}, err)
		}
	}
}

// rows reads one format.
type rows interface {
	// next returns a row, and the bytes of the file that it was read from. At the end of
	// the file the error is io.EOF. With other errors the row has its line.
	next() (row Row, raw []byte, err error)
}

// visitor receives what a pass reads. Only row is required.
type visitor struct {
	header func(raw []byte)
	// long returns a writer for a line that is too long to buffer; row does not get its
	// text.
	long func(line int) io.Writer
	// row gets a row and its bytes in the file, and reports whether to continue.
	row func(row Row, raw []byte) bool
}

func (s *Source) each(ctx context.Context, v visitor) error {
	p, err := s.begin(ctx)
	if err != nil {
		return located(err, 1)
	}
	r, err := s.open(p.in, v)
	if err != nil {
		return located(err, 1)
	}
	names := renamer{columns: s.fields, seen: map[string]bool{}}
	for {
		row, raw, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			return s.complete(p, &names)
		case err != nil:
			return located(err, row.Line)
		case ctx.Err() != nil:
			return located(ctx.Err(), row.Line)
		}
		if s.format != CSV && row.Err == nil {
			row.JSON = names.rename(row.JSON)
		}
		if row, err = s.completed(row); err != nil {
			return located(err, row.Line)
		}
		if p.sum != nil {
			p.encoding.note(row.Line, raw)
		}
		if !v.row(row, raw) {
			return nil
		}
	}
}

func (s *Source) open(in *bufio.Reader, v visitor) (rows, error) {
	switch s.format {
	case Array, Objects, Pages:
		return newElements(in, s.format, s.row, s.held), nil
	case CSV:
		t, err := newTable(in, s.fields, s.row, s.held)
		if err != nil {
			return nil, err
		}
		s.columns = t.names
		if v.header != nil {
			v.header(t.header)
		}
		return t, nil
	case NDJSON:
	}
	return newLines(in, s.row, v.long), nil
}

// complete checks the first complete pass and records its digest, and compares later passes
// with it.
func (s *Source) complete(p *pass, names *renamer) error {
	switch {
	case s.digest == "":
		err := p.encoding.fault()
		if err == nil && s.format != CSV {
			err = names.unseen()
		}
		if err != nil {
			return fmt.Errorf("read users file: %w", err)
		}
		s.digest, s.print = hex.EncodeToString(p.sum.Sum(nil)), p.print.Sum64()
	case s.print != p.print.Sum64():
		return errors.New("read users file: the file changed since it was read before: import a copy that no program writes to")
	}
	return nil
}

// pass is one pass over the file.
type pass struct {
	in  *bufio.Reader // decompressed UTF-8, after the byte order mark
	bom bool
	// sum is nil except in the first complete pass: it costs more than the rest of a pass.
	sum      hash.Hash
	print    maphash.Hash
	encoding encoding
}

func (s *Source) begin(ctx context.Context) (*pass, error) {
	s.offset.Store(0)
	p := &pass{}
	p.print.SetSeed(s.seed)
	if s.digest == "" {
		sum, err := blake2b.New256(nil)
		if err != nil {
			return nil, fmt.Errorf("read users file: %w", err)
		}
		p.sum = sum
	}
	packed := s.bytes(ctx, p)
	if s.zip != nil {
		packed = s.zip.Unpack(packed)
	}
	var err error
	p.in, p.bom, err = inputfile.Text(bufio.NewReaderSize(packed, inputfile.BufferSize))
	return p, err
}

// bytes reads the file, counts and hashes its bytes, and stops when ctx ends.
func (s *Source) bytes(ctx context.Context, p *pass) io.Reader {
	file := io.NewSectionReader(s.raw, 0, s.size)
	return inputfile.ReaderFunc(func(into []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := file.Read(into)
		_, _ = p.print.Write(into[:n]) // a hash returns no errors
		if p.sum != nil {
			_, _ = p.sum.Write(into[:n])
		}
		if read := s.offset.Add(int64(n)); errors.Is(err, io.EOF) && read < s.size {
			err = inputfile.ErrShrunk
		}
		return n, err
	})
}
