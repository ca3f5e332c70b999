package undo_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

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
		bulktest.Documented(t, "../../docs/undo-results.schema.json", line)
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
