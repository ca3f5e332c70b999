package fulldisk_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ferry/test/fulldisk"
)

// writer is a program that writes lines to a file of a disk.
type writer struct {
	*exec.Cmd

	in      io.WriteCloser
	answers *bufio.Scanner
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, disk *fulldisk.Disk) *writer {
	t.Helper()
	program := append(disk.Under(), "sh", "-c",
		`trap "" XFSZ; while read -r line; do printf '%s\n' "$line" >>"$0" && echo written || echo refused; done`, filepath.Join(disk.Dir(), "file"))
	w := &writer{Cmd: exec.CommandContext(t.Context(), program[0], program[1:]...)}
	var err error
	w.in, err = w.StdinPipe()
	must(t, err)
	out, err := w.StdoutPipe()
	must(t, err)
	w.answers = bufio.NewScanner(out)
	must(t, w.Start())
	return w
}

func (w *writer) write(t *testing.T, line, want string) {
	t.Helper()
	if _, err := fmt.Fprintln(w.in, line); err != nil || !w.answers.Scan() || w.answers.Text() != want {
		t.Errorf("%.10s: %s, want %s; %v, %v", line, w.answers.Text(), want, err, w.answers.Err())
	}
}

// TestFill: whatever the disk is made of, a running program can write nothing while it is
// full, nor can a new one, and everything is there afterwards.
func TestFill(t *testing.T) {
	t.Parallel()
	for name, disk := range map[string]*fulldisk.Disk{"a file system": fulldisk.New(t), "a limit": fulldisk.Limited(t)} {
		t.Run(name, func(t *testing.T) {
			w := start(t, disk)
			w.write(t, "before", "written")
			must(t, disk.Fill(w.Process.Pid))
			w.write(t, strings.Repeat("x", 8192), "refused")
			another := append(disk.Under(), "sh", "-c", `printf x >"$0"`, filepath.Join(disk.Dir(), "another"))
			if err := exec.CommandContext(t.Context(), another[0], another[1:]...).Run(); err == nil {
				t.Error("another program writes to the full disk")
			}
			must(t, disk.Free(w.Process.Pid))
			w.write(t, "after", "written")
			must(t, w.in.Close())
			must(t, w.Wait())
			text, err := os.ReadFile(disk.Path("file"))
			if got := strings.ReplaceAll(string(text), "x", ""); err != nil || got != "before\nafter\n" {
				t.Errorf("the file has %q, %v", got, err)
			}
		})
	}
}
