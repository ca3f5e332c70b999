package kratos

import (
	"bytes"
	"encoding/json"
	"errors"

	"ferry/secret"
)

// CreateIdentity is an identity that an import creates.
type CreateIdentity struct {
	// SchemaID may be empty: Kratos' default.
	SchemaID string
	// Traits may be nil: the identity then has empty traits.
	Traits         map[string]any
	MetadataPublic map[string]any
	MetadataAdmin  map[string]any
	// Inactive identities cannot log in.
	Inactive bool
	// ExternalID may be empty. Kratos 1.3.1 refuses any: see Without.
	ExternalID string
	// Organization is the UUID of the organization that the identity belongs to. It may be
	// empty. Kratos 1.3.1 refuses any: see Without.
	Organization string
	// Pending makes the first login call the migration hook for the password. It excludes
	// PasswordHash: Kratos would drop the hash.
	Pending bool
	// PasswordHash must be in a format that Kratos can check. It may be empty.
	PasswordHash secret.String
	Social       []Social
	// TOTP, WebAuthn, Passkey and RecoveryCodes may be empty. Kratos up to 26.2 refuses any: see
	// Lacks.
	TOTP              TOTP
	WebAuthn, Passkey Keys
	// RecoveryCodes are codes that take the place of a second factor, once each. Kratos stores
	// them as they are.
	RecoveryCodes []secret.String
	// Verified are the addresses among the traits that Auth0 verified.
	Verified []Address
}

// Social is a login with a third-party provider.
type Social struct {
	// Provider is the provider's id in Kratos' configuration, which need not have it yet.
	Provider string
	// Subject is the user's id at the provider, byte for byte.
	Subject string
	// SAML is true for a login with SAML, and false for one with OpenID Connect.
	SAML bool
	// Organization is the UUID of the organization whose provider it is. It may be empty.
	Organization string
}

// Login returns the identifier that Kratos gives the login, provider:subject.
func (s Social) Login() string { return s.Provider + ":" + s.Subject }

// newJSON is the body of POST /admin/identities, its keys in alphabetical order.
type newJSON struct {
	Credentials    *newCredentials `json:"credentials,omitempty"`
	ExternalID     string          `json:"external_id,omitempty"`
	MetadataAdmin  map[string]any  `json:"metadata_admin,omitzero"`
	MetadataPublic map[string]any  `json:"metadata_public,omitzero"`
	Organization   string          `json:"organization_id,omitempty"`
	SchemaID       string          `json:"schema_id,omitempty"`
	State          string          `json:"state,omitempty"`
	Traits         map[string]any  `json:"traits"`
	Addresses      []newAddress    `json:"verifiable_addresses,omitempty"`
}

type newCredentials struct {
	Lookup   *newCredential[newCodes]    `json:"lookup_secret,omitempty"`
	OIDC     *newCredential[newSocial]   `json:"oidc,omitempty"`
	Passkey  *newCredential[newKeys]     `json:"passkey,omitempty"`
	Password *newCredential[newPassword] `json:"password,omitempty"`
	SAML     *newCredential[newSocial]   `json:"saml,omitempty"`
	TOTP     *newCredential[newTOTP]     `json:"totp,omitempty"`
	WebAuthn *newCredential[newKeys]     `json:"webauthn,omitempty"`
}

type newCredential[T any] struct {
	Config T `json:"config"`
}

type newSocial struct {
	Providers []newProvider `json:"providers"`
}

type newProvider struct {
	Organization string `json:"organization,omitempty"`
	Provider     string `json:"provider"`
	Subject      string `json:"subject"`
}

type newPassword struct {
	Hash    string `json:"hashed_password,omitempty"`
	UseHook bool   `json:"use_password_migration_hook,omitempty"`
}

type newAddress struct {
	Status   string `json:"status"`
	Value    string `json:"value"`
	Verified bool   `json:"verified"`
	Via      string `json:"via"`
}

var (
	errPendingWithHash = errors.New("new identity: pending, but with a password hash")
	errSocial          = errors.New("new identity: social login without provider or subject")
	errAddress         = errors.New("new identity: verified address without value, or neither email nor sms")
	errNotJSON         = errors.New("new identity: not representable as JSON")
)

// Body returns the JSON that creates the identity, alone or in a batch. Equal identities
// give equal bytes. It contains the hash in clear: treat it as a secret. Errors contain
// nothing of the identity.
func (n CreateIdentity) Body() ([]byte, error) {
	body := newJSON{
		ExternalID: n.ExternalID, MetadataAdmin: n.MetadataAdmin, MetadataPublic: n.MetadataPublic,
		Organization: n.Organization, SchemaID: n.SchemaID, Traits: n.Traits,
	}
	if body.Traits == nil {
		body.Traits = map[string]any{}
	}
	if n.Inactive {
		body.State = inactive
	}
	for _, address := range n.Verified {
		if address.Value == "" || address.Via != "email" && address.Via != "sms" {
			return nil, errAddress
		}
		body.Addresses = append(body.Addresses, newAddress{Status: "completed", Value: address.Value, Verified: true, Via: address.Via})
	}
	var err error
	if body.Credentials, err = n.credentials(); err != nil {
		return nil, err
	}
	return marshal(body)
}

func (n CreateIdentity) credentials() (*newCredentials, error) {
	var credentials newCredentials
	switch {
	case n.Pending && !n.PasswordHash.Empty():
		return nil, errPendingWithHash
	case n.Pending, !n.PasswordHash.Empty():
		credentials.Password = &newCredential[newPassword]{newPassword{Hash: n.PasswordHash.Reveal(), UseHook: n.Pending}}
	}
	for _, social := range n.Social {
		if social.Provider == "" || social.Subject == "" {
			return nil, errSocial
		}
		into := &credentials.OIDC
		if social.SAML {
			into = &credentials.SAML
		}
		if *into == nil {
			*into = &newCredential[newSocial]{}
		}
		(*into).Config.Providers = append((*into).Config.Providers, newProvider{social.Organization, social.Provider, social.Subject})
	}
	var err error
	if credentials.WebAuthn, err = n.WebAuthn.body(false); err != nil {
		return nil, err
	}
	if credentials.Passkey, err = n.Passkey.body(true); err != nil {
		return nil, err
	}
	credentials.TOTP, credentials.Lookup = n.TOTP.body(), codesBody(n.RecoveryCodes)
	if credentials == (newCredentials{}) {
		return nil, nil //nolint:nilnil // none is no fault
	}
	return &credentials, nil
}

// marshal sorts the keys of objects and does not escape < > &.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, errNotJSON // the error's own text quotes the value
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
