// Package demo runs the program demo with the real Kratos and checks its output, its
// exit status and what it leaves behind.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"

	"ferry/test/await"
	"ferry/test/hydratest"
	"ferry/test/kratostest"
	"ferry/test/process"
)

// built is the folder of the programs under test.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(built.dir)
		os.Exit(code)
	}))
}

// programs builds the three programs and, if needed, Kratos and Hydra. Building them may take
// minutes, during which the demo would seem to hang.
func programs(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if _, built.err = kratostest.Binary(t.Context(), t.Output()); built.err != nil {
			return
		}
		if _, built.err = hydratest.Binary(t.Context(), t.Output()); built.err != nil {
			return
		}
		if built.dir, built.err = os.MkdirTemp("", "ferry-demo-"); built.err != nil { //nolint:usetesting // it outlives the test that asks first
			return
		}
		built.err = errors.Join(build("ferry/cmd/ferry", "ferry/cmd/auth0sim"), build("-race", "ferry/cmd/demo"))
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

func build(args ...string) error {
	args = append([]string{"build", "-buildvcs=false", "-o", built.dir + "/"}, args...)
	if out, err := exec.CommandContext(context.Background(), "go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// around makes a folder with demo and auth0sim, and a script in place of ferry, or no
// ferry if the script is empty. $REAL is the real one.
func around(t *testing.T, script string) string {
	t.Helper()
	from, dir := programs(t), t.TempDir()
	for _, name := range []string{"demo", "auth0sim"} {
		if err := os.Link(filepath.Join(from, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if script == "" {
		return dir
	}
	script = "#!/bin/sh\n" + strings.NewReplacer("$REAL", filepath.Join(from, "ferry"), "$DIR", dir).Replace(script) + "\n"
	if err := os.WriteFile(filepath.Join(dir, "ferry"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// demo is one run of the program.
type demo struct {
	process *process.Process
	out     *process.Log // standard output and standard error
	temp    string       // its directory for temporary files
}

// start runs the demo of a folder with additional variables and stops it with the
// test.
func start(t *testing.T, dir string, env ...string) *demo {
	t.Helper()
	d := &demo{out: &process.Log{}, temp: t.TempDir()}
	var err error
	d.process, err = process.Command{
		Path:   filepath.Join(dir, "demo"),
		Env:    append(append(os.Environ(), "KEEP=", "TMPDIR="+d.temp), env...),
		Output: d.out,
	}.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the demo said:\n%s", d.out)
		}
		if err := d.process.Stop(0); err != nil {
			t.Error(err)
		}
	})
	return d
}

// mustEnd waits for the end and checks the exit status and that no file is left.
func (d *demo) mustEnd(t *testing.T, status int) {
	t.Helper()
	awaitTrue(t, "the demo's end", d.process.Exited)
	got := 0
	if err := d.process.Err(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatal(err)
		}
		got = exit.ExitCode()
	}
	if got != status {
		t.Errorf("got exit status %d, want %d", got, status)
	}
	left, err := os.ReadDir(d.temp)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("left behind: %s", entry.Name())
	}
}

func (d *demo) mustSay(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !d.out.Contains(text) {
			t.Errorf("the output lacks %q", text)
		}
	}
}

func awaitTrue(t *testing.T, what string, done func() bool) {
	t.Helper()
	if !await.True(done) {
		t.Fatalf("timeout waiting for %s", what)
	}
}

// facts returns the measured facts by step, without values that differ between runs.
func facts(out string) []string {
	var found []string
	for line := range strings.Lines(out) {
		if text, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "     "); ok {
			text = regexp.MustCompile(` +\(after \d+ ms\)$`).ReplaceAllString(text, "")
			text = regexp.MustCompile(`(\$2a\$04\$)....`).ReplaceAllString(text, "$1")
			if strings.HasPrefix(text, "      ") { // the detail of the line before
				found[len(found)-1] += " " + strings.TrimSpace(text)
				continue
			}
			found = append(found, strings.Join(strings.Fields(text), " "))
		} else if step := regexp.MustCompile(`^\d+\.`).FindString(line); step != "" {
			found = append(found, step)
		}
	}
	return found
}

// TestNarration: a successful run prints the documented steps.
func TestNarration(t *testing.T) {
	t.Parallel()
	d := start(t, programs(t))
	d.mustEnd(t, 0)
	const (
		still = `Kratos pending, no hash {"hashed_password":"","use_password_migration_hook":true}`
		moved = `Kratos hash stored, not pending {"hashed_password":"$2a$04$..."}`
	)
	want := []string{
		"1.", "binding auth0|5f7c8ec7c33c6c004bbafe81 (metadata_admin.auth0.user_id)", still,
		"2.", "Ada sees invalid credentials", "Auth0 1 password reached it", "ferry called once, answered mismatch", still,
		"3.", "Ada sees session", "Auth0 1 password reached it", "ferry called once, answered match", moved,
		"4.", "Ada sees session", "Auth0 0 passwords reached it", "ferry not called", moved,
		"5.", "Ada sees invalid credentials", "Auth0 0 passwords reached it", "ferry not called", moved,
		"6.", "Grace sees unavailable", "Auth0 0 passwords reached it", "ferry called once, answered unavailable", still,
		"7.", "Grace sees session", "Auth0 1 password reached it", "ferry called once, answered match", moved,
		"8.", "before 0 identities in Kratos", "Dorothy sees session", "Auth0 1 password reached it", "ferry called once, answered match",
		"after 1 identity in Kratos", "binding auth0|5f7c8ec7c33c6c004bbafe87", moved,
		"9.", "before 0 identities in Kratos", "Mary sees a new password", "Auth0 0 passwords reached it", "ferry not called",
		"after 1 identity in Kratos", "binding auth0|5f7c8ec7c33c6c004bbafe88", moved,
		"10.", "before 0 identities in Kratos", "Barbara sees invalid credentials", "Auth0 1 password reached it", "ferry not called",
		"11.", "Barbara sees session", "ferry not called", "after 1 identity in Kratos", "binding auth0|5f7c8ec7c33c6c004bbafe84",
		`Kratos neither pending nor a hash {"hashed_password":""}`,
		"12.", "app gets tokens of Hydra", "for her identity in Kratos (sub of the ID token)", "Auth0 1 refresh token reached it",
		"13.", "app gets tokens of Hydra", "for her identity in Kratos (sub of the ID token)", "Auth0 0 refresh tokens reached it",
	}
	if got := facts(d.out.String()); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	const end = "\n\nAll as expected. 4 users moved, in 9 logins and a recovery.\n5 passwords reached Auth0, ferry was called 5 times.\n"
	if !strings.HasSuffix(d.out.String(), end) {
		t.Errorf("it did not end with %q", end)
	}
	for line := range strings.Lines(d.out.String()) {
		if columns := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); columns > 80 {
			t.Errorf("%d columns, more than a terminal shows: %s", columns, line)
		}
	}
	if d.out.Contains("\x1b") {
		t.Error("colours, although this is no terminal")
	}
}

// TestWrongFacts: a ferry that Auth0 does not know migrates no one, and the demo
// reports that.
func TestWrongFacts(t *testing.T) {
	t.Parallel()
	d := start(t, around(t, "FERRY_AUTH0_CLIENT_SECRET=wrong exec $REAL \"$@\""))
	d.mustEnd(t, 1)
	d.mustSay(t,
		"Ada sees    unavailable",
		"^^^ NOT AS EXPECTED: Ada sees must be: invalid credentials",
		"ferry       called once, answered misconfigured",
		"^^^ NOT AS EXPECTED: Kratos must be: hash stored, not pending",
		"\nNOT AS EXPECTED: ", "marked above. 1 users moved, in 9 logins and a recovery",
		"demo: ", "facts were not as expected; the end of ferry's log:\n{",
	)
	if d.out.Contains("All as expected") {
		t.Error("the demo reported success")
	}
}

// TestPortTaken: if another program takes ferry's port, the demo restarts Kratos on
// another port. It gives up if that happens every time.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	const taken = "echo 'listen tcp: bind: address already in use'; echo once >>$DIR/taken; exit 1"
	tried := func(t *testing.T, dir string) int {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, "taken"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "once")
	}
	t.Run("once", func(t *testing.T) {
		t.Parallel()
		dir := around(t, "[ -e $DIR/taken ] && exec $REAL \"$@\"\n"+taken)
		d := start(t, dir)
		d.mustEnd(t, 0)
		if got := tried(t, dir); got != 1 {
			t.Errorf("the port was taken %d times, want 1", got)
		}
		d.mustSay(t, "All as expected.")
	})
	t.Run("always", func(t *testing.T) {
		t.Parallel()
		dir := around(t, taken)
		d := start(t, dir)
		d.mustEnd(t, 1)
		if got := tried(t, dir); got != 3 {
			t.Errorf("it tried %d times, want 3", got)
		}
		d.mustSay(t, "another program took ferry's port")
	})
}

// TestRefusals: the demo refuses what cannot work at once.
func TestRefusals(t *testing.T) {
	t.Parallel()
	alone := around(t, "")
	out, err := demoIn(t, t.TempDir(), alone).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "demo: find ferry, which `make build` writes to the folder of this program: ") {
		t.Errorf("outside of the sources: %v: %s", err, out)
	}
	for _, arg := range []string{"wat", "--wat"} {
		var exit *exec.ExitError
		out, err := exec.CommandContext(t.Context(), filepath.Join(programs(t), "demo"), arg).CombinedOutput()
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), "demo: unknown ") {
			t.Errorf("%s: got %v: %s", arg, err, out)
		}
	}
}

// TestAlone: without the other programs beside it, as under `go run`, the demo builds
// them from its sources.
func TestAlone(t *testing.T) {
	t.Parallel()
	out, err := demoIn(t, ".", around(t, ""), "replay", "../testdata/payloads").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "All as expected.") {
		t.Errorf("%v: %s", err, out)
	}
}

// demoIn prepares the demo of a folder to run in another.
func demoIn(t *testing.T, dir, programs string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), filepath.Join(programs, "demo"), args...)
	c.Dir = dir
	return c
}
