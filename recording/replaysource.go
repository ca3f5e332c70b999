package recording

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxValueBytes is far above what one call can come to.
const maxValueBytes = 16 << 20

// Source is files with calls in them: recordings, bodies of Kratos', folders of both.
// It holds what the files held when it was opened: what is appended later is not read.
type Source struct {
	files []sourceFile
	size  int64
}

type sourceFile struct {
	path string
	// size is what a regular file held when it was listed, -1 for a pipe. Nothing
	// beyond it is read: a file that grows during the replay would never end.
	size int64
	// found says that it was found in a folder: nobody said that it holds calls.
	found bool
}

// OpenSource lists the files. Of a folder those are taken that end in .json, .ndjson
// or .jsonl, in the order of their names, those of the folders in it too. The error is
// of a name that nothing is found under.
func OpenSource(paths ...string) (*Source, error) {
	s := &Source{}
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return nil, fmt.Errorf("find what to replay: %w", err)
		case info.IsDir():
			err = s.walk(path)
		default:
			s.add(path, info, false)
		}
		if err != nil {
			return nil, fmt.Errorf("find what to replay: %w", err)
		}
	}
	return s, nil
}

func (s *Source) walk(folder string) error {
	before := len(s.files)
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || !slices.Contains([]string{".json", ".ndjson", ".jsonl"}, filepath.Ext(path)) {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			s.add(path, info, true)
		}
		return err
	})
	if err == nil && len(s.files) == before {
		err = fmt.Errorf("%s: no file in it ends in .json, .ndjson or .jsonl", folder)
	}
	return err
}

func (s *Source) add(path string, info fs.FileInfo, found bool) {
	size := int64(-1)
	if info.Mode().IsRegular() {
		size = info.Size()
		s.size += size
	}
	s.files = append(s.files, sourceFile{path: path, size: size, found: found})
}

// Size is how many bytes there are to read.
func (s *Source) Size() int64 { return s.size }

// FileIn returns the path of a source file that lies in the directory, and false
// where no file does.
func (s *Source) FileIn(dir string) (string, bool) {
	want, err := os.Stat(dir)
	if err != nil {
		return "", false
	}
	for _, file := range s.files {
		if parent, err := os.Stat(filepath.Dir(file.path)); err == nil && os.SameFile(parent, want) {
			return file.path, true
		}
	}
	return "", false
}

// PassedOver is a file of a folder that holds no call. It is no fault: nobody said
// that it does.
type PassedOver struct{ Path string }

// Error names the file.
func (p PassedOver) Error() string { return p.Path + ": holds no call of a hook" }

// Calls reads the calls one after the other, one file at a time, a line or a file's
// value in memory. Where something cannot be read, the error says where, quotes
// nothing of it, and the next follows. read, if not nil, is told the bytes as they
// are used up.
func (s *Source) Calls(read func(n int64)) iter.Seq2[ReplayCall, error] {
	if read == nil {
		read = func(int64) {}
	}
	return func(yield func(ReplayCall, error) bool) {
		for _, file := range s.files {
			if !file.calls(read, yield) {
				return
			}
		}
	}
}

func (f sourceFile) calls(read func(int64), yield func(ReplayCall, error) bool) bool {
	in, err := os.Open(f.path)
	if err != nil {
		return yield(ReplayCall{}, fmt.Errorf("read calls: %w", err))
	}
	defer func() { _ = in.Close() }() // it was only read
	var bounded io.Reader = in
	if f.size >= 0 {
		bounded = io.LimitReader(in, f.size)
	}
	counted := &countedReader{in: bounded, read: read}
	lines := bufio.NewReaderSize(counted, 64<<10)
	first, err := readValue(lines)
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errValueSize):
		return yield(ReplayCall{}, fmt.Errorf("%s: %w", f.path, err))
	case err != nil, json.Valid(first):
		return f.lines(lines, first, err, yield)
	}
	// Its first line is no value by itself: the file is one value, or that line is broken.
	rest, err := io.ReadAll(io.LimitReader(lines, maxValueBytes+1))
	whole := slices.Concat(first, rest)
	switch {
	case err != nil:
		return yield(ReplayCall{}, fmt.Errorf("%s: %w", f.path, err))
	case !json.Valid(whole) && hasLines(rest):
		again := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(rest), lines), 64<<10)
		return f.lines(again, first, nil, yield)
	case len(rest) > maxValueBytes:
		return yield(ReplayCall{}, fmt.Errorf("%s: %w", f.path, errValueSize))
	}
	return f.value(whole, 0, yield)
}

// hasLines reports whether one of the lines is a call by itself.
func hasLines(text []byte) bool {
	for line := range bytes.Lines(text) {
		if calls, err := ParseCalls(line); err == nil && len(calls) > 0 {
			return true
		}
	}
	return false
}

// lines reads a value a line. A line that cannot be read costs itself alone.
func (f sourceFile) lines(lines *bufio.Reader, text []byte, err error, yield func(ReplayCall, error) bool) bool {
	for number := 1; ; number++ {
		switch {
		case errors.Is(err, errValueSize):
			if !yield(ReplayCall{}, fmt.Errorf("%s:%d: %w", f.path, number, err)) {
				return false
			}
		case err != nil && !errors.Is(err, io.EOF):
			return yield(ReplayCall{}, fmt.Errorf("%s:%d: %w", f.path, number, err))
		case len(bytes.TrimSpace(text)) > 0:
			if !f.value(text, number, yield) {
				return false
			}
		}
		if errors.Is(err, io.EOF) {
			return true
		}
		text, err = readValue(lines)
	}
}

// value is the calls of one value; number is its line, 0 where it is the whole file.
func (f sourceFile) value(text []byte, number int, yield func(ReplayCall, error) bool) bool {
	at := f.path
	if number > 0 {
		at = fmt.Sprintf("%s:%d", f.path, number)
	}
	calls, err := ParseCalls(text)
	switch {
	case errors.Is(err, errNotCall) && f.found && !strings.HasSuffix(f.path, ".ndjson"):
		return yield(ReplayCall{}, PassedOver{at})
	case err != nil:
		return yield(ReplayCall{}, fmt.Errorf("%s: %w", at, err))
	}
	for i, call := range calls {
		call.At = at
		if len(calls) > 1 {
			call.At = fmt.Sprintf("%s[%d]", at, i)
		}
		if !yield(call, nil) {
			return false
		}
	}
	return true
}

// readValue reads a line. Of what is longer than a value may
// be, the rest is dropped and the error is errValueSize.
func readValue(in *bufio.Reader) ([]byte, error) {
	var value []byte
	tooLong := false
	for {
		part, err := in.ReadSlice('\n')
		if tooLong = tooLong || len(value)+len(part) > maxValueBytes; !tooLong {
			value = append(value, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if tooLong && (err == nil || errors.Is(err, io.EOF)) {
			return nil, errValueSize
		}
		return value, err
	}
}

type countedReader struct {
	in   io.Reader
	read func(int64)
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.read(int64(n))
	return n, err
}
