// Package bulk migrates whole tenants from the Auth0 simulator to the real Kratos with
// the program ferry: export, import, reconcile and status, with faults on the way.
package bulk

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ferry/bulk/plan"
	"ferry/test/auth0sim/gen"
	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
	"ferry/test/process"
)

func TestMain(m *testing.M) { built.Main(m) }

// google is the flag with which the tests import the generated Google accounts.
var google = []string{"--provider", "google-oauth2=google"}

// tenant is a generated tenant with the expected result of each line.
type tenant struct {
	dir      string
	expected map[int]gen.Expected
}

func newTenant(tb testing.TB, users int, seed uint64) *tenant {
	tb.Helper()
	dir := tb.TempDir()
	if _, err := gen.Write(tb.Context(), gen.Options{Users: users, Seed: seed, Dir: dir, Format: gen.FormatAll}); err != nil {
		tb.Fatal(err)
	}
	x := &tenant{dir: dir, expected: map[int]gen.Expected{}}
	for _, e := range readLines[gen.Expected](tb, x.path(gen.ExpectedFile)) {
		x.expected[e.Line] = e
	}
	return x
}

func (x *tenant) path(name string) string { return filepath.Join(x.dir, name) }

// create returns the command line that the expected results are for.
func (x *tenant) create(args ...string) []string {
	return append(append([]string{"import", "--users", x.path(gen.UsersFile), "--hashes", x.path(gen.HashesFile)}, google...), args...)
}

// readLines decodes an NDJSON file.
func readLines[T any](tb testing.TB, path string) []T {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return parseLines[T](tb, text)
}

func parseLines[T any](tb testing.TB, text []byte) []T {
	tb.Helper()
	var all []T
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var one T
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			tb.Fatalf("%q: %v", lines.Text(), err)
		}
		all = append(all, one)
	}
	if err := lines.Err(); err != nil {
		tb.Fatal(err)
	}
	return all
}

// newKratos starts a real Kratos with the generated schema.
func newKratos(tb testing.TB, opts kratostest.Options) *kratostest.Kratos {
	tb.Helper()
	opts.Schema = gen.Schema()
	return kratostest.Run(tb, opts)
}

// answer is the output and the exit status of ferry.
type answer struct {
	stdout, stderr string
	code           int
}

// ferry runs the program to its end.
func ferry(tb testing.TB, env []string, args ...string) answer {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), built.Ferry(tb), accepting(args)...)
	cmd.Env = append([]string{}, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatal(err)
	}
	return answer{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// want fails the test unless ferry ended with this exit status and printed these
// texts.
func (a answer) want(tb testing.TB, code int, said ...string) answer {
	tb.Helper()
	if a.code != code {
		tb.Fatalf("ferry ended with %d, not %d\n%s%s", a.code, code, a.stdout, a.stderr)
	}
	for _, text := range said {
		if !strings.Contains(a.stderr, text) {
			tb.Errorf("ferry does not say %q but\n%s", text, a.stderr)
		}
	}
	return a
}

// start starts the program. Its output can be read once it has ended.
func start(tb testing.TB, env []string, args ...string) (*process.Process, *bytes.Buffer) {
	tb.Helper()
	var printed bytes.Buffer
	p, err := process.Command{Path: built.Ferry(tb), Args: accepting(args), Env: env, Output: &printed}.Start(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return p, &printed
}

// accepting adds the flag that accepts users files without the fields that no row of theirs
// needs, unless the fields are fetched. Package cases tests the refusal.
func accepting(args []string) []string {
	if args[0] != "import" && args[0] != "reconcile" || slices.Contains(args, "--fetch-missing") {
		return args
	}
	return append(slices.Clone(args), "--accept-missing", strings.Join(plan.Deciding(), ","))
}

func adminURL(k *kratostest.Kratos) []string {
	return []string{"FERRY_KRATOS_ADMIN_URL=" + k.AdminURL()}
}

// result is a line of a results file.
type result struct {
	Line       int    `json:"line"`
	UserID     string `json:"user_id"`
	Outcome    string `json:"outcome"`
	IdentityID string `json:"identity_id"`
	Reason     string `json:"reason"`
	Detail     string `json:"detail"`
}

// word returns the first word of the reason.
func (r result) word() string {
	word, _, _ := strings.Cut(r.Reason, ":")
	return word
}

// compare fails the test unless each line has the expected result, once.
func (x *tenant) compare(tb testing.TB, results []result) {
	tb.Helper()
	seen := map[int]bool{}
	for _, r := range results {
		e, ok := x.expected[r.Line]
		if !ok || seen[r.Line] {
			tb.Errorf("line %d has a result too many: %+v", r.Line, r)
			continue
		}
		seen[r.Line] = true
		if r.Outcome != string(e.Outcome) || r.word() != string(e.Reason) || r.UserID != e.UserID {
			tb.Errorf("line %d (%s) is %+v, not %s %s", r.Line, e.Kind, r, e.Outcome, e.Reason)
		}
		if created := strings.HasPrefix(r.Outcome, "created_"); created && r.IdentityID == "" {
			tb.Errorf("line %d is created without an identity: %+v", r.Line, r)
		}
	}
	for line, e := range x.expected {
		if !seen[line] {
			tb.Errorf("line %d (%s) has no result", line, e.Kind)
		}
	}
}

// runInto runs ferry with a file as its standard output. ferry must fail; the answer
// is its standard error.
func runInto(tb testing.TB, stdout *os.File, env []string, args ...string) string {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), built.Ferry(tb), accepting(args)...)
	cmd.Env = append([]string{}, env...)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 1 {
		tb.Fatalf("it ends with %v\n%s", err, stderr.String())
	}
	return stderr.String()
}
