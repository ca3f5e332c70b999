package bulktest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ferry/bulk/hashfile"
	"ferry/bulk/userfile"
	"ferry/kratos"
	"ferry/mapping"
)

// PersonSchema has two identifiers, one of them an address, a number, and a trait with
// a length limit.
const PersonSchema = `{"type":"object","properties":{"traits":{"type":"object","properties":{
	"email":{"type":"string","format":"email","ory.sh/kratos":{"credentials":{"password":{"identifier":true}},"verification":{"via":"email"},"recovery":{"via":"email"}}},
	"username":{"type":"string","ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}},
	"phone":{"type":"string","format":"no-validate","ory.sh/kratos":{"verification":{"via":"sms"}}},
	"nickname":{"type":"string","maxLength":30},
	"locale":{"type":"string"}
},"additionalProperties":false}}}`

// BcryptHash is a valid hash of an unknown password.
const BcryptHash = "$2b$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"

// SetAt is when the password of a hash was set.
const SetAt = "2024-05-01T10:00:00Z"

// Schema returns PersonSchema.
func Schema(t *testing.T) *mapping.Schema {
	t.Helper()
	s, err := mapping.ParseSchema([]byte(PersonSchema))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// With changes keys of a user; nil removes a key.
type With map[string]any

// User returns a row: a user of the connection users whose address is not verified.
func User(id, email string, changes ...With) string {
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

// Verified returns a user whose address Auth0 verified.
func Verified(id, email string, changes ...With) string {
	return User(id, email, append([]With{{"email_verified": true, "blocked": false}}, changes...)...)
}

// HashLine returns a line of a hash file.
func HashLine(id, hash, date string) string {
	line := fmt.Sprintf(`{"_id":{"$oid":%q},"passwordHash":%q,"tenant":"canary"`, id, hash)
	if date != "" {
		line += fmt.Sprintf(`,"password_set_date":{"$date":%q}`, date)
	}
	return line + "}"
}

// Quiet is a silent progress.Reporter. Its Warn collects warnings.
type Quiet struct {
	mu     sync.Mutex
	Warned []string
	Open   int // phases in progress
}

// Start implements progress.Reporter.
func (q *Quiet) Start(string, int64) { q.mu.Lock(); q.Open = 1; q.mu.Unlock() }

// Add implements progress.Reporter.
func (*Quiet) Add(int64) {}

// Say implements progress.Reporter.
func (*Quiet) Say(string) {}

// Done implements progress.Reporter.
func (q *Quiet) Done() { q.mu.Lock(); q.Open = 0; q.mu.Unlock() }

// Warn collects a warning.
func (q *Quiet) Warn(text string) { q.mu.Lock(); q.Warned = append(q.Warned, text); q.mu.Unlock() }

// UsersFile opens a users file that has the text.
func UsersFile(t *testing.T, text string) *userfile.Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := userfile.Open(t.Context(), path, nil, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = source.Close() })
	return source
}

// HashesFile opens a hash file that has the lines.
func HashesFile(t *testing.T, lines ...string) *hashfile.Index {
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

// Documented fails the test unless a line is valid by the JSON schema at path.
func Documented(t *testing.T, path, line string) {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile(path)
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

// Marked returns the identity with changes below metadata_admin.auth0.
func Marked(p Identity, marks With) Identity {
	auth0 := maps.Clone(p.Admin["auth0"].(map[string]any))
	maps.Copy(auth0, marks)
	p.Admin = map[string]any{"auth0": auth0}
	return p
}

// Pending returns an imported identity that is pending.
func Pending(userID, email string) Identity {
	p := Bound(userID, email)
	p.Hash, p.Hook = "", true
	return Marked(p, With{"import": map[string]any{"as": "created_pending"}})
}

// VerifiedAddress returns a verified e-mail address.
func VerifiedAddress(email string) kratos.Address {
	return kratos.Address{Value: email, Via: "email", Verified: true}
}

// Inactive returns the identity, deactivated by an operator after it was created.
func Inactive(p Identity) Identity {
	p.State, p.StateAt = "inactive", time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	return p
}

// Bound returns an identity that an earlier import created from the user.
func Bound(userID, email string) Identity {
	return Identity{
		SchemaID: "person", Traits: map[string]any{"email": email}, Hash: BcryptHash,
		Admin: map[string]any{"auth0": map[string]any{"user_id": userID, "user_ids": []any{userID}, "import": map[string]any{"run": "earlier", "as": "created_hash"}}},
	}
}

// Files returns the names in a directory.
func Files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// ReadFile returns the content of a file.
func ReadFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// WriteFile writes a file.
func WriteFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// BrokenWriter fails after Left writes.
type BrokenWriter struct{ Left int }

// Write implements io.Writer.
func (b *BrokenWriter) Write(text []byte) (int, error) {
	if b.Left--; b.Left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(text), nil
}

// Now returns the time at which tests read a status.
func Now() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

// Migrated returns the nth of several imported identities that have migrated.
func Migrated(n int, at time.Time) Identity {
	p := Bound(fmt.Sprintf("auth0|m%d", n), fmt.Sprintf("m%d@x.test", n))
	return Marked(p, With{"migrated_at": at.Format(time.RFC3339), "import": map[string]any{"as": "created_pending"}})
}

// Reset sets when the password was last reset at Auth0.
func Reset(at any) With { return With{"last_password_reset": at} }

// FailingMapper is a mapper that always fails.
type FailingMapper struct{}

// Map implements mapping.Mapper.
func (FailingMapper) Map(mapping.Profile) (mapping.Identity, error) {
	return mapping.Identity{}, errors.New("the mapper will not")
}
