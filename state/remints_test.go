package state_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"ferry/secret"
	"ferry/state"
	"ferry/test/redistest"
)

// remintStore is what package remint needs.
type remintStore interface {
	Get(ctx context.Context, key [32]byte) ([]byte, bool, error)
	Put(ctx context.Context, key [32]byte, text []byte, keep time.Duration) error
	Delete(ctx context.Context, key [32]byte) error
	Claim(ctx context.Context, key [32]byte, ttl time.Duration) (bool, error)
	Unclaim(ctx context.Context, key [32]byte) error
	CountUse(ctx context.Context, clientID string, at time.Time) error
	Uses(ctx context.Context) (map[string]state.RemintUse, error)
}

func openRemints(t *testing.T, path, key string, now func() time.Time) *state.RemintFile {
	t.Helper()
	f, err := state.OpenRemintFile(path, secret.New(key), now)
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// TestRemints: both stores keep values for their time, give a claim to one, and count.
func TestRemints(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	server := redistest.Run(t, redistest.Options{})
	redis := open(t, server, theKey, state.Options{Now: clock})
	file := filepath.Join(t.TempDir(), "data", state.RemintFileName)
	for name, s := range map[string]remintStore{"redis": redis.Remints(), "file": openRemints(t, file, theKey, clock)} {
		keepsValues(t, name, s, &now)
		givesClaims(t, name, s)
		counts(t, name, s, now)
	}
}

func keepsValues(t *testing.T, name string, s remintStore, now *time.Time) {
	t.Helper()
	ctx, key := t.Context(), [32]byte{1}
	has := func(key [32]byte, want string) {
		t.Helper()
		text, ok, err := s.Get(ctx, key)
		if err != nil || ok != (want != "") || string(text) != want {
			t.Errorf("%s: %q, %v, %v; want %q", name, text, ok, err, want)
		}
	}
	has(key, "")
	must(t, s.Put(ctx, key, []byte("canary"), time.Hour))
	must(t, s.Put(ctx, [32]byte{2}, []byte("two"), 2*time.Hour))
	has(key, "canary")
	must(t, s.Put(ctx, key, []byte("canary 2"), time.Hour))
	has(key, "canary 2")
	*now = now.Add(time.Hour)
	has(key, "")
	has([32]byte{2}, "two")
	must(t, s.Delete(ctx, [32]byte{2}))
	has([32]byte{2}, "")
	if err := s.Put(ctx, key, nil, 0); err == nil {
		t.Errorf("%s: a value without a time", name)
	}
}

func givesClaims(t *testing.T, name string, s remintStore) {
	t.Helper()
	ctx, key := t.Context(), [32]byte{1}
	for _, want := range []bool{true, false} {
		if won, err := s.Claim(ctx, key, time.Minute); won != want || err != nil {
			t.Errorf("%s: %v, %v", name, won, err)
		}
	}
	must(t, s.Unclaim(ctx, key))
	if won, err := s.Claim(ctx, key, time.Minute); !won || err != nil {
		t.Errorf("%s: %v, %v", name, won, err)
	}
}

func counts(t *testing.T, name string, s remintStore, now time.Time) {
	t.Helper()
	ctx := t.Context()
	if none, err := s.Uses(ctx); err != nil || len(none) != 0 {
		t.Errorf("%s: %v, %v", name, none, err)
	}
	for _, at := range []time.Time{now, now.Add(time.Minute), now} {
		must(t, s.CountUse(ctx, "app", at))
	}
	must(t, s.CountUse(ctx, "a \"b\"", now))
	uses, err := s.Uses(ctx)
	want := map[string]state.RemintUse{"app": {Count: 3, Last: now.Add(time.Minute)}, "a \"b\"": {Count: 1, Last: now}}
	if err != nil || !reflect.DeepEqual(uses, want) {
		t.Errorf("%s: %v, %v", name, uses, err)
	}
}

// TestRemintFile: the file outlives the process, belongs to one process and one key, is not
// readable without it, and loses what has expired.
func TestRemintFile(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	path, key := filepath.Join(t.TempDir(), state.RemintFileName), [32]byte{1}
	first := openRemints(t, path, theKey, clock)
	must(t, first.Put(t.Context(), key, []byte("canary"), time.Hour))
	if won, _ := first.Claim(t.Context(), key, time.Hour); !won {
		t.Error("no claim")
	}
	if _, err := state.OpenRemintFile(path, secret.New(theKey), clock); err == nil {
		t.Error("two processes have it open")
	}
	must(t, first.Close())
	text, err := os.ReadFile(path)
	must(t, err)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 || bytes.Contains(text, []byte("canary")) {
		t.Errorf("%v, %v", info, err)
	}
	second := openRemints(t, path, theKey, clock)
	if text, ok, err := second.Get(t.Context(), key); !ok || err != nil || string(text) != "canary" {
		t.Errorf("%q, %v, %v", text, ok, err)
	}
	if won, _ := second.Claim(t.Context(), key, time.Hour); !won {
		t.Error("the claim outlived its process")
	}
	must(t, second.Close())
	other := openRemints(t, path, theKey+"2", clock)
	if _, ok, err := other.Get(t.Context(), key); ok || err != nil {
		t.Errorf("with another key: %v, %v", ok, err)
	}
	now = now.Add(2 * time.Hour)
	must(t, other.Put(t.Context(), [32]byte{2}, []byte("x"), time.Hour)) // sweeps
	must(t, other.Close())
	now = now.Add(-2 * time.Hour)
	if _, ok, err := openRemints(t, path, theKey, clock).Get(t.Context(), key); ok || err != nil {
		t.Errorf("after its time: %v, %v", ok, err)
	}
	if _, err := state.OpenRemintFile(filepath.Join(path, "x"), secret.New(theKey), clock); err == nil {
		t.Error("a directory that cannot be made")
	}
	if _, err := state.OpenRemintFile(path+"2", secret.New("short"), clock); err == nil {
		t.Error("a short key")
	}
}

// TestRemintElsewhere: a value of Redis that was changed does not open.
func TestRemintElsewhere(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{})
	s, raw := open(t, server, theKey, state.Options{}), client(t, server)
	must(t, s.Remints().Put(t.Context(), [32]byte{1}, []byte("canary"), time.Hour))
	names := raw.Keys(t.Context(), "ferry:*:remint:*").Val()
	if len(names) != 1 {
		t.Fatalf("%v", names)
	}
	value := raw.Get(t.Context(), names[0]).Val()
	if bytes.Contains([]byte(value), []byte("canary")) {
		t.Error("it is in clear")
	}
	must(t, raw.Set(t.Context(), names[0], value[:len(value)-1]+"x", time.Hour).Err())
	if _, ok, err := s.Remints().Get(t.Context(), [32]byte{1}); ok || !errors.Is(err, state.ErrUnreadable) {
		t.Errorf("%v, %v", ok, err)
	}
}
