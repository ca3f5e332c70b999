package hashfile

import (
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		marks := rapid.SliceOfN(rapid.Uint64(), 1, 4).Draw(t, "marks")
		var p places
		want := map[uint64][]int64{}
		var offset int64
		for range rapid.IntRange(0, 50).Draw(t, "lines") {
			mark := rapid.SampledFrom(marks).Draw(t, "mark")
			offset = rapid.Int64Range(offset, 1<<placeBits-1).Draw(t, "offset")
			if err := p.add(mark, offset); err != nil {
				t.Fatal(err)
			}
			want[held(mark)] = append(want[held(mark)], offset)
		}
		p.sort()
		for _, mark := range append(marks, 0, 1<<64-1) {
			if got := slices.Collect(p.of(mark)); !slices.Equal(got, want[held(mark)]) {
				t.Fatalf("lines of %x: %v, want %v", mark, got, want[held(mark)])
			}
		}
	})
}

func TestTooBig(t *testing.T) {
	var p places
	if err := p.add(1, 1<<48); !errors.Is(err, errTooBig) {
		t.Errorf("err = %v", err)
	}
}

// TestMemory: all that is ever taken for the places of a million lines, what was taken
// in between and given back among it.
func TestMemory(t *testing.T) {
	const lines, most = 200_000, 24.0 / 5
	mark := func(i uint64) uint64 { return i * 0x9e3779b97f4a7c15 } // spread, and none twice
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var p places
	for i := range lines {
		if err := p.add(mark(uint64(i)), int64(i)*500); err != nil {
			t.Fatal(err)
		}
	}
	p.sort()
	runtime.ReadMemStats(&after)
	if mib := float64(after.TotalAlloc-before.TotalAlloc) / (1 << 20); mib > most {
		t.Errorf("%.1f MiB, more than %.1f, for %d lines", mib, most, lines)
	}
	if got := slices.Collect(p.of(mark(7))); !slices.Equal(got, []int64{3500}) {
		t.Errorf("line 7 is at %v", got)
	}
}

// BenchmarkOpen reads a million lines of about 500 bytes, and says what is held of them
// afterwards.
func BenchmarkOpen(b *testing.B) {
	const lines = 1_000_000
	name := filepath.Join(b.TempDir(), "hashes")
	file, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	for i := range lines {
		fmt.Fprintf(file, `{"_id":{"$oid":"%024x"},"email_verified":true,"email":"user%d@example.com","passwordHash":"$2b$10$%053d","password_set_date":{"$date":"2019-12-06T18:36:12.412Z"},"tenant":"acme","connection":"Username-Password-Authentication","_tmp_is_unique":true,"identifiers":[{"type":"email","value":"user%d@example.com","verified":true}]}`+"\n", i, i, i, i)
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
	var heap float64
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		x, err := Open(b.Context(), name, "")
		if err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		heap = float64(after.HeapAlloc-before.HeapAlloc) / (1 << 20)
		if x.Len() != lines {
			b.Fatalf("%d lines", x.Len())
		}
		x.Close()
	}
	b.ReportMetric(heap, "MiB/Mlines")
	b.ReportMetric(float64(b.N)*lines/b.Elapsed().Seconds(), "lines/s")
}

func BenchmarkFind(b *testing.B) {
	name := filepath.Join(b.TempDir(), "hashes")
	if err := os.WriteFile(name, []byte(theirs), 0o600); err != nil {
		b.Fatal(err)
	}
	seed := maphash.MakeSeed()
	x, err := open(b.Context(), name, "", func(subject string) uint64 { return maphash.String(seed, subject) })
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	for b.Loop() {
		if _, ok, err := x.Find("auth0|5dea9f9c82dd7c0e76e4ec93"); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
