package bulk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"ferry/test/auth0sim/gen"
	"ferry/test/kratostest"
)

const (
	benchUsers  = 8000 // lines of the generated file
	benchRounds = 5
	rawAtOnce   = 4   // as ferry
	rawBatch    = 500 // what ferry comes to after some batches
	jqUsers     = 60
)

// BenchmarkImport imports the same users three ways, in turns, each into an empty
// Kratos on SQLite: with ferry, with a bare loop that posts the same bodies in
// batches, and with one jq and one curl per user. It reports medians; run it with
// -benchtime 1x.
func BenchmarkImport(b *testing.B) {
	x := newTenant(b, benchUsers, 1)
	bodies := x.bodies(b)
	for b.Loop() {
		var ferryRate, raw, jq []float64
		for range benchRounds {
			ferryRate = append(ferryRate, rate(b, len(bodies), func(k *kratostest.Kratos) {
				ferry(b, adminURL(k), x.create("--json")...).want(b, 1)
			}))
			raw = append(raw, rate(b, len(bodies), func(k *kratostest.Kratos) { rawBatches(b, k, bodies) }))
			jq = append(jq, rate(b, jqUsers, func(k *kratostest.Kratos) { x.jqAndCurl(b, k) }))
		}
		b.ReportMetric(median(ferryRate), "ferry-rows/s")
		b.ReportMetric(median(raw), "raw-rows/s")
		b.ReportMetric(median(jq), "jq+curl-rows/s")
		b.ReportMetric(median(ferryRate)/median(raw), "ferry/raw")
		b.ReportMetric(median(ferryRate)/median(jq), "ferry/jq+curl")
	}
}

// bodies returns the request bodies of the identities that the import of the tenant
// creates.
func (x *tenant) bodies(b *testing.B) []json.RawMessage {
	b.Helper()
	k := newKratos(b, kratostest.Options{})
	tap := newBatchTap(b, k)
	ferry(b, []string{"FERRY_KRATOS_ADMIN_URL=" + tap.url}, x.create("--json")...).want(b, 1)
	return tap.bodies
}

func rate(b *testing.B, rows int, run func(*kratostest.Kratos)) float64 {
	b.Helper()
	k, err := kratostest.Start(b.Context(), kratostest.Options{Schema: gen.Schema()})
	if err != nil {
		b.Fatal(err)
	}
	started := time.Now()
	run(k)
	took := time.Since(started)
	if err := k.Stop(); err != nil {
		b.Fatal(err)
	}
	return float64(rows) / took.Seconds()
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// rawBatches posts the bodies in concurrent batches and checks only the status.
func rawBatches(b *testing.B, k *kratostest.Kratos, bodies []json.RawMessage) {
	b.Helper()
	var wait sync.WaitGroup
	turns := make(chan struct{}, rawAtOnce)
	for batch := range slices.Chunk(bodies, rawBatch) {
		turns <- struct{}{}
		wait.Go(func() {
			defer func() { <-turns }()
			var text bytes.Buffer
			for _, body := range batch {
				fmt.Fprintf(&text, `,{"create":%s,"patch_id":%q}`, body, uuid.NewString())
			}
			sendBatch(b, k, `{"identities":[`+text.String()[1:]+`]}`)
		})
	}
	wait.Wait()
}

func sendBatch(b *testing.B, k *kratostest.Kratos, text string) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPatch, k.AdminURL()+"/admin/identities", strings.NewReader(text))
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.Error(err)
		return
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		b.Errorf("%d %v", resp.StatusCode, err)
	}
}

// jqAndCurl creates some users with one jq and one curl for each, as scripts do.
func (x *tenant) jqAndCurl(b *testing.B, k *kratostest.Kratos) {
	b.Helper()
	const filter = `{schema_id: "person", traits: {email: .email}, credentials: {password: {config: {use_password_migration_hook: true}}}, metadata_admin: {auth0: {user_id: .user_id}}}`
	text, err := os.ReadFile(x.path(gen.UsersFile))
	if err != nil {
		b.Fatal(err)
	}
	done := 0
	for line := range bytes.Lines(text) {
		var row struct{ Email string }
		if json.Unmarshal(line, &row) != nil || row.Email == "" {
			continue
		}
		jq := exec.CommandContext(b.Context(), "jq", "-c", filter)
		jq.Stdin = bytes.NewReader(line)
		body, err := jq.Output()
		if err != nil {
			b.Fatal("this benchmark needs jq: ", err)
		}
		curl := exec.CommandContext(b.Context(), "curl", "-s", "-o", "/dev/null", "-H", "Content-Type: application/json", "-d", "@-", k.AdminURL()+"/admin/identities")
		curl.Stdin = bytes.NewReader(body)
		if err := curl.Run(); err != nil {
			b.Fatal("this benchmark needs curl: ", err)
		}
		if done++; done == jqUsers {
			return
		}
	}
	b.Fatalf("the file has %d users only", done)
}

// BenchmarkDryRun plans users on one core without any requests: with the default
// mapper, with hashes for half of them, and with a Jsonnet mapper.
func BenchmarkDryRun(b *testing.B) {
	x := newTenant(b, 200_000, 1)
	few := newTenant(b, 10_000, 1)
	mapper := x.path("mapper.jsonnet")
	const program = `local claims = std.extVar('claims'); { identity: { traits: { [if 'email' in claims then 'email' else null]: claims.email, [if 'name' in claims then 'name' else null]: claims.name } } }`
	if err := os.WriteFile(mapper, []byte(program), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		x     *tenant
		extra []string
	}{
		{"default", x, nil},
		{"hashes", x, []string{"--hashes", x.path(gen.HashesFile)}},
		{"jsonnet", few, []string{"--mapper", mapper}},
	} {
		b.Run(c.name, func(b *testing.B) {
			args := slices.Concat([]string{"import", "--dry-run", "--json", "--users", c.x.path(gen.UsersFile), "--schema", c.x.path(gen.SchemaFile)}, c.extra, google)
			for b.Loop() {
				started := time.Now()
				ferry(b, []string{"GOMAXPROCS=1"}, args...).want(b, 1)
				b.ReportMetric(float64(len(c.x.expected))/time.Since(started).Seconds(), "rows/s")
			}
		})
	}
}
