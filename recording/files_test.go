package recording_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ferry/recording"
)

func TestRejectedDirectories(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		mode os.FileMode
		path string
		want string
	}{
		"a group may write":    {0o770, "", "can be written by others (mode 0770): chmod 700 it"},
		"everybody may write":  {0o707, "", "can be written by others (mode 0707)"},
		"everybody may read":   {0o755, "", ""},
		"a file":               {0, file, "create the directory"},
		"below a file":         {0, filepath.Join(file, "x"), "create the directory"},
		"not even a directory": {0, "/dev/null", "create the directory"},
	} {
		dir := c.path
		if dir == "" {
			dir = t.TempDir()
			if err := os.Chmod(dir, c.mode); err != nil {
				t.Fatal(err)
			}
		}
		_, err := recording.New(options(t, dir))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestRotation: no file exceeds its size, and the oldest files are removed when there
// are too many.
func TestRotation(t *testing.T) {
	t.Parallel()
	const most = 4 << 10
	opts := options(t, t.TempDir(), func(o *recording.Options) { o.MaxBytes = most })
	other := filepath.Join(opts.Dir, "ferry-notes.ndjson")
	if err := os.WriteFile(other, make([]byte, 100*most), 0o600); err != nil {
		t.Fatal(err)
	}
	call := failed()
	call.Reason = strings.Repeat("x", 3<<10) // one line per file
	for range 20 {
		w := begin(t, opts)
		w.Record(call)
		w.stop()
		opts.Metrics = prometheus.NewRegistry()
	}
	var sum int64
	files := 0
	for _, name := range recordings(t, opts.Dir) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == other {
			continue
		}
		files++
		sum += info.Size()
		if info.Size() > most {
			t.Errorf("%s has %d bytes", name, info.Size())
		}
	}
	if files < 15 || sum > 16*most {
		t.Errorf("%d files hold %d bytes", files, sum)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("a file of another program: %v", err)
	}
}

// TestExpiry: on a fast clock, nothing is kept longer than allowed, and nothing much
// shorter.
func TestExpiry(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := filepath.Join(dir, "ferry-19991130T000000Z-01234567.ndjson")
	for _, name := range []string{old, filepath.Join(dir, "other-19991130T000000Z.ndjson")} {
		if err := os.WriteFile(name, []byte("{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		opts := options(t, dir)
		w := begin(t, opts)
		synctest.Wait()
		if _, err := os.Stat(old); err == nil {
			t.Error("a file that was too old at the start is still there")
		}
		w.Record(failed())
		synctest.Wait()
		first := recordings(t, dir)
		if len(first) != 1 {
			t.Fatalf("%d files", len(first))
		}
		<-time.After(opts.Keep - time.Hour)
		w.Record(failed())
		synctest.Wait()
		if got := len(recordings(t, dir)); got != 2 {
			t.Errorf("%d files after nearly a week", got)
		}
		<-time.After(2*time.Hour + time.Minute)
		synctest.Wait()
		if got := recordings(t, dir); len(got) != 1 || got[0] == first[0] {
			t.Errorf("left after a week: %v", got)
		}
		<-time.After(opts.Keep + 2*time.Hour)
		synctest.Wait()
		if got := recordings(t, dir); len(got) != 0 {
			t.Errorf("left after two: %v", got)
		}
		w.stop()
	})
	if others, err := os.ReadDir(dir); err != nil || len(others) != 1 {
		t.Errorf("files of other programs: %v, %v", others, err)
	}
}

// TestRemovedMeanwhile: recording goes on after an operator deletes the file being
// written.
func TestRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, options(t, dir))
		w.Record(failed())
		synctest.Wait()
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		w.Record(failed()) // at once, before the periodic sweep
		synctest.Wait()
		if got := len(linesIn(t, dir)); got != 1 {
			t.Errorf("%d lines", got)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour + time.Minute)
		w.Record(failed())
		synctest.Wait()
		w.stop()
	})
	if got := len(linesIn(t, dir)); got != 1 {
		t.Errorf("%d lines", got)
	}
}

// TestClockPutBack: after the clock was set back, no file is kept longer.
func TestClockPutBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Int64 // how far the clock was set back
		now := func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }
		opts := options(t, dir, func(o *recording.Options) { o.Now = now })
		w := begin(t, opts)
		w.Record(failed())
		synctest.Wait()
		back.Store(int64(365 * 24 * time.Hour))
		w.Record(failed())
		synctest.Wait()
		if got := len(recordings(t, dir)); got != 2 {
			t.Errorf("%d files", got)
		}
		w.stop()
	})
}
