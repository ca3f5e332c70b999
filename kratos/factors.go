package kratos

import (
	"errors"
	"net/url"
	"time"

	"github.com/google/uuid"

	"ferry/secret"
)

// The fields of second factors and passkeys. The releases up to 26.2 do not have them: they
// are those of Kratos' source of 2026, and of Ory's documentation.
const (
	// FieldTOTP is CreateIdentity.TOTP.
	FieldTOTP Field = "totp"
	// FieldWebAuthn is CreateIdentity.WebAuthn.
	FieldWebAuthn Field = "webauthn"
	// FieldPasskey is CreateIdentity.Passkey.
	FieldPasskey Field = "passkey"
	// FieldLookup is CreateIdentity.RecoveryCodes.
	FieldLookup Field = "lookup_secret"
)

// TOTP is the secret of an authenticator app. The app shows issuer and account, and keeps
// what it showed before.
type TOTP struct {
	Secret          secret.String // in base32; empty: none
	Issuer, Account string
}

// Keys are security keys or passkeys.
type Keys struct {
	// UserHandle is what the authenticators call the user; a passkey needs it.
	UserHandle []byte
	Keys       []Key
}

// Key is a security key or a passkey.
type Key struct {
	// ID and PublicKey are required. PublicKey is in COSE form.
	ID, PublicKey []byte
	Name          string
	// AddedAt is when the user added the key; zero: unknown.
	AddedAt    time.Time
	AAGUID     uuid.UUID
	Transports []string
	// Flags is nil if it is not known whether the key can be backed up: Kratos then takes that
	// from the first login.
	Flags *KeyFlags
}

// KeyFlags say whether the key can be backed up, and whether it is.
type KeyFlags struct{ BackupEligible, BackedUp bool }

type newTOTP struct {
	URL string `json:"totp_url"`
}

type newCodes struct {
	Codes []newCode `json:"codes"`
}

type newCode struct {
	Code string `json:"code"`
}

type newKeys struct {
	Credentials []newKey `json:"credentials"`
	UserHandle  []byte   `json:"user_handle,omitempty"`
}

type newKey struct {
	ID              []byte           `json:"id"`
	PublicKey       []byte           `json:"public_key"`
	AttestationType string           `json:"attestation_type"`
	Authenticator   newAuthenticator `json:"authenticator"`
	DisplayName     string           `json:"display_name"`
	AddedAt         time.Time        `json:"added_at,omitzero"`
	IsPasswordless  bool             `json:"is_passwordless"`
	Flags           *newKeyFlags     `json:"flags,omitempty"`
	Transport       []string         `json:"transport,omitempty"`
}

type newAuthenticator struct {
	AAGUID       []byte `json:"aaguid"`
	SignCount    uint32 `json:"sign_count"`
	CloneWarning bool   `json:"clone_warning"`
}

type newKeyFlags struct {
	UserPresent    bool `json:"user_present"`
	UserVerified   bool `json:"user_verified"`
	BackupEligible bool `json:"backup_eligible"`
	BackupState    bool `json:"backup_state"`
}

var errKeys = errors.New("new identity: key without id or public key, or passkey without user handle")

// body returns the credential, or nil without a secret.
func (t TOTP) body() *newCredential[newTOTP] {
	if t.Secret.Empty() {
		return nil
	}
	address := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + t.Issuer + ":" + t.Account, RawQuery: url.Values{"secret": {t.Secret.Reveal()}, "issuer": {t.Issuer}}.Encode()}
	return &newCredential[newTOTP]{newTOTP{address.String()}}
}

// codesBody returns the credential, or nil without a code.
func codesBody(codes []secret.String) *newCredential[newCodes] {
	if len(codes) == 0 {
		return nil
	}
	body := &newCredential[newCodes]{}
	for _, code := range codes {
		body.Config.Codes = append(body.Config.Codes, newCode{code.Reveal()})
	}
	return body
}

// body returns the credential, or nil without a key.
func (k Keys) body(passkeys bool) (*newCredential[newKeys], error) {
	if len(k.Keys) == 0 {
		return nil, nil //nolint:nilnil // none is no fault
	}
	if passkeys && len(k.UserHandle) == 0 {
		return nil, errKeys
	}
	body := &newCredential[newKeys]{newKeys{UserHandle: k.UserHandle}}
	for _, key := range k.Keys {
		if len(key.ID) == 0 || len(key.PublicKey) == 0 {
			return nil, errKeys
		}
		one := newKey{
			ID: key.ID, PublicKey: key.PublicKey, AttestationType: "none", Authenticator: newAuthenticator{AAGUID: key.AAGUID[:]},
			DisplayName: key.Name, AddedAt: key.AddedAt, IsPasswordless: passkeys, Transport: key.Transports,
		}
		if key.Flags != nil {
			one.Flags = &newKeyFlags{UserPresent: true, UserVerified: passkeys, BackupEligible: key.Flags.BackupEligible, BackupState: key.Flags.BackedUp}
		}
		body.Config.Credentials = append(body.Config.Credentials, one)
	}
	return body, nil
}
