package history_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"ferry/history"
	"ferry/secret"
	"ferry/state"
	"ferry/test/redistest"
)

// childFile names the file of TestKill's process.
const childFile = "FERRY_TEST_HISTORY"

func TestMain(m *testing.M) {
	if file := os.Getenv(childFile); file != "" {
		writeUntilKilled(file)
		return
	}
	goleak.VerifyTestMain(m)
}

var start = time.Date(2026, 11, 29, 10, 30, 0, 0, time.UTC)

func numbers(match, mismatch int) map[string]int {
	return map[string]int{"match": match, "mismatch": mismatch}
}

func count(at time.Time, migrated, waiting int) history.Count {
	return history.Count{
		At: at, Total: migrated + waiting, Migrated: migrated, Waiting: waiting,
		Connections: map[string]history.Connection{"users": {Migrated: migrated, Waiting: waiting}},
	}
}

// open opens a history that is closed when the test ends.
func open(t *testing.T, opts history.Options) (*history.History, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	opts.Log = zap.New(core)
	if opts.Now == nil {
		opts.Now = func() time.Time { return start }
	}
	h, err := history.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h, logs
}

// fill adds what want then expects.
func fill(t *testing.T, h *history.History) {
	t.Helper()
	h.Add(t.Context(), start.Add(-time.Hour), numbers(1, 2))
	h.Add(t.Context(), start, numbers(3, 0))
	h.Add(t.Context(), start.Add(time.Minute), numbers(1, 1))
	h.Put(t.Context(), count(start.Add(-48*time.Hour), 1, 9))
	h.Put(t.Context(), count(start.Add(-time.Minute), 2, 8))
	h.Put(t.Context(), count(start, 3, 7))
}

func want(kept string) history.Data {
	return history.Data{
		Kept:   kept,
		Counts: []history.Count{count(start.Add(-48*time.Hour), 1, 9), count(start, 3, 7)},
		Hours: []history.Hour{
			{At: start.Truncate(time.Hour).Add(-time.Hour), Outcomes: numbers(1, 2)},
			{At: start.Truncate(time.Hour), Outcomes: numbers(4, 1)},
		},
	}
}

func has(t *testing.T, h *history.History, want history.Data) {
	t.Helper()
	if got := h.Read(t.Context()); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestKept: the history is the same in memory, in a file and in Redis; the latter two outlive
// the process.
func TestKept(t *testing.T) {
	t.Parallel()
	memory, _ := open(t, history.Options{})
	fill(t, memory)
	has(t, memory, want(history.InMemory))

	file := filepath.Join(t.TempDir(), "data", history.FileName)
	first, logs := open(t, history.Options{File: file})
	fill(t, first)
	has(t, first, want(history.InFile))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, _ := open(t, history.Options{File: file})
	has(t, second, want(history.InFile))
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || logs.Len() > 0 {
		t.Errorf("%v, %v, %v", info, err, logs.All())
	}
}

// redis returns a history in Redis.
func redis(t *testing.T, server *redistest.Server, now func() time.Time) *history.History {
	t.Helper()
	store, err := state.NewRedis(secret.New(server.URL()), secret.New("key-0123456789-0123456789-01234567"), state.Options{Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	h, _ := open(t, history.Options{Shared: store.History(), File: filepath.Join(t.TempDir(), "unused"), Now: now})
	return h
}

// TestReplicas: replicas add up in Redis. While it does not answer, each keeps its own outcomes,
// and hands them over afterwards.
func TestReplicas(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	a, b := redis(t, server, nil), redis(t, server, nil)
	fill(t, a)
	has(t, b, want(history.InRedis))
	b.Add(t.Context(), start, numbers(10, 0))
	both := want(history.InRedis)
	both.Hours[1].Outcomes = numbers(14, 1)
	has(t, a, both)

	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	b.Add(t.Context(), start, numbers(5, 5))
	alone := b.Read(t.Context())
	if alone.Kept != history.InMemory || alone.Fault == "" || len(alone.Hours) != 1 || !maps.Equal(alone.Hours[0].Outcomes, numbers(5, 5)) {
		t.Errorf("without Redis: %+v", alone)
	}
	if err := server.Restart(t.Context()); err != nil { // it has lost everything
		t.Fatal(err)
	}
	b.Add(t.Context(), start, nil)
	after := history.Data{Kept: history.InRedis, Hours: []history.Hour{{At: start.Truncate(time.Hour), Outcomes: numbers(5, 5)}}}
	has(t, a, after)
	has(t, b, after)
}

// TestBounds: what is too old goes, in memory and in the file, and a count has the largest
// connections only.
func TestBounds(t *testing.T) {
	t.Parallel()
	now := start
	file := filepath.Join(t.TempDir(), history.FileName)
	opts := history.Options{File: file, Now: func() time.Time { return now }}
	h, _ := open(t, opts)
	for i := range 40 {
		now = start.Add(time.Duration(i) * 24 * time.Hour)
		h.Add(t.Context(), now, numbers(1, 1))
		h.Put(t.Context(), count(now, i, 100))
	}
	now = now.Add(time.Hour)
	got := h.Read(t.Context())
	if len(got.Hours) != 14 || len(got.Counts) != 40 {
		t.Errorf("%d hours, %d counts", len(got.Hours), len(got.Counts))
	}
	now = now.Add(history.KeepDaily)
	many := count(now, 1, 1)
	for i := range 100 {
		many.Connections[fmt.Sprint("c", i)] = history.Connection{Waiting: 1 + i}
	}
	h.Put(t.Context(), many)
	for range 2 {
		got = h.Read(t.Context())
		if len(got.Hours) != 0 || len(got.Counts) != 1 || len(got.Counts[0].Connections) != history.MaxConnections || got.Counts[0].Connections["c99"].Waiting != 100 {
			t.Errorf("%+v", got)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		h, _ = open(t, opts)
	}
}

// TestLocked: a second process with the same file goes on in memory, and says so.
func TestLocked(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), history.FileName)
	_, _ = open(t, history.Options{File: file})
	second, logs := open(t, history.Options{File: file})
	fill(t, second)
	locked := want(history.InMemory)
	locked.Fault = "open the history: another process has it open"
	has(t, second, locked)
	if logs.FilterMessageSnippet("in memory").Len() != 1 {
		t.Errorf("logged %v", logs.All())
	}
}

// TestDamaged: whatever is in the file, the history opens and works.
func TestDamaged(t *testing.T) {
	t.Parallel()
	whole := filepath.Join(t.TempDir(), history.FileName)
	h, _ := open(t, history.Options{File: whole})
	fill(t, h)
	text, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	damaged := map[string][]byte{"text": []byte("hello\n"), "zeros": make([]byte, 1<<16)}
	for size := 512; size < len(text); size += 2048 {
		damaged[fmt.Sprint("cut at ", size)] = text[:size]
	}
	for i := range 60 {
		bad := append([]byte{}, text...)
		for range 1 + i {
			bad[random.IntN(len(bad))] = byte(random.Uint32())
		}
		damaged[fmt.Sprint("bytes changed: ", i)] = bad
	}
	inMemory := 0
	for name, bad := range damaged {
		file := filepath.Join(t.TempDir(), history.FileName)
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		h, logs := open(t, history.Options{File: file})
		h.Add(t.Context(), start, numbers(0, 7))
		h.Put(t.Context(), count(start, 5, 5))
		got := h.Read(t.Context())
		last := got.Counts[len(got.Counts)-1]
		if len(got.Hours) == 0 || last.Migrated != 5 || (got.Kept == history.InMemory) != (got.Fault != "") || logs.Len() > 1 {
			t.Errorf("%s: %+v, %v", name, got, logs.All())
		}
		if got.Kept == history.InMemory {
			inMemory++
		}
	}
	if inMemory < 20 {
		t.Errorf("only %d of %d files were found to be damaged", inMemory, len(damaged))
	}
}

// TestNotWritable: a directory that cannot be written keeps nobody from starting.
func TestNotWritable(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h, _ := open(t, history.Options{File: filepath.Join(file, history.FileName)})
	fill(t, h)
	if got := h.Read(t.Context()); got.Kept != history.InMemory || got.Fault == "" || len(got.Counts) != 2 {
		t.Errorf("%+v", got)
	}
}

// TestKill: what was written is there after kill -9, and the file is not locked any more.
func TestKill(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), history.FileName)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0])
	child.Env = append(os.Environ(), childFile+"="+file)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	written := 0
	for lines.Scan() && written < 5 {
		written++
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	var killed *exec.ExitError
	if err := child.Wait(); !errors.As(err, &killed) || written < 5 {
		t.Fatalf("the process wrote %d times: %v", written, err)
	}
	h, logs := open(t, history.Options{File: file})
	got := h.Read(t.Context())
	if got.Kept != history.InFile || len(got.Hours) != 1 || got.Hours[0].Outcomes["match"] < written || len(got.Counts) != 1 {
		t.Errorf("%+v, %v", got, logs.All())
	}
}

// writeUntilKilled writes, and prints a line after each time. It ends when the reader has gone.
func writeUntilKilled(file string) {
	h, err := history.Open(history.Options{File: file, Log: zap.NewNop(), Now: func() time.Time { return start }})
	if err != nil {
		return
	}
	for i := range 100_000 {
		h.Add(context.Background(), start, map[string]int{"match": 1})
		h.Put(context.Background(), count(start, i, i))
		if _, err := fmt.Fprintln(os.Stdout, "written"); err != nil {
			return
		}
	}
}
