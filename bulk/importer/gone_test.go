package importer_test

import (
	"path/filepath"
	"strings"
	"testing"

	"ferry/bulk/results"
	"ferry/test/bulktest"
)

// Identities that somebody deleted since are reported when the run continues, and created
// again only if that is asked for: each once, with those of merged accounts.
func TestDeletedSince(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	path := filepath.Join(t.TempDir(), "results.ndjson")
	rows := append(family(), bulktest.Verified("6", "fay@x.test"), bulktest.Verified("7", "gus@x.test"))
	if _, err := merging(t, f, rows...).into(path); err != nil {
		t.Fatal(err)
	}
	before := bulktest.ReadFile(t, path)
	for _, user := range []string{"auth0|2", "auth0|6"} {
		delete(f.People, f.Of(user).ID)
	}
	rebound := f.Of("auth0|7").ID // that is no deletion
	f.People[rebound].Admin["auth0"].(map[string]any)["user_id"] = "auth0|8"
	f.People[rebound].Admin["auth0"].(map[string]any)["user_ids"] = []any{"auth0|8"}

	im := merging(t, f, rows...)
	summary, err := im.into(path)
	if err != nil || summary.Gone != 2 || summary.Rows != 7 || len(f.All()) != 3 || bulktest.ReadFile(t, path) != before {
		t.Errorf("%+v, %v", summary, err)
	}
	if !im.warned("2 identities that this run created are gone from Kratos, those of lines 2, 6: they are not created again, unless you add --recreate-deleted") {
		t.Errorf("it warns of %q", im.told.Warned)
	}

	im = merging(t, f, rows...)
	im.opts.RecreateDeleted = true
	summary, err = im.into(path)
	if err != nil || summary.Gone != 0 || summary.Rows != 7 || summary.Resumed != 4 || summary.Outcomes[results.Merged] != 2 || summary.Created() != 5 || len(f.All()) != 5 {
		t.Errorf("%+v, %v, %d identities", summary, err, len(f.All()))
	}
	after := strings.TrimPrefix(bulktest.ReadFile(t, path), before)
	if got := words(parseResults(t, after)); got != "1:merged 2:created_pending:no_hash 6:created_pending:no_hash" {
		t.Errorf("then it did %s", got)
	}
	if ada := f.Of("auth0|2"); ada.ID != parseResults(t, after)[0].IdentityID || len(ada.Social) != 1 {
		t.Errorf("ada is %+v", ada)
	}

	for _, recreate := range []bool{false, true} {
		im = merging(t, f, rows...)
		im.opts.RecreateDeleted = recreate
		if summary, err = im.into(path); err != nil || summary.Gone != 0 || summary.Resumed != 7 || summary.Rows != 7 || len(f.All()) != 5 || im.warned("gone from Kratos") {
			t.Errorf("%+v, %v, %q", summary, err, im.told.Warned)
		}
	}
}

// warned reports whether a warning has the text.
func (im *importing) warned(text string) bool {
	return strings.Contains(strings.Join(im.told.Warned, "\n"), text)
}
