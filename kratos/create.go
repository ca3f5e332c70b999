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
	// ExternalID may be empty. Kratos 1.3.1 refuses any: see WithoutExternalID.
	ExternalID string
	// Pending makes the first login call the migration hook for the password. It excludes
	// PasswordHash: Kratos would drop the hash.
	Pending bool
	// PasswordHash must be in a format that Kratos can check. It may be empty.
	PasswordHash secret.String
	Social       []Social
	// Verified are the addresses among the traits that Auth0 verified.
	Verified []Address
}

// Social is a login with a third-party provider.
type Social struct {
	// Provider is the provider's id in Kratos' configuration, which need not have it yet.
	Provider string
	// Subject is the user's id at the provider, byte for byte.
	Subject string
}

// newJSON is the body of POST /admin/identities, its keys in alphabetical order.
type newJSON struct {
	Credentials    *newCredentials `json:"credentials,omitempty"`
	ExternalID     string          `json:"external_id,omitempty"`
	MetadataAdmin  map[string]any  `json:"metadata_admin,omitzero"`
	MetadataPublic map[string]any  `json:"metadata_public,omitzero"`
	SchemaID       string          `json:"schema_id,omitempty"`
	State          string          `json:"state,omitempty"`
	Traits         map[string]any  `json:"traits"`
	Addresses      []newAddress    `json:"verifiable_addresses,omitempty"`
}

type newCredentials struct {
	OIDC     *newCredential[newSocial]   `json:"oidc,omitempty"`
	Password *newCredential[newPassword] `json:"password,omitempty"`
}

type newCredential[T any] struct {
	Config T `json:"config"`
}

type newSocial struct {
	Providers []newProvider `json:"providers"`
}

type newProvider struct {
	Provider string `json:"provider"`
	Subject  string `json:"subject"`
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
		SchemaID: n.SchemaID, Traits: n.Traits,
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
	if len(n.Social) > 0 {
		credentials.OIDC = &newCredential[newSocial]{}
	}
	for _, social := range n.Social {
		if social.Provider == "" || social.Subject == "" {
			return nil, errSocial
		}
		credentials.OIDC.Config.Providers = append(credentials.OIDC.Config.Providers, newProvider(social))
	}
	if credentials == (newCredentials{}) {
		return nil, nil //nolint:nilnil // none is no fault
	}
	return &credentials, nil
}

// WithoutExternalID returns the body without its external id, for a Kratos that does not
// have the field and refuses the whole request. Anything but a body that CreateIdentity
// made is returned unchanged.
func WithoutExternalID(body []byte) []byte {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil || fields["external_id"] == nil {
		return body
	}
	delete(fields, "external_id")
	without, err := marshal(fields)
	if err != nil {
		return body
	}
	return without
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
