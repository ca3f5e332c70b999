package recording

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestSourcePipe: a source without a size is read to its end.
func TestSourcePipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(pipe, []byte(recordLine+"\n"+recordLine+"\n"), 0) }()
	source, err := OpenSource(pipe)
	if err != nil {
		t.Fatal(err)
	}
	calls, faults, _ := read(t, source)
	if err := <-written; err != nil || len(calls) != 2 || len(faults) > 0 {
		t.Errorf("%d calls, %q, %v", len(calls), faults, err)
	}
}
