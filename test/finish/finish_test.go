package finish

import (
	"context"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"ferry/test/kratostest"
)

// TestFinish ends pending states on the real Kratos while users log in.
func TestFinish(t *testing.T) {
	s := start(t)
	t.Run("an open migration", s.refused)
	t.Run("logins during the closing", s.closing)
	t.Run("a login whose match Kratos has not stored yet", s.held)
	t.Run("a login between list and write", s.between)
	t.Run("killed", s.killed)
	t.Run("undo", s.undone)
}

// refused: finish changes nothing while the migration is open or the hook cannot be
// called.
func (s *stack) refused(t *testing.T) {
	p := s.pending(t, "open")[0]
	for _, c := range []struct {
		args []string
		says string
	}{
		{s.finishArgs(), "the migration is open"},
		{[]string{"finish", "--yes", "--hook-url", "http://127.0.0.1:9"}, "does `ferry serve` run there?"},
		{[]string{"finish", "--yes", "--hook-url", s.kratos.PublicURL()}, "not one of ferry's hook"},
	} {
		cmd, ended := s.command(t.Context(), t, c.args...)
		if a := ended(cmd.Run()); a.code != 1 || !strings.Contains(a.stderr, c.says) || a.stdout != "" {
			t.Errorf("%v ends with %d: %s%s", c.args, a.code, a.stdout, a.stderr)
		}
	}
	s.sees(t, p.email, p.password, kratostest.SeesSession)
}

// closing: users log in while ferry is restarted and finish runs. Users who were
// migrated keep the password; the others see wrong credentials.
func (s *stack) closing(t *testing.T) {
	people := s.pending(t, names("closing", 12)...)
	var group sync.WaitGroup
	got := make([]atomic.Bool, len(people))
	jobs := make(chan int)
	for range 4 {
		group.Go(func() {
			for i := range jobs {
				login, err := s.kratos.LoginAPI(t.Context(), people[i].email, people[i].password)
				if err != nil {
					t.Error(err)
				} else if login.Sees() == kratostest.SeesSession {
					got[i].Store(true)
				}
			}
		})
	}
	for i := range people {
		if i == len(people)/2 {
			s.restart(t, closedEnv)
			group.Go(func() { s.run(t, []string{"finish", "--yes", "--wait", "2s", "--hook-url", s.front.url}) })
		}
		jobs <- i
	}
	close(jobs)
	group.Wait()
	crossed := 0
	for i, p := range people {
		want := kratostest.SeesInvalidCredentials
		if got[i].Load() {
			want = kratostest.SeesSession
			crossed++
		}
		s.sees(t, p.email, p.password, want)
		if identity := s.read(t, p); identity.Pending || !identity.VerifiableAddresses[0].Verified {
			t.Errorf("%+v", identity)
		}
	}
	if crossed == 0 || crossed == len(people) {
		t.Errorf("%d of %d migrated, want some but not all", crossed, len(people))
	}
}

func (s *stack) read(t *testing.T, p person) kratostest.Identity {
	t.Helper()
	identity, err := s.kratos.Get(t.Context(), p.identity)
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// held: ferry has answered match, but Kratos does not have the answer yet when the
// migration is closed. finish waits for it.
func (s *stack) held(t *testing.T) {
	s.restart(t)
	p := s.pending(t, "held")[0]
	waiting, release := s.front.hold()
	defer release()
	sees := make(chan string, 1)
	go func() {
		login, err := s.kratos.LoginAPI(t.Context(), p.email, p.password)
		if err != nil {
			t.Error(err)
		}
		sees <- login.Sees()
	}()
	<-waiting
	s.front.pass()
	closed := s.serve(closedEnv)
	s.front.to(t, closed.HooksURL())
	cmd, ended := s.command(t.Context(), t, "finish", "--yes", "--wait", "5s", "--hook-url", s.front.url, "--results", "held.ndjson")
	stderr := &releasing{at: "waiting", release: release}
	cmd.Stderr = stderr
	if a := ended(cmd.Run()); a.code != 0 || !stderr.done {
		t.Errorf("it ends with %d: %s", a.code, stderr.text.String())
	}
	if got := <-sees; got != kratostest.SeesSession {
		t.Errorf("the login sees %q", got)
	}
	if got := s.results(t, "held.ndjson")[p.identity]; got != "skipped not_pending" {
		t.Errorf("the result is %q", got)
	}
	s.sees(t, p.email, p.password, kratostest.SeesSession)
}

// releasing calls release once a text was written.
type releasing struct {
	text    strings.Builder
	at      string
	release func()
	done    bool
}

func (r *releasing) Write(p []byte) (int, error) {
	r.text.Write(p)
	if strings.Contains(r.text.String(), r.at) {
		r.done = true
		r.release()
	}
	return len(p), nil
}

// between: another ferry still migrates a user after finish has listed the pending
// identities.
func (s *stack) between(t *testing.T) {
	closed, open := s.serve(closedEnv), s.serve()
	s.front.to(t, open.HooksURL())
	people := s.pending(t, "between1", "between2")
	var once sync.Once
	admin := s.adminProxy(t, func(r *http.Request) {
		if r.Method == http.MethodGet && path.Base(r.URL.Path) == people[0].identity {
			once.Do(func() { s.sees(t, people[0].email, people[0].password, kratostest.SeesSession) })
		}
	})
	cmd, ended := s.command(t.Context(), t, "finish", "--yes", "--wait", "0s", "--hook-url", closed.HooksURL(), "--results", "between.ndjson")
	cmd.Env = append(cmd.Env, "FERRY_KRATOS_ADMIN_URL="+admin)
	if a := ended(cmd.Run()); a.code != 0 {
		t.Errorf("it ends with %d: %s", a.code, a.stderr)
	}
	results := s.results(t, "between.ndjson")
	if results[people[0].identity] != "skipped not_pending" || results[people[1].identity] != "finished" {
		t.Errorf("the results are %v", results)
	}
	s.sees(t, people[0].email, people[0].password, kratostest.SeesSession)
	s.sees(t, people[1].email, people[1].password, kratostest.SeesInvalidCredentials)
}

// killed: after a kill, the same command resumes, and the results file has every user.
func (s *stack) killed(t *testing.T) {
	s.restart(t, closedEnv)
	people := s.pending(t, names("killed", 10)...)
	ctx, kill := context.WithCancel(t.Context()) // CommandContext ends the program with SIGKILL
	var writes atomic.Int64
	admin := s.adminProxy(t, func(r *http.Request) {
		if r.Method == http.MethodPut && uuid.Validate(path.Base(r.URL.Path)) == nil && writes.Add(1) == 5 {
			kill()
		}
	})
	cmd, ended := s.command(ctx, t, s.finishArgs("--results", "killed.ndjson")...)
	cmd.Env = append(cmd.Env, "FERRY_KRATOS_ADMIN_URL="+admin)
	if a := ended(cmd.Run()); a.code != -1 {
		t.Fatalf("it ends with %d: %s", a.code, a.stderr)
	}
	s.run(t, s.finishArgs("--results", "killed.ndjson"), "0 pending afterwards")
	s.run(t, s.finishArgs("--results", "killed.ndjson"), "0 pending afterwards")
	results := s.results(t, "killed.ndjson")
	for _, p := range people {
		if got := results[p.identity]; got != "finished" && got != "skipped finished_earlier" {
			t.Errorf("%s is %q", p.email, got)
		}
		s.sees(t, p.email, p.password, kratostest.SeesInvalidCredentials)
	}
}

// undone: after an undo, users whom finish ended can be migrated again; users who
// recovered keep the new password.
func (s *stack) undone(t *testing.T) {
	s.restart(t, closedEnv)
	people := s.pending(t, "undone1", "undone2", "undone3")
	recovered, crosses, stays := people[0], people[1], people[2]
	before := s.read(t, crosses)
	s.run(t, s.finishArgs("--results", "undone.ndjson"), "3 finished")
	const chosen = "A new pass phrase, chosen"
	if err := s.kratos.RecoverByMail(t.Context(), s.mail, recovered.email, chosen); err != nil {
		t.Fatal(err)
	}
	s.run(t, []string{"finish", "--undo"}, "dry run", "next: ferry finish --undo --yes")
	if s.read(t, crosses).Pending {
		t.Error("a dry run has written")
	}
	s.run(t, s.finishArgs("--undo", "--results", "undo.ndjson"), "next: unset FERRY_MIGRATION_CLOSED")
	results := s.results(t, "undo.ndjson")
	if results[recovered.identity] != "skipped own_password" || results[crosses.identity] != "restored" || results[stays.identity] != "restored" {
		t.Errorf("the results are %v", results)
	}
	after := s.read(t, crosses)
	if before.PasswordUpdatedAt = after.PasswordUpdatedAt; !same(before, after) {
		t.Errorf("it was %+v\nand is %+v", before, after)
	}
	s.restart(t)
	s.sees(t, crosses.email, crosses.password, kratostest.SeesSession)
	s.sees(t, recovered.email, chosen, kratostest.SeesSession)
	s.sees(t, recovered.email, recovered.password, kratostest.SeesInvalidCredentials)
	if !s.read(t, stays).Pending {
		t.Error("an identity without a login is not pending")
	}
}
