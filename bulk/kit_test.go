package bulk_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ferry/bulk"
	"ferry/bulk/hashfile"
	"ferry/bulk/userfile"
	"ferry/mapping"
)

// personSchema has what matters here: two identifiers, one of them an address, a
// number, and a trait with a limit.
const personSchema = `{"type":"object","properties":{"traits":{"type":"object","properties":{
	"email":{"type":"string","format":"email","ory.sh/kratos":{"credentials":{"password":{"identifier":true}},"verification":{"via":"email"},"recovery":{"via":"email"}}},
	"username":{"type":"string","ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}},
	"phone":{"type":"string","format":"no-validate","ory.sh/kratos":{"verification":{"via":"sms"}}},
	"nickname":{"type":"string","maxLength":30},
	"locale":{"type":"string"}
},"additionalProperties":false}}}`

// bcryptHash is of no password that anybody knows.
const bcryptHash = "$2b$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"

func schema(t *testing.T) *mapping.Schema {
	t.Helper()
	s, err := mapping.ParseSchema([]byte(personSchema))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// with changes some keys of a user; nil removes one.
type with map[string]any

// auth0User is a row: a user of the database users, unverified unless changed.
func auth0User(id, email string, changes ...with) string {
	fields := map[string]any{
		"user_id": "auth0|" + id, "email": email, "email_verified": false,
		"identities": []any{map[string]any{"connection": "users", "provider": "auth0", "user_id": id}},
	}
	for _, change := range changes {
		maps.Copy(fields, change)
	}
	maps.DeleteFunc(fields, func(_ string, value any) bool { return value == nil })
	text, err := json.Marshal(fields)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// verified is a user whose address Auth0 verified.
func verified(id, email string, changes ...with) string {
	return auth0User(id, email, append([]with{{"email_verified": true}}, changes...)...)
}

// hashLine is a line of the hash file.
func hashLine(id, hash, date string) string {
	line := fmt.Sprintf(`{"_id":{"$oid":%q},"passwordHash":%q,"tenant":"canary"`, id, hash)
	if date != "" {
		line += fmt.Sprintf(`,"password_set_date":{"$date":%q}`, date)
	}
	return line + "}"
}

// quiet is a Progress that shows nothing, and a Warn that remembers.
type quiet struct {
	mu     sync.Mutex
	warned []string
	open   int
}

func (q *quiet) Start(string, int64) { q.mu.Lock(); q.open = 1; q.mu.Unlock() }
func (*quiet) Add(int64)             {}
func (*quiet) Say(string)            {}
func (q *quiet) Done()               { q.mu.Lock(); q.open = 0; q.mu.Unlock() }
func (q *quiet) warn(text string)    { q.mu.Lock(); q.warned = append(q.warned, text); q.mu.Unlock() }

// importing is an import that a test is about.
type importing struct {
	*testing.T

	opts    bulk.ImportOptions
	results bytes.Buffer
	told    *quiet
	dir     string
}

func usersFile(t *testing.T, text string) *userfile.Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := userfile.Open(t.Context(), path, nil, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = source.Close() })
	return source
}

func hashesFile(t *testing.T, lines ...string) *hashfile.Index {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hashes")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	index, err := hashfile.Open(t.Context(), path, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = index.Close() })
	return index
}

// newImport is one of the rows into the fake, with a results stream.
func newImport(t *testing.T, f *fakeKratos, rows ...string) *importing {
	t.Helper()
	im := &importing{T: t, told: &quiet{}, dir: t.TempDir()}
	s := schema(t)
	im.opts = bulk.ImportOptions{
		Users:  usersFile(t, strings.Join(rows, "\n")+"\n"),
		Schema: s, SchemaID: "person", Mapper: mapping.Default(s),
		Mode: bulk.ModeAuto, OnConflict: bulk.ConflictSkip,
		Kratos: f.client(), RetryFor: 20 * time.Second, TempDir: im.dir,
		Journal: bulk.StreamJournal(&im.results), Progress: im.told, Warn: im.told.warn, Now: time.Now,
	}
	return im
}

// journal makes the run one with a results file.
func (im *importing) journal(path string) {
	im.Helper()
	journal, err := bulk.OpenJournal(path)
	if err != nil {
		im.Fatal(err)
	}
	im.opts.Journal = journal
}

// run imports, and returns what it wrote, by lines.
func (im *importing) run() (bulk.Summary, []bulk.Result, error) {
	im.Helper()
	im.results.Reset()
	summary, err := bulk.Import(im.Context(), im.opts)
	if im.told.open != 0 {
		im.Error("a phase was not ended")
	}
	if left := files(im.T, im.dir); len(left) > 0 {
		im.Errorf("temporary files were left: %v", left)
	}
	return summary, parseResults(im.T, im.results.String()), err
}

// must imports without an error.
func (im *importing) must() (bulk.Summary, []bulk.Result) {
	im.Helper()
	summary, results, err := im.run()
	if err != nil {
		im.Fatal(err)
	}
	return summary, results
}

// parseResults sorts them; every line may have one only.
func parseResults(t *testing.T, text string) []bulk.Result {
	t.Helper()
	var results []bulk.Result
	for line := range strings.Lines(text) {
		documented(t, "results", line)
		var result bulk.Result
		if err := strict([]byte(line), &result); err != nil {
			t.Fatalf("result %q: %v", line, err)
		}
		results = append(results, result)
	}
	slices.SortFunc(results, func(a, b bulk.Result) int { return a.Line - b.Line })
	for i := range results[min(1, len(results)):] {
		if results[i].Line == results[i+1].Line {
			t.Errorf("line %d has two results", results[i].Line)
		}
	}
	return results
}

// documented fails the test unless a line is as its schema in docs says.
func documented(t *testing.T, name, line string) {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile("../docs/" + name + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		t.Errorf("%s: %v", line, err)
	}
}

// words are the results as line:outcome:word of the reason.
func words(results []bulk.Result) string {
	var all []string
	for _, r := range results {
		word, _, _ := strings.Cut(r.Reason, ":")
		all = append(all, strings.TrimSuffix(fmt.Sprintf("%d:%s:%s", r.Line, r.Outcome, word), ":"))
	}
	return strings.Join(all, " ")
}
