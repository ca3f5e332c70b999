package wiring

import (
	"cmp"
	_ "embed"
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"ferry/secret"
	"ferry/transport"
)

//go:embed bridge.jsonnet
var bridgeJsonnet string

// BridgeJsonnet returns the mapper of the bridge.
func BridgeJsonnet() string { return bridgeJsonnet }

// Bridge is Kratos' OIDC provider that is the Auth0 tenant itself.
type Bridge struct {
	// ID is the provider's id, which the identities have from `ferry import --bridge`. Empty:
	// there is no bridge, and all else must be empty too.
	ID string
	// Issuer is the tenant, https://DOMAIN/. Required.
	Issuer string
	// ClientID and ClientSecret are of the tenant's application for the bridge. If one is
	// empty, a merge keeps an existing one, and writes a placeholder where there is none.
	ClientID     string
	ClientSecret secret.String
	// Label is what Kratos' buttons call the provider: "Sign in with LABEL". If it is empty, a
	// merge keeps an existing one, and writes DefaultLabel where there is none.
	Label string
}

// DefaultLabel is the label of a bridge without another one.
const DefaultLabel = "your previous login"

// The placeholders for the application of the bridge.
const (
	PlaceholderClientID     = "the-client-id-at-auth0"
	PlaceholderClientSecret = "the-client-secret-at-auth0"
)

const bridgeProvider = "auth0"

// idPattern matches an id of a provider that needs no quotes anywhere.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func (b Bridge) check() error {
	if b == (Bridge{}) {
		return nil
	}
	issuer, err := url.Parse(b.Issuer)
	switch {
	case !idPattern.MatchString(b.ID):
		return errors.New("check the bridge: its id must be letters, digits, dots and dashes")
	case err != nil || issuer.Host == "" || issuer.Scheme != "https" && (issuer.Scheme != "http" || !transport.IsLoopback(issuer.Hostname())):
		return errors.New("check the bridge: the tenant must be https://DOMAIN/")
	case strings.ContainsAny(b.ClientID, "\"'\\ \t\r\n"):
		return errors.New("check the bridge: the client id must not contain quotes or blanks")
	case strings.TrimSpace(b.Label) != b.Label || strings.ContainsFunc(b.Label, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("check the bridge: the label must be one line of text, without blanks around it")
	}
	return nil
}

// OIDCKeys returns a path below the OIDC method in Kratos' configuration.
func OIDCKeys(below ...string) []string {
	return append([]string{"selfservice", "methods", "oidc"}, below...)
}

func providersKeys(below ...string) []string {
	return append(OIDCKeys("config", "providers"), below...)
}

// Callback returns the address to which Auth0 sends users back, for the public address of
// Kratos.
func (b Bridge) Callback(public string) string {
	return strings.TrimRight(public, "/") + "/self-service/methods/oidc/callback/" + b.ID
}

// clientSecret returns the client secret as the item at an index of the list has it.
func (o Options) clientSecret(index int) string {
	switch {
	case o.KeyFromEnvironment:
		return variablePrefix + Variable(providersKeys(strconv.Itoa(index), "client_secret")...) + "}"
	case o.Bridge.ClientSecret.Empty():
		return PlaceholderClientSecret
	}
	return o.Bridge.ClientSecret.Reveal()
}

// bridgeNode returns the provider as an item at an index of the list.
func (o Options) bridgeNode(index int) node {
	id := o.Bridge.ClientID
	if id == "" {
		id = PlaceholderClientID
	}
	return node{
		comments: bridgeComments(),
		children: []node{
			{key: "id", value: strconv.Quote(o.Bridge.ID)},
			{key: "provider", value: bridgeProvider},
			{key: "label", value: strconv.Quote(cmp.Or(o.Bridge.Label, DefaultLabel)), remark: "the button: Sign in with ..."},
			{key: "issuer_url", value: o.Bridge.Issuer},
			{key: "client_id", value: strconv.Quote(id)},
			{key: "client_secret", value: strconv.Quote(o.clientSecret(index))},
			{key: "scope", value: bridgeScope},
			{key: "mapper_url", value: Base64(BridgeJsonnet()), remark: "wiring/bridge.jsonnet"},
		},
	}
}

const bridgeScope = "[openid, email, profile]"

// bridgeComments are the comments above the provider.
func bridgeComments() []string {
	return []string{
		"The bridge: users whose password cannot migrate log in at Auth0, and get the identity",
		"that ferry imported.",
	}
}

// The remarks behind an enabled that a merge wrote, by which Remove recognises it. Where
// providers were there without it, they do not need it.
const (
	bridgeRemark       = "for the bridge to Auth0"
	bridgeRemarkBeside = "for the bridge to Auth0, beside others"
)

func enabledNode() node { return node{key: "enabled", value: "true", remark: bridgeRemark} }
