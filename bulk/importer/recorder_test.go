package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"ferry/bulk/results"
)

func TestResume(t *testing.T) {
	t.Parallel()
	const one = `{"line":1,"user_id":"auth0|1","outcome":"created_pending"}` + "\n"
	long, err := json.Marshal(results.Result{Line: 2, Outcome: results.Failed, Reason: strings.Repeat("/traits/x: maxLength; ", 10_000)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text  string
		whole int
		rows  int
		fails bool
	}{
		"nothing":          {"", 0, 0, false},
		"one":              {one, len(one), 1, false},
		"half a line":      {one + `{"line":2,"user_`, len(one), 1, false},
		"without its end":  {one + strings.TrimSpace(strings.Replace(one, "1", "2", 1)), len(one), 1, false},
		"nothing but half": {`{"li`, 0, 0, false},
		"zeros of a crash": {one + "\x00\x00\x00", len(one), 1, false},
		"a long reason":    {one + string(long) + "\n" + strings.Replace(one, ":1,", ":3,", 1), 2*len(one) + len(long) + 1, 3, false},
		"a line twice":     {one + one, 2 * len(one), 1, false},
		"no JSON":          {one + "hello\n", 0, 1, true},
		"another JSON":     {`{"user_id":"auth0|1"}` + "\n", 0, 0, true},
		"no outcome":       {`{"line":1}` + "\n", 0, 0, true},
		"line 0":           {`{"line":0,"outcome":"failed"}` + "\n", 0, 0, true},
		"too far a line":   {`{"line":1073741824,"outcome":"failed"}` + "\n", 0, 0, true},
		"an empty line":    {one + "\n", 0, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r recorder
			whole, err := results.Lines(strings.NewReader(c.text), r.resume)
			if whole != int64(c.whole) || (err != nil) != c.fails {
				t.Errorf("%d bytes are whole and the error is %v, want %d", whole, err, c.whole)
			}
			if r.summary.Rows != c.rows || r.summary.Resumed != c.rows {
				t.Errorf("%d rows, %d resumed, want %d", r.summary.Rows, r.summary.Resumed, c.rows)
			}
		})
	}
}

// endless is a file that has no end, and no line in it.
type endless struct{}

func (endless) Read(into []byte) (int, error) { clear(into); return len(into), nil }

func TestResumeOfAnEndlessFile(t *testing.T) {
	t.Parallel()
	var r recorder
	if _, err := results.Lines(endless{}, r.resume); err == nil {
		t.Error("it was taken")
	}
}

// fullDisk takes so many bytes.
type fullDisk struct {
	bytes.Buffer

	left int
}

var errFull = errors.New("no space left on device")

func (d *fullDisk) Write(text []byte) (int, error) {
	n := min(d.left, len(text))
	d.left -= n
	_, _ = d.Buffer.Write(text[:n])
	if n < len(text) {
		return n, errFull
	}
	return n, nil
}

// What was torn by a full disk is gone on with where the last whole line ends.
func TestResultsOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := &fullDisk{left: 150}
	r := recorder{to: disk}
	var err error
	for line := 1; err == nil; line++ {
		err = r.put(results.Result{Line: line, UserID: "auth0|1", Outcome: results.CreatedHash})
	}
	if !errors.Is(err, errFull) || !strings.HasPrefix(err.Error(), "write results: ") {
		t.Errorf("the error is %v", err)
	}
	disk.left = 1000
	if again := r.put(results.Result{Line: 9, Outcome: results.Failed}); !errors.Is(again, errFull) {
		t.Errorf("then the error is %v", again)
	}
	if disk.Len() != 150 {
		t.Errorf("%d bytes were written, want 150", disk.Len())
	}
	var next recorder
	whole, err := results.Lines(bytes.NewReader(disk.Bytes()), next.resume)
	if err != nil || next.summary.Rows != 2 || whole != int64(bytes.LastIndexByte(disk.Bytes(), '\n')+1) {
		t.Errorf("%d bytes, %d rows, %v", whole, next.summary.Rows, err)
	}
}

// A line has one result: the first.
func TestResultsOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := recorder{to: &out}
	for _, outcome := range []results.Outcome{results.CreatedPending, results.Failed, results.Skipped} {
		if err := r.put(results.Result{Line: 7, UserID: "auth0|7", Outcome: outcome}); err != nil {
			t.Fatal(err)
		}
	}
	if want := `{"line":7,"user_id":"auth0|7","outcome":"created_pending"}` + "\n"; out.String() != want {
		t.Errorf("wrote %q", out.String())
	}
	if r.summary.Rows != 1 || r.failed.Has(7) || !r.has(7) || r.has(6) || r.has(1<<20) {
		t.Errorf("the summary is %+v", r.summary)
	}
}

// FuzzResume: whatever the file, what is whole of it ends with a line, and read again
// by itself it tells the same.
func FuzzResume(f *testing.F) {
	f.Add([]byte(`{"line":1,"user_id":"auth0|1","outcome":"created_pending"}` + "\n" + `{"line":2,"outc`))
	f.Add([]byte(`{"line":64,"outcome":"failed","reason":"mfa"}` + "\n"))
	f.Add([]byte("\n"))
	far := regexp.MustCompile(`[0-9]{7}|[0-9][eE]`) // a set of lines takes a bit for each
	f.Fuzz(func(t *testing.T, text []byte) {
		if far.Match(text) {
			return
		}
		var r, again recorder
		whole, err := results.Lines(bytes.NewReader(text), r.resume)
		if err != nil {
			if whole != 0 {
				t.Errorf("%d bytes are whole of a file that is none", whole)
			}
			return
		}
		if whole < 0 || whole > int64(len(text)) || whole > 0 && text[whole-1] != '\n' || bytes.IndexByte(text[whole:], '\n') >= 0 {
			t.Fatalf("%d bytes are whole", whole)
		}
		same, err := results.Lines(bytes.NewReader(text[:whole]), again.resume)
		if err != nil || same != whole || again.summary.Rows != r.summary.Rows || again.summary.Failed() != r.summary.Failed() {
			t.Errorf("again: %d bytes, %d rows, %v", same, again.summary.Rows, err)
		}
	})
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	p := newLimiter(4)
	p.answered(49, time.Second)
	if p.size() != 50 {
		t.Errorf("a batch that was not full made it %d", p.size())
	}
	for range 9 {
		p.answered(p.size(), time.Second)
	}
	if p.size() != 1000 {
		t.Errorf("it grew to %d", p.size())
	}
	p.answered(1000, 10*time.Second)
	if p.size() != 1000 {
		t.Errorf("neither quick nor slow made it %d", p.size())
	}
	p.answered(1000, 30*time.Second)
	if p.size() != 500 {
		t.Errorf("a slow one made it %d", p.size())
	}
	for range 20 {
		p.failed()
	}
	if p.size() != 10 || p.limit != 1 {
		t.Errorf("trouble made it %d, %d at once", p.size(), p.limit)
	}
	for range 20 {
		p.answered(10, time.Minute)
	}
	if p.size() != 10 || p.limit != 4 {
		t.Errorf("it is %d, %d at once", p.size(), p.limit)
	}
}
