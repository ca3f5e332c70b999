package export_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferry/bulk/export"
	"ferry/test/bulktest"
)

const (
	exportJob        = "job_iSjvljNtsTMmSpRW"
	exportConnection = "con_iSjvljNtsTMmSpRW"
	exportHost       = "127.0.0.1:4490"
	exportUsers      = `{"user_id":"auth0|1","email":"ö@example.test"}` + "\n" + `{"user_id":"auth0|2","user_metadata":{"a":1,"A":2}}` + "\n"
	exportMarked     = `{"user_id":"auth0|1","email":"ö@example.test","blocked":null,"multifactor":null,"last_password_reset":null,"identities":null}` + "\n" + `{"user_id":"auth0|2","user_metadata":{"a":1,"A":2}}` + "\n"
	exportHint       = "; Auth0 keeps the job for a day: ferry export --job " + exportJob + " --out "
)

func TestExport(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"users.ndjson", "users.json.gz", "it's one.ndjson", "-"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tn := &exportTenant{jobs: []exportAnswer{
				says(nil), says(map[string]any{"status": "processing", "percentage_done": 40, "time_left_seconds": 60}),
				says(map[string]any{"status": "processing", "percentage_done": 30, "time_left_seconds": 3}), completed(),
			}, files: []http.HandlerFunc{sends(gzipped(exportUsers))}}
			inExport(t, tn, func(b exportBubble) { b.exportsTo(name) })
		})
	}
}

// exportsTo exports to a file of that name, or to standard output.
func (b exportBubble) exportsTo(name string) {
	b.Helper()
	dir := b.TempDir()
	var stdout bytes.Buffer
	b.opts.Connection, b.opts.Out, b.opts.Stdout = "users", name, &stdout
	if name != "-" {
		b.opts.Out = filepath.Join(dir, name)
	}
	done, err := export.Run(b.Context(), b.opts)
	if err != nil {
		b.Fatal(err)
	}
	got, size := stdout.String(), len(exportMarked)
	if name != "-" {
		got = bulktest.ReadFile(b.T, b.opts.Out)
		size = len(got)
		if info, err := os.Stat(b.opts.Out); err != nil || info.Mode() != 0o600 || !reflect.DeepEqual(bulktest.Files(b.T, dir), []string{name}) {
			b.Errorf("%v, %v, %v", info.Mode(), bulktest.Files(b.T, dir), err)
		}
	}
	if strings.HasSuffix(name, ".gz") {
		got = unzipped(b.T, got)
	}
	if got != exportMarked || done != (export.Result{JobID: exportJob, Users: 2, Bytes: int64(size), Path: b.opts.Out}) {
		b.Errorf("got %+v, %q", done, got)
	}
	b.checkProgress()
	if len(b.tenant.starts) != 1 || !strings.Contains(b.tenant.starts[0], `"connection_id":"`+exportConnection+`"`) || b.tenant.downloads != 1 {
		b.Errorf("started %q, %d downloads", b.tenant.starts, b.tenant.downloads)
	}
	var waits []time.Duration
	for i := 1; i < len(b.tenant.asked); i++ {
		waits = append(waits, b.tenant.asked[i].Sub(b.tenant.asked[i-1]))
	}
	if fmt.Sprint(waits) != "[2s 15s 3s]" {
		b.Errorf("asked after %s", waits)
	}
}

// checkProgress checks the progress that an export to opts.Out reported.
func (b exportBubble) checkProgress() {
	b.Helper()
	out := b.opts.Out
	if strings.Contains(out, "'") {
		out = "'" + strings.ReplaceAll(out, "'", `'\''`) + "'"
	}
	lines := []string{"job " + exportJob + ": to continue after an interruption: ferry export --job " + exportJob + " --out " + out}
	if !reflect.DeepEqual(b.progress.lines, lines) {
		b.Errorf("said %q, want %q", b.progress.lines, lines)
	}
	size := len(gzipped(exportUsers))
	phases := []string{"export at Auth0, percent 100: 100", fmt.Sprintf("download, bytes %d: %d", size, size), "users checked 0: 2"}
	if !reflect.DeepEqual(b.progress.phases, phases) {
		b.Errorf("phases %q", b.progress.phases)
	}
}

func unzipped(t *testing.T, file string) string {
	t.Helper()
	from, err := gzip.NewReader(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The first user names the tenant, and says that the file has the fields that no user has.
// Other users are as Auth0 sent them.
func TestExportMarksTheFirstUser(t *testing.T) {
	t.Parallel()
	const fields = `,"blocked":null,"multifactor":null,"last_password_reset":null,"identities":null`
	for name, c := range map[string]struct{ text, tenant, want string }{
		"it lacks all":   {`{"user_id":"auth0|1"}` + "\n" + `{"user_id":"auth0|2"}` + "\n", "acme.eu.auth0.com", `{"user_id":"auth0|1"` + fields + `,"auth0_tenant":"acme.eu.auth0.com"}` + "\n" + `{"user_id":"auth0|2"}` + "\n"},
		"tenant unknown": {`{"user_id":"auth0|1"}` + "\n", "", `{"user_id":"auth0|1"` + fields + "}\n"},
		"it has some":    {`{"user_id":"auth0|1","blocked":true,"identities":[{"provider":"auth0","user_id":"1","connection":"users"}]}`, "", `{"user_id":"auth0|1","blocked":true,"identities":[{"provider":"auth0","user_id":"1","connection":"users"}],"multifactor":null,"last_password_reset":null}` + "\n"},
		"not readable":   {"\n" + `{"user_id":"1"}` + "\r\n" + `{"user_id":"auth0|2"}` + "\r\n", "", `{"user_id":"1"}` + "\n" + `{"user_id":"auth0|2"` + fields + "}\n"},
		"no users":       {"", "acme.eu.auth0.com", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inExport(t, &exportTenant{jobs: []exportAnswer{completed()}, files: []http.HandlerFunc{sends(gzipped(c.text))}}, func(b exportBubble) {
				for _, out := range []string{"users.ndjson", "users.ndjson.gz"} {
					b.opts.Tenant, b.opts.Out = c.tenant, filepath.Join(b.TempDir(), out)
					b.writes(c.want)
				}
			})
		})
	}
}

// writes exports to a file, which must have this text.
func (b exportBubble) writes(want string) {
	b.Helper()
	done, err := export.Run(b.Context(), b.opts)
	if err != nil {
		b.Fatal(err)
	}
	got := bulktest.ReadFile(b.T, b.opts.Out)
	if done.Bytes != int64(len(got)) {
		b.Errorf("%d bytes, not %d", len(got), done.Bytes)
	}
	if strings.HasSuffix(b.opts.Out, ".gz") {
		got = unzipped(b.T, got)
	}
	if got != want {
		b.Errorf("%s is\n%s\nnot\n%s", b.opts.Out, got, want)
	}
}

// wrong is an export that Auth0 makes difficult.
type wrong struct {
	start             http.HandlerFunc
	connection        string
	jobs              []exportAnswer
	files             []http.HandlerFunc
	err               string // empty: it succeeds all the same
	resumable         bool
	starts, downloads int
}

// TestExportGoesWrong: what Auth0 can do, and what is left of the export then.
func TestExportGoesWrong(t *testing.T) {
	t.Parallel()
	whole := gzipped(exportUsers)
	changed := bytes.Clone(whole)
	changed[len(changed)-8] ^= 1
	good, cut := sends(whole), sends(whole[:len(whole)-9])
	crc, expired := sends(changed), answers(403, "canary")
	short := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write(whole)
	}
	repeat := func(n int, answer exportAnswer, after ...exportAnswer) []exportAnswer {
		var all []exportAnswer
		for range n {
			all = append(all, answer)
		}
		return append(all, after...)
	}
	redirect := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://elsewhere.test/", http.StatusFound)
	}
	limited := exportAnswer{answer: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "9")
		answers(429, `{"errorCode":"too_many_requests"}`)(w, r)
	}}
	const minuteAfter = 946684800 + 60 // when a bubble begins: 1 January 2000
	limitedFirst := func(w http.ResponseWriter, r *http.Request) {
		if time.Now().Unix() >= minuteAfter {
			answers(200, `{"id":"`+exportJob+`","type":"users_export","status":"pending"}`)(w, r)
			return
		}
		w.Header().Set("X-Ratelimit-Reset", strconv.Itoa(minuteAfter))
		answers(429, `{"errorCode":"too_many_requests"}`)(w, r)
	}
	for name, c := range map[string]wrong{
		"limited for a minute": {start: limitedFirst, starts: 7, downloads: 1},
		"limited for good":     {start: limited.answer, err: "export: start a job: auth0 management: limited (status 429, too_many_requests)", starts: 63},
		"the link expired":     {files: []http.HandlerFunc{expired, expired, good}, starts: 1, downloads: 3},
		"it came broken":       {files: []http.HandlerFunc{cut, crc, short, answers(200, "<html>"), good}, starts: 1, downloads: 5},
		"it keeps breaking":    {files: []http.HandlerFunc{cut}, err: "export: the downloaded file is damaged: unexpected EOF", resumable: true, starts: 1, downloads: 5},
		"the links never hold": {files: []http.HandlerFunc{expired}, err: "export: download: auth0 management: link_refused (status 403)", resumable: true, starts: 1, downloads: 5},
		"sent elsewhere":       {files: []http.HandlerFunc{redirect}, err: "export: download: auth0 management: redirect (status 302)", resumable: true, starts: 1, downloads: 1},
		"not of users":         {files: []http.HandlerFunc{sends(gzipped("{\"email\":\"canary\"}\n"))}, err: "export: line 1 is not a user", resumable: true, starts: 1, downloads: 1},
		"the job failed":       {jobs: repeat(1, says(nil), says(map[string]any{"status": "failed", "status_details": "Connection is gone"})), err: `export: the job has ended: it failed at Auth0: "Connection is gone"`, starts: 1},
		"the job is forgotten": {jobs: repeat(1, refuses(404, `{}`)), err: "export: the job has ended: Auth0 does not know it", starts: 1},
		"Auth0 is away":        {jobs: repeat(20, refuses(503, ``), completed()), starts: 1, downloads: 1},
		"Auth0 stays away":     {jobs: repeat(1, refuses(503, ``)), err: "export: ask for the job: auth0 management: server_fault (status 503)", resumable: true, starts: 1},
		"the limit is reached": {jobs: repeat(9, limited, completed()), starts: 1, downloads: 1},
		"another kind of job":  {jobs: repeat(1, says(map[string]any{"type": "users_import"})), err: "export: the job does not export users as JSON; without --job ferry starts one that does", starts: 1},
		"no scope":             {start: answers(403, `{"errorCode":"insufficient_scope"}`), err: "export: start a job: auth0 management: refused (status 403, insufficient_scope): the Management API application needs the scope read:users", starts: 1},
		"the start is lost":    {start: answers(502, `canary`), err: "export: start a job: auth0 management: server_fault (status 502)", starts: 1},
		"no such connection":   {connection: "other", err: `export: find the connection "other": auth0 management: no_such_connection (status 200): the tenant has no connection`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tn := &exportTenant{start: c.start, jobs: c.jobs, files: c.files}
			if tn.jobs == nil {
				tn.jobs = []exportAnswer{completed()}
			}
			if tn.files == nil {
				tn.files = []http.HandlerFunc{good}
			}
			inExport(t, tn, func(b exportBubble) { b.goesWrong(c) })
		})
	}
}

func (b exportBubble) goesWrong(c wrong) {
	b.Helper()
	dir := b.TempDir()
	b.opts.Out, b.opts.Connection = filepath.Join(dir, "users.ndjson"), c.connection
	done, err := export.Run(b.Context(), b.opts)
	if len(b.tenant.starts) != c.starts || b.tenant.downloads != c.downloads {
		b.Errorf("%d starts, %d downloads", len(b.tenant.starts), b.tenant.downloads)
	}
	if c.err == "" {
		if err != nil || done.Users != 2 || bulktest.ReadFile(b.T, b.opts.Out) != exportMarked {
			b.Errorf("%+v, %v", done, err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "canary") {
		b.Fatalf("got %v", err)
	}
	if resumable := strings.Contains(err.Error(), exportHint+b.opts.Out); resumable != c.resumable {
		b.Errorf("resumable %t: %v", resumable, err)
	}
	if left := bulktest.Files(b.T, dir); len(left) != 0 || done != (export.Result{}) {
		b.Errorf("left %v, %+v", left, done)
	}
}

// A job that was begun is gone on with; nothing new is asked for.
func TestExportResumes(t *testing.T) {
	t.Parallel()
	tn := &exportTenant{jobs: []exportAnswer{says(nil), says(nil), completed()}, files: []http.HandlerFunc{sends(gzipped(exportUsers))}}
	inExport(t, tn, func(b exportBubble) {
		ctx, cancel := context.WithTimeout(b.Context(), 2500*time.Millisecond)
		defer cancel()
		b.opts.Out = filepath.Join(b.TempDir(), "users.ndjson")
		_, err := export.Run(ctx, b.opts)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.HasSuffix(err.Error(), exportHint+b.opts.Out) || len(bulktest.Files(b.T, filepath.Dir(b.opts.Out))) != 0 {
			b.Fatalf("got %v", err)
		}
		b.progress.lines = nil
		b.opts.Job = exportJob
		done, err := export.Run(b.Context(), b.opts)
		if err != nil || done.Users != 2 || done.JobID != exportJob || len(tn.starts) != 1 || len(b.progress.lines) != 0 {
			b.Errorf("%+v, %v, %q, said %q", done, err, tn.starts, b.progress.lines)
		}
	})
}

// TestExportOverFiles: nothing is lost that was there before.
func TestExportOverFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	there, link, pipe := filepath.Join(dir, "there"), filepath.Join(dir, "link"), os.DevNull
	if err := errors.Join(os.WriteFile(there, []byte("old"), 0o600), os.Symlink(there, link)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		out   string
		force bool
		err   string
	}{
		{there, false, "exists; choose another name, or replace it with --force"},
		{link, false, "is not a file"},
		{link, true, "is not a file"},
		{dir, true, "is not a file"},
		{pipe, true, "is not a file"},
		{filepath.Join(dir, "missing", "users"), true, "no such file or directory"},
		{filepath.Join(there, "users"), true, "not a directory"},
		{"", true, "the file to write is not named"},
	} {
		inExport(t, &exportTenant{}, func(b exportBubble) {
			b.opts.Out, b.opts.Force = c.out, c.force
			if _, err := export.Run(b.Context(), b.opts); err == nil || !strings.Contains(err.Error(), c.err) {
				b.Errorf("%s: %v", c.out, err)
			}
		})
	}
	if bulktest.ReadFile(t, there) != "old" || len(bulktest.Files(t, dir)) != 2 {
		t.Errorf("left %v", bulktest.Files(t, dir))
	}
	tn := &exportTenant{jobs: []exportAnswer{completed()}, files: []http.HandlerFunc{sends(gzipped(exportUsers))}}
	inExport(t, tn, func(b exportBubble) {
		b.opts.Out, b.opts.Force = there, true
		if _, err := export.Run(b.Context(), b.opts); err != nil || bulktest.ReadFile(b.T, there) != exportMarked || !strings.HasSuffix(b.progress.lines[0], " --force") {
			b.Errorf("%v, %q", err, b.progress.lines)
		}
	})
}

// Somebody else's file that appears meanwhile stays; so does nothing of ferry's.
func TestExportOvertaken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "users.ndjson")
	tn := &exportTenant{jobs: []exportAnswer{completed()}, files: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
		if err := os.WriteFile(out, []byte("theirs"), 0o600); err != nil {
			t.Error(err)
		}
		sends(gzipped(exportUsers))(w, r)
	}}}
	inExport(t, tn, func(b exportBubble) {
		b.opts.Out = out
		_, err := export.Run(b.Context(), b.opts)
		if err == nil || !strings.Contains(err.Error(), "exists") || bulktest.ReadFile(b.T, out) != "theirs" || len(bulktest.Files(b.T, dir)) != 1 {
			b.Errorf("%v, %v", err, bulktest.Files(b.T, dir))
		}
	})
}

// A full disk ends the export, not the job.
func TestExportDiskFull(t *testing.T) {
	t.Parallel()
	tn := &exportTenant{jobs: []exportAnswer{completed()}, files: []http.HandlerFunc{sends(gzipped(exportUsers))}}
	inExport(t, tn, func(b exportBubble) {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			b.Fatal(err)
		}
		defer full.Close()
		b.opts.Out, b.opts.Stdout = "-", full
		if _, err := export.Run(b.Context(), b.opts); err == nil || err.Error() != "export: write /dev/full: no space left on device"+exportHint+"-" {
			b.Errorf("%v", err)
		}
	})
}

func TestExportWithoutWhatItNeeds(t *testing.T) {
	t.Parallel()
	inExport(t, &exportTenant{}, func(b exportBubble) {
		for name, opts := range map[string]export.Options{
			"auth0":    {Progress: b.progress, Out: "x"},
			"progress": {Auth0: b.opts.Auth0, Out: "x"},
			"stdout":   {Auth0: b.opts.Auth0, Progress: b.progress, Out: "-"},
		} {
			if _, err := export.Run(b.Context(), opts); err == nil {
				b.Errorf("began without %s", name)
			}
		}
	})
}
