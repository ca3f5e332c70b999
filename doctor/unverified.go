package doctor

import (
	"fmt"
	"slices"
	"strings"

	"ferry/kratos"
)

const nameUnverified = "kratos.unverified"

// requireVerified is Kratos' hook that fails logins without a verified address.
const requireVerified = "require_verified_address"

// isUnverified reports whether an identity that was imported from Auth0 has no verified
// address.
func isUnverified(r kratos.Record) bool {
	imported := r.Pending || len(r.Binding.Subjects) > 0
	return imported && !slices.ContainsFunc(r.Addresses, func(a kratos.Address) bool { return a.Verified })
}

// requiresVerified reports whether logins with the method require a verified address.
func (k *kratosConfig) requiresVerified(method string) bool {
	return slices.ContainsFunc(k.after(method), func(hook any) bool { return lookup(hook, "hook") == requireVerified })
}

// linksAutomatically returns the social providers whose accounts are linked to the identity
// with the same address without its password. Only Ory Network does that.
func (k *kratosConfig) linksAutomatically() []string {
	var names []string
	for _, provider := range k.list("selfservice", "methods", "oidc", "config", "providers") {
		if name, _ := lookup(provider, "id").(string); lookup(provider, "account_linking_mode") == "automatic" {
			names = append(names, plain(name))
		}
	}
	return names
}

// checkUnverified checks for identities whose address Auth0 has not verified.
func (e *doctor) checkUnverified(t tally) Check {
	count := fmt.Sprintf("%d of %s imported from Auth0 have no verified address", t.unverified, countIdentities(t.imported))
	if t.imported == 0 || t.unverified == 0 {
		return ok("%s", count)
	}
	var problems, fixes []string
	if e.config.requiresVerified("password") {
		problems = append(problems, "kratos.yml has "+requireVerified+": their password migrates at the first login, but Kratos refuses that login and every further one until an address is verified; `ferry import --dry-run` counts all of them")
		fixes = append(fixes, "ask these users to verify their address at the first login, or remove "+requireVerified+" during the migration")
	}
	switch providers := e.config.linksAutomatically(); {
	case len(providers) > 0:
		problems = append(problems, "account_linking_mode of "+strings.Join(providers, ", ")+" is automatic, which Ory Network supports: a person who registered the address of someone else at Auth0 keeps a password for the account that a social login is linked to")
		fixes = append(fixes, "set account_linking_mode to confirm_with_existing_credential, or import with `ferry import --unverified skip`, which skips these users; `ferry import --dry-run` counts them")
	case e.config == nil && e.Settings.OryNetwork:
		problems = append(problems, "Kratos is Ory Network: if a social provider there has account_linking_mode: automatic, a person who registered the address of someone else at Auth0 keeps a password for the account that a social login is linked to")
		fixes = append(fixes, "run doctor with --kratos-config and the project's identity configuration (`ory get identity-config`); `ferry import --unverified skip` skips these users, `ferry import --dry-run` counts them")
	}
	switch {
	case len(problems) > 0:
		return warn(strings.Join(fixes, "; "), "%s. %s", count, strings.Join(problems, "; "))
	case e.config == nil:
		return ok("%s; with --kratos-config doctor checks whether kratos.yml requires one", count)
	}
	return ok("%s, and kratos.yml does not require one", count)
}
