package main

import (
	"bytes"
	"cmp"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ferry/migration"
	"ferry/secret"
	"ferry/state"
	"ferry/test/await"
	"ferry/test/bulktest"
	"ferry/test/redistest"
)

const remintKey = "0123456789abcdef0123456789abcdef"

// reminting sets the settings of a ferry that replaces refresh tokens, after its last application
// has come so long ago; negative: none has come.
func reminting(t *testing.T, ago time.Duration) {
	t.Helper()
	dir := t.TempDir()
	for name, value := range map[string]string{
		"DATA_DIR": dir, "STATE_KEY": remintKey, "ADMIN_LISTEN": "127.0.0.1:0", "TOKEN_LISTEN": "127.0.0.1:0", "REMINT_CLIENTS": "spa,web",
		"HYDRA_ADMIN_URL": "http://127.0.0.1:1", "HYDRA_PUBLIC_URL": "http://127.0.0.1:2", "COUNT_EVERY": "1m",
	} {
		t.Setenv("FERRY_"+name, value)
	}
	kept, err := state.OpenRemintFile(filepath.Join(dir, state.RemintFileName), secret.New(remintKey), time.Now)
	if err == nil && ago >= 0 {
		err = kept.CountUse(t.Context(), "spa", time.Now().Add(-ago))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
}

// applicationsCase is a case of TestPlanOfApplications.
type applicationsCase struct {
	ago             time.Duration
	accept          string
	closed, unasked bool
	state           migration.State
	next            string
	known           bool
	count           int
	page, says, not string
}

// TestPlanOfApplications: with the counts of a running ferry, plan and page say how many applications
// need Auth0. The plan calls nothing switched off while they do, or while it does not know.
func TestPlanOfApplications(t *testing.T) {
	const day = 24 * time.Hour
	fake := bulktest.NewKratos(t)
	fake.Add(bulktest.Migrated(1, time.Now().Add(-30*day)))
	kratos := withVersion(t, fake)
	file := filepath.Join(t.TempDir(), "kratos.yml")
	if err := os.WriteFile(file, []byte("dsn: memory\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]applicationsCase{
		"one has come":         {ago: 2 * day, state: migration.Draining, next: "ferry status --metrics http://127.0.0.1:4481", known: true, count: 1, page: "The users of 1 application with Auth0 refresh tokens would have to log in again", says: "1  auth0_tokens  blocks"},
		"no ferry was asked":   {ago: 2 * day, unasked: true, state: migration.Draining, next: "ferry plan --metrics http://127.0.0.1:4481", says: "only a running ferry knows which applications"},
		"none has come":        {ago: -1, state: migration.Draining, next: "ferry status --metrics http://127.0.0.1:4481", page: "Applications that use Auth0 refresh tokens are not known", says: "no application has used an Auth0 refresh token yet"},
		"one came long ago":    {ago: 20 * day, state: migration.SwitchedOff, next: "FERRY_MIGRATION_CLOSED=true", known: true, not: "auth0_tokens"},
		"accepted":             {ago: 2 * day, accept: "auth0_tokens", state: migration.SwitchedOff, next: "FERRY_MIGRATION_CLOSED=true", known: true, count: 1, says: "1  auth0_tokens  accepted"},
		"the migration closed": {ago: 2 * day, closed: true, unasked: true, state: migration.SwitchedOff, not: "auth0_tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			usable(t)
			t.Setenv("FERRY_KRATOS_ADMIN_URL", kratos.URL)
			c.run(t, file)
		})
	}
}

// run runs serve, unless no ferry is to be asked, and the plan, with this kratos.yml.
func (c applicationsCase) run(t *testing.T, file string) {
	t.Helper()
	reminting(t, c.ago)
	t.Setenv("FERRY_PLAN_ACCEPT", cmp.Or(c.accept, "no_address"))
	t.Setenv("FERRY_MIGRATION_CLOSED", strconv.FormatBool(c.closed))
	args := []string{"--kratos-config", file}
	if !c.unasked {
		s := startServing(t)
		defer s.Stop(t.Context())
		args = append(args, "--metrics", s.url)
		if c.page != "" && !await.True(func() bool { return strings.Contains(s.read(t), c.page) }) {
			t.Errorf("%q is not on the page", c.page)
		}
	}
	p := planned(t, args...)
	next := ""
	if len(p.Next) > 0 {
		next = strings.Join(append(p.Next[0].Command, p.Next[0].Settings...), " ")
	}
	if p.State != c.state || next != c.next {
		t.Errorf("%s (%s), next %q", p.State, p.Why, next)
	}
	if off := p.IfOff.Applications; (off == nil) != c.closed || off != nil && *off != (migration.Applications{Known: c.known, Count: c.count}) {
		t.Errorf("%+v", off)
	}
	var text bytes.Buffer
	if status := run(t.Context(), append([]string{"plan"}, args...), &text, io.Discard); status != exitOK || !strings.Contains(text.String(), c.says) || c.not != "" && strings.Contains(text.String(), c.not) {
		t.Errorf("status %d: %s", status, text.String())
	}
}

// TestPlanOfApplicationsInRedis: where ferry keeps its state in Redis, the plan reads the counts
// there, whichever ferry made them and whether one runs. Without Redis they are not known.
func TestPlanOfApplicationsInRedis(t *testing.T) {
	usable(t)
	fake := bulktest.NewKratos(t)
	fake.Add(bulktest.Migrated(1, time.Now().Add(-30*24*time.Hour)))
	t.Setenv("FERRY_KRATOS_ADMIN_URL", withVersion(t, fake).URL)
	reminting(t, -1)
	server := redistest.Run(t, redistest.Options{})
	t.Setenv("FERRY_STATE_URL", server.URL())
	expectApplications(t, migration.Applications{}, "", "no application has ")

	redis, err := state.NewRedis(secret.New(server.URL()), secret.New(remintKey), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = redis.Close() }()
	for _, id := range []string{"old", "spa", "web", "web"} {
		ago := map[string]time.Duration{"old": 20, "spa": 2, "web": 1}[id] * 24 * time.Hour
		if err := redis.Remints().CountUse(t.Context(), id, time.Now().Add(-ago)); err != nil {
			t.Fatal(err)
		}
	}
	p := expectApplications(t, migration.Applications{Known: true, Count: 2}, "Redis", "")
	if all := p.Remints; len(all) != 3 || all[0].ClientID != "web" || all[0].Count != 2 || all[1].ClientID != "spa" || all[2].ClientID != "old" {
		t.Error(all)
	}

	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	expectApplications(t, migration.Applications{}, "", "only a running ferry ")
}

// expectApplications checks what the plan says of the applications, which block.
func expectApplications(t *testing.T, want migration.Applications, from, says string) migration.Plan {
	t.Helper()
	p := planned(t)
	at := slices.IndexFunc(p.Blockers, func(b migration.Blocker) bool { return b.Kind == migration.Auth0Tokens })
	if at < 0 {
		t.Fatal(p.Blockers)
	}
	if b := p.Blockers[at]; !b.Blocks || b.Known != want.Known || b.Count != want.Count || b.From != from || !strings.Contains(b.Explanation, says) {
		t.Errorf("%+v", b)
	}
	if *p.IfOff.Applications != want {
		t.Errorf("%+v", p.IfOff.Applications)
	}
	return p
}
