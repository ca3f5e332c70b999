package finish_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/bulk/finish"
	"ferry/bulk/kind"
	"ferry/bulk/status"
	"ferry/test/bulktest"
)

// finishing is a call of Finish that a test is about.
type finishing struct {
	*testing.T

	opts    finish.Options
	results bytes.Buffer
}

func newFinish(t *testing.T, f *bulktest.Kratos) *finishing {
	t.Helper()
	x := &finishing{T: t}
	x.opts = finish.Options{
		Kratos: f.Client(), Write: true, RetryFor: 20 * time.Second, Progress: &bulktest.Quiet{}, Now: bulktest.Now,
		Results: finish.StreamResults(&x.results),
	}
	return x
}

// run finishes; the results are outcome:reason by user.
func (x *finishing) run() (finish.Summary, map[string]string, error) {
	x.Helper()
	x.results.Reset()
	summary, err := finish.Run(x.Context(), x.opts)
	return summary, finishWords(x.T, x.results.String()), err
}

func (x *finishing) must() (finish.Summary, map[string]string) {
	x.Helper()
	summary, words, err := x.run()
	if err != nil {
		x.Fatal(err)
	}
	return summary, words
}

func finishWords(t *testing.T, text string) map[string]string {
	t.Helper()
	words := map[string]string{}
	for line := range strings.Lines(text) {
		var r finish.Result
		if err := bulktest.Strict([]byte(line), &r); err != nil || r.IdentityID == "" {
			t.Fatalf("result %q: %v", line, err)
		}
		bulktest.Documented(t, "../../docs/finish-results.schema.json", line)
		if _, twice := words[r.UserID]; twice {
			t.Errorf("%s has two results", r.UserID)
		}
		words[r.UserID] = strings.TrimSuffix(string(r.Outcome)+":"+r.Reason, ":")
	}
	return words
}

// crowd is one identity of each kind that Finish tells apart.
func crowd(f *bulktest.Kratos) {
	f.Add(bulktest.Pending("auth0|pending", "pending@x.test"))
	linked := bulktest.Marked(bulktest.Pending("auth0|linked", "linked@x.test"), bulktest.With{"user_ids": []any{"auth0|linked", "google-oauth2|1"}, "app_metadata": map[string]any{"n": 1}})
	linked.Social, linked.Public, linked.ExternalID = []string{"google:1"}, map[string]any{"a": "b"}, "auth0|linked"
	f.Add(linked)
	f.Add(bulktest.Inactive(bulktest.Pending("auth0|inactive", "inactive@x.test")))
	f.Add(bulktest.Identity{Traits: map[string]any{"email": "native@x.test"}, Hook: true, ExternalID: "auth0|native"})
	f.Add(bulktest.Migrated(1, bulktest.Now()))
	f.Add(bulktest.Identity{Traits: map[string]any{"email": "own@x.test"}, Hash: bulktest.BcryptHash})
}

func TestFinish(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	crowd(f)
	before := f.All()
	x := newFinish(t, f)
	wants := map[string]string{"auth0|pending": "finished", "auth0|linked": "finished", "auth0|inactive": "finished", "auth0|native": "skipped:not_imported"}

	x.opts.Write = false
	summary, words := x.must()
	if !maps.Equal(words, wants) || !summary.DryRun || summary.Pending != 4 || summary.Remaining != 1 || summary.Identities != 6 || f.Count("put") != 0 {
		t.Errorf("a dry run: %v, %+v, %d writes", words, summary, f.Count("put"))
	}

	x.opts.Write = true
	summary, words = x.must()
	if !maps.Equal(words, wants) || summary.DryRun || summary.Pending != 4 || summary.Remaining != 1 || f.Count("put") != 3 {
		t.Errorf("%v, %+v", words, summary)
	}
	hashes := map[string]bool{}
	for i, p := range f.All() {
		was := before[i]
		if wants[p.UserID()] != "finished" {
			if fmt.Sprint(p) != fmt.Sprint(was) {
				t.Errorf("%+v became %+v", was, p)
			}
			continue
		}
		auth0, _ := p.Admin["auth0"].(map[string]any)
		mark, _ := auth0["finished"].(map[string]any)
		if p.Hook || !strings.HasPrefix(p.Hash, "$2a$12$") || hashes[p.Hash] || mark["at"] != "2026-11-22T12:00:00Z" {
			t.Errorf("%+v", p)
		}
		hashes[p.Hash] = true
		delete(auth0, "finished")
		p.Hash, p.Hook = was.Hash, was.Hook
		if a, b := asText(t, p), asText(t, was); a != b {
			t.Errorf("%s became %s", b, a)
		}
		auth0["finished"] = mark
	}

	again, words := x.must()
	if words["auth0|pending"] != "skipped:finished_earlier" || f.Count("put") != 3 || again.Remaining != 1 {
		t.Errorf("again: %v, %+v, %d writes", words, again, f.Count("put"))
	}
	s, csv := readStatus(t, f)
	if s.Kinds[kind.Finished] != 2 || s.Kinds[kind.Pending] != 1 || strings.Contains(csv, "auth0|pending") {
		t.Errorf("the status is %+v", s)
	}
}

func readStatus(t *testing.T, f *bulktest.Kratos) (status.Status, string) {
	t.Helper()
	var csv bytes.Buffer
	s, err := status.Read(t.Context(), status.Options{Kratos: f.Client(), Stragglers: &csv, Progress: &bulktest.Quiet{}, Now: bulktest.Now})
	if err != nil {
		t.Fatal(err)
	}
	return s, csv.String()
}

func asText(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Undo makes the users that Finish ended pending again, unless they have chosen a password.
func TestFinishUndo(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	crowd(f)
	before := f.All()
	x := newFinish(t, f)
	x.must()
	recovered := f.Of("auth0|linked").ID
	f.People[recovered].Hash = bulktest.BcryptHash
	x.opts.Undo, x.opts.Write = true, false
	wants := map[string]string{"auth0|pending": "restored", "auth0|linked": "skipped:own_password", "auth0|inactive": "restored"}
	if summary, words := x.must(); !maps.Equal(words, wants) || summary.Remaining != 3 || !summary.Undo {
		t.Errorf("a dry run: %v, %+v", words, summary)
	}
	x.opts.Write = true
	if summary, words := x.must(); !maps.Equal(words, wants) || summary.Pending != 1 || summary.Remaining != 3 {
		t.Errorf("%v, %+v", words, summary)
	}
	for i, p := range f.All() {
		switch {
		case p.ID == recovered && (p.Hook || p.Hash != bulktest.BcryptHash):
			t.Errorf("the password is lost: %+v", p)
		case p.ID != recovered && asText(t, p) != asText(t, before[i]):
			t.Errorf("%s became %s", asText(t, before[i]), asText(t, p))
		}
	}
	if s, _ := readStatus(t, f); s.Kinds[kind.Own] != 2 || s.Kinds[kind.Finished] != 0 {
		t.Errorf("the status is %+v", s)
	}
	if _, words := x.must(); len(words) != 1 || words["auth0|linked"] != "skipped:own_password" {
		t.Errorf("again: %v", words)
	}
}

// What happens to an identity between the list and the write decides over the list.
func TestFinishMeanwhile(t *testing.T) {
	t.Parallel()
	const own = "$2a$04$Ro0CUfOqk6cXEKf3dyaM7OhSCvnwM9s4wIX9JeLapehKK5YdLxKcm"
	for name, c := range map[string]struct {
		before func(f *bulktest.Kratos, id string)
		after  func(p *bulktest.Identity)
		want   string
		hash   string
		hook   bool
	}{
		"crossed":       {before: func(f *bulktest.Kratos, id string) { f.People[id].Hash, f.People[id].Hook = own, false }, want: "skipped:not_pending", hash: own},
		"deleted":       {before: func(f *bulktest.Kratos, id string) { delete(f.People, id) }, want: "skipped:deleted"},
		"unbound":       {before: func(f *bulktest.Kratos, id string) { f.People[id].Admin = nil }, want: "skipped:not_imported", hook: true},
		"recovers":      {after: func(p *bulktest.Identity) { p.Hash = own }, want: "skipped:password_changed_meanwhile", hash: own},
		"pending again": {after: func(p *bulktest.Identity) { p.Hash, p.Hook = "", true }, want: "failed:pending", hook: true},
		"does not fit the schema": {
			before: func(f *bulktest.Kratos, id string) { f.People[id].Traits["nickname"] = bulktest.RefusedNickname }, want: "failed:kratos", hook: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			id := f.Add(bulktest.Pending("auth0|1", "a@x.test"))
			f.Meanwhile = c.after
			f.On = func(kind string, n int) bulktest.Fault {
				if kind == "read" && n == 1 && c.before != nil {
					f.Mu.Lock()
					defer f.Mu.Unlock()
					c.before(f, id)
				}
				return bulktest.Well
			}
			x := newFinish(t, f)
			summary, words := x.must()
			remaining := map[bool]int{true: 1}[c.hook]
			if got := slices.Collect(maps.Values(words)); len(got) != 1 || got[0] != c.want || summary.Remaining != remaining || summary.Pending != 1 {
				t.Errorf("%v, %+v", words, summary)
			}
			if p := f.People[id]; p != nil && (p.Hash != c.hash || p.Hook != c.hook) {
				t.Errorf("%+v", p)
			}
		})
	}
}

// A Kratos that fails loses nothing: a write whose answer was lost is found.
func TestFinishFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind  string
		fault bulktest.Fault
		fails string
	}{
		"the answer is lost":   {"put", bulktest.Lost, ""},
		"it crashes":           {"put", bulktest.Crashes, ""},
		"it drops the request": {"put", bulktest.Drops, ""},
		"it is too busy":       {"put", bulktest.Refuses429, ""},
		"no read":              {"read", bulktest.Refuses503, ""},
		"no token":             {"put", bulktest.Refuses403, "write the identity"},
		"no list":              {"page", bulktest.Refuses403, "read the identities"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			f.Add(bulktest.Pending("auth0|1", "a@x.test"))
			f.On = func(kind string, n int) bulktest.Fault {
				if kind == c.kind && n == 1 {
					return c.fault
				}
				return bulktest.Well
			}
			x := newFinish(t, f)
			summary, words, err := x.run()
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) || f.Count("put") > 1 {
					t.Errorf("the error is %v", err)
				}
				return
			}
			if err != nil || words["auth0|1"] != "finished" || summary.Remaining != 0 || f.Of("auth0|1").Hook {
				t.Errorf("%v, %+v, %v", words, summary, err)
			}
		})
	}
}

// Nothing is written before the check, and nothing more after it fails.
func TestFinishCheck(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	for i := range 120 {
		f.Add(bulktest.Pending(fmt.Sprintf("auth0|%d", i), fmt.Sprintf("p%d@x.test", i)))
	}
	x := newFinish(t, f)
	open := errors.New("the migration is open")
	x.opts.Check = func(context.Context) error { return open }
	if _, words, err := x.run(); !errors.Is(err, open) || len(words) != 0 || f.Count("page") != 0 {
		t.Errorf("%v, %v", words, err)
	}
	calls := 0
	x.opts.Check = func(context.Context) error {
		if calls++; calls > 2 {
			return open
		}
		return nil
	}
	summary, words, err := x.run()
	if !errors.Is(err, open) || len(words) != 50 || f.Count("put") != 50 || summary.Remaining != 70 {
		t.Errorf("%d results, %d writes, %v, %+v", len(words), f.Count("put"), err, summary)
	}
	x.opts.Write = false // needs no check
	if _, words := x.must(); len(words) != 120 {
		t.Errorf("%d results", len(words))
	}
}
