package verification_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ferry/verification"
)

func TestDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	store := verification.Directory(dir)
	if got, err := verification.Read(t.Context(), store); err != nil || len(got) != 0 {
		t.Fatalf("without a directory: %v, %v", got, err)
	}
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	on := true
	want := verification.Records{}
	for _, command := range verification.Commands() {
		want[command] = verification.Record{
			Command: command, Started: at, Ended: at.Add(time.Minute), Version: "v1", OK: true, Settings: "abc", HookOn: &on, InputAt: &at,
			Counts: map[string]int{"users": 3}, Connections: map[string]map[string]int{"main": {"missing": 1}},
		}
		for range 2 { // the second replaces the first
			if err := verification.Put(t.Context(), store, want[command]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, err := verification.Read(t.Context(), store); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != len(verification.Commands()) {
		t.Errorf("the directory has %v, %v", files, err)
	}
	for _, file := range files {
		if info, err := file.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v, %v", file.Name(), info.Mode(), err)
		}
	}
}

// TestReadFaulty: a record that cannot be read is missing, and the others are there.
func TestReadFaulty(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := verification.Directory(dir)
	if err := verification.Put(t.Context(), store, verification.Record{Command: verification.Doctor}); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"verified-import.json": "{", "verified-finish.json": `{"command":"doctor"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := verification.Read(t.Context(), store)
	if len(got) != 1 || err == nil || !strings.Contains(err.Error(), "import") || !strings.Contains(err.Error(), "finish") {
		t.Errorf("got %v, %v", got, err)
	}
}
