package provision

import (
	"os"
	"testing"
)

// TestRegisterWriteFails: users who could not be written to the file, as on a full disk, are
// known all the same, and are written with the next.
func TestRegisterWriteFails(t *testing.T) {
	dir := t.TempDir()
	r, err := OpenRegister(dir)
	if err != nil {
		t.Fatal(err)
	}
	add := func(userID string) error { return r.Add(t.Context(), []string{userID}) }
	if err := add("auth0|1"); err != nil {
		t.Fatal(err)
	}
	writable := r.file
	if r.file, err = os.Open(writable.Name()); err != nil {
		t.Fatal(err)
	}
	if err := add("auth0|2"); err == nil {
		t.Error("a failed write is no error")
	}
	if err := r.SetComplete(t.Context(), ""); err == nil {
		t.Error("a failed write is no error of SetComplete")
	}
	if err := r.file.Close(); err != nil {
		t.Fatal(err)
	}
	r.file = writable
	known := func(name string) {
		t.Helper()
		for _, userID := range []string{"auth0|1", "auth0|2"} {
			if has, err := r.Has(t.Context(), []string{userID}); err != nil || !has {
				t.Errorf("%s: %s: %t, %v", name, userID, has, err)
			}
		}
		if complete, err := r.Complete(t.Context()); err != nil || !complete {
			t.Errorf("%s: complete %t, %v", name, complete, err)
		}
	}
	known("while writing fails")
	if err := add("auth0|3"); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err = OpenRegister(dir); err != nil {
		t.Fatal(err)
	}
	known("after a restart")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}
