package gen

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ferry/test/auth0sim"
)

// Format is the set of formats that users are written in.
type Format string

// The formats. Lines of JSON are always written.
const (
	FormatNDJSON Format = "ndjson"
	FormatCSV    Format = "csv"
	FormatJSON   Format = "json"
	FormatAll    Format = "all"
)

// The files.
const (
	UsersFile    = "users.ndjson"
	CSVFile      = "users.csv"
	ArrayFile    = "users.json"
	HashesFile   = "hashes.ndjson"
	ExpectedFile = "expected.ndjson"
	SeedFile     = "seed.json"
	SchemaFile   = "identity.schema.json"
)

// The applications of the tenant, with their secrets.
const (
	ClientID       = "ferry"
	ClientSecret   = "ferry-secret"
	MachineID      = "ferry-mgmt"
	MachineSecret  = "ferry-mgmt-secret"
	DefaultCost    = 4
	maxCost        = 15
	maxUsers       = 10_000_000 // object ids hold no more
	maxSeeded      = 100_000    // a seed is read into memory
	blankEvery     = 97         // rows between two blank lines
	cancelledEvery = 1024       // rows between two looks at the context
)

// Options configure Write.
type Options struct {
	// Users is how many lines users.ndjson has, blank ones not counted; some of them
	// contain no user. 500 or more contain every kind, outcome and reason.
	Users int
	Seed  uint64
	// Dir is created if it does not exist; files in it are replaced.
	Dir string
	// Format may be empty: [FormatNDJSON].
	Format Format
	// Cost is that of the password hashes, 4 to 15; 0 is 4.
	Cost int
}

// Check validates the options.
func (o Options) Check() error {
	switch {
	case o.Users < 1 || o.Users > maxUsers:
		return fmt.Errorf("users: %d: want 1 to %d", o.Users, maxUsers)
	case o.Dir == "":
		return errors.New("out: want a directory")
	case o.Cost != 0 && (o.Cost < DefaultCost || o.Cost > maxCost):
		return fmt.Errorf("cost: %d: want %d to %d", o.Cost, DefaultCost, maxCost)
	case !slices.Contains([]Format{"", FormatNDJSON, FormatCSV, FormatJSON, FormatAll}, o.Format):
		return fmt.Errorf("format: %q: want ndjson, csv, json or all", o.Format)
	}
	return nil
}

// Summary counts what Write wrote.
type Summary struct {
	Users  int
	Hashes int
	Blanks int
	// Seeded says that there is a seed: not for more than 100,000 users.
	Seeded   bool
	Outcomes map[Outcome]int
	Reasons  map[Reason]int
	Kinds    map[string]int
}

// String returns a human-readable line.
func (s Summary) String() string {
	var parts []string
	for _, outcome := range Outcomes() {
		parts = append(parts, fmt.Sprintf("%s %d", outcome, s.Outcomes[outcome]))
	}
	text := fmt.Sprintf("%d users, %d blank lines, %d password hashes; expected: %s", s.Users, s.Blanks, s.Hashes, strings.Join(parts, ", "))
	if !s.Seeded {
		text += fmt.Sprintf("; no %s for more than %d users", SeedFile, maxSeeded)
	}
	return text
}

//go:embed identity.schema.json
var schema string

// Schema is the identity schema that the outcomes are expected with.
func Schema() []byte { return []byte(schema) }

// Write makes the files: users, hashes, expected results, the tenant and the identity
// schema. Its memory does not grow with the number of users. After an error, incomplete
// files remain.
func Write(ctx context.Context, o Options) (Summary, error) {
	summary, err := write(ctx, o)
	if err != nil {
		return Summary{}, fmt.Errorf("generate: %w", err)
	}
	return summary, nil
}

func write(ctx context.Context, o Options) (summary Summary, err error) {
	if err := o.Check(); err != nil {
		return Summary{}, err
	}
	if o.Cost == 0 {
		o.Cost = DefaultCost
	}
	m, err := newMaker(o.Seed, o.Cost)
	if err != nil {
		return Summary{}, err
	}
	out, err := openFiles(o)
	if err != nil {
		return Summary{}, err
	}
	defer func() { err = errors.Join(err, out.close()) }()
	out.summary = Summary{
		Seeded: out.seed != nil, Outcomes: map[Outcome]int{}, Reasons: map[Reason]int{}, Kinds: map[string]int{},
	}
	m.rows(o.Users, func(r row) bool {
		if err = out.put(r); err == nil && out.summary.Users%cancelledEvery == 0 {
			err = ctx.Err()
		}
		return err == nil
	})
	return out.summary, err
}

// tenant is the tenant without its users.
func tenant() auth0sim.Tenant {
	connections := map[string]string{
		Database: databases, legacy: databases, google: google, facebook: facebook, azure: auth0sim.StrategyAzureAD,
		saml: auth0sim.StrategySAML, emailCodes: auth0sim.StrategyEmail, smsCodes: auth0sim.StrategySMS,
	}
	t := auth0sim.Tenant{DefaultDirectory: Database}
	for _, name := range slices.Sorted(maps.Keys(connections)) {
		t.Connections = append(t.Connections, auth0sim.Connection{Name: name, Strategy: connections[name]})
	}
	t.Apps = []auth0sim.App{
		{
			ClientID: ClientID, ClientSecret: ClientSecret, Connections: []string{Database, legacy},
			AuthMethods: []string{auth0sim.AuthPost, auth0sim.AuthBasic}, TrustForwardedFor: true,
		},
		{ClientID: MachineID, ClientSecret: MachineSecret, ManagementScopes: []string{
			auth0sim.ScopeReadUsers, auth0sim.ScopeReadConnections, auth0sim.ScopeUpdateUsers, auth0sim.ScopeUpdateAppMetadata,
		}},
	}
	return t
}
