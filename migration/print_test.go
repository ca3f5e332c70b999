package migration_test

import (
	"strings"
	"testing"
	"time"

	"ferry/bulk/kind"
	"ferry/bulk/status"
	"ferry/migration"
	"ferry/verification"
)

func printed(t *testing.T, p migration.Plan) string {
	t.Helper()
	var text strings.Builder
	if err := p.Print(&text, func(command []string) string { return strings.Join(command, " ") }); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(text.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return strings.Join(lines, "\n")
}

// TestPrint: the first lines say the state, what is left and the next step.
func TestPrint(t *testing.T) {
	t.Parallel()
	s := migratedAgo(counted(map[kind.Kind]int{kind.Pending: 388, kind.Migrated: 600, kind.Bridge: 12}), 30*time.Minute)
	done := now.Add(20 * day)
	s.LastDay, s.LastWeek, s.PerDay, s.Share, s.Done = 19, 133, 19, 0.607, &done
	f := change(verified(s), verification.Reconcile, func(r *verification.Record) {
		r.Ended = now.Add(-5 * day)
		r.Counts = map[string]int{"users": 1003, "missing": 3, migration.CountNoIdentity: 3, migration.CountLoseActive: 120}
		r.Connections = map[string]map[string]int{"main": {"missing": 2}, "names": {"missing": 1}}
	})
	const want = `state  migrating: 600 users have migrated, 388 are pending
left   388 pending of 1000 people, 600 migrated (60.7 % no longer need Auth0); 19.0 a day, the last on 2026-12-12 at that rate
next   ferry reconcile --users users.ndjson.gz
         the last ferry reconcile was 5 days ago, more than 3 days
then   wait: users migrate when they log in; ask again later
then   ferry status --stragglers mail.csv --users users.ndjson.gz
         lists the 388 users who are left, for a mail
Auth0  if it were switched off now, 403 of 1003 people would lose access, of whom 120 logged in during the last 90 days (reconcile of 2026-11-17 12:00 UTC)

x not wired            verified  ferry plan, 2026-11-22 12:00       nothing to verify
x wired                verified  ferry doctor, 2026-11-22 11:00     ferry doctor found no failure
x imported             stale     ferry reconcile, 2026-11-17 12:00  the last ferry reconcile was 5 days ago, more than 3 days
> migrating            verified  ferry plan, 2026-11-22 12:00       600 users have migrated
  draining             stale     ferry reconcile, 2026-11-17 12:00  the last ferry reconcile was 5 days ago, more than 3 days
  ready to switch off  stale     ferry reconcile, 2026-11-17 12:00  the last ferry reconcile was 5 days ago, more than 3 days
  switched off                                                      not reached

388  pending              main 388
                          they migrate at their next login; write to them
                          ferry status --stragglers mail.csv --users users.ndjson.gz
3    missing      blocks  main 2, names 1
                          users of the export without an identity: import them
                          ferry import --users users.ndjson.gz
12   bridge_only  blocks  main 12
                          they log in only at Auth0, over the bridge: ask them to set a password or a passkey in Kratos' settings (docs/bridge.md)

not known: over_72_bytes
  run ferry plan --metrics http://127.0.0.1:4481
  only a running ferry knows which logins had a password of more than FERRY_MAX_PASSWORD_BYTES; --metrics names its admin listener, once for each ferry`
	if got := printed(t, migration.Decide(f)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestPrintGatewayOnly: without an import, the numbers do not look as if no one was left.
func TestPrintGatewayOnly(t *testing.T) {
	t.Parallel()
	f := gateway(migratedAgo(counted(map[kind.Kind]int{kind.Migrated: 600, kind.Pending: 2}), time.Hour))
	const want = `state  migrating: 600 users have migrated through the gateway, 2 of the identities are pending; users who have not logged in have no identity
left   600 migrated through the gateway, 2 pending; users who have not logged in through it have no identity and are not counted here
next   wait: users migrate at their first login through the gateway; ask again later
then   ferry reconcile --users users.ndjson.gz
         to know who is left, or to import them: users without an identity are in an export only
`
	if got := printed(t, migration.Decide(f)); !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestPrintWithoutRecords: what ferry cannot know, it says, with the command that finds out.
func TestPrintWithoutRecords(t *testing.T) {
	t.Parallel()
	s := counted(map[kind.Kind]int{kind.Pending: 5})
	f := verified(s)
	f.Records, f.RecordsKept, f.HookOn = nil, false, nil
	got := printed(t, migration.Decide(f))
	for _, want := range []string{
		"next   set for every ferry, and restart ferry serve: FERRY_DATA_DIR=DIRECTORY",
		"not known how many of them logged in during the last 90 days", "users without an identity are not counted: run ferry reconcile",
		"not known: missing, second_factor, social_without_provider, not_importable, hindered\n  run ferry reconcile --users users.ndjson.gz\n  no reconciliation is recorded\n\nnot known: over_72_bytes\n  run ferry plan --metrics ",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %q:\n%s", want, got)
		}
	}
}

// TestNotMoving: a migration that stands still says why.
func TestNotMoving(t *testing.T) {
	t.Parallel()
	still := migratedAgo(counted(map[kind.Kind]int{kind.Pending: 5, kind.Migrated: 5}), 3*day)
	for name, c := range map[string]struct {
		edit func(*migration.Facts)
		want string
	}{
		"it moves": {func(f *migration.Facts) { f.Status.LastDay = 1 }, ""},
		"no one":   {func(*migration.Facts) {}, "no pending user has logged in for 3 days"},
		"closed":   {func(f *migration.Facts) { f.Closed = true }, "the migration is closed"},
		"no hook":  {func(f *migration.Facts) { f.HookOn = new(bool) }, "Kratos does not call ferry"},
		"mode off": {func(f *migration.Facts) { f.Status.Observed = &status.Observed{Modes: map[string]int{"off": 2}} }, "no ferry is in mode on"},
		"unbound": {func(f *migration.Facts) {
			main := status.Connection{Total: 10, Kinds: f.Status.Kinds, Obstacles: map[status.Obstacle]int{status.Unbound: 5}}
			f.Status.Connections = map[string]status.Connection{"main": main}
		}, "no pending identity records its Auth0 user"},
		"no notes":   {func(f *migration.Facts) { f.Status.LastMigratedAt = nil }, "is the after-login hook in kratos.yml?"},
		"no pending": {func(f *migration.Facts) { f.Status = counted(map[kind.Kind]int{kind.Migrated: 5}) }, ""},
		"not begun":  {func(f *migration.Facts) { f.Status = counted(map[kind.Kind]int{kind.Pending: 5}) }, "have your applications been switched over?"},
		"a failure": {func(f *migration.Facts) {
			*f = change(*f, verification.Doctor, func(r *verification.Record) { r.OK, r.Counts = false, map[string]int{"fail": 2} })
		}, "the last ferry doctor found 2 failures"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := verified(still)
			c.edit(&f)
			if got := migration.Decide(f).NotMoving; got != c.want && (c.want == "" || !strings.Contains(got, c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestCommandsRepeatFlags: the commands have the flags with which the last ones ran.
func TestCommandsRepeatFlags(t *testing.T) {
	t.Parallel()
	f := verified(counted(map[kind.Kind]int{kind.Pending: 5}))
	f = change(f, verification.Import, func(r *verification.Record) {
		r.Ended, r.Flags = now, []string{"--hashes=h.ndjson", "--mfa=drop", "--provider=google-oauth2=google"}
	})
	delete(f.Records, verification.Reconcile)
	if got := first(migration.Decide(f)); got != "ferry reconcile --users users.ndjson.gz --mfa=drop --provider=google-oauth2=google" {
		t.Error(got)
	}
	f = change(f, verification.Reconcile, func(r *verification.Record) {
		r.Started, r.Ended, r.Flags, r.Counts = now, now, []string{"--mfa=keep"}, map[string]int{"missing": 1}
	})
	if got := first(migration.Decide(f)); got != "ferry import --users users.ndjson.gz --hashes=h.ndjson --mfa=drop --provider=google-oauth2=google" {
		t.Error(got)
	}
	f.Now = now.Add(10 * day)
	exported := f.Now
	f.UsersAt = &exported
	if got := first(migration.Decide(f)); got != "ferry reconcile --users users.ndjson.gz --mfa=keep" {
		t.Error(got)
	}
}
