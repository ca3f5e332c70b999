// Package cases runs ferry on small files and configurations that operators really have.
//
// Each folder of testdata is one case: its inputs, and case.txt, a testscript that runs
// ferry on a copy of them and checks what comes out. A new case needs a folder and no Go
// code. Beyond testscript's own commands a script has:
//
//	exec ferry ARG...
//		run ferry; FERRY_ variables are set with env
//	kratos [SCHEMA [BASE-URL]]
//		start the real Kratos with this identity schema (default: schema.json) and
//		serve.public.base_url (default: where it listens), and set
//		FERRY_KRATOS_ADMIN_URL and KRATOS_PUBLIC_URL
//	identities
//		print the identities of that Kratos, one JSON object a line, with their password
//		credentials, ordered by metadata_admin.auth0.user_id
package cases

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"ferry/test/ferrytest/built"
	"ferry/test/kratostest"
)

func TestMain(m *testing.M) { built.Main(m) }

const (
	testdata = "testdata"
	script   = "case.txt"
	adminURL = "FERRY_KRATOS_ADMIN_URL"
)

// TestCases runs the script of every folder.
func TestCases(t *testing.T) {
	ferry := built.Ferry(t)
	folders, err := os.ReadDir(testdata)
	if err != nil || len(folders) == 0 {
		t.Fatalf("%d folders, %v", len(folders), err)
	}
	for _, folder := range folders {
		dir := filepath.Join(testdata, folder.Name())
		t.Run(folder.Name(), func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Files: []string{filepath.Join(dir, script)},
				Setup: func(env *testscript.Env) error {
					env.Setenv("PATH", filepath.Dir(ferry)+string(filepath.ListSeparator)+env.Getenv("PATH"))
					return os.CopyFS(env.WorkDir, os.DirFS(dir))
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"kratos":     func(ts *testscript.TestScript, neg bool, args []string) { kratos(t, ts, neg, args) },
					"identities": identities,
				},
			})
		})
	}
}

// kratos starts a real Kratos for the rest of the script.
func kratos(t *testing.T, ts *testscript.TestScript, neg bool, args []string) {
	t.Helper()
	if neg || len(args) > 2 {
		ts.Fatalf("usage: kratos [SCHEMA [BASE-URL]]")
	}
	schema, base := "schema.json", ""
	if len(args) > 0 {
		schema = args[0]
	}
	if len(args) > 1 {
		base = args[1]
	}
	var output bytes.Buffer
	k, err := kratostest.Start(t.Context(), kratostest.Options{Schema: []byte(ts.ReadFile(schema)), PublicBaseURL: base, Progress: &output})
	ts.Logf("%s", output.String())
	ts.Check(err)
	ts.Defer(func() {
		if err := k.Stop(); err != nil {
			t.Errorf("stop kratos: %v", err)
		}
	})
	ts.Setenv(adminURL, k.AdminURL())
	ts.Setenv("KRATOS_PUBLIC_URL", k.PublicURL())
}

// identities prints the identities of the script's Kratos. Cases are small, so one
// page has them all.
func identities(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 || ts.Getenv(adminURL) == "" {
		ts.Fatalf("usage: identities, after kratos")
	}
	list, err := get(ts.Getenv(adminURL) + "/admin/identities?page_size=250&include_credential=password")
	ts.Check(err)
	var all []json.RawMessage
	ts.Check(json.Unmarshal(list, &all))
	slices.SortFunc(all, func(a, b json.RawMessage) int { return cmp.Compare(userID(a), userID(b)) })
	for _, one := range all {
		_, err := fmt.Fprintf(ts.Stdout(), "%s\n", one)
		ts.Check(err)
	}
}

func userID(identity []byte) string {
	var read struct {
		MetadataAdmin struct {
			Auth0 struct {
				UserID string `json:"user_id"`
			} `json:"auth0"`
		} `json:"metadata_admin"`
	}
	_ = json.Unmarshal(identity, &read) // one without a user id comes first
	return read.MetadataAdmin.Auth0.UserID
}

func get(address string) (body []byte, err error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(address)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: status %d", address, resp.StatusCode)
	}
	return io.ReadAll(resp.Body)
}
