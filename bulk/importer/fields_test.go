package importer_test

import (
	"maps"
	"testing"

	"ferry/bulk/importer"
	"ferry/bulk/plan"
	"ferry/kratos"
	"ferry/test/bulktest"
)

const org = "11111111-1111-4111-8111-111111111111"

// enterprise makes the import one of enterprise users with organizations.
func enterprise(o *importer.Options) {
	o.ExternalID = true
	o.Providers = plan.Providers{"corp": "saml:corp", "acme": "acme"}
	o.Organizations = plan.Organizations{"corp": org, "acme": org}
}

func enterpriseRows() []string {
	return []string{
		bulktest.User("1", "a@x.test", bulktest.With{"user_id": "samlp|corp|a"}, linked("corp samlp corp|a")),
		bulktest.User("2", "b@x.test", bulktest.With{"user_id": "oidc|acme|b"}, linked("acme oidc acme|b")),
		bulktest.Verified("3", "c@x.test", linked("users auth0 3", "corp samlp corp|c")),
		bulktest.Verified("4", "d@x.test"),
	}
}

// A Kratos that has all fields gets them; an older one gets what it has, and the summary
// counts the identities without the others, also if the run is resumed.
func TestImportFields(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		v131     bool
		want     string
		left     map[kratos.Field]int
		warnings int
	}{
		"26.2": {want: "1:created_social 2:created_social 3:created_pending:no_hash 4:created_pending:no_hash"},
		"1.3.1": {
			v131: true, want: "1:skipped:no_login_method 2:created_social 3:created_pending:no_hash 4:created_pending:no_hash", warnings: 4,
			left: map[kratos.Field]int{kratos.FieldExternalID: 3, kratos.FieldOrganization: 2, kratos.FieldProviderOrganization: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := bulktest.NewKratos(t)
			f.V131 = c.v131
			path := t.TempDir() + "/results.ndjson"
			for _, resumed := range []int{0, 4} {
				im := newImport(t, f, enterpriseRows()...)
				enterprise(&im.opts)
				im.journal(path)
				summary, _ := im.must()
				if err := im.opts.Journal.Close(); err != nil {
					t.Fatal(err)
				}
				if summary.Resumed != resumed || !maps.Equal(summary.FieldsLeftOut, c.left) || len(im.told.Warned) != c.warnings {
					t.Errorf("%+v, warned %q", summary, im.told.Warned)
				}
			}
			if got := words(parseResults(t, bulktest.ReadFile(t, path))); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			checkFields(t, f, !c.v131)
		})
	}
}

// checkFields fails the test unless the identities have the fields, or none of them.
func checkFields(t *testing.T, f *bulktest.Kratos, has bool) {
	t.Helper()
	b, third := f.Of("oidc|acme|b"), f.Of("auth0|3")
	for name, there := range map[string]bool{
		"external_id": b.ExternalID != "", "organization_id": b.Organization == org && third.Organization == org,
		"organization": len(b.Organizations) == 1, "saml": len(third.SAML) == 1,
	} {
		if there != has {
			t.Errorf("%s is %v: %+v, %+v", name, there, b, third)
		}
	}
}

// If Kratos does not say which fields it has, nothing is written.
func TestImportFieldsNotTold(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.On = func(kind string, _ int) bulktest.Fault {
		if kind == "create" {
			return bulktest.Refuses403
		}
		return bulktest.Well
	}
	im := newImport(t, f, enterpriseRows()...)
	enterprise(&im.opts)
	if summary, done, err := im.run(); err == nil || len(done)+summary.Rows > 0 || len(f.All()) > 0 {
		t.Errorf("%v, %+v", err, summary)
	}
}

// A Kratos that is replaced by an older one in the middle of a run gets the rest without
// what it does not have.
func TestImportFieldsLostMeanwhile(t *testing.T) {
	t.Parallel()
	f := bulktest.NewKratos(t)
	f.On = func(kind string, _ int) bulktest.Fault {
		if kind == "page" {
			f.Mu.Lock()
			f.V131 = true
			f.Mu.Unlock()
		}
		return bulktest.Well
	}
	im := newImport(t, f, enterpriseRows()[1])
	enterprise(&im.opts)
	summary, done := im.must()
	if words(done) != "1:created_social" || len(summary.FieldsLeftOut) != 3 || len(im.told.Warned) != 3 {
		t.Errorf("%s, %+v, warned %q", words(done), summary, im.told.Warned)
	}
}
