package wiring

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

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
	got := diff(before, after, "with ferry", []secret.String{secret.New("hush-b")})
	if strings.Contains(got, "hush") || !strings.Contains(got, "shown-1") || !strings.Contains(got, "shown-2") || !strings.Contains(got, `"password": &p`) {
		t.Error(got)
	}
}

func TestDiffHunks(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("same\n", n) }
	const head = "--- kratos.yml\n+++ kratos.yml, with ferry\n"
	for name, c := range map[string]struct{ before, after, want string }{
		"nothing":   {"a\n", "a\n", ""},
		"one":       {"a\nb\nc\n", "a\nx\nc\n", head + "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"},
		"no end":    {"a", "a\nb", head + "@@ -1,1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n\\ No newline at end of file\n"},
		"near":      {"a\n" + lines(6) + "b\n", "x\n" + lines(6) + "y\n", head + "@@ -1,8 +1,8 @@\n-a\n+x\n" + strings.Repeat(" same\n", 6) + "-b\n+y\n"},
		"far apart": {"a\n" + lines(7) + "b\n", "x\n" + lines(7) + "y\n", head + "@@ -1,4 +1,4 @@\n-a\n+x\n" + strings.Repeat(" same\n", 3) + "@@ -6,4 +6,4 @@\n" + strings.Repeat(" same\n", 3) + "-b\n+y\n"},
	} {
		if got := diff(c.before, c.after, "with ferry", nil); got != c.want {
			t.Errorf("%s: got\n%s", name, got)
		}
	}
}

// TestScript: the way from one text to the other leads there, and is no longer than
// taking all out and putting all in.
func TestScript(t *testing.T) {
	text := rapid.SliceOfN(rapid.SampledFrom([]string{"a\n", "b\n", "c\n"}), 0, 12)
	rapid.Check(t, func(t *rapid.T) {
		a, b := text.Draw(t, "before"), text.Draw(t, "after")
		var was, is []string
		steps := 0
		for _, c := range script(a, b) {
			if c.sign != '+' {
				was = append(was, c.line)
			}
			if c.sign != '-' {
				is = append(is, c.line)
			}
			if c.sign != ' ' {
				steps++
			}
		}
		if strings.Join(was, "") != strings.Join(a, "") || strings.Join(is, "") != strings.Join(b, "") {
			t.Fatalf("got %q and %q", was, is)
		}
		if want := len(a) + len(b) - 2*common(a, b); steps != want {
			t.Fatalf("%d changes, %d suffice", steps, want)
		}
	})
}

// common is the length of the longest common subsequence.
func common(a, b []string) int {
	row := make([]int, len(b)+1)
	for _, x := range a {
		diagonal := 0
		for j, y := range b {
			above := row[j+1]
			if x == y {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			diagonal = above
		}
	}
	return row[len(b)]
}
