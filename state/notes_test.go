package state_test

import (
	"strings"
	"testing"

	"ferry/state"
	"ferry/test/redistest"
)

// TestNotes: replicas share the notes, which do not expire. Another key has other notes.
func TestNotes(t *testing.T) {
	t.Parallel()
	server := redistest.Run(t, redistest.Options{User: "ferry", Password: "p", Rules: rules})
	a, b := open(t, server, theKey, state.Options{}), open(t, server, theKey, state.Options{})
	other := open(t, server, strings.ToUpper(theKey), state.Options{})
	note := func(r *state.Redis, name, want string) {
		t.Helper()
		if got, err := r.Note(t.Context(), name); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	note(a, "one", "")
	must(t, a.PutNote(t.Context(), "one", []byte("first")))
	must(t, b.PutNote(t.Context(), "one", []byte("second")))
	must(t, b.PutNote(t.Context(), "two", []byte("2")))
	note(a, "one", "second")
	note(a, "two", "2")
	note(other, "one", "")
}
