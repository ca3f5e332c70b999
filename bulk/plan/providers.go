package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ferry/mapping"
)

// Providers says under which of Kratos' OIDC providers an account at another provider
// is taken over: by the name of Auth0's connection, or by that of the provider.
type Providers map[string]string

// ParseProviders reads AUTH0=KRATOS pairs, such as google-oauth2=google. The warnings
// are about providers that call the same person by another subject in another
// application: their accounts are of use only if Kratos logs in as the very
// application that Auth0 did.
func ParseProviders(pairs []string) (providers Providers, warnings []string, err error) {
	providers = Providers{}
	for _, pair := range pairs {
		from, to, ok := strings.Cut(pair, "=")
		switch {
		case !ok || from == "" || to == "" || strings.ContainsAny(to, ":= "):
			return nil, nil, fmt.Errorf("provider %q: want AUTH0=KRATOS, such as google-oauth2=google", pair)
		case isMany(from):
			return nil, nil, fmt.Errorf("provider %q: %s stands for many tenants with subjects of their own: name the connection instead", pair, from)
		case mapping.Account{Provider: from}.HasPassword():
			return nil, nil, fmt.Errorf("provider %q: %s holds passwords, which cross by themselves", pair, from)
		}
		if _, twice := providers[from]; twice {
			return nil, nil, errors.New("provider " + from + " is named twice")
		}
		providers[from] = to
		if isPairwise(from) {
			warnings = append(warnings, from+" calls the same person by another subject in another application: "+
				"the accounts work only if Kratos uses the client that Auth0's connection used")
		}
	}
	return providers, warnings, nil
}

// String lists the pairs in the order of their names.
func (p Providers) String() string {
	var pairs []string
	for _, from := range slices.Sorted(maps.Keys(p)) {
		pairs = append(pairs, from+"="+p[from])
	}
	return strings.Join(pairs, ",")
}

// name is the Kratos provider of an account. A connection is the closer name.
func (p Providers) name(account mapping.Account) (string, bool) {
	if name, ok := p[account.Connection]; ok && account.Connection != "" {
		return name, true
	}
	if isMany(account.Provider) {
		return "", false
	}
	name, ok := p[account.Provider]
	return name, ok
}

// isMany tells the providers that stand for any number of others, each with subjects
// of its own: those of two may be equal and be two people.
func isMany(provider string) bool {
	return slices.Contains([]string{
		"oidc", "samlp", "waad", "okta", "adfs", "pingfederate", "ip", "sharepoint", "oauth2", "custom", "google-apps", "auth0-oidc",
	}, provider)
}

// isPairwise tells the providers whose subjects are made for each client, or each team.
func isPairwise(provider string) bool {
	return slices.Contains([]string{"apple", "facebook", "windowslive", "waad", "amazon", "line", "paypal", "yahoo"}, provider)
}
