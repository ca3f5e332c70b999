package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"ferry/bulk/kind"
	"ferry/bulk/status"
	"ferry/config"
	"ferry/migration"
	"ferry/test/bulktest"
	"ferry/test/redistest"
	"ferry/verification"
)

// planned runs `ferry plan --json` and returns the plan.
func planned(t *testing.T, args ...string) migration.Plan {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), append([]string{"plan", "--json"}, args...), &stdout, &stderr); status != exitOK {
		t.Fatalf("status %d: %s", status, stderr.String())
	}
	bulktest.Documented(t, "../../docs/plan.schema.json", stdout.String())
	var p migration.Plan
	if err := json.Unmarshal(stdout.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPlanOfAnExport: with --users, the last logins are those of the export, and users without
// an identity are counted.
func TestPlanOfAnExport(t *testing.T) {
	withoutSettings(t)
	t.Setenv("FERRY_DATA_DIR", t.TempDir())
	listing(t, oneIdentity(1, pendingConfig, `{"user_id":"auth0|1","connection":"main"}`), oneIdentity(2, pendingConfig, `{"user_id":"auth0|2","connection":"main"}`))
	if p := planned(t); p.State != migration.Imported || p.IfOff.LoseAccess != 2 || p.IfOff.ActiveLast90Days != nil || p.IfOff.MissingKnown {
		t.Errorf("without an export: %+v", p)
	}
	lately, longAgo := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), "2020-01-01T00:00:00Z"
	users := strings.Join([]string{
		bulktest.User("1", "a@x.test", bulktest.With{"last_login": lately}), bulktest.User("2", "b@x.test", bulktest.With{"last_login": longAgo}),
		bulktest.User("3", "c@x.test", bulktest.With{"last_login": lately}), bulktest.User("4", "d@x.test", bulktest.With{"blocked": true, "last_login": lately}),
	}, "\n")
	export := filepath.Join(t.TempDir(), "users.ndjson")
	if err := os.WriteFile(export, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	p := planned(t, "--users", export)
	if off := p.IfOff; off.Total != 3 || off.LoseAccess != 3 || off.ActiveLast90Days == nil || *off.ActiveLast90Days != 2 || !off.MissingKnown {
		t.Errorf("with an export: %+v", off)
	}
}

// TestPlanRecords: what a command recorded, the plan reads, in a directory as in Redis.
func TestPlanRecords(t *testing.T) {
	withoutSettings(t)
	server := redistest.Run(t, redistest.Options{})
	for name, settings := range map[string]map[string]string{
		"a directory": {"DATA_DIR": filepath.Join(t.TempDir(), "data")},
		"Redis":       {"STATE_URL": server.URL(), "STATE_KEY": strings.Repeat("k", 32)},
	} {
		t.Run(name, func(t *testing.T) {
			for setting, value := range settings {
				t.Setenv(config.Prefix+setting, value)
			}
			recorded(t)
		})
	}
}

// recorded merges a kratos.yml and takes ferry out of it again. The plan finds it in the records
// alone.
func recorded(t *testing.T) {
	t.Helper()
	merged := filepath.Join(t.TempDir(), "merged.yml")
	if err := os.WriteFile(merged, []byte("dsn: memory\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	listing(t, oneIdentity(1, `{}`, `{}`))
	t.Setenv("FERRY_HOOK_KEYS", someKey)
	expect := func(want migration.State, next string) {
		t.Helper()
		if p := planned(t); p.State != want || p.Next[0].Command[1] != next {
			t.Errorf("%s (%s), next %+v; want %s, %s", p.State, p.Why, p.Next, want, next)
		}
	}
	edit := func(how string) {
		t.Helper()
		var stderr bytes.Buffer
		if status := run(t.Context(), []string{"kratos-config", how, merged}, io.Discard, &stderr); status != exitOK {
			t.Fatal(stderr.String())
		}
	}
	expect(migration.NotWired, "doctor")
	edit("--merge")
	expect(migration.Wired, "doctor")
	edit("--remove")
	expect(migration.NotWired, "kratos-config")
	var text bytes.Buffer
	if status := run(t.Context(), []string{"plan"}, &text, io.Discard); status != exitOK || !strings.HasPrefix(text.String(), "state  not wired: ") {
		t.Errorf("status %d: %s", status, text.String())
	}
}

// TestPlanUsage: what cannot be read is 1, wrong usage and wrong settings are 2.
func TestPlanUsage(t *testing.T) {
	withoutSettings(t)
	expect := func(want int, says string, args ...string) {
		t.Helper()
		var stderr bytes.Buffer
		if status := run(t.Context(), append([]string{"plan"}, args...), io.Discard, &stderr); status != want || !strings.Contains(stderr.String(), says) {
			t.Errorf("%v: status %d: %s", args, status, stderr.String())
		}
	}
	expect(exitUsage, "FERRY_KRATOS_ADMIN_URL")
	listing(t)
	expect(exitFailed, "FERRY_KRATOS_ADMIN_TOKEN")
	expect(exitFailed, "none.yml", "--kratos-config", "none.yml")
	expect(exitUsage, "--users must be a file", "--users", "-")
	t.Setenv("FERRY_PLAN_ACCEPT", "missing,unbound")
	expect(exitUsage, "FERRY_PLAN_ACCEPT: must list some of missing, second_factor")
}

// TestPlanAccept: the setting lists the blockers that can be accepted.
func TestPlanAccept(t *testing.T) {
	rules, err := planRules(&config.Config{PlanAccept: []string{"missing", "bridge_only"}})
	if err != nil || len(rules.Accepted) != 2 {
		t.Errorf("%+v, %v", rules, err)
	}
	var names []string
	for _, one := range migration.Acceptable() {
		names = append(names, string(one))
	}
	if want := strings.Join(names, ", "); !strings.Contains(config.Table(), want) {
		t.Errorf("the description of FERRY_PLAN_ACCEPT does not list %s", want)
	}
}

// manyPlans returns plans of all combinations of what decides the next step.
func manyPlans() (plans []migration.Plan) {
	on, off, now := true, false, time.Now()
	kinds := map[kind.Kind]int{kind.Pending: 9, kind.Migrated: 1, kind.Bridge: 1}
	connection := status.Connection{Total: 11, Kinds: kinds, Obstacles: map[status.Obstacle]int{status.Unbound: 1, status.NoAddress: 1}}
	found := verification.Record{Command: verification.Reconcile, Started: now, Ended: now, Counts: map[string]int{}}
	for _, kind := range migration.BlockerKinds() {
		found.Counts[string(kind)] = 1
	}
	doctor := verification.Record{OK: true, KratosConfig: "k"}
	for _, s := range []status.Status{{Total: 1}, {Total: 11, Kinds: kinds, Connections: map[string]status.Connection{"main": connection}}, {Total: 1, Kinds: map[kind.Kind]int{kind.Migrated: 1}}} {
		for _, hook := range []*bool{&on, &off, nil} {
			for _, records := range []verification.Records{
				nil, {verification.Reconcile: found}, {verification.Doctor: doctor}, {verification.Doctor: doctor, verification.Reconcile: {Started: now, Ended: now}},
			} {
				for _, usersAt := range []*time.Time{nil, {}, &now} {
					f := migration.Facts{
						Now: now, Status: s, HookOn: hook, Records: records, RecordsKept: true, UsersAt: usersAt,
						Files: migration.Files{KratosConfig: kratosConfigName, Users: usersName}, Rules: migration.Rules{ReconcileMaxAge: time.Hour, Quiet: time.Hour},
					}
					plans = append(plans, migration.Decide(f))
					f.Remint = true
					plans = append(plans, migration.Decide(f))
					f.Remints = []status.Remint{{ClientID: "spa", Last: now}}
					plans = append(plans, migration.Decide(f))
					f.Closed = true
					plans = append(plans, migration.Decide(f))
				}
			}
		}
	}
	return plans
}

// TestPlanNamesCommandsThatExist: every command of a plan exists, with its flags.
func TestPlanNamesCommandsThatExist(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range manyPlans() {
		for _, next := range p.Next {
			seen[strings.Join(next.Command, " ")] = true
		}
		for _, b := range p.Blockers {
			seen[strings.Join(b.Command, " ")] = true
		}
	}
	delete(seen, "") // settings, and what no command does
	const least = 12
	if len(seen) < least {
		t.Fatalf("only %d commands: %v", len(seen), seen)
	}
	for line := range seen {
		if err := parses(line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// parses parses a command line without running it.
func parses(line string) error {
	root := &cobra.Command{Use: "ferry"}
	root.AddCommand(doctorCommand(nil, io.Discard, io.Discard), exportCommand(io.Discard, io.Discard), importCommand(nil, io.Discard, io.Discard),
		reconcileCommand(nil, io.Discard, io.Discard), statusCommand(io.Discard, io.Discard), planCommand(io.Discard, io.Discard), finishCommand(io.Discard, io.Discard),
		kratosConfigCommand(io.Discard, io.Discard), rebindCommand(io.Discard, io.Discard))
	words := strings.Fields(line)
	cmd, args, err := root.Find(words[1:])
	switch {
	case err != nil:
		return err
	case cmd == root, words[0] != "ferry":
		return errors.New("no such command")
	}
	if err := cmd.ParseFlags(args); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}
