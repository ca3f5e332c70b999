package provenance_test

import (
	"testing"
	"time"

	"ferry/provenance"
)

// TestNotes: the notes of the import and of the after-login hook are read in every
// form.
func TestNotes(t *testing.T) {
	t.Parallel()
	crossed := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	for name, c := range map[string]struct {
		auth0 any
		at    time.Time
		as    string
	}{
		"nothing":    {nil, time.Time{}, ""},
		"both":       {map[string]any{"migrated_at": "2026-05-06T07:08:09Z", "import": map[string]any{"as": "created_pending"}}, crossed, "created_pending"},
		"not a date": {map[string]any{"migrated_at": "soon", "import": map[string]any{"as": 7}}, time.Time{}, ""},
		"not texts":  {map[string]any{"migrated_at": 7, "import": "created_hash"}, time.Time{}, ""},
		"a list":     {[]any{1}, time.Time{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			admin := map[string]any{"auth0": c.auth0}
			at, noted := provenance.MigratedAt(admin)
			if !at.Equal(c.at) || noted == c.at.IsZero() || provenance.ImportOf(admin).As != c.as {
				t.Errorf("got %v, %v, %q", at, noted, provenance.ImportOf(admin).As)
			}
		})
	}
}
