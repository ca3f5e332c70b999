package export_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ferry/bulk/export"
	"ferry/secret"
	"ferry/test/auth0sim"
	"ferry/test/bulktest"
	"ferry/upstream"
)

// simulated is an export from the simulator's demo tenant, whose jobs are ready after
// so many looks.
func simulated(t *testing.T, reads int) (*auth0sim.Server, export.Options) {
	t.Helper()
	tenant := auth0sim.DemoTenant()
	tenant.Apps = append(tenant.Apps, auth0sim.App{
		ClientID: "machine", ClientSecret: "canary-secret", ManagementScopes: []string{auth0sim.ScopeReadUsers, auth0sim.ScopeReadConnections, auth0sim.ScopeReadAuthenticationMethods},
	})
	tenant.Connections = append(tenant.Connections, auth0sim.Connection{Name: "google", Strategy: "google-oauth2"})
	tenant.Users = append(tenant.Users, auth0sim.User{
		ID: "google-oauth2|1", Connection: "google", Email: "mary@example.test", AppMetadata: map[string]any{"plan": "free", "Plan": "twin"},
	})
	sim := auth0sim.Run(t, auth0sim.Config{Tenant: tenant})
	if err := sim.Configure(func(s *auth0sim.Settings) { s.Export.Reads = reads }); err != nil {
		t.Fatal(err)
	}
	transport := upstream.NewTransport()
	t.Cleanup(transport.CloseIdleConnections)
	auth0, err := upstream.NewManagement(upstream.ManagementOptions{
		BaseURL: sim.URL(), Audience: sim.ManagementAudience(), ClientID: "machine", ClientSecret: secret.New("canary-secret"),
		Timeout: 10 * time.Second, Transport: transport, Now: time.Now, PerSecond: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return sim, export.Options{Auth0: auth0, Progress: &exportProgress{}, Out: filepath.Join(t.TempDir(), "users.ndjson")}
}

// userIDs are those in an exported file, sorted.
func userIDs(t *testing.T, path string) []string {
	t.Helper()
	var ids []string
	for line := range strings.Lines(bulktest.ReadFile(t, path)) {
		var user struct {
			ID         string           `json:"user_id"`
			Email      string           `json:"email"`
			Identities []map[string]any `json:"identities"`
		}
		if err := json.Unmarshal([]byte(line), &user); err != nil || user.Email == "" || len(user.Identities) == 0 {
			t.Errorf("%s: %v", line, err)
		}
		ids = append(ids, user.ID)
	}
	slices.Sort(ids)
	return ids
}

func TestExportFromTheSimulator(t *testing.T) {
	t.Parallel()
	var all, database []string
	for _, user := range auth0sim.DemoTenant().Users {
		all = append(all, user.ID)
		if user.Connection == auth0sim.DemoConnection {
			database = append(database, user.ID)
		}
	}
	all = append(all, "google-oauth2|1")
	slices.Sort(all)
	slices.Sort(database)
	for connection, want := range map[string][]string{"": all, auth0sim.ConnectionID(auth0sim.DemoConnection): database} {
		t.Run(connection, func(t *testing.T) {
			t.Parallel()
			_, opts := simulated(t, 1)
			opts.Connection = connection
			done, err := export.Run(t.Context(), opts)
			if err != nil || done.Users != int64(len(want)) {
				t.Fatalf("%+v, %v", done, err)
			}
			if got := userIDs(t, opts.Out); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// TestExportThroughFaults: what the simulator can do to an export once.
func TestExportThroughFaults(t *testing.T) {
	t.Parallel()
	for name, want := range map[auth0sim.FaultName]string{
		auth0sim.FaultExportCut:         "",
		auth0sim.FaultExportBadChecksum: "",
		auth0sim.FaultExportNotGzip:     "",
		auth0sim.FaultResetInBody:       "",
		auth0sim.FaultUnavailable:       "",
		auth0sim.FaultRedirect302:       "redirect (status 302)",
		auth0sim.FaultExportCutLine:     "is not a user",
	} {
		t.Run(fmt.Sprint(name), func(t *testing.T) {
			t.Parallel()
			sim, opts := simulated(t, 0)
			if _, err := sim.SetFault(auth0sim.Fault{Name: name, Path: auth0sim.PathExports, Times: 1}); err != nil {
				t.Fatal(err)
			}
			done, err := export.Run(t.Context(), opts)
			switch {
			case want != "":
				if err == nil || !strings.Contains(err.Error(), want) || len(bulktest.Files(t, filepath.Dir(opts.Out))) != 0 {
					t.Errorf("%v", err)
				}
			case err != nil || int(done.Users) != len(userIDs(t, opts.Out)) || done.Users == 0:
				t.Errorf("%+v, %v", done, err)
			}
		})
	}
}
