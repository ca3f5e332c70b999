package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ferry/kratos"
	"ferry/mapping"
)

// Providers maps Auth0's connections or providers to Kratos' OIDC providers, or with
// samlPrefix to its SAML providers. Accounts of others do not become credentials.
type Providers map[string]string

// samlPrefix marks a SAML provider of Kratos.
const samlPrefix = "saml:"

// strategySAML is Auth0's provider of SAML connections.
const strategySAML = "samlp"

// ParseProviders parses AUTH0=KRATOS pairs, such as google-oauth2=google, or corp=saml:corp
// for a SAML connection. It warns of
// providers whose subjects differ between applications: their accounts work only if Kratos
// uses the same client as Auth0 did.
func ParseProviders(pairs []string) (providers Providers, warnings []string, err error) {
	providers = Providers{}
	for _, pair := range pairs {
		from, to, ok := strings.Cut(pair, "=")
		switch name := strings.TrimPrefix(to, samlPrefix); {
		case !ok || from == "" || name == "" || strings.ContainsAny(name, ":= "):
			return nil, nil, fmt.Errorf("provider %q: want AUTH0=KRATOS, such as google-oauth2=google, or CONNECTION=saml:KRATOS", pair)
		case isMany(from):
			return nil, nil, fmt.Errorf("provider %q: %s stands for many tenants with their own subjects: name the connection instead", pair, from)
		case mapping.Account{Provider: from}.HasPassword():
			return nil, nil, fmt.Errorf("provider %q: %s holds passwords, which migrate by themselves", pair, from)
		}
		if _, twice := providers[from]; twice {
			return nil, nil, errors.New("provider " + from + " is named twice")
		}
		providers[from] = to
		if isPairwise(from) {
			warnings = append(warnings, from+" gives each application different subjects: the accounts work only if Kratos uses the client that Auth0's connection used")
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

// hasSAML reports whether one of Kratos' providers is for SAML.
func (p Providers) hasSAML() bool {
	for _, to := range p {
		if strings.HasPrefix(to, samlPrefix) {
			return true
		}
	}
	return false
}

// Login returns the identifier, provider:subject, that the account of an Auth0 user id has in
// Kratos. ok is false if no provider is named for it. Where it needs the name of a connection, that
// is not known.
func (p Providers) Login(userID string) (identifier string, ok bool) {
	provider, id, _ := strings.Cut(userID, "|")
	login, ok := p.login(mapping.Account{Provider: provider, UserID: id})
	return login.Provider + ":" + login.Subject, ok
}

// login returns the credential that an account becomes, without an organization. It reports
// false if no provider is named for it. A SAML provider is for SAML accounts only: the
// subjects of other strategies are not the NameID of SAML.
func (p Providers) login(account mapping.Account) (kratos.Social, bool) {
	name, named := p.name(account)
	name, isSAML := strings.CutPrefix(name, samlPrefix)
	if isSAML && account.Provider != strategySAML {
		return kratos.Social{}, false
	}
	return kratos.Social{Provider: name, Subject: account.Subject(), SAML: isSAML}, named
}

// name returns the Kratos provider of an account. A connection takes precedence.
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

// isMany reports whether the provider stands for many others, each with its own subjects:
// equal subjects of two may be two users.
func isMany(provider string) bool {
	return slices.Contains([]string{
		"oidc", "samlp", "waad", "okta", "adfs", "pingfederate", "ip", "sharepoint", "oauth2", "custom", "google-apps", "auth0-oidc",
	}, provider)
}

// isPairwise reports whether the provider has different subjects for each client or team.
func isPairwise(provider string) bool {
	return slices.Contains([]string{"apple", "facebook", "windowslive", "waad", "amazon", "line", "paypal", "yahoo"}, provider)
}
