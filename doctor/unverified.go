package doctor

import (
	"fmt"
	"slices"
	"strings"

	"ferry/kratos"
)

const nameUnverified = "kratos.unverified"

// requireVerified is Kratos' hook that ends a login of somebody without a verified
// address.
const requireVerified = "require_verified_address"

// isUnverified reports whether Kratos has no verified address of an identity that came
// from Auth0.
func isUnverified(r kratos.Record) bool {
	imported := r.Pending || len(r.Binding.Subjects) > 0
	return imported && !slices.ContainsFunc(r.Addresses, func(a kratos.Address) bool { return a.Verified })
}

// requiresVerified reports whether Kratos lets in only people with a verified address
// after a login by the method.
func (k *kratosConfig) requiresVerified(method string) bool {
	return slices.ContainsFunc(k.after(method), func(hook any) bool { return lookup(hook, "hook") == requireVerified })
}

// linksAutomatically are the social providers whose accounts Kratos links to the identity
// with the same address, without asking for its password. Only Ory Network does so.
func (k *kratosConfig) linksAutomatically() []string {
	var names []string
	for _, provider := range k.list("selfservice", "methods", "oidc", "config", "providers") {
		if name, _ := lookup(provider, "id").(string); lookup(provider, "account_linking_mode") == "automatic" {
			names = append(names, plain(name))
		}
	}
	return names
}

// checkUnverified is about people whose address Auth0 has not verified.
func (e *doctor) checkUnverified(t tally) Check {
	count := fmt.Sprintf("%d of %s from Auth0 that were looked at have no verified address", t.unverified, countIdentities(t.imported))
	if t.imported == 0 || t.unverified == 0 {
		return ok("%s", count)
	}
	var problems, fixes []string
	if e.config.requiresVerified("password") {
		problems = append(problems, "kratos.yml has "+requireVerified+": their password crosses at the first login, and Kratos refuses that login and every further one until an address is verified; `ferry import --dry-run` counts them all")
		fixes = append(fixes, "tell them to verify at the first login, or take "+requireVerified+" out while people cross")
	}
	switch providers := e.config.linksAutomatically(); {
	case len(providers) > 0:
		problems = append(problems, "account_linking_mode of "+strings.Join(providers, ", ")+" is automatic, which Ory Network obeys: whoever registered somebody else's address at Auth0 keeps a password for the account that a social login is linked to")
		fixes = append(fixes, "set account_linking_mode to confirm_with_existing_credential, or import with `ferry import --unverified skip`, which leaves these people out; `ferry import --dry-run` counts them")
	case e.config == nil && e.Settings.OryNetwork:
		problems = append(problems, "Kratos is Ory Network: if a social provider there has account_linking_mode: automatic, whoever registered somebody else's address at Auth0 keeps a password for the account that a social login is linked to")
		fixes = append(fixes, "run doctor with --kratos-config and the project's identity configuration (`ory get identity-config`); `ferry import --unverified skip` leaves these people out, `ferry import --dry-run` counts them")
	}
	switch {
	case len(problems) > 0:
		return warn(strings.Join(fixes, "; "), "%s. %s", count, strings.Join(problems, "; "))
	case e.config == nil:
		return ok("%s; with --kratos-config doctor says whether kratos.yml asks for one", count)
	}
	return ok("%s, and kratos.yml does not ask for one", count)
}
