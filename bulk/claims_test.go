package bulk

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// claimed is one claim as a test writes it: "1 user auth0|1", "2 proven a@x.test".
func claimed(t *testing.T, all ...string) *claims {
	t.Helper()
	ranks := map[string]uint32{"user": user, "proven": proven, "unproven": unproven}
	c := &claims{}
	for _, text := range all {
		var line int
		var rank, value string
		if _, err := fmt.Sscan(text, &line, &rank, &value); err != nil {
			t.Fatal(err)
		}
		if err := c.add(value, line, ranks[rank]); err != nil {
			t.Fatal(err)
		}
	}
	c.settle()
	return c
}

// losers are the lines up to 9 that lose, and what against: "2>1", a user id "2>1u".
func (c *claims) losers() string {
	var all []string
	for line := range 10 {
		if loss, lost := c.lost(line); lost {
			text := fmt.Sprintf("%d>%d", line, loss.against)
			if loss.user {
				text += "u"
			}
			all = append(all, text)
		}
	}
	return strings.Join(all, " ")
}

func TestClaims(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		claims []string
		want   string
	}{
		"nobody":                           {nil, ""},
		"everybody his own":                {[]string{"1 unproven a", "2 proven b", "3 user c"}, ""},
		"the first user":                   {[]string{"1 user a", "2 user a", "3 user a"}, "2>1u 3>1u"},
		"the first user of the file":       {[]string{"3 user a", "1 user a"}, "3>1u"},
		"one proven, first":                {[]string{"1 proven a", "2 unproven a", "3 unproven a"}, "2>1 3>1"},
		"one proven, last":                 {[]string{"1 unproven a", "2 unproven a", "3 proven a"}, "1>3 2>3"},
		"several proven":                   {[]string{"1 unproven a", "2 proven a", "3 proven a"}, "1>2 3>2"},
		"none proven":                      {[]string{"1 unproven a", "2 unproven a", "3 unproven a"}, "1>3 2>1 3>1"},
		"twice in one line":                {[]string{"1 unproven a", "1 unproven a"}, ""},
		"twice in one line, once proven":   {[]string{"1 unproven a", "1 proven a", "2 unproven a"}, "2>1"},
		"twice in one line, against all":   {[]string{"1 unproven a", "2 unproven a", "2 unproven a"}, "1>2 2>1"},
		"users and identifiers are two":    {[]string{"1 user a", "2 unproven a"}, ""},
		"a user before an identifier":      {[]string{"1 user a", "1 proven b", "2 user a", "2 unproven b"}, "2>1u"},
		"a user twice is one person":       {[]string{"1 user a", "1 unproven b", "2 user a", "2 unproven b"}, "2>1u"},
		"the second row proves nothing":    {[]string{"1 user a", "1 unproven b", "2 user a", "2 proven b"}, "2>1u"},
		"twice, and then somebody else":    {[]string{"1 user a", "1 unproven b", "2 user a", "2 unproven b", "3 user c", "3 unproven b"}, "1>3 2>1u 3>1"},
		"only the first row's identifier":  {[]string{"1 user a", "1 unproven b", "2 user a", "2 unproven d", "3 user c", "3 unproven d"}, "2>1u"},
		"who lost one still has his other": {[]string{"1 proven a", "2 unproven a", "2 unproven b", "3 unproven b"}, "2>1 3>2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := claimed(t, c.claims...).losers(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestClaimsOfTooLongAFile(t *testing.T) {
	t.Parallel()
	var c claims
	if err := c.add("a", maxLine, user); err != nil {
		t.Error(err)
	}
	if err := c.add("a", maxLine+1, user); err == nil {
		t.Error("a line was taken that does not fit")
	}
	c.settle()
	if got := c.lines("a", user); !slices.Equal(got, []int{maxLine}) {
		t.Errorf("the lines are %v", got)
	}
}

// naive does with maps what claims do with digests.
type naive struct {
	value string
	line  int
	rank  uint32
}

func naiveLosers(all []naive) map[int]bool {
	repeats := map[int]bool{}
	for _, one := range all {
		repeats[one.line] = repeats[one.line] || one.rank == user && slices.ContainsFunc(all, func(other naive) bool {
			return other.rank == user && other.value == one.value && other.line < one.line
		})
	}
	losers := maps.Clone(repeats)
	all = slices.DeleteFunc(slices.Clone(all), func(one naive) bool { return repeats[one.line] && one.rank != user })
	for _, one := range all {
		winner := 0
		others := false
		for _, other := range all {
			if other.value != one.value || (other.rank == user) != (one.rank == user) {
				continue
			}
			others = others || other.line != one.line
			if other.rank != unproven && (winner == 0 || other.line < winner) {
				winner = other.line
			}
		}
		losers[one.line] = losers[one.line] || others && winner != one.line
	}
	return losers
}

func TestClaimsProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) naive {
			return naive{
				rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "value"),
				rapid.IntRange(1, 8).Draw(t, "line"), rapid.SampledFrom([]uint32{unproven, proven, user}).Draw(t, "rank"),
			}
		}), 0, 30).Draw(t, "claims")
		var c claims
		for _, one := range all {
			if err := c.add(one.value, one.line, one.rank); err != nil {
				t.Fatal(err)
			}
		}
		c.settle()
		want := naiveLosers(all)
		for line := range 10 {
			loss, lost := c.lost(line)
			if lost != want[line] {
				t.Fatalf("line %d lost: %v, want %v", line, lost, want[line])
			}
			if lost && int(loss.against) == line {
				t.Fatalf("line %d lost against itself", line)
			}
		}
		for _, one := range all {
			if got := c.lines(one.value, one.rank); !slices.Contains(got, one.line) || !slices.IsSorted(got) {
				t.Fatalf("the lines of %q are %v, want %d among them", one.value, got, one.line)
			}
		}
	})
}

// BenchmarkClaims tells how much of the heap a million identifiers need, at the most,
// while they grow.
func BenchmarkClaims(b *testing.B) {
	const million = 1_000_000
	for b.Loop() {
		b.StopTimer()
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		peak := uint64(0)
		b.StartTimer()
		var c claims
		for i := range million {
			if err := c.add(fmt.Sprintf("user%d@example.test", i), i+1, unproven); err != nil {
				b.Fatal(err)
			}
			if i%50_000 == 0 {
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapAlloc)
			}
		}
		c.settle()
		runtime.ReadMemStats(&now)
		peak = max(peak, now.HeapAlloc)
		b.ReportMetric(float64(peak-before.HeapAlloc)/(1<<20), "MiB/million")
		runtime.KeepAlive(&c)
	}
}
