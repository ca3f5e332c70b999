// Package userfile reads the users that an import takes across: a file as Auth0's
// export job writes it, NDJSON or CSV, or users as JSON in an array, side by side or in
// pages of the Management API, each plain or gzipped, in as many passes as the reader
// needs.
//
// It delimits rows and turns CSV into JSON. What a row says is not looked at, and no
// error holds a value of a person's: a column, a row's number, never a cell.
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
	"ferry/bulk/jsonstream"
)

// Format is how the users stand in the file.
type Format string

// The formats, told apart by the first byte that is no blank.
const (
	// NDJSON is one user a line; it begins with {. So is a file without any row.
	NDJSON Format = "NDJSON"
	// Array is a JSON array of users, or several behind each other; it begins with [.
	Array Format = "JSON array"
	// Objects is users side by side that do not keep to lines; it begins with {.
	Objects Format = "JSON objects"
	// Pages is what the Management API answers to a list of users with totals, one
	// page or several: objects with the users in a list below "users".
	Pages Format = "pages of the Management API"
	// CSV is everything else: RFC 4180, the first row naming the columns. A file whose
	// first line names no user_id, and that goes on with objects, is NDJSON though.
	CSV Format = "CSV"
)

// shape is the format in the words of the reader of JSON.
func (f Format) shape() jsonstream.Shape {
	return map[Format]jsonstream.Shape{Array: jsonstream.Array, Objects: jsonstream.Objects, Pages: jsonstream.Pages}[f]
}

// Row is one user of the file.
type Row struct {
	// Line is where the row begins, from 1: the physical line of NDJSON and CSV, the
	// user's ordinal in the other formats.
	Line int
	// JSON is the user. Of all formats but CSV it is what stands there, of NDJSON not
	// even known to be JSON. It is valid until the next row.
	JSON []byte
	// Err is why this row cannot be read, without any value of it. The next ones can.
	Err error
}

// The sizes of rows, in bytes.
const (
	maxRow = 8 << 20
	// maxHeld is where a row of an array or of CSV, whose end cannot be found without
	// holding it, ends the pass instead of being refused.
	maxHeld    = 64 << 20
	bufferSize = 64 << 10
)

// Source is a users file that is open. One pass at a time: apart from Offset, its
// methods are not safe for concurrent use.
type Source struct {
	raw    io.ReaderAt
	close  func() error
	size   int64
	gzip   bool
	bom    bool
	format Format
	row    int // the longest row, in bytes
	held   int // what is held of one at most, in bytes
	offset atomic.Int64
	digest string
	seed   maphash.Seed
	print  uint64 // what tells the file from a changed one, once there is a digest
}

// Open prepares a users file for several passes. Its format and whether it is gzipped
// are told by its bytes; an UTF-8 byte order mark is passed over.
//
// The name - stands for stdin. That, and whatever else cannot be read twice, is first
// copied to a file in dir (empty: where the system has such files) that has no name
// from the start and is gone once closed. When ctx ends while stdin says nothing, Open
// returns and leaves that one read behind.
//
// The errors name the file at most.
func Open(ctx context.Context, name string, stdin io.Reader, dir string) (*Source, error) {
	file, size, err := openFile(ctx, name, stdin, dir)
	if err != nil {
		return nil, fmt.Errorf("open users file: %w", err)
	}
	s, err := newSource(ctx, file, size, file.Close)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return s, nil
}

func newSource(ctx context.Context, raw io.ReaderAt, size int64, closer func() error) (*Source, error) {
	s := &Source{raw: raw, size: size, close: closer, seed: maphash.MakeSeed(), row: maxRow, held: maxHeld}
	var magic [2]byte
	n, err := raw.ReadAt(magic[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("open users file: %w", err)
	}
	s.gzip = n == len(magic) && string(magic[:]) == gzipMagic
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

// detect looks at the first byte that is no blank.
func detect(in *bufio.Reader) (Format, error) {
	start, _ := in.Peek(filetype.Peek) // what cannot be read is told below
	if what, advice, foreign := filetype.Foreign(start); foreign {
		return "", &fault{"the file is " + what, advice}
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

// detectJSON tells the formats of JSON. The first byte was just read.
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

// named tells CSV from NDJSON whose first line is broken: CSV names its columns, and
// user_id among them.
func named(in *bufio.Reader) Format {
	if in.UnreadByte() != nil {
		return CSV // it never is: a byte was just read
	}
	start, _ := in.Peek(in.Size()) // a short file is read whole
	header, rest, _ := bytes.Cut(start, []byte("\n"))
	objects := bytes.HasPrefix(rest, []byte("{")) || bytes.Contains(rest, []byte("\n{"))
	if objects && !bytes.Contains(header, []byte("user_id")) {
		return NDJSON
	}
	return CSV
}

// Format is how the users stand in the file.
func (s *Source) Format() Format { return s.format }

// Size is that of the file as it stands, packed or not, in bytes.
func (s *Source) Size() int64 { return s.size }

// Offset is how many bytes of Size the pass that runs, or ran last, has read. It is
// safe to call at any time.
func (s *Source) Offset() int64 { return s.offset.Load() }

// Digest is the BLAKE2b-256 of the file as it stands, packed or not, in hexadecimal digits;
// empty before the first complete pass.
func (s *Source) Digest() string { return s.digest }

// Close gives the file back; what was copied of stdin is gone with it.
func (s *Source) Close() error {
	if err := s.close(); err != nil {
		return fmt.Errorf("close users file: %w", err)
	}
	return nil
}

// Rows passes once over the file, from its start. The error ends the pass: ctx is over,
// or the file is damaged from there on, which its text says with the row and with what
// to do. A file that is not what it was in an earlier pass is an error at its end.
func (s *Source) Rows(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		err := s.each(ctx, visitor{row: func(row Row, _ []byte) bool { return yield(row, nil) }})
		if err != nil {
			yield(Row{}, err)
		}
	}
}

// rows is one format's reader.
type rows interface {
	// next reads a row, and raw is what stands in the file for it. At the end of the
	// file the error is io.EOF; of any other one the row has the line.
	next() (row Row, raw []byte, err error)
}

// visitor is who a pass is for. Only row has to be there.
type visitor struct {
	header func(raw []byte)
	// long gives what takes a line that is too long to be held; row gets nothing of it.
	long func(line int) io.Writer
	// row gets what stands in the file, too, and says whether to go on.
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
	for {
		row, raw, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			return s.complete(p)
		case err != nil:
			return located(err, row.Line)
		case ctx.Err() != nil:
			return located(ctx.Err(), row.Line)
		case !v.row(row, raw):
			return nil
		}
	}
}

func (s *Source) open(in *bufio.Reader, v visitor) (rows, error) {
	switch s.format {
	case Array, Objects, Pages:
		return newElements(in, s.format, s.row, s.held), nil
	case CSV:
		t, err := newTable(in, s.row, s.held)
		if err != nil {
			return nil, err
		}
		if v.header != nil {
			v.header(t.header)
		}
		return t, nil
	case NDJSON:
	}
	return &lines{in: in, max: s.row, long: v.long}, nil
}

// complete notes the digest of the first pass that saw the whole file, and holds the
// later ones against it.
func (s *Source) complete(p *pass) error {
	switch {
	case s.digest == "":
		s.digest, s.print = hex.EncodeToString(p.sum.Sum(nil)), p.print.Sum64()
	case s.print != p.print.Sum64():
		return errors.New("read users file: the file is not what it was when it was read before: import a copy that nobody writes to")
	}
	return nil
}

// pass is one reading of the file.
type pass struct {
	in  *bufio.Reader // unpacked, behind the byte order mark
	bom bool
	// sum is wanted of one pass only: it costs more than the rest of it.
	sum   hash.Hash
	print maphash.Hash
}

func (s *Source) begin(ctx context.Context) (*pass, error) {
	s.offset.Store(0)
	p := &pass{}
	p.print.SetSeed(s.seed)
	if s.digest == "" {
		var err error
		if p.sum, err = blake2b.New256(nil); err != nil {
			return nil, fmt.Errorf("read users file: %w", err)
		}
	}
	p.in = bufio.NewReaderSize(s.bytes(ctx, p), bufferSize)
	if s.gzip {
		unpacked, err := gunzip(p.in)
		if err != nil {
			return nil, err
		}
		p.in = bufio.NewReaderSize(unpacked, bufferSize)
	}
	if start, _ := p.in.Peek(len(bom)); string(start) == bom { // an error comes again where rows are read
		p.bom = true
		if _, err := p.in.Discard(len(bom)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// What a file begins with.
const (
	bom       = "\ufeff"
	gzipMagic = "\x1f\x8b"
)

// bytes reads the file as it stands, counted and digested, until ctx ends.
func (s *Source) bytes(ctx context.Context, p *pass) io.Reader {
	file := io.NewSectionReader(s.raw, 0, s.size)
	return readerFunc(func(into []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := file.Read(into)
		_, _ = p.print.Write(into[:n]) // a hash takes everything
		if p.sum != nil {
			_, _ = p.sum.Write(into[:n])
		}
		if read := s.offset.Add(int64(n)); errors.Is(err, io.EOF) && read < s.size {
			err = errShrunk
		}
		return n, err
	})
}
