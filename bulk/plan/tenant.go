package plan

import (
	"fmt"
	"strings"
)

// checkTenant refuses users who are not this tenant's, as far as the file says whose they are.
func (p *Plan) checkTenant(of string) error {
	domain := strings.ToLower(of)
	if domain == "" || domain == p.tenant {
		return nil
	}
	name, _, _ := strings.Cut(domain, ".")
	switch {
	case p.tenant != "":
		return fmt.Errorf("the users file is of several tenants, %q and %q: nothing was written; give a file of one", p.tenant, domain)
	case p.opts.Domain != "" && domain != strings.ToLower(p.opts.Domain):
		return fmt.Errorf("the users file is of the tenant %q, not of %q, which the settings name: nothing was written; give the right file", domain, p.opts.Domain)
	case p.opts.Domain == "" && p.opts.Tenant != "" && name != p.opts.Tenant:
		return fmt.Errorf("the users file is of the tenant %q, not of %q: nothing was written; give the right file, or name the tenant with --tenant", name, p.opts.Tenant)
	}
	p.tenant = domain
	if p.opts.Hashes == nil {
		return nil
	}
	if of := p.opts.Hashes.Tenants(); len(of) == 1 && of[0] != name {
		return fmt.Errorf("the hash file is of the tenant %q, and the users file of %q: nothing was written; give the right files", of[0], name)
	}
	return nil
}
