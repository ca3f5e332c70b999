package wiring

import (
	"fmt"
	"strings"
	"testing"

	"ferry/secret"
)

// TestDiffShowsNoSecret: not those of a change, not those beside it.
func TestDiffShowsNoSecret(t *testing.T) {
	const before = `dsn: postgres://k:hush-1@db/kratos
courier:
  smtp: {connection_uri: "smtps://k:hush-2@mail"}
  x: https://hush-3@example.org
secrets:
  cookie:
    - hush-4
  cipher: # one
  - hush-5
oidc:
  - client_secret: 'hush-6
      hush-7'
    apple_private_key: |
      hush-8
    id: shown-1
# Authorization: hush-9
auth: {config: {value: Bearer hush-a}, in: shown-not}
"password": &p
  enabled: shown-2
`
	after := "key: x-hush-b\n" + strings.ReplaceAll(before, "\n", " \n") + "header: Bearer hush-c\n"
	got := unifiedDiff(before, after, "with ferry", []secret.String{secret.New("hush-b")})
	if strings.Contains(got, "hush") || !strings.Contains(got, "shown-1") || !strings.Contains(got, "shown-2") || !strings.Contains(got, `"password": &p`) {
		t.Error(got)
	}
}

func TestDiffHunks(t *testing.T) {
	lines := func(prefix string, from, to int) string {
		var out strings.Builder
		for i := from; i <= to; i++ {
			fmt.Fprintf(&out, "%sline %d\n", prefix, i)
		}
		return out.String()
	}
	const head = "--- kratos.yml\n+++ kratos.yml, with ferry\n"
	for name, c := range map[string]struct{ before, after, want string }{
		"nothing":   {"a\n", "a\n", ""},
		"one":       {"a\nb\nc\n", "a\nx\nc\n", head + "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"},
		"no end":    {"a", "a\nb", head + "@@ -1,1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n\\ No newline at end of file\n"},
		"near":      {"a\n" + lines("", 1, 5) + "b\n", "x\n" + lines("", 1, 5) + "y\n", head + "@@ -1,7 +1,7 @@\n-a\n+x\n" + lines(" ", 1, 5) + "-b\n+y\n"},
		"far apart": {"a\n" + lines("", 1, 7) + "b\n", "x\n" + lines("", 1, 7) + "y\n", head + "@@ -1,4 +1,4 @@\n-a\n+x\n" + lines(" ", 1, 3) + "@@ -6,4 +6,4 @@\n" + lines(" ", 5, 7) + "-b\n+y\n"},
	} {
		if got := unifiedDiff(c.before, c.after, "with ferry", nil); got != c.want {
			t.Errorf("%s: got\n%s", name, got)
		}
	}
}
