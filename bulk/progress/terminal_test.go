package progress

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

var _ Reporter = (*Terminal)(nil)

// clockAt is a clock that a test moves.
type clockAt struct{ time.Time }

func (c *clockAt) now() time.Time { return c.Time }

func TestProgressWithoutATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	clock := &clockAt{time.Unix(1_700_000_000, 0)}
	p := NewTerminal(&out)
	p.now = clock.now
	after := func(d time.Duration, n int64) {
		clock.Time = clock.Add(d)
		p.Add(n)
	}
	p.Add(7) // belongs to nothing
	p.Start("users", 100_000)
	for range 49 {
		after(100*time.Millisecond, 240)
	}
	after(100*time.Millisecond, 240)
	after(time.Second, 0)
	after(4*time.Second, 0)
	p.Say("a word")
	after(time.Second, 88_000)
	p.Done()
	p.Done()
	after(time.Hour, 1)
	p.Start("download, bytes", 4_000_000)
	after(10*time.Second, 1_000_000)
	p.Start("found", -1) // ends the one before
	after(6*time.Second, 3)
	after(time.Second, 1)
	p.Done()
	p.Start("nothing", 0)
	p.Done()
	p.Start("export, percent", 100)
	after(10*time.Second, 30)
	after(20*time.Second, 70)
	p.Done()
	want := []string{
		"users: 12,000 of 100,000 (12%), 2,400/s, 37s left",
		"users: 12,000 of 100,000 (12%), 1,200/s, 1m13s left",
		"a word",
		"users: 100,000 in 11s, 9,090/s",
		"download: 1.0 MB of 4.0 MB (25%), 100.0 kB/s, 30s left",
		"download: 1.0 MB in 10s, 100.0 kB/s",
		"found: 3, 30/min",
		"found: 4 in 7s, 34/min",
		"nothing: 0 in 0s",
		"export: 30%, 23s left",
		"export: 100%",
		"export: 100% in 30s",
	}
	if got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// On a terminal a bar comes and goes; what stays are lines.
func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := NewTerminal(&out)
	p.columns = func() int { return 80 }
	for _, phase := range []struct {
		what  string
		total int64
	}{{"users", 8000}, {"download, bytes", 8000}, {"found", 0}, {"export, percent", 8000}} {
		p.Start(phase.what, phase.total)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 1000 {
					p.Add(1)
				}
			})
		}
		group.Wait()
		p.Say("a word")
		p.Add(1) // more than was announced
		p.Done()
	}
	shown := out.String()
	for _, want := range []string{"\rusers   0% |", "8000/8000", "8.0/8.0 kB", "found (0"} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is not in %q", want, shown)
		}
	}
	if _, bar, _ := strings.Cut(shown, "\rexport "); strings.Contains(bar, "/s") || !strings.Contains(bar, "100% |") {
		t.Errorf("a percentage has no rate: %q", bar)
	}
	var stays []string
	for _, line := range strings.Split(shown, "\n") {
		_, line, _ = strings.Cut(line, "\x1b[2K\r")
		for strings.Contains(line, "\x1b[2K\r") {
			_, line, _ = strings.Cut(line, "\x1b[2K\r")
		}
		line, _, _ = strings.Cut(line, " in ")
		stays = append(stays, line)
	}
	if got := strings.Join(stays, "|"); got != "a word|users: 8,001|a word|download: 8.0 kB|a word|found: 8,001|a word|export: 8,001%|" {
		t.Errorf("%q stays of %q", got, shown)
	}
}

// A narrow terminal gets one short line that is drawn over, and no bar.
func TestProgressOnANarrowTerminal(t *testing.T) {
	t.Parallel()
	const columns = 40
	var out bytes.Buffer
	clock := &clockAt{time.Unix(1_700_000_000, 0)}
	p := NewTerminal(&out)
	p.now, p.columns = clock.now, func() int { return columns }
	p.Start("identities in Kratos", 1_000_000)
	for range 30 {
		clock.Time = clock.Add(time.Second)
		p.Add(10_000)
	}
	p.Say("a word")
	p.Done()
	drawn := strings.Split(out.String(), clearLine)
	if len(drawn) != 33 { // 30 times, before the word, and at the end
		t.Errorf("%d lines were drawn", len(drawn))
	}
	for _, line := range drawn[1:31] {
		if len(line) >= columns || !strings.HasPrefix(line, "identities in Kratos: ") {
			t.Errorf("%q does not fit", line)
		}
	}
	if got := strings.Join(drawn[31:], ""); got != "a word\nidentities in Kratos: 300,000 in 30s, 10,000/s\n" {
		t.Errorf("%q stays", got)
	}
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 12345: "12,345", 1234567: "1,234,567", -999: "-999", -1000: "-1,000"} {
		if got := Grouped(n); got != want {
			t.Errorf("Grouped(%d) = %s", n, got)
		}
	}
	for n, want := range map[int64]string{0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 5_600_000: "5.6 MB", 7e9: "7.0 GB", 1e15: "1000.0 TB"} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %s", n, got)
		}
	}
}
