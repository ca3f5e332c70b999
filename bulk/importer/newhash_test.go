package importer_test

import (
	"fmt"
	"strings"
	"testing"

	"ferry/bulk/importer"
	"ferry/provenance"
	"ferry/test/bulktest"
)

// newerHash is a hash of a newer file, and the identity that it is for.
type newerHash struct {
	setAt    string
	imported bulktest.With
	was      func(*bulktest.Identity)
	reset    any
	want     string
	replaced bool
}

// TestNewerHash: a hash that was exported later replaces the imported one, as long as that
// is the identity's password.
func TestNewerHash(t *testing.T) {
	t.Parallel()
	const before, later = "2024-04-01T10:00:00Z", "2024-05-02T10:00:00Z"
	imported := bulktest.With{"as": "created_hash", "password_set_at": bulktest.SetAt, "password_sha256": provenance.Digest(bulktest.BcryptHash)}
	for name, c := range map[string]newerHash{
		"newer":                     {setAt: later, imported: imported, want: "1:updated", replaced: true},
		"newer, after a reset":      {setAt: later, imported: imported, reset: later, want: "1:updated", replaced: true},
		"older than the reset":      {setAt: later, imported: imported, reset: "2024-06-01T10:00:00Z", want: "1:skipped:unchanged"},
		"older than the imported":   {setAt: before, imported: imported, want: "1:skipped:unchanged"},
		"own password":              {setAt: later, imported: imported, was: func(p *bulktest.Identity) { p.Hash = strings.Replace(p.Hash, "a", "b", 1) }, want: "1:skipped:password_kept"},
		"verified by the hook":      {setAt: later, imported: imported, was: migrated, want: "1:skipped:password_kept"},
		"imported without a digest": {setAt: later, imported: bulktest.With{"as": "created_hash", "password_set_at": bulktest.SetAt}, want: "1:skipped:password_kept"},
		"imported as pending":       {setAt: later, imported: bulktest.With{"as": "created_pending"}, want: "1:skipped:unchanged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.happens(t)
		})
	}
}

func (c newerHash) happens(t *testing.T) {
	t.Helper()
	newer := strings.Replace(bulktest.BcryptHash, "a", "c", 1)
	f := bulktest.NewKratos(t)
	p := bulktest.Marked(bulktest.Bound("auth0|1", "a@x.test"), bulktest.With{"import": c.imported})
	p.Addresses = append(p.Addresses, bulktest.VerifiedAddress("a@x.test"))
	if c.was != nil {
		c.was(&p)
	}
	id := f.Add(p)
	before := f.Text(id)
	im := newImport(t, f, bulktest.Verified("1", "a@x.test", bulktest.With{"last_password_reset": c.reset}))
	im.opts.OnConflict = importer.ConflictUpdate
	im.opts.Hashes = bulktest.HashesFile(t, fmt.Sprintf(`{"_id":{"$oid":"1"},"passwordHash":%q,"password_set_date":{"$date":%q}}`, newer, c.setAt))
	_, done := im.must()
	if got := words(done); got != c.want {
		t.Errorf("got %s, want %s: %+v", got, c.want, done)
	}
	if got := f.All()[0]; (got.Hash == newer) != c.replaced || !c.replaced && f.Text(id) != before {
		t.Errorf("the identity is %s", f.Text(id))
	}
	if c.replaced {
		text := f.Text(id)
		if !strings.Contains(text, provenance.Digest(newer)) || !strings.Contains(text, c.setAt) || !strings.Contains(text, "replaced_at") {
			t.Errorf("the note is %s", text)
		}
	} else if n := f.Count("read"); n > 0 {
		t.Errorf("%d identities were read again", n)
	}
}

func migrated(p *bulktest.Identity) {
	*p = bulktest.Marked(*p, bulktest.With{"migrated_at": "2024-05-03T10:00:00Z"})
}

// TestUpdateReadsOnce: identities that need no change are read by the listing only.
func TestUpdateReadsOnce(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	var rows []string
	for i := range 20 {
		id, email := fmt.Sprint(i), fmt.Sprintf("u%d@x.test", i)
		p := bulktest.Bound("auth0|"+id, email)
		p.Addresses = append(p.Addresses, bulktest.VerifiedAddress(email))
		f.Add(p)
		news := bulktest.With{}
		if i == 7 {
			news["locale"] = "de-DE"
		}
		rows = append(rows, bulktest.Verified(id, email, news))
	}
	im := newImport(t, f, rows...)
	im.opts.OnConflict = importer.ConflictUpdate
	summary, _ := im.must()
	if summary.Outcomes["updated"] != 1 || summary.Outcomes["skipped"] != 19 {
		t.Errorf("%+v", summary)
	}
	// Before the patch and after it.
	if n := f.Count("read"); n != 2 {
		t.Errorf("%d reads", n)
	}
}
