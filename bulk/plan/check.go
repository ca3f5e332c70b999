package plan

import (
	"errors"
	"fmt"
)

// checkHashes refuses hashes that are not this tenant's: user ids that an operator chose
// may be the same in two tenants, for two users.
func (p *Plan) checkHashes() error {
	hashes := p.opts.Hashes
	if hashes == nil {
		return nil
	}
	total := 0
	for _, unreadable := range hashes.Unreadable() {
		total += unreadable.Count
		p.warn(fmt.Sprintf("%d entries of the hash file cannot be read, the first is number %d: %v", unreadable.Count, unreadable.First, unreadable.Why))
	}
	if total > 0 && hashes.Len() == 0 && p.opts.Mode != ModeHook {
		return fmt.Errorf("none of the %d entries of the hash file is a hash, the first because %w: nothing was written; give the file that Auth0's support exported, decrypted, as NDJSON, a JSON array or CSV, or leave out --hashes", total, hashes.Unreadable()[0].Why)
	}
	tenants := hashes.Tenants()
	switch {
	case len(tenants) > 1:
		return fmt.Errorf("the hash file is of several tenants (%q): give a file of one", tenants)
	case p.opts.Tenant != "" && len(tenants) == 1 && tenants[0] != p.opts.Tenant:
		return fmt.Errorf("the hash file is of the tenant %q, not of %q: nothing was written; give the right file, or name the tenant with --tenant", tenants[0], p.opts.Tenant)
	}
	return nil
}

// checkTotals warns of users in connections that the hook does not ask. It refuses a users
// file that lacks deciding fields or has no user of the tenant, and a hash file that has no
// hash of any user in it.
func (p *Plan) checkTotals() error {
	if p.absent > 0 && p.absent == p.users {
		return fmt.Errorf("none of the %d users in the users file is at Auth0: nothing was written; give a file of the tenant that the settings name", p.users)
	}
	if err := p.checkFields(); err != nil {
		return err
	}
	for _, text := range p.connections.warnings(p.opts.Realms) {
		p.warn(text)
	}
	if p.opts.Hashes != nil && p.opts.Hashes.Len() > 0 && p.databases > 0 && p.HashesUsed == 0 && p.opts.Mode != ModeHook {
		return errors.New("no hash belongs to a user in the users file: the two files are from different tenants; nothing was written")
	}
	return nil
}
