package importer

import (
	"strings"
	"testing"

	"ferry/clients"
)

// TestMerge: of what Auth0 has, what ferry wrote last and what Hydra has, the side that changed
// wins.
func TestMerge(t *testing.T) {
	t.Parallel()
	client := func(uris ...any) fields { return fields{"client_id": "a", "redirect_uris": uris} }
	by := func(f, last fields) fields {
		f[fieldMetadata] = map[string]any{markKey: map[string]any{markFields: marksOf(last)}, clients.MetadataAuth0: map[string]any{}}
		return f
	}
	for name, c := range map[string]struct {
		want, got                fields
		overwrite                bool
		changed, kept, conflicts string
		uri                      any
	}{
		"nothing changed":              {client("x"), by(client("x"), client("x")), false, "", "", "", "x"},
		"the order changed":            {client("x", "y"), by(client("y", "x"), client("x", "y")), false, "", "", "", "x"},
		"changed at Auth0":             {client("new"), by(client("x"), client("x")), false, "redirect_uris", "", "", "new"},
		"changed at Hydra":             {client("x"), by(client("new"), client("x")), false, "", "redirect_uris", "", "new"},
		"both, to the same":            {client("new"), by(client("new"), client("x")), false, "", "", "", "new"},
		"both":                         {client("a"), by(client("b"), client("x")), false, "", "", "redirect_uris", "a"},
		"both, overwrite":              {client("a"), by(client("b"), client("x")), true, "redirect_uris", "", "", "a"},
		"changed at Hydra, overwrite":  {client("x"), by(client("new"), client("x")), true, "redirect_uris", "", "", "x"},
		"removed at Auth0":             {client(), by(client("x"), client("x")), false, "redirect_uris", "", "", nil},
		"removed at Hydra":             {client("x"), by(client(), client("x")), false, "", "redirect_uris", "", nil},
		"not ferry's":                  {client("x"), client("y"), false, "", "", "redirect_uris", "x"},
		"not ferry's, overwrite":       {client("x"), client("y"), true, "redirect_uris", "", "", "x"},
		"a field of a later Hydra":     {client("x"), by(fields{"redirect_uris": []any{"x"}, "brand_new": true}, client("x")), false, "", "brand_new", "", "x"},
		"what Hydra has by itself":     {client("x"), by(fields{"redirect_uris": []any{"x"}, "subject_type": "public", "userinfo_signed_response_alg": "none", "created_at": "y", "jwks": map[string]any{}}, client("x")), false, "", "", "", "x"},
		"pairwise, which is not usual": {client("x"), by(fields{"redirect_uris": []any{"x"}, "subject_type": "pairwise"}, client("x")), false, "", "subject_type", "", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := merge(c.want, c.got, c.overwrite)
			if got := strings.Join(m.changed, " "); got != c.changed {
				t.Errorf("changed %q", got)
			}
			if got := strings.Join(m.kept, " "); got != c.kept {
				t.Errorf("kept %q", got)
			}
			if got := strings.Join(m.conflicts, " "); got != c.conflicts {
				t.Errorf("conflicts %q", got)
			}
			uris, _ := m.result["redirect_uris"].([]any)
			if len(uris) == 0 && c.uri != nil || len(uris) > 0 && uris[0] != c.uri {
				t.Errorf("the client gets %v", uris)
			}
		})
	}
}

// TestSaid: what Hydra says in an error, in each of its forms.
func TestSaid(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"error":"invalid_client_metadata","error_description":"No good."}`: "No good.",
		`{"error":{"message":"m","reason":"r"}}`:                             "r",
		`{"error":{"message":"m"}}`:                                          "m",
		`{"error":"Unable to insert"}`:                                       "Unable to insert",
		`{"error":7}`:                                                        "", `[]`: "", `<html>`: "", `{}`: "",
		`{"error":"` + strings.Repeat("x", 600) + `"}`: strings.Repeat("x", 500) + "…",
	} {
		if got := said([]byte(body)); got != want {
			t.Errorf("%s: %q", body, got)
		}
	}
}
