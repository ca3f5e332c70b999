package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"ferry/bulk/results"
	"ferry/bulk/scan"
	"ferry/bulk/tempfile"
	"ferry/mapping"
)

// merges returns what says which lines may be merged, or nil: none.
func (p *Plan) merges() func(lines []uint32) bool {
	if !p.opts.Merge {
		return nil
	}
	return func(lines []uint32) bool { return p.passwordsOf(lines) <= 1 && p.allMergeable(lines) }
}

func (p *Plan) passwordsOf(lines []uint32) (n int) {
	for _, line := range lines {
		if p.passwords.Has(int(line)) {
			n++
		}
	}
	return n
}

func (p *Plan) allMergeable(lines []uint32) bool {
	return !slices.ContainsFunc(lines, func(line uint32) bool { return !p.mergeable.Has(int(line)) })
}

// Replaced reports whether the row is an account of a person whose accounts are merged: a
// later row of the plan, which has it in Merged or is of the same line, takes its place.
func (p *Plan) Replaced(row Row) bool {
	_, found := p.identifiers.people.of(uint32(row.Line)) //nolint:gosec // bounded in add
	return found && len(row.Merged) == 0
}

// planPeople plans the people whose accounts are merged, and hands on those whose primary
// account is in the shard. It reads the file once more, because only now the accounts are
// known, which may be in other shards.
func (p *Plan) planPeople(ctx context.Context, hand func(Row) error) (err error) {
	all := p.identifiers.people
	if len(all) == 0 {
		return nil
	}
	accounts, err := p.readAccounts(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, accounts.file.Close()) }()
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b person) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.line, b.line)) })
	for len(all) > 0 {
		size := int(all[0].size)
		if err := p.planPerson(accounts, all[:size], hand); err != nil {
			return err
		}
		all = all[size:]
	}
	return nil
}

// planPerson plans the identity of one person.
func (p *Plan) planPerson(file *accountFile, lines people, hand func(Row) error) error {
	var accounts []account
	for _, one := range lines {
		i, _ := p.identifiers.people.find(one.line)
		read, err := file.get(i)
		if err != nil {
			return fmt.Errorf("line %d: %w", one.line, err)
		}
		if err := p.opts.addMethods(&read.profile); err != nil {
			return fmt.Errorf("line %d: %w", one.line, err)
		}
		read.line = int(one.line)
		accounts = append(accounts, read)
	}
	d, err := p.opts.planAccounts(accounts)
	if err != nil {
		return fmt.Errorf("line %d: %w", d.Line, err)
	}
	if d.Line%p.opts.Shards != p.opts.Shard {
		return nil
	}
	p.addLosses(d)
	return hand(d.Row)
}

// account is one account of a person.
type account struct {
	line    int
	user    []byte
	profile mapping.Profile
	created time.Time
}

// compareAccounts sorts the primary account first: the one with the password, else the
// oldest, else the first in the file.
func compareAccounts(a, b account) int {
	rank := func(of account) int {
		switch {
		case of.profile.HasPassword():
			return 0
		case !of.created.IsZero():
			return 1
		}
		return 2
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), a.created.Compare(b.created), cmp.Compare(a.line, b.line))
}

// planAccounts plans one identity for all accounts of a person. The identity is that of the
// primary account, with the user ids and logins of the others.
func (o *Options) planAccounts(accounts []account) (draft, error) {
	slices.SortFunc(accounts, compareAccounts)
	primary, others := accounts[0], accounts[1:]
	var profiles []mapping.Profile
	var lines []int
	row := Row{Line: primary.line, User: primary.user}
	for _, other := range others {
		account := Row{Line: other.line, UserID: other.profile.UserID, User: other.user}
		profiles, row.Merged, lines = append(profiles, other.profile), append(row.Merged, account), append(lines, other.line)
		if other.profile.Blocked {
			row.BlockedAccounts = append(row.BlockedAccounts, account.UserID)
		}
	}
	d, err := o.planProfile(draft{Row: row}, primary.profile.WithAccounts(profiles...))
	d.Reason = d.Reason.Also(fmt.Sprintf("merged with the accounts on lines %v", lines))
	return d, err
}

// accountFile keeps the rows of the accounts that are merged in an unlinked file. In memory it
// has the end of each, in the order of their lines.
type accountFile struct {
	file *os.File
	ends []int64
}

// readAccounts reads the users file for the rows that are merged.
func (p *Plan) readAccounts(ctx context.Context) (*accountFile, error) {
	file, err := tempfile.New(p.opts.TempDir)
	if err != nil {
		return nil, err
	}
	f := &accountFile{file: file, ends: make([]int64, 1, len(p.identifiers.people)+1)}
	for row, err := range scan.Users(ctx, p.opts.Users, p.opts.Progress, "accounts to merge") {
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		if _, merged := p.identifiers.people.of(uint32(row.Line)); !merged { //nolint:gosec // bounded in add
			continue
		}
		end := f.ends[len(f.ends)-1]
		if _, err := file.WriteAt(row.JSON, end); err != nil {
			return nil, errors.Join(fmt.Errorf("write a temporary file: %w", err), file.Close())
		}
		f.ends = append(f.ends, end+int64(len(row.JSON)))
	}
	return f, nil
}

// get reads the ith account, from 0.
func (f *accountFile) get(i int) (account, error) {
	user := make([]byte, f.ends[i+1]-f.ends[i])
	if _, err := f.file.ReadAt(user, f.ends[i]); err != nil {
		return account{}, fmt.Errorf("read a temporary file: %w", err)
	}
	profile, err := mapping.FromUser(user)
	if err != nil {
		return account{}, err
	}
	created, _ := mapping.Time(profile.Claims["created_at"])
	return account{user: user, profile: profile, created: created}, nil
}

// PeopleCount counts the people in the whole file who have several accounts that share an address
// and that call it verified, and what becomes of them.
type PeopleCount struct {
	// Several is the number of these people.
	Several int
	// Merged get one identity for all accounts.
	Merged int
	// LeftOut get no identity at all.
	LeftOut int
	// Passwords and Untrusted cannot be merged: two of the accounts have a password, or the
	// rules do not trust the source of one of the addresses.
	Passwords, Untrusted int
}

// countPeople counts the people. Call it after the index was resolved.
func (p *Plan) countPeople() (count PeopleCount) {
	var counted results.LineSet
	x := &p.identifiers
	x.eachIdentifier(func(group []indexEntry) {
		lines := linesWith(group, rankVerified, rankClaimed)
		if len(lines) < 2 || counted.Has(int(lines[0])) {
			return
		}
		counted.Add(int(lines[0]))
		count.Several++
		_, merged := x.people.of(lines[0])
		switch {
		case merged:
			count.Merged++
			return
		case p.passwordsOf(lines) > 1:
			count.Passwords++
		case len(linesWith(group, rankClaimed)) > 0:
			count.Untrusted++
		}
		if !slices.ContainsFunc(lines, func(line uint32) bool {
			_, lost := x.collisionOf(int(line))
			return !lost && p.creates.Has(int(line))
		}) {
			count.LeftOut++
		}
	})
	return count
}

// warning tells the operator of the people; "" if there are none.
func (c PeopleCount) warning(merge bool) string {
	if c.Several == 0 {
		return ""
	}
	text := fmt.Sprintf("%d people have several accounts at Auth0 with one verified address, and in Kratos one identity can have it: ", c.Several)
	if merge {
		text += fmt.Sprintf("%d get one identity for all accounts (--merge-verified), ", c.Merged)
	}
	text += fmt.Sprintf("%d get an identity for one of the accounts, %d get none", c.Several-c.Merged-c.LeftOut, c.LeftOut)
	if !merge {
		return text + "; --merge-verified merges accounts of which at most one has a password, and whose addresses FERRY_VERIFIED_CONNECTIONS trusts"
	}
	if c.Passwords > 0 {
		text += fmt.Sprintf("; %d are not merged because two accounts have a password", c.Passwords)
	}
	if c.Untrusted > 0 {
		text += fmt.Sprintf("; %d are not merged because FERRY_VERIFIED_CONNECTIONS does not trust the provider of an account", c.Untrusted)
	}
	return text
}
