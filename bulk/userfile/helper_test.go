package userfile_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferry/bulk/userfile"
)

// pack is text as one gzip member.
func pack(tb testing.TB, text string) string {
	tb.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.String()
}

func write(tb testing.TB, text string) string {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "users")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return name
}

// open opens a file that holds the text, and holds the directory for temporary files
// against what is left there.
func open(tb testing.TB, text string) *userfile.Source {
	tb.Helper()
	dir := tb.TempDir()
	s, err := userfile.Open(tb.Context(), write(tb, text), nil, dir, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	empty(tb, dir)
	return s
}

func empty(tb testing.TB, dir string) {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		tb.Errorf("left in the directory for temporary files: %v, %v", entries, err)
	}
}

// pass makes one pass; each row becomes its line, and its JSON or its error.
func pass(ctx context.Context, s *userfile.Source) (rows []string, err error) {
	for row, err := range s.Rows(ctx) {
		if err != nil {
			return rows, err
		}
		text := string(row.JSON)
		if row.Err != nil {
			text = "error: " + row.Err.Error()
		}
		rows = append(rows, fmt.Sprintf("%d %s", row.Line, text))
	}
	return rows, nil
}

func mustPass(tb testing.TB, s *userfile.Source) []string {
	tb.Helper()
	rows, err := pass(tb.Context(), s)
	if err != nil {
		tb.Fatal(err)
	}
	return rows
}

// values are the rows without their lines.
func values(rows []string) []string {
	var out []string
	for _, row := range rows {
		_, value, _ := strings.Cut(row, " ")
		out = append(out, value)
	}
	return out
}

func same(tb testing.TB, got, want []string) {
	tb.Helper()
	if !slices.Equal(got, want) {
		tb.Errorf("rows:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
