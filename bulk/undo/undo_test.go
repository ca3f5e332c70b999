package undo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ferry/bulk/results"
	"ferry/bulk/undo"
	"ferry/provenance"
	"ferry/test/bulktest"
)

const (
	wrong = "5f0c41c8-7c1b-4b44-8f0e-1c1d1f1a0001"
	right = "5f0c41c8-7c1b-4b44-8f0e-1c1d1f1a0002"
)

// undoing is a call of Undo that a test is about.
type undoing struct {
	*testing.T

	opts    undo.Options
	results bytes.Buffer
}

func newUndo(t *testing.T, f *bulktest.Kratos) *undoing {
	t.Helper()
	x := &undoing{T: t}
	x.opts = undo.Options{
		Kratos: f.Client(), Run: wrong, Write: true, RetryFor: 20 * time.Second, Progress: &bulktest.Quiet{}, Now: bulktest.Now,
		Results: undo.StreamResults(&x.results),
	}
	return x
}

// run undoes; the results are outcome:reason by identity.
func (x *undoing) run(ctx context.Context) (undo.Summary, map[string]string, error) {
	x.Helper()
	x.results.Reset()
	summary, err := undo.Undo(ctx, x.opts)
	return summary, words(x.T, x.results.String()), err
}

func (x *undoing) must() (undo.Summary, map[string]string) {
	x.Helper()
	summary, words, err := x.run(x.Context())
	if err != nil {
		x.Fatal(err)
	}
	return summary, words
}

func words(t *testing.T, text string) map[string]string {
	t.Helper()
	words := map[string]string{}
	for line := range strings.Lines(text) {
		var r undo.Result
		if err := bulktest.Strict([]byte(line), &r); err != nil || r.IdentityID == "" || r.Run != wrong {
			t.Fatalf("result %q: %v", line, err)
		}
		if _, twice := words[r.IdentityID]; twice {
			t.Errorf("%s has two results", r.IdentityID)
		}
		words[r.IdentityID] = strings.TrimSuffix(string(r.Outcome)+":"+r.Reason, ":")
	}
	return words
}

// imported returns the identity as a run of an import creates it.
func imported(p bulktest.Identity, run, as string, marks ...bulktest.With) bulktest.Identity {
	note := map[string]any{"run": run, "at": "2026-11-21T19:49:00Z", "as": as}
	if as == "created_hash" {
		note["password_sha256"] = provenance.Digest(bulktest.BcryptHash)
	}
	p = bulktest.Marked(p, bulktest.With{"import": note})
	for _, mark := range marks {
		p = bulktest.Marked(p, mark)
	}
	return p
}

func pending(name string, marks ...bulktest.With) bulktest.Identity {
	return imported(bulktest.Pending("auth0|"+name, name+"@x.test"), wrong, "created_pending", marks...)
}

func hashed(name string, marks ...bulktest.With) bulktest.Identity {
	return imported(bulktest.Bound("auth0|"+name, name+"@x.test"), wrong, "created_hash", marks...)
}

func social(name string) bulktest.Identity {
	p := imported(bulktest.Bound("google-oauth2|"+name, name+"@x.test"), wrong, "created_social")
	p.Hash, p.Social = "", []string{"google:" + name}
	return p
}

func bridged(name string) bulktest.Identity {
	p := imported(bulktest.Bound("auth0|"+name, name+"@x.test"), wrong, "created_bridge")
	p.Hash, p.Social = "", []string{"old:auth0|" + name}
	return p
}

func with(p bulktest.Identity, change func(*bulktest.Identity)) bulktest.Identity {
	change(&p)
	return p
}

const otherHash = "$2a$04$Ro0CUfOqk6cXEKf3dyaM7OhSCvnwM9s4wIX9JeLapehKK5YdLxKcm"

// TestUndo: what the import created and no one used is deleted, and nothing else.
func TestUndo(t *testing.T) {
	t.Parallel()
	setPassword := func(p *bulktest.Identity) { p.Hash, p.Hook = otherHash, false }
	change := func(p *bulktest.Identity) { p.Changed = true }
	logIn := func(p *bulktest.Identity) { p.Sessions = 2 }
	earlier := hashed("earlier")
	earlier.Admin["auth0"].(map[string]any)["import"] = map[string]any{"run": wrong, "as": "created_hash"}
	finished := bulktest.With{"finished": map[string]any{"at": "2026-11-21T20:00:00Z", "password_sha256": provenance.Digest(otherHash)}}
	for name, c := range map[string]struct {
		identity bulktest.Identity
		want     string // empty: it is not of the run
	}{
		"pending":                           {pending("a"), "deleted"},
		"pending and inactive":              {bulktest.Inactive(pending("a")), "deleted"},
		"the imported hash":                 {hashed("a"), "deleted"},
		"a hash that the note does not say": {earlier, "deleted"},
		"social":                            {social("a"), "deleted"},
		"the bridge":                        {bridged("a"), "deleted"},
		"the bridge, and a session":         {with(bridged("a"), logIn), "skipped:session"},
		"the bridge, then a password":       {with(bridged("a"), setPassword), "skipped:password_set"},
		"a password after pending":          {with(pending("a"), setPassword), "skipped:password_set"},
		"another hash":                      {with(hashed("a"), setPassword), "skipped:password_set"},
		"pending after a hash":              {with(hashed("a"), func(p *bulktest.Identity) { p.Hash, p.Hook = "", true }), "skipped:password_set"},
		"a password after social":           {with(social("a"), setPassword), "skipped:password_set"},
		"migrated":                          {with(pending("a", bulktest.With{"migrated_at": "2026-11-21T20:00:00Z"}), setPassword), "skipped:migrated"},
		"a session":                         {with(hashed("a"), logIn), "skipped:session"},
		"a session while pending":           {with(pending("a"), logIn), "skipped:session"},
		"a social session":                  {with(social("a"), logIn), "skipped:session"},
		"changed":                           {with(hashed("a"), change), "skipped:changed"},
		"social and changed":                {with(social("a"), change), "skipped:changed"},
		"finished":                          {with(pending("a", finished), setPassword), "skipped:finished"},
		"rebound":                           {pending("a", bulktest.With{"rebinds": []any{map[string]any{"to": "auth0|b"}}}), "skipped:rebound"},
		"created as something else":         {pending("a", bulktest.With{"import": map[string]any{"run": wrong, "as": "updated"}}), "skipped:unknown"},
		"of another run":                    {imported(bulktest.Pending("auth0|a", "a@x.test"), right, "created_pending"), ""},
		"of no run":                         {bulktest.Pending("auth0|a", "a@x.test"), ""},
		"not from Auth0":                    {bulktest.Identity{Traits: map[string]any{"email": "a@x.test"}, Hash: bulktest.BcryptHash}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			id := f.Add(c.identity)
			before := f.Text(id)
			x := newUndo(t, f)
			x.opts.Write = false
			dry, words := x.must()
			if words[id] != c.want || !dry.DryRun || f.Count("delete") != 0 || f.Text(id) != before {
				t.Errorf("a dry run: %v, %+v", words, dry)
			}
			x.opts.Write = true
			summary, words := x.must()
			left := 1
			if c.want == "deleted" {
				left = 0
			}
			if words[id] != c.want || len(f.All()) != left || summary.Identities != 1 || left == 1 && f.Text(id) != before {
				t.Errorf("%v, %+v, %d are left", words, summary, len(f.All()))
			}
			if dry.DryRun, dry.OfRun = false, summary.OfRun; fmt.Sprint(dry) != fmt.Sprint(summary) {
				t.Errorf("the dry run said %+v, not %+v", dry, summary)
			}
		})
	}
}

// TestUndoMeanwhile: what happens between the list and the deletion decides over the list.
func TestUndoMeanwhile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at   string // the request before which it happens
		do   func(f *bulktest.Kratos, id string)
		want string
	}{
		"a login before the read":        {"read", func(f *bulktest.Kratos, id string) { f.People[id].Hash, f.People[id].Hook = otherHash, false }, "skipped:password_set"},
		"a session after the read":       {"sessions", func(f *bulktest.Kratos, id string) { f.People[id].Sessions = 1 }, "skipped:session"},
		"gone before the read":           {"read", func(f *bulktest.Kratos, id string) { delete(f.People, id) }, "deleted:gone"},
		"gone before the deletion":       {"delete", func(f *bulktest.Kratos, id string) { delete(f.People, id) }, "deleted"},
		"of another run before the read": {"read", func(f *bulktest.Kratos, id string) { *f.People[id] = imported(*f.People[id], right, "created_pending") }, "skipped:other_run"},
		"not readable any more":          {"read", func(f *bulktest.Kratos, id string) { f.People[id].Admin = map[string]any{"auth0": "x"} }, "skipped:unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			id := f.Add(pending("a"))
			f.On = func(kind string, n int) bulktest.Fault {
				if kind == c.at && n == 1 {
					f.Mu.Lock()
					defer f.Mu.Unlock()
					if p := *f.People[id]; p.ID == id {
						f.People[id] = &p
					}
					c.do(f, id)
				}
				return bulktest.Well
			}
			summary, words := newUndo(t, f).must()
			if words[id] != c.want || summary.OfRun != 1 || len(f.All()) != summary.Remaining {
				t.Errorf("%v, %+v", words, summary)
			}
		})
	}
}

// TestUndoFaults: a Kratos that fails does not make undo report what is not so.
func TestUndoFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind  string
		fault bulktest.Fault
		want  string
		fails string
	}{
		"the answer is lost":    {"delete", bulktest.Lost, "deleted", ""},
		"it crashes":            {"delete", bulktest.Crashes, "deleted", ""},
		"it drops the request":  {"delete", bulktest.Drops, "deleted", ""},
		"it is too busy":        {"delete", bulktest.Refuses503, "deleted", ""},
		"no read":               {"read", bulktest.Refuses503, "deleted", ""},
		"no sessions":           {"sessions", bulktest.Drops, "deleted", ""},
		"sessions are no list":  {"sessions", bulktest.Misreads, "skipped:unknown", ""},
		"the identity is empty": {"read", bulktest.Misreads, "skipped:unknown", ""},
		"a refusal":             {"delete", bulktest.Plain409, "failed:kratos", ""},
		"no token":              {"delete", bulktest.Refuses403, "", "delete the identity"},
		"no list":               {"page", bulktest.Refuses403, "", "read the identities"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			id := f.Add(pending("a"))
			f.On = func(kind string, n int) bulktest.Fault {
				if kind == c.kind && n == 1 {
					return c.fault
				}
				return bulktest.Well
			}
			summary, words, err := newUndo(t, f).run(t.Context())
			there := len(f.All())
			switch {
			case c.fails != "":
				if err == nil || !strings.Contains(err.Error(), c.fails) || there != 1 || len(words) != 0 {
					t.Errorf("the error is %v, %v", err, words)
				}
			case err != nil || words[id] != c.want || summary.Remaining != there || (there == 0) != (c.want == "deleted"):
				t.Errorf("%v, %+v, %v, %d are there", words, summary, err, there)
			}
		})
	}
}

// TestUndoRefusedDeletions: a proxy that answers 404 to deletions deletes nothing.
func TestUndoRefusedDeletions(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	id := f.Add(pending("a"))
	f.On = func(kind string, _ int) bulktest.Fault {
		if kind == "delete" {
			return bulktest.Plain404
		}
		return bulktest.Well
	}
	if summary, words := newUndo(t, f).must(); words[id] != "failed:kratos" || summary.Failed() != 1 || summary.Remaining != 1 {
		t.Errorf("%v, %+v", words, summary)
	}
}

// TestUndoAgain: an interrupted call is continued by the same call, and its results file
// has each identity once, however often it is called.
func TestUndoAgain(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	wants := map[string]string{}
	for i := range 20 {
		p, want := hashed(fmt.Sprint(i)), "deleted"
		if i%5 == 0 {
			p.Sessions, want = 1, "skipped:session"
		}
		wants[f.Add(p)] = want
	}
	path := filepath.Join(t.TempDir(), "undo.ndjson")
	x := newUndo(t, f)
	call := func(ctx context.Context) (undo.Summary, int, error) { return x.into(ctx, path) }
	x.opts.Write = false
	_, earlier, err := call(t.Context())
	if lines := strings.Count(bulktest.ReadFile(t, path), `"dry_run":true`); err != nil || earlier != 0 || lines != 20 {
		t.Errorf("a dry run: %d earlier, %d lines, %v", earlier, lines, err)
	}
	x.opts.Write = true
	ctx, cancel := context.WithCancel(t.Context())
	f.On = func(kind string, n int) bulktest.Fault {
		if kind == "delete" && n == 8 {
			cancel()
			return bulktest.Lost
		}
		return bulktest.Well
	}
	if summary, _, err := call(ctx); !errors.Is(err, context.Canceled) || summary.Remaining == 20 || summary.Remaining == 4 {
		t.Errorf("%+v, %v", summary, err)
	}
	f.EndFaults()
	for range 2 {
		summary, earlier, err := call(t.Context())
		if err != nil || summary.Remaining != 4 || earlier == 0 || summary.Outcomes[results.Skipped] != 4 {
			t.Errorf("%+v, %d earlier, %v", summary, earlier, err)
		}
	}
	x.checkFile(path, wants)
	if len(f.All()) != 4 {
		t.Errorf("%d are left", len(f.All()))
	}
}

// checkFile checks the results of the real calls in a results file.
func (x *undoing) checkFile(path string, wants map[string]string) {
	x.Helper()
	dry := regexp.MustCompile(`(?m)^.*"dry_run":true.*\n`)
	got := words(x.T, dry.ReplaceAllString(bulktest.ReadFile(x.T, path), ""))
	for id, want := range wants {
		// The answer to some deletions was lost with the interruption.
		if lost := want == "deleted" && got[id] == ""; !lost && got[id] != want {
			x.Errorf("%s is %q, not %q", id, got[id], want)
		}
	}
	if len(got) < 12 {
		x.Errorf("%d results", len(got))
	}
}

// into undoes with a results file. It also returns how many identities earlier calls
// deleted.
func (x *undoing) into(ctx context.Context, path string) (undo.Summary, int, error) {
	x.Helper()
	to, err := undo.OpenResults(path, wrong)
	if err != nil {
		x.Fatal(err)
	}
	if _, err := undo.OpenResults(path, wrong); err == nil {
		x.Error("two calls write one file")
	}
	earlier := to.Earlier()
	x.opts.Results = to
	summary, err := undo.Undo(ctx, x.opts)
	return summary, earlier, errors.Join(err, to.Close())
}

// TestUndoOtherFile: a file that is not of the run is refused.
func TestUndoOtherFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "undo.ndjson")
	bulktest.WriteFile(t, path, `{"run":"`+wrong+`","identity_id":"1","outcome":"deleted"}`+"\n")
	if _, err := undo.OpenResults(path, right); err == nil || !strings.Contains(err.Error(), "it is of the run "+wrong) {
		t.Errorf("the error is %v", err)
	}
	bulktest.WriteFile(t, path, `{"line":1,"outcome":"skipped"}`+"\n")
	if _, err := undo.OpenResults(path, wrong); err == nil || !strings.Contains(err.Error(), "not a result of undo") {
		t.Errorf("the error is %v", err)
	}
}

func TestUndoNeeds(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.Add(bulktest.Pending("auth0|a", "a@x.test")) // of no run
	for name, change := range map[string]func(*undo.Options){
		"Kratos":   func(o *undo.Options) { o.Kratos = nil },
		"a run":    func(o *undo.Options) { o.Run = "" },
		"progress": func(o *undo.Options) { o.Progress = nil },
		"a clock":  func(o *undo.Options) { o.Now = nil },
	} {
		x := newUndo(t, f)
		change(&x.opts)
		if _, _, err := x.run(t.Context()); err == nil || len(f.All()) != 1 {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// TestUndoSummary: the summary says what is left, and what comes next.
func TestUndoSummary(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	x := newUndo(t, f)
	says := func(texts ...string) {
		t.Helper()
		summary, _ := x.must()
		var text strings.Builder
		summary.Print(&text)
		for _, want := range texts {
			if !strings.Contains(text.String()+summary.Next(), want) {
				t.Errorf("it does not say %q: %s%s", want, text.String(), summary.Next())
			}
		}
	}
	says("0 identities in Kratos", "no identity records this run")
	f.Add(pending("a"))
	f.Add(with(hashed("b"), func(p *bulktest.Identity) { p.Sessions = 1 }))
	x.opts.Write = false
	says("dry run: nothing was deleted", "2 of them created by run "+wrong, "1 deleted", "1 session", "next: ferry undo --run "+wrong+" --yes")
	x.opts.Write = true
	says("1 deleted", "1 of the run afterwards", "1 identities of the run stay")
	x.opts.Write = false
	says("nothing can be undone")
	for _, p := range f.All() {
		delete(f.People, p.ID)
	}
	f.Add(pending("a"))
	x.opts.Write = true
	says("1 deleted", "the run is undone")
}
