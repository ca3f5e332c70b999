package kratos

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"ferry/identifier"
	"ferry/provenance"
	"ferry/secret"
	"ferry/strictjson"
)

// Identity is what a login's trust rules need of a Kratos identity.
type Identity struct {
	// ID is the identity's UUID.
	ID string
	// Active is false where an operator deactivated the identity.
	Active bool
	// Pending is true while Kratos asks the migration hook for its password.
	Pending bool
	// Identifier is what the identity was found by, in the form in which Kratos lists
	// it; as it was asked for, where that cannot be told. See [Client.Get].
	Identifier string
	// Lists is true where the password credential lists the identifier exactly as it
	// was asked for. Find returns no other.
	Lists bool
	// Trait is Identifier as the identity's traits have it, which keep its case; empty
	// where none normalises to it.
	Trait string
	// Binding are the Auth0 users that the identity was imported from.
	Binding provenance.Binding
	// Listed are the identifiers of the password credential, and AllTraits the traits. Only
	// Find and Get set them.
	Listed    []string
	AllTraits any
}

// identityJSON is the part of Kratos' identity that a login is decided by. Pointers
// tell what is absent from what is empty.
type identityJSON struct {
	coreJSON

	MetadataAdmin *provenance.Admin `json:"metadata_admin"`
}

// coreJSON is what Kratos itself makes of an identity.
type coreJSON struct {
	ID          string   `json:"id"`
	State       string   `json:"state"`
	Traits      own[any] `json:"traits"`
	ExternalID  string   `json:"external_id"`
	Credentials struct {
		Password *struct {
			Identifiers []string   `json:"identifiers"`
			Config      configJSON `json:"config"`
		} `json:"password"`
		OIDC *identifiersJSON `json:"oidc"`
		SAML *identifiersJSON `json:"saml"`
		Code *identifiersJSON `json:"code"`
		TOTP *identifiersJSON `json:"totp"`
		Keys *identifiersJSON `json:"webauthn"`
	} `json:"credentials"`
}

// identifiersJSON is a credential of which only the identifiers count.
type identifiersJSON struct {
	Identifiers []string `json:"identifiers"`
}

// sorted returns the identifiers in order; none without the credential.
func (c *identifiersJSON) sorted() []string {
	if c == nil {
		return nil
	}
	return slices.Sorted(slices.Values(c.Identifiers))
}

// configJSON is a password credential's secret part, which Kratos leaves out where it
// was not asked for, and which is empty where there is no password.
type configJSON struct {
	shown, null    bool
	hashedPassword secret.String
	useHook        bool
}

// UnmarshalJSON tells what is absent, null and empty from one another.
func (c *configJSON) UnmarshalJSON(text []byte) error {
	var config *struct {
		HashedPassword secret.String `json:"hashed_password"`
		UseHook        bool          `json:"use_password_migration_hook"`
	}
	if err := strictjson.Unmarshal(text, &config); err != nil {
		return err
	}
	*c = configJSON{shown: true, null: config == nil}
	if config != nil {
		c.hashedPassword, c.useHook = config.HashedPassword, config.UseHook
	}
	return nil
}

// pending is Kratos' own condition for calling the hook.
func (c configJSON) pending() bool { return c.useHook && c.hashedPassword.Empty() }

// opaque are the parts of an identity that hold people's and operators' own data.
func opaque() []string {
	return append([]string{"traits", "metadata_public"}, provenance.Opaque()...)
}

// own is what people or operators put into an identity. Its numbers are [json.Number],
// digit for digit: Kratos keeps those that no float64 holds.
type own[T any] struct{ value T }

// UnmarshalJSON reads what has been checked for keys that occur twice.
func (o *own[T]) UnmarshalJSON(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return dec.Decode(&o.value)
}

func (c coreJSON) lists(identifier string) bool {
	return c.Credentials.Password != nil && slices.Contains(c.Credentials.Password.Identifiers, identifier)
}

const (
	active   = "active"
	inactive = "inactive"
)

func (c coreJSON) hasState() bool { return c.State == active || c.State == inactive }

// traitOf finds the text among the traits whose normalized form is this.
func traitOf(traits any, normalized string) string {
	switch value := traits.(type) {
	case string:
		if identifier.Normalize(value) == normalized {
			return value
		}
	case []any:
		for _, element := range value {
			if found := traitOf(element, normalized); found != "" {
				return found
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			if found := traitOf(value[name], normalized); found != "" {
				return found
			}
		}
	}
	return ""
}
