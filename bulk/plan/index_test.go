package plan

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"

	"ferry/bulk/results"

	"pgregory.net/rapid"
)

// indexed builds an index from entries such as "1 user auth0|1", "2 verified a@x.test".
func indexed(t *testing.T, all ...string) *index {
	t.Helper()
	ranks := map[string]uint32{"user": rankUser, "verified": rankVerified, "unverified": rankUnverified}
	x := &index{}
	for _, text := range all {
		var line int
		var rank, value string
		if _, err := fmt.Sscan(text, &line, &rank, &value); err != nil {
			t.Fatal(err)
		}
		if err := x.add(value, line, ranks[rank]); err != nil {
			t.Fatal(err)
		}
	}
	x.resolve(nil)
	return x
}

// losers are the lines up to 9 that lose, and what against: "2>1", a user id "2>1u".
func (x *index) losers() string {
	var all []string
	for line := range 10 {
		if collision, lost := x.collisionOf(line); lost {
			text := fmt.Sprintf("%d>%d", line, collision.against)
			if collision.user {
				text += "u"
			}
			all = append(all, text)
		}
	}
	return strings.Join(all, " ")
}

func TestIndex(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		entries []string
		want    string
	}{
		"nobody":                           {nil, ""},
		"everybody his own":                {[]string{"1 unverified a", "2 verified b", "3 user c"}, ""},
		"the first user":                   {[]string{"1 user a", "2 user a", "3 user a"}, "2>1u 3>1u"},
		"the first user of the file":       {[]string{"3 user a", "1 user a"}, "3>1u"},
		"one verified, first":              {[]string{"1 verified a", "2 unverified a", "3 unverified a"}, "2>1 3>1"},
		"one verified, last":               {[]string{"1 unverified a", "2 unverified a", "3 verified a"}, "1>3 2>3"},
		"several verified":                 {[]string{"1 unverified a", "2 verified a", "3 verified a"}, "1>2 3>2"},
		"none verified":                    {[]string{"1 unverified a", "2 unverified a", "3 unverified a"}, "1>3 2>1 3>1"},
		"twice in one line":                {[]string{"1 unverified a", "1 unverified a"}, ""},
		"twice in one line, once verified": {[]string{"1 unverified a", "1 verified a", "2 unverified a"}, "2>1"},
		"twice in one line, against all":   {[]string{"1 unverified a", "2 unverified a", "2 unverified a"}, "1>2 2>1"},
		"users and identifiers are two":    {[]string{"1 user a", "2 unverified a"}, ""},
		"a user before an identifier":      {[]string{"1 user a", "1 verified b", "2 user a", "2 unverified b"}, "2>1u"},
		"a user twice is one person":       {[]string{"1 user a", "1 unverified b", "2 user a", "2 unverified b"}, "2>1u"},
		"the second row proves nothing":    {[]string{"1 user a", "1 unverified b", "2 user a", "2 verified b"}, "2>1u"},
		"twice, and then somebody else":    {[]string{"1 user a", "1 unverified b", "2 user a", "2 unverified b", "3 user c", "3 unverified b"}, "1>3 2>1u 3>1"},
		"only the first row's identifier":  {[]string{"1 user a", "1 unverified b", "2 user a", "2 unverified d", "3 user c", "3 unverified d"}, "2>1u"},
		"who lost one still has his other": {[]string{"1 verified a", "2 unverified a", "2 unverified b", "3 unverified b"}, "2>1 3>2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := indexed(t, c.entries...).losers(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestIndexOfTooLongAFile(t *testing.T) {
	t.Parallel()
	var x index
	if err := x.add("a", results.MaxLine, rankUser); err != nil {
		t.Error(err)
	}
	if err := x.add("a", results.MaxLine+1, rankUser); err == nil {
		t.Error("a line was taken that does not fit")
	}
	x.resolve(nil)
	if got := x.lines("a", rankUser); !slices.Equal(got, []int{results.MaxLine}) {
		t.Errorf("the lines are %v", got)
	}
}

// naive does with maps what index does with digests.
type naive struct {
	value string
	line  int
	rank  uint32
}

func naiveLosers(all []naive) map[int]bool {
	repeats := map[int]bool{}
	for _, one := range all {
		repeats[one.line] = repeats[one.line] || one.rank == rankUser && slices.ContainsFunc(all, func(other naive) bool {
			return other.rank == rankUser && other.value == one.value && other.line < one.line
		})
	}
	losers := maps.Clone(repeats)
	all = slices.DeleteFunc(slices.Clone(all), func(one naive) bool { return repeats[one.line] && one.rank != rankUser })
	for _, one := range all {
		winner := 0
		others := false
		for _, other := range all {
			if other.value != one.value || (other.rank == rankUser) != (one.rank == rankUser) {
				continue
			}
			others = others || other.line != one.line
			if other.rank != rankUnverified && (winner == 0 || other.line < winner) {
				winner = other.line
			}
		}
		losers[one.line] = losers[one.line] || others && winner != one.line
	}
	return losers
}

func TestIndexProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) naive {
			return naive{
				rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "value"),
				rapid.IntRange(1, 8).Draw(t, "line"), rapid.SampledFrom([]uint32{rankUnverified, rankVerified, rankUser}).Draw(t, "rank"),
			}
		}), 0, 30).Draw(t, "entries")
		var x index
		for _, one := range all {
			if err := x.add(one.value, one.line, one.rank); err != nil {
				t.Fatal(err)
			}
		}
		x.resolve(nil)
		want := naiveLosers(all)
		for line := range 10 {
			collision, lost := x.collisionOf(line)
			if lost != want[line] {
				t.Fatalf("line %d lost: %v, want %v", line, lost, want[line])
			}
			if lost && int(collision.against) == line {
				t.Fatalf("line %d lost against itself", line)
			}
		}
		for _, one := range all {
			if got := x.lines(one.value, one.rank); !slices.Contains(got, one.line) || !slices.IsSorted(got) {
				t.Fatalf("the lines of %q are %v, want %d among them", one.value, got, one.line)
			}
		}
	})
}

// BenchmarkIndex tells how much of the heap a million identifiers need, at the most,
// while they grow.
func BenchmarkIndex(b *testing.B) {
	const million = 1_000_000
	for b.Loop() {
		b.StopTimer()
		var before, now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		peak := uint64(0)
		b.StartTimer()
		var x index
		for i := range million {
			if err := x.add(fmt.Sprintf("user%d@example.test", i), i+1, rankUnverified); err != nil {
				b.Fatal(err)
			}
			if i%50_000 == 0 {
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapAlloc)
			}
		}
		x.resolve(nil)
		runtime.ReadMemStats(&now)
		peak = max(peak, now.HeapAlloc)
		b.ReportMetric(float64(peak-before.HeapAlloc)/(1<<20), "MiB/million")
		runtime.KeepAlive(&x)
	}
}
