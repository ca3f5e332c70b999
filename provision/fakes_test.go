package provision_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"ferry/bulk/plan"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/provenance"
	"ferry/provision"
	"ferry/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// people is what Kratos has: identities by their identifiers.
type people struct {
	mu      sync.Mutex
	created []identity
	known   map[string]bool
	bound   [][]string // the users of identities that Kratos has from the start
	status  int        // of creates that fail
	err     error      // of every call
	walks   int
	hold    chan struct{} // if set, creates wait until it is closed
	creates int
}

// identity is the part of a create that the tests look at.
type identity struct {
	ExternalID  string         `json:"external_id"`
	State       string         `json:"state"`
	Traits      map[string]any `json:"traits"`
	Credentials struct {
		Password struct {
			Config struct {
				Hook bool `json:"use_password_migration_hook"`
			} `json:"config"`
		} `json:"password"`
	} `json:"credentials"`
	Metadata struct {
		Auth0 struct {
			UserID     string                   `json:"user_id"`
			Connection string                   `json:"connection"`
			Import     struct{ Run, As string } `json:"import"`
		} `json:"auth0"`
	} `json:"metadata_admin"`
}

func (p *people) Knows(_ context.Context, identifier string) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[identifier], p.err
}

func (p *people) CreateOne(_ context.Context, body []byte) (kratos.Created, error) {
	p.mu.Lock()
	p.creates++
	hold := p.hold
	p.mu.Unlock()
	if hold != nil {
		<-hold
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil || p.status != 0 {
		return kratos.Created{Status: p.status}, p.err
	}
	var made identity
	if err := json.Unmarshal(body, &made); err != nil {
		return kratos.Created{}, err
	}
	var identifiers []string
	for _, name := range []string{"email", "username"} {
		value, _ := made.Traits[name].(string)
		identifiers = append(identifiers, strings.ToLower(value))
	}
	if slices.ContainsFunc(identifiers, func(value string) bool { return p.known[value] }) {
		return kratos.Created{Status: http.StatusConflict}, nil
	}
	for _, value := range slices.DeleteFunc(identifiers, func(value string) bool { return value == "" }) {
		p.known[value] = true
	}
	p.created = append(p.created, made)
	return kratos.Created{ID: "identity-" + made.Metadata.Auth0.UserID}, nil
}

func (p *people) Walk(_ context.Context, each func(kratos.Record) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.walks++
	for _, subjects := range p.bound {
		if err := each(kratos.Record{Identity: kratos.Identity{Binding: provenance.Binding{Subjects: subjects}}}); err != nil {
			return err
		}
	}
	return p.err
}

// directory is the Management API with some users.
type directory struct {
	mu     sync.Mutex
	users  []map[string]any
	err    error
	emails []string // that were looked up
}

func (d *directory) LookUpUser(_ context.Context, userID string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return nil, d.err
	}
	for _, user := range d.users {
		if user["user_id"] == userID {
			return json.Marshal(user)
		}
	}
	return nil, &upstream.ManagementError{Status: http.StatusNotFound, Reason: "not_found"}
}

func (d *directory) LookUpEmail(_ context.Context, email string) (found [][]byte, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.emails = append(d.emails, email)
	for _, user := range d.users {
		if user["email"] == email {
			text, err := json.Marshal(user)
			if err != nil {
				return nil, err
			}
			found = append(found, text)
		}
	}
	return found, d.err
}

// user is a user object of the connection db, with changes.
func user(id, email string, verified bool, changes map[string]any) map[string]any {
	provider, local, _ := strings.Cut(id, "|")
	u := map[string]any{
		"user_id": id, "email": email, "email_verified": verified,
		"identities": []any{map[string]any{"provider": provider, "user_id": local, "connection": "db", "isSocial": false}},
	}
	for name, value := range changes {
		u[name] = value
	}
	return u
}

// desk is a Provisioner with what it works on.
type desk struct {
	*provision.Provisioner

	people    *people
	directory *directory

	mu        sync.Mutex
	loadError error
}

// failLoad sets the error of Load.
func (d *desk) failLoad(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.loadError = err
}

const schema = `{"type": "object", "properties": {"traits": {"type": "object", "properties": {
	"email": {"type": "string", "format": "email", "ory.sh/kratos": {
		"credentials": {"password": {"identifier": true}}, "recovery": {"via": "email"}, "verification": {"via": "email"}}},
	"username": {"type": "string", "ory.sh/kratos": {"credentials": {"password": {"identifier": true}}}}
}}}}`

// newDesk makes a desk; change may edit the options. Without a change there is a Directory.
func newDesk(t *testing.T, change func(*provision.Options), users ...map[string]any) *desk {
	t.Helper()
	parsed, err := mapping.ParseSchema([]byte(schema))
	if err != nil {
		t.Fatal(err)
	}
	register, err := provision.OpenRegister("")
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{people: &people{known: map[string]bool{}}, directory: &directory{users: users}}
	opts := provision.Options{
		Identities: d.people, Directory: d.directory, Register: register,
		Load: func(context.Context) (plan.Options, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			return plan.Options{
				Schema: parsed, Mapper: mapping.Default(parsed), Realms: []string{"db", "legacy"}, Mode: plan.ModeHook, ExternalID: true,
				Now: func() time.Time { return time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC) },
			}, d.loadError
		},
		Log: zap.NewNop(), Hash: func(text string) string { return text }, Now: time.Now,
	}
	if change != nil {
		change(&opts)
	}
	if d.Provisioner, err = provision.New(opts); err != nil {
		t.Fatal(err)
	}
	return d
}

func withoutDirectory(opts *provision.Options) { opts.Directory = nil }

// login is a login of a user whose ID token has these claims.
func login(t *testing.T, identifier string, claims map[string]any) provision.Login {
	t.Helper()
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	profile := upstream.Profile{Claims: string(text)}
	profile.Subject, _ = claims["sub"].(string)
	profile.EmailVerified, _ = claims["email_verified"].(bool)
	return provision.Login{Profile: profile, Realm: "db", Identifier: identifier, Username: identifier}
}

var errDown = errors.New("down")

func mustWrite(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
