// Package clients imports the applications of generated tenants into the real Ory Hydra, with the
// program ferry, and goes through the flows of the clients.
package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ferry/clients"
	"ferry/clients/importer"
	"ferry/test/ferrytest/built"
	"ferry/test/hydratest"
)

func TestMain(m *testing.M) { built.Main(m) }

// answer is what ferry printed, and how it ended.
type answer struct {
	stdout, stderr string
	code           int
}

// ferry runs the program.
func ferry(t *testing.T, env []string, args ...string) answer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), built.Ferry(t), args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append([]string{}, env...), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return answer{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// want checks how ferry ended and what it said to people.
func (a answer) want(t *testing.T, code int, said ...string) answer {
	t.Helper()
	if a.code != code {
		t.Errorf("exit status %d, want %d", a.code, code)
	}
	for _, text := range said {
		if !strings.Contains(a.stderr, text) {
			t.Errorf("it does not say %q", text)
		}
	}
	if t.Failed() {
		t.Fatalf("%s\n%s", a.stderr, a.stdout)
	}
	return a
}

// lines are the result lines on standard output, by client id. Each must fit the schema.
func (a answer) lines(t *testing.T) map[string]importer.Result {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile("../../docs/clients.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]importer.Result{}
	for line := range strings.Lines(a.stdout) {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err == nil {
			err = schema.Validate(value)
		}
		var result importer.Result
		if err == nil {
			err = json.Unmarshal([]byte(line), &result)
		}
		if err != nil {
			t.Fatalf("%s%v", line, err)
		}
		if _, twice := all[result.ClientID]; twice {
			t.Errorf("two lines about %s", result.ClientID)
		}
		all[result.ClientID] = result
	}
	return all
}

// hydraEnv are the settings for a Hydra.
func hydraEnv(admin, public string) []string {
	return []string{"FERRY_HYDRA_ADMIN_URL=" + admin, "FERRY_HYDRA_PUBLIC_URL=" + public}
}

func envOf(hydra *hydratest.Hydra) []string { return hydraEnv(hydra.AdminURL(), hydra.PublicURL()) }

// stored are the clients at Hydra by id.
func stored(t *testing.T, hydra *hydratest.Hydra) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	var list []map[string]any
	if err := admin(t.Context(), hydra, http.MethodGet, "/admin/clients?page_size=500", nil, &list); err != nil {
		t.Fatal(err)
	}
	for _, client := range list {
		id, _ := client["client_id"].(string)
		all[id] = client
	}
	return all
}

// admin calls Hydra's admin API.
func admin(ctx context.Context, hydra *hydratest.Hydra, method, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, hydra.AdminURL()+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %d %s %w", method, path, resp.StatusCode, answer, err)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// hasDevice reports whether a Hydra has the device grant, and takes ids with a slash.
func hasDevice(t *testing.T, hydra *hydratest.Hydra) bool {
	t.Helper()
	var said struct{ Version string }
	if err := admin(t.Context(), hydra, http.MethodGet, "/version", nil, &said); err != nil {
		t.Fatal(err)
	}
	return clients.FeaturesOf(said.Version).DeviceGrant
}

// command is the import of the tenant.
func (x *tenant) command(file string, more ...string) []string {
	return slices.Concat([]string{"clients", "import", "--applications", file, "--expand-callback", expansion}, x.keyFlags, more)
}

// compare checks the line of each application.
func (x *tenant) compare(t *testing.T, lines map[string]importer.Result, verified bool) {
	t.Helper()
	if len(lines) != len(x.apps) {
		t.Errorf("%d lines for %d applications", len(lines), len(x.apps))
	}
	for _, e := range x.apps {
		line := lines[e.id()]
		if line.Result != e.result || line.Reason != e.reason || line.Name != e.app["name"] {
			t.Errorf("%v: %+v, want %s %s", e.app["name"], line, e.result, e.reason)
		}
		var reasons []clients.Reason
		for _, finding := range line.Fields {
			if !slices.Contains(reasons, finding.Reason) {
				reasons = append(reasons, finding.Reason)
			}
		}
		slices.Sort(reasons)
		want := slices.Clone(e.findings)
		slices.Sort(want)
		if !slices.Equal(reasons, want) {
			t.Errorf("%v: what cannot be moved is %v, want %v", e.app["name"], reasons, want)
		}
		if line.Verified != (verified && e.result == importer.Created && e.key == nil) {
			t.Errorf("%v: verified is %v", e.app["name"], line.Verified)
		}
	}
}

// secretsIn checks that no secret of the tenant is in a text.
func (x *tenant) secretsIn(t *testing.T, texts ...string) {
	t.Helper()
	for _, e := range x.apps {
		for _, text := range texts {
			if secret := e.secret(); secret != "" && strings.Contains(text, secret) {
				t.Errorf("the secret of %v is printed", e.app["name"])
			}
		}
	}
}

// TestTenant: a tenant of 60 applications of every kind is imported. Each line is right, and every
// client completes the flows of its kind.
func TestTenant(t *testing.T) {
	t.Parallel()
	hydra := hydratest.Run(t, hydratest.Options{})
	x := generate(t, hasDevice(t, hydra))
	file, audit := x.write(t, "applications.json"), filepath.Join(x.dir, "audit.log")
	env := append(envOf(hydra), "FERRY_AUDIT_LOG="+audit)

	dry := ferry(t, env, x.command(file, "--dry-run")...).want(t, 1, "dry run: nothing was written")
	x.compare(t, dry.lines(t), false)
	if left := stored(t, hydra); len(left) > 0 {
		t.Fatalf("the dry run has made %d clients", len(left))
	}
	done := ferry(t, env, x.command(file)...).want(t, 1, "of 60 applications were refused or failed")
	x.compare(t, done.lines(t), true)
	first := stored(t, hydra)
	x.completeAll(t, hydra, first)

	// Again: nothing changes, and it says so.
	again := ferry(t, env, x.command(file)...).want(t, 1, "nothing was changed at Hydra")
	for id, line := range again.lines(t) {
		if first[id] != nil && (line.Result != importer.Unchanged || len(line.Changed)+len(line.Kept) > 0) {
			t.Errorf("again: %+v", line)
		}
	}
	if now := stored(t, hydra); !same(first, now) {
		t.Error("the second run has changed clients")
	}
	record, err := os.ReadFile(audit)
	if err != nil || !strings.Contains(string(record), `"command":"clients import"`) {
		t.Errorf("the audit log is %s, %v", record, err)
	}
	x.secretsIn(t, dry.stdout, dry.stderr, done.stdout, done.stderr, again.stdout, again.stderr, string(record))
}

// same compares everything that Hydra says of clients, also when they were changed.
func same(a, b any) bool {
	first, errFirst := json.Marshal(a)
	second, errSecond := json.Marshal(b)
	return errFirst == nil && errSecond == nil && bytes.Equal(first, second)
}

// TestDryRunWithoutHydra: without settings no request is made, and the lines are those for the
// oldest Hydra.
func TestDryRunWithoutHydra(t *testing.T) {
	t.Parallel()
	x := generate(t, false)
	file := x.write(t, "applications.json")
	x.compare(t, ferry(t, nil, x.command(file, "--dry-run")...).want(t, 1).lines(t), false)
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
