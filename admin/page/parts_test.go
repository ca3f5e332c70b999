package page_test

import (
	"net/http"
	"strings"
	"testing"

	"ferry/admin/page"
	"ferry/migration"
	"ferry/test/pagetest"
)

// TestUnknownGroups: groups whose numbers are not known are named with the command that finds them
// out, which is not the same for all.
func TestUnknownGroups(t *testing.T) {
	t.Parallel()
	s := pagetest.One()
	p, reconcile := *s.Facts.Plan, []string{"ferry", "reconcile"}
	p.Blockers = []migration.Blocker{
		{Kind: migration.Missing, Command: reconcile},
		{Kind: migration.TooLong, Command: []string{"ferry", "plan", "--metrics", "URL"}},
		{Kind: migration.SecondFactor, Command: reconcile},
	}
	s.Facts.Plan = &p
	_, text := start(t, s, fixed).send(t, http.MethodGet, "/", "")
	const says = ` This command finds out:</p><pre tabindex="0"><code>`
	for _, want := range []string{
		"Not known: no identity in Kratos; second factor at Auth0." + says + "ferry reconcile</code>",
		"Not known: password too long." + says + "ferry plan --metrics URL</code>",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
}

// TestBreakers: only circuit breakers that are not closed are named as such.
func TestBreakers(t *testing.T) {
	t.Parallel()
	s := pagetest.Middle()
	s.Facts.Auth0 = page.Auth0{Breakers: map[string]string{"a": "closed", "b": "open", "c": "half-open", "d": "closed"}}
	_, text := start(t, s, fixed).send(t, http.MethodGet, "/", "")
	if want := `not asked as usual</span> Circuit breakers that are not closed: b (open), c (half-open).</dd>`; !strings.Contains(text, want) {
		t.Errorf("%q is not on the page", want)
	}
}
