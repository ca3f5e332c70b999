package mode_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ferry/mode"
)

// TestCohort: who is in.
func TestCohort(t *testing.T) {
	t.Parallel()
	kim := mode.User{Identifier: "kim@example.org"}
	imported := mode.User{Identifier: "kim", Identifiers: []string{"kim", "kim@example.org"}, Traits: map[string]any{
		"plan": "beta", "level": json.Number("3"), "staff": true, "tags": []any{"a", "b"}, "address": map[string]any{"country": "NL"},
	}}
	for _, c := range []struct {
		cohort string
		user   mode.User
		in     bool
	}{
		{"all", kim, true},
		{"100%", kim, true},
		{"100.000%", kim, true},
		{"0%", kim, false},
		{"@example.org", kim, true},
		{"@Example.ORG", kim, true},
		{"@example.com", kim, false},
		{"@ample.org", kim, false},
		{"@example.com, @example.org", kim, true},
		{"@example.org", mode.User{Identifier: "example.org"}, false},
		{"@example.org", mode.User{Identifier: "@example.org"}, false},
		{"@example.org", imported, true},
		{"traits.plan=beta", imported, true},
		{"traits.plan=alpha", imported, false},
		{"traits.plan=beta", kim, false},
		{"traits.level=3", imported, true},
		{"traits.staff=true", imported, true},
		{"traits.tags=b", imported, true},
		{"traits.address.country=NL", imported, true},
		{"traits.address=NL", imported, false},
		{"0%,traits.plan=beta", imported, true},
	} {
		d := newDesk(t, "", c.cohort)
		if got := d.Has(c.user); got != c.in {
			t.Errorf("%s has %s: %v", c.cohort, c.user.Identifier, got)
		}
	}
}

func TestCohortsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", "ALL", "all,25%", "25", "25 %", "-1%", "101%", "100.001%", "1e1%", "25.1234%", "%", "@", "@exa mple.org", "example.org",
		"traits.plan", "traits.plan=", "traits.=beta", "traits..a=b", "plan=beta", "25%,", ",25%",
	} {
		if c, err := mode.ParseCohort(text); err == nil {
			t.Errorf("%q is read as %q", text, c)
		}
	}
}

// TestGrowth: a larger share has everyone whom a smaller one has, and about as many as it
// says.
func TestGrowth(t *testing.T) {
	t.Parallel()
	const people = 4000
	d := newDesk(t, "", "0%")
	in, before := map[string]bool{}, 0
	for _, percent := range []string{"0.5%", "10%", "25%", "25.5%", "50%", "99%", "100%"} {
		if _, err := d.Set(mode.Change{Cohort: percent}); err != nil {
			t.Fatal(err)
		}
		for i := range people {
			name := fmt.Sprintf("person%d@example.org", i)
			if has := d.Has(mode.User{Identifier: name}); has {
				in[name] = true
			} else if in[name] {
				t.Errorf("%s was in before %s", name, percent)
			}
		}
		var share float64
		if _, err := fmt.Sscanf(percent, "%f", &share); err != nil {
			t.Fatal(err)
		}
		if off := float64(len(in)) - share/100*people; off > 0.04*people || off < -0.04*people || len(in) < before {
			t.Errorf("%s has %d of %d", percent, len(in), people)
		}
		before = len(in)
	}
}

func FuzzCohort(f *testing.F) {
	for _, text := range []string{"all", "25%", "0.5%,@example.com", "traits.plan=beta", ","} {
		f.Add(text)
	}
	f.Fuzz(checkCohort)
}

// checkCohort: what is read is read again to the same, and terms only add users.
func checkCohort(t *testing.T, text string) {
	t.Helper()
	read, err := mode.ParseCohort(text)
	if err != nil {
		if read.All() || read.String() != "" {
			t.Errorf("%q is an error, and a cohort", text)
		}
		return
	}
	again, err := mode.ParseCohort(read.String())
	if err != nil || again.String() != read.String() || again.All() != read.All() {
		t.Errorf("%q is read as %q, then as %q (%v)", text, read, again, err)
	}
}

func TestCohortTexts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		terms := rapid.SliceOfN(rapid.SampledFrom([]string{"all", "1%", "99.999%", "@a.b", "traits.x=y", "", " 5% ", "x"}), 1, 4).Draw(rt, "terms")
		checkCohort(t, strings.Join(terms, ","))
	})
}
