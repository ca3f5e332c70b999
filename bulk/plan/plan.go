// Package plan decides what each user of a file becomes in Kratos. It writes nothing.
//
//	for each row, in parallel: map it, validate it, decide outcome and password
//	in order: index the row's identifiers, count it, hand it on
//	resolve the index: which row gets an identifier that several rows have
//	with Merge: read the rows that are accounts of one person again, and plan each person
//
// So before anything is written, the whole file was read, and all rows that compete for
// an identifier are known.
package plan

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"ferry/bulk/factorfile"
	"ferry/bulk/hashfile"
	"ferry/bulk/progress"
	"ferry/bulk/results"
	"ferry/bulk/scan"
	"ferry/bulk/userfile"
	"ferry/kratos"
	"ferry/mapping"
)

// Mode says how passwords migrate.
type Mode string

// The modes.
const (
	// ModeAuto uses the exported hash if it is fresh and Kratos can use it, else the hook.
	ModeAuto Mode = "auto"
	// ModeHook makes every identity with a password pending.
	ModeHook Mode = "hook"
	// ModeHash uses hashes only; a user without one fails.
	ModeHash Mode = "hash"
)

// Options say how users become identities. Users, Schema, Mapper, Progress and Now must be
// set.
type Options struct {
	Users *userfile.Source
	// Hashes are the exported password hashes; nil: none.
	Hashes *hashfile.Index
	// Tenant is the only tenant that users and hashes may be of; empty: any one.
	Tenant string
	// Domain is the canonical domain of that tenant; empty: unknown.
	Domain string

	Schema *mapping.Schema
	// SchemaID is the schema's id at Kratos; empty: Kratos' default.
	SchemaID string
	Mapper   mapping.Mapper
	Rules    mapping.Rules
	// Realms are the connections that the hook may ask. It asks the first about users
	// whose connection is not recorded. Empty: it asks the tenant's default directory.
	Realms []string

	Mode      Mode
	Providers Providers
	// Organizations are the organizations that identities and their logins belong to.
	Organizations Organizations
	// Bridge is the id of Kratos' OIDC provider that is the tenant itself. Identities get a login
	// there, and users who have no other way in get an identity with that alone. Empty: none.
	Bridge string
	// DropMFA imports users with a second factor at Auth0, without it.
	DropMFA bool
	// KeepMFA imports users with a second factor that Kratos can take. It excludes DropMFA.
	KeepMFA bool
	// Factors are second factors and passkeys of users, besides those in the users file; nil:
	// none.
	Factors *factorfile.Index
	// RelyingParties are the domains that Kratos' passkeys and security keys are bound to; empty:
	// none are imported.
	RelyingParties RelyingParties
	// SkipUnverified skips users with a password whose addresses Auth0 did not verify.
	SkipUnverified bool
	// NoPasswordUnverified gives these users an identity without a password: they can only
	// recover their account.
	NoPasswordUnverified bool
	// ExternalID gives each identity its Auth0 user id as external_id.
	ExternalID bool
	// Merge makes one identity of several accounts of one person: the type people has the
	// rule.
	Merge bool
	// Lacks are the fields of Fields that Kratos does not have.
	Lacks []kratos.Field
	// Strict refuses a file that lacks fields that decide what becomes of its users, with a
	// *MissingError; AcceptMissing names those that it may lack. With Compares the rows are
	// compared with identities and not imported.
	Strict, Compares bool
	AcceptMissing    []string
	// DryRun leaves out the bodies of requests.
	DryRun bool
	// KeepUsers keeps the row itself as Row.User.
	KeepUsers bool
	// Shard selects the lines that leave this remainder when divided by Shards. All lines
	// are planned, but only these are handed on. Shards 0 or 1 is the whole file.
	Shard, Shards int
	// Run is the id of the run, noted on each identity.
	Run string
	// Phase names the pass in the progress.
	Phase string
	// TempDir is the directory for temporary files; empty: the system's.
	TempDir string

	Progress progress.Reporter
	Now      func() time.Time
}

// Plan is what is known of the whole file.
type Plan struct {
	Totals

	opts        Options
	identifiers index
	folded      index           // identifiers in the form of the next Kratos, if it differs
	creates     results.LineSet // rows that the plan creates identities for
	warnings    []string

	users       int             // rows that are users
	absent      int             // those of them that Auth0 does not have
	told        mapping.Told    // by any row or column
	tenant      string          // the domain that a row names
	databases   int             // users with a password
	passwords   results.LineSet // rows with a password
	mergeable   results.LineSet // rows that an identity can be made of, alone or with others
	connections connections
}

// Totals count the rows of the file, or of the shard where the field says so.
type Totals struct {
	// SocialLeftOut and PhonesLeftOut are of the shard: linked accounts that do not become
	// credentials, and optional phone numbers that Kratos would refuse.
	SocialLeftOut, PhonesLeftOut int
	// BridgeLeftOut is of the shard: users who get no login at the bridge, because Auth0 did not
	// verify an address of theirs.
	BridgeLeftOut int
	// MFADropped, Unverified and Unaddressed are lines of the shard: users whose second
	// factor is dropped, users of whose addresses Auth0 verified none, and identities
	// without a verified address.
	MFADropped, Unverified, Unaddressed results.LineSet
	// MFAKept are lines of the shard: users whose second factor is imported.
	MFAKept results.LineSet
	// Fields are the lines of the shard whose identities have an optional field of Kratos.
	Fields map[kratos.Field]results.LineSet
	// WithoutConnection is the number of users with a password and an identity whose
	// connection the file does not have.
	WithoutConnection int
	// HashesUsed is the number of users with a hash.
	HashesUsed int
	// Shared is the number of rows that lose an identifier to another row.
	Shared int
	// People counts those who have several accounts with one verified address.
	People PeopleCount
	// Folding is the number of identifiers of several users that the next Kratos would
	// take for one; FoldingLines are the lines of the first of them.
	Folding      int
	FoldingLines [][]int
}

// chunkRows is the number of rows that a worker plans at a time, and maxChunkBytes the
// approximate size of these.
const (
	chunkRows     = 256
	maxChunkBytes = 4 << 20
)

// chunk is some consecutive rows. Their drafts are ready when done is closed.
type chunk struct {
	rows   []userfile.Row
	text   []byte
	drafts []draft
	done   chan struct{}
}

// Make reads the whole file, plans every row, and calls add with each row of the shard in
// the order of the file.
func Make(ctx context.Context, opts Options, add func(Row) error) (*Plan, error) {
	opts.Shards = max(opts.Shards, 1)
	p := &Plan{opts: opts, connections: connections{}, Totals: Totals{Fields: map[kratos.Field]results.LineSet{}}}
	if err := p.checkHashes(); err != nil {
		return nil, err
	}
	if err := p.read(ctx, add); err != nil {
		return nil, err
	}
	if err := p.checkTotals(); err != nil {
		return nil, err
	}
	p.identifiers.resolve(p.merges())
	p.folded.resolve(nil)
	if err := p.planPeople(ctx, add); err != nil {
		return nil, err
	}
	p.warnAboutFile()
	return p, nil
}

// read plans the rows on all processors and adds them in order.
func (p *Plan) read(ctx context.Context, add func(Row) error) error {
	group, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	todo := make(chan *chunk, workers)
	inOrder := make(chan *chunk, 2*workers)
	group.Go(func() error {
		defer close(todo)
		defer close(inOrder)
		return p.readChunks(ctx, func(c *chunk) error {
			select {
			case inOrder <- c:
			case <-ctx.Done():
				return ctx.Err()
			}
			todo <- c // the workers drain it, also after an error
			return nil
		})
	})
	for range workers {
		group.Go(func() error {
			var failed error
			for c := range todo {
				if failed == nil {
					failed = p.planChunk(c)
				}
				close(c.done)
			}
			return failed
		})
	}
	group.Go(func() error {
		for c := range inOrder {
			<-c.done
			for _, d := range c.drafts {
				if err := p.add(d, add); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return group.Wait()
}

// readChunks copies the rows into chunks, because the source reuses their memory.
func (p *Plan) readChunks(ctx context.Context, send func(*chunk) error) error {
	next := &chunk{done: make(chan struct{})}
	for row, err := range scan.Users(ctx, p.opts.Users, p.opts.Progress, p.opts.Phase) {
		if err != nil {
			return err
		}
		start := len(next.text)
		next.text = append(next.text, row.JSON...)
		row.JSON = next.text[start:len(next.text):len(next.text)]
		next.rows = append(next.rows, row)
		if len(next.rows) == chunkRows || len(next.text) > maxChunkBytes {
			if err := send(next); err != nil {
				return err
			}
			next = &chunk{done: make(chan struct{}), text: make([]byte, 0, cap(next.text))}
		}
	}
	if len(next.rows) == 0 {
		return nil
	}
	return send(next)
}

func (p *Plan) planChunk(c *chunk) error {
	c.drafts = make([]draft, 0, len(c.rows))
	for _, row := range c.rows {
		d, err := p.opts.plan(row.Line, row.JSON, row.Err)
		if err != nil {
			return fmt.Errorf("line %d: %w", row.Line, err)
		}
		if p.opts.KeepUsers {
			d.User = slices.Clone(row.JSON)
		}
		c.drafts = append(c.drafts, d)
	}
	return nil
}

// addUser counts a row that is a user.
func (p *Plan) addUser(d draft) {
	if d.UserID == "" {
		return
	}
	p.users++
	p.told |= d.told
	if d.Reason.Reason == results.ReasonNotAtAuth0 {
		p.absent++
	}
}

// add counts a row, indexes its identifiers and hands it on.
func (p *Plan) add(d draft, hand func(Row) error) error {
	if err := p.checkTenant(d.tenant); err != nil {
		return err
	}
	p.addUser(d)
	if d.database {
		p.databases++
		p.passwords.Add(d.Line)
	}
	if d.database && d.connection == "" && d.Creates() && d.Outcome != results.CreatedBridge {
		p.WithoutConnection++
	}
	if d.hashed {
		p.HashesUsed++
	}
	if d.Outcome == results.CreatedPending {
		p.connections.add(d.connection)
	}
	for _, note := range d.notes {
		p.warn(note)
	}
	for _, key := range d.keys {
		if err := p.identifiers.add(key.value, d.Line, key.rank); err != nil {
			return err
		}
		if key.folded == "" {
			continue
		}
		if err := p.folded.add(key.folded, d.Line, rankUnverified); err != nil {
			return err
		}
	}
	if d.Creates() {
		p.creates.Add(d.Line)
	}
	if d.Outcome != results.Failed {
		p.mergeable.Add(d.Line)
	}
	if d.Line%p.opts.Shards != p.opts.Shard {
		return nil
	}
	p.SocialLeftOut += d.socialLeftOut
	p.PhonesLeftOut += d.phonesLeftOut
	p.addLosses(d)
	if d.unverified {
		p.Unverified.Add(d.Line)
	}
	if d.unaddressed {
		p.Unaddressed.Add(d.Line)
	}
	return hand(d.Row)
}

// addLosses counts what the identity of the row will lack.
func (p *Plan) addLosses(d draft) {
	if d.bridgeLeftOut {
		p.BridgeLeftOut++
	}
	if d.mfaKept {
		p.MFAKept.Add(d.Line)
	}
	for _, field := range d.fields {
		lines := p.Fields[field]
		lines.Add(d.Line)
		p.Fields[field] = lines
	}
	if d.mfaDropped {
		p.MFADropped.Add(d.Line)
	}
}

// warn adds a warning, once.
func (p *Plan) warn(text string) {
	if !slices.Contains(p.warnings, text) {
		p.warnings = append(p.warnings, text)
	}
}

// Warnings returns what the operator should know of the file.
func (p *Plan) Warnings() []string { return p.warnings }

// Loses reports whether a row gets no identity because another row has the same user id
// or identifier, and why.
func (p *Plan) Loses(row Row) (results.Cause, bool) {
	lost, found := p.identifiers.collisionOf(row.Line)
	if !found || !row.Creates() && !lost.user {
		return results.Cause{}, false
	}
	return lost.cause(), true
}

// LinesOfUser returns the lines that have the Auth0 user id.
func (p *Plan) LinesOfUser(userID string) []int { return p.identifiers.lines(userID, rankUser) }

// LinesOfIdentifier returns the lines that have the identifier.
func (p *Plan) LinesOfIdentifier(identifier string) []int {
	return p.identifiers.lines(identifier, rankUnverified)
}
