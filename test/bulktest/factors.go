package bulktest

import (
	"encoding/base32"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Factor is a second factor or a passkey of an identity of the fake.
type Factor struct {
	Kind            string // totp, lookup_secret, webauthn or passkey
	Secret          string // of a TOTP, or a recovery code
	ID, PublicKey   []byte // of a key
	UserHandle      []byte
	AddedAt         time.Time
	Eligible, Known bool // whether the key can be backed up, and whether that is known
}

// The credentials as Kratos' source and Ory's documentation have them for the release after
// 26.2. They are strict: ferry sends no other key of Kratos' (attestation, used_at).
type (
	totpBody struct {
		Config struct {
			URL string `json:"totp_url"`
		} `json:"config"`
	}
	lookupBody struct {
		Config struct {
			Codes []struct {
				Code string `json:"code"`
			} `json:"codes"`
		} `json:"config"`
	}
	keysBody struct {
		Config struct {
			UserHandle  []byte    `json:"user_handle"`
			Credentials []keyBody `json:"credentials"`
		} `json:"config"`
	}
	keyBody struct {
		ID              []byte     `json:"id"`
		PublicKey       []byte     `json:"public_key"`
		AttestationType string     `json:"attestation_type"`
		DisplayName     *string    `json:"display_name"`
		AddedAt         *time.Time `json:"added_at"`
		IsPasswordless  *bool      `json:"is_passwordless"`
		Authenticator   *struct {
			AAGUID       []byte  `json:"aaguid"`
			SignCount    *uint32 `json:"sign_count"`
			CloneWarning *bool   `json:"clone_warning"`
		} `json:"authenticator"`
		Flags *struct {
			UserPresent    bool `json:"user_present"`
			UserVerified   bool `json:"user_verified"`
			BackupEligible bool `json:"backup_eligible"`
			BackupState    bool `json:"backup_state"`
		} `json:"flags"`
		Transport []string `json:"transport"`
	}
)

// takeFactors adds the factors of the body to the identity, or returns why they are refused.
// Kratos itself checks little of them at the import; what would fail at a login is refused
// here.
func (c createBody) takeFactors(p *Identity) (refused string) {
	if totp := c.Credentials.TOTP; totp != nil {
		secret, sound := secretOf(totp.Config.URL)
		if !sound {
			return "the TOTP URL is malformed"
		}
		p.Factors = append(p.Factors, Factor{Kind: "totp", Secret: secret})
	}
	if lookup := c.Credentials.Lookup; lookup != nil {
		if len(lookup.Config.Codes) == 0 {
			return "there are no recovery codes"
		}
		for _, one := range lookup.Config.Codes {
			if one.Code == "" {
				return "a recovery code is empty"
			}
			p.Factors = append(p.Factors, Factor{Kind: "lookup_secret", Secret: one.Code})
		}
	}
	return c.Credentials.WebAuthn.take(p, "webauthn") + c.Credentials.Passkey.take(p, "passkey")
}

// secretOf returns the secret of a TOTP URL: otpauth://totp/ISSUER:ACCOUNT?secret=…&issuer=ISSUER.
func secretOf(address string) (secret string, sound bool) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" {
		return "", false
	}
	query, err := url.ParseQuery(u.RawQuery)
	secret = query.Get("secret")
	issuer, account, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), ":")
	_, badSecret := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	return secret, err == nil && badSecret == nil && secret != "" && len(query) == 2 && issuer != "" && issuer == query.Get("issuer") && account != ""
}

func (b *keysBody) take(p *Identity, kind string) (refused string) {
	if b == nil {
		return ""
	}
	passkey := kind == "passkey"
	switch {
	case len(b.Config.Credentials) == 0:
		return "Passkey credential import requires at least one entry in credentials.passkey.config.credentials."
	case passkey && len(b.Config.UserHandle) == 0:
		return "Passkey credential import requires a non-empty user_handle."
	case passkey && (!utf8.Valid(b.Config.UserHandle) || slices.Contains(b.Config.UserHandle, 0)):
		return "PostgreSQL refuses the identifier" // the user handle, as text
	}
	for _, key := range b.Config.Credentials {
		if !key.isWhole(passkey) || slices.ContainsFunc(p.Factors, func(f Factor) bool { return f.Kind == kind && string(f.ID) == string(key.ID) }) {
			return "the key lacks a required field, or is there twice"
		}
		f := Factor{Kind: kind, ID: key.ID, PublicKey: key.PublicKey, UserHandle: b.Config.UserHandle, Known: key.Flags != nil}
		f.Eligible = f.Known && key.Flags.BackupEligible
		if key.AddedAt != nil {
			f.AddedAt = *key.AddedAt
		}
		p.Factors = append(p.Factors, f)
	}
	return ""
}

// isWhole reports whether the key has all fields that Ory documents as required, with values
// that a login can use.
func (k keyBody) isWhole(passkey bool) bool {
	a := k.Authenticator
	return len(k.ID) > 0 && len(k.PublicKey) > 0 && k.AttestationType == "none" && k.DisplayName != nil &&
		k.IsPasswordless != nil && *k.IsPasswordless == passkey &&
		a != nil && len(a.AAGUID) == 16 && a.SignCount != nil && a.CloneWarning != nil && !*a.CloneWarning &&
		(k.Flags == nil || k.Flags.UserPresent && (k.Flags.BackupEligible || !k.Flags.BackupState)) &&
		(k.AddedAt == nil || !k.AddedAt.IsZero())
}

// handles are the identifiers of the passkeys, which no two identities share.
func (p *Identity) handles() []string {
	var handles []string
	for _, f := range p.Factors {
		if f.Kind == "passkey" {
			handles = append(handles, string(f.UserHandle))
		}
	}
	return handles
}
