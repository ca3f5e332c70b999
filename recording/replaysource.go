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

// maxValueBytes is far more than the largest call.
const maxValueBytes = 16 << 20

// Source is a list of files with calls: recordings, request bodies from Kratos, or folders of
// both. It has the content that the files had in OpenSource. Appended data is not read.
type Source struct {
	files []sourceFile
	size  int64
}

type sourceFile struct {
	path string
	// size is the size of a regular file in OpenSource, or -1 for a pipe. Reading stops
	// there: replaying into the directory that is read would never end.
	size int64
	// found means that the file was found in a folder, so it need not hold calls.
	found bool
}

// OpenSource lists the files. In folders and their subfolders, it takes the files that end in
// .json, .ndjson or .jsonl, in the order of their names. It fails if a path does not exist or
// a folder has no such file.
func OpenSource(paths ...string) (*Source, error) {
	s := &Source{}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err == nil && info.IsDir() {
			err = s.walk(path)
		} else if err == nil {
			s.add(path, info, false)
		}
		if err != nil {
			return nil, fmt.Errorf("find calls: %w", err)
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

// Size is the number of bytes to read.
func (s *Source) Size() int64 { return s.size }

// FileIn returns the path of a file in the directory, or false if there is none.
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

// PassedOver is the error for a file without calls that was found in a folder.
type PassedOver struct{ Path string }

// Error names the file.
func (p PassedOver) Error() string { return p.Path + ": has no calls" }

// Calls reads the calls in order. It holds one line, or one file with a single value, in
// memory. After an error it continues with the next value. Errors name the file and quote
// nothing of it. read is called with the number of bytes after each read.
func (s *Source) Calls(read func(n int64)) iter.Seq2[ReplayCall, error] {
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
	lines := bufio.NewReaderSize(io.TeeReader(bounded, counter(read)), 64<<10)
	first, err := readValue(lines)
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errValueSize):
		return yield(ReplayCall{}, fmt.Errorf("%s: %w", f.path, err))
	case err != nil, json.Valid(first):
		return f.lines(lines, first, err, yield)
	}
	// The first line is not a complete value. Either the file is one value, or the line is broken.
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

// hasLines reports whether one of the lines is a call.
func hasLines(text []byte) bool {
	for line := range bytes.Lines(text) {
		if calls, err := parseCalls(line); err == nil && len(calls) > 0 {
			return true
		}
	}
	return false
}

// lines reads one value per line, beginning with text. After a broken line it continues with
// the next one.
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

// value yields the calls of one value. number is its line, or 0 if it is the whole file.
func (f sourceFile) value(text []byte, number int, yield func(ReplayCall, error) bool) bool {
	at := f.path
	if number > 0 {
		at = fmt.Sprintf("%s:%d", f.path, number)
	}
	calls, err := parseCalls(text)
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

// readValue reads a line. If the line is too long, it skips the line and returns errValueSize.
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

// counter is called with the number of bytes of each write.
type counter func(int64)

func (c counter) Write(p []byte) (int, error) {
	c(int64(len(p)))
	return len(p), nil
}
