package undo_test

import (
	"fmt"
	"strings"
	"testing"

	"ferry/bulk/undo"
	"ferry/provenance"
	"ferry/test/bulktest"
)

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
