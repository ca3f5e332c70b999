package provision_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ferry/provision"
)

func openRegister(t *testing.T, dir string) *provision.FileRegister {
	t.Helper()
	r, err := provision.OpenRegister(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func (s state) check(t *testing.T, r *provision.FileRegister) {
	t.Helper()
	for userID, want := range s.has {
		if got, err := r.Has(t.Context(), []string{"auth0|other", userID}); got != want || err != nil {
			t.Errorf("%s: %v, %v", userID, got, err)
		}
	}
	if got, err := r.Complete(t.Context()); got != s.complete || err != nil {
		t.Errorf("complete: %v, %v", got, err)
	}
}

// state is what a register should have.
type state struct {
	has      map[string]bool
	complete bool
}

// TestRegisterFile: what was added is there after a restart, also after a crash in the middle
// of a write.
func TestRegisterFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	path := filepath.Join(dir, "users")
	r := openRegister(t, dir)
	state{map[string]bool{kim: false}, false}.check(t, r)
	for range 2 {
		if err := r.Add(t.Context(), []string{kim, kim}); err != nil {
			t.Fatal(err)
		}
	}
	state{map[string]bool{kim: true, lee: false}, false}.check(t, r)
	if _, err := provision.OpenRegister(dir); err == nil || !strings.Contains(err.Error(), "is used by another ferry") {
		t.Errorf("opened twice: %v", err)
	}
	for range 2 {
		if err := r.SetComplete(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
	}
	closeRegister(t, r)
	text, err := os.ReadFile(path)
	if err != nil || len(text) != 3*16 || bytes.Contains(text, []byte("kim")) {
		t.Fatalf("%q, %v", text, err)
	}
	mustWrite(t, path, append(text, "cut off"...))
	r = openRegister(t, dir)
	state{map[string]bool{kim: true, lee: false}, true}.check(t, r)
	if err := r.Add(t.Context(), []string{lee}); err != nil {
		t.Fatal(err)
	}
	closeRegister(t, r)
	state{map[string]bool{kim: true, lee: true, "auth0|x": false}, true}.check(t, openRegister(t, dir))
	if info, err := os.Stat(path); err != nil || info.Size() != 4*16 || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func closeRegister(t *testing.T, r *provision.FileRegister) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRegisterForeignFile: a file of something else is refused and kept; one whose beginning
// was cut off is begun anew.
func TestRegisterForeignFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text    string
		foreign bool
	}{
		"empty": {"", false}, "the beginning of a register": {"ferry us", false},
		"short": {"mine", true}, "long": {strings.Repeat("my own notes ", 9), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "users")
			mustWrite(t, path, []byte(c.text))
			r, err := provision.OpenRegister(dir)
			if (err != nil) != c.foreign || c.foreign && !strings.Contains(err.Error(), path) {
				t.Fatal(err)
			}
			if c.foreign {
				if text, err := os.ReadFile(path); err != nil || string(text) != c.text {
					t.Errorf("the file was changed: %q, %v", text, err)
				}
				return
			}
			if err := r.Add(t.Context(), []string{kim}); err != nil {
				t.Fatal(err)
			}
			closeRegister(t, r)
			state{map[string]bool{kim: true}, false}.check(t, openRegister(t, dir))
		})
	}
}

// TestRegisterInMemory: without a directory nothing is written.
func TestRegisterInMemory(t *testing.T) {
	t.Parallel()
	r := openRegister(t, "")
	if err := r.Add(t.Context(), []string{kim}); err != nil {
		t.Fatal(err)
	}
	if err := r.SetComplete(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	state{map[string]bool{kim: true, lee: false}, true}.check(t, r)
}

// TestRegisterNowhere: a directory that cannot be made is an error.
func TestRegisterNowhere(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	mustWrite(t, file, nil)
	if _, err := provision.OpenRegister(filepath.Join(file, "data")); err == nil {
		t.Error("opened")
	}
}
