package auth0sim

import (
	"strings"
	"testing"
)

// FuzzSearch: what is read can be written, and is read the same again.
func FuzzSearch(f *testing.F) {
	for _, seed := range []string{``, `email:"a@b.test"`, `user_id:"auth0|1"`, `username:"a\"b\\"`, `name:"x"`, `email:x`, `email:""`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, q string) {
		s, err := parseSearch(q)
		if err != nil {
			return
		}
		again, err := parseSearch(s.String())
		if err != nil || again != s {
			t.Errorf("got %+v, then %+v, %v", s, again, err)
		}
	})
}

// FuzzFieldPath: a path has as many steps as it has names and indices, and following
// it never panics.
func FuzzFieldPath(f *testing.F) {
	for _, seed := range []string{"email", "identities[0].connection", "user_metadata.a.b", "a[0][1]", "a[01]", "a..b", "[0]", "a[99999]"} {
		f.Add(seed)
	}
	value := map[string]any{"a": []any{[]any{1.0, 2.0}, map[string]any{"b": nil}}}
	f.Fuzz(func(t *testing.T, path string) {
		steps, ok := parseFieldPath(path)
		if !ok {
			return
		}
		if want := 1 + strings.Count(path, ".") + strings.Count(path, "["); len(steps) != want || steps[0].name == "" {
			t.Errorf("%q: got %+v", path, steps)
		}
		follow(value, steps)
	})
}
