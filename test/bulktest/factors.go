package bulktest

import (
	"net/url"
	"strings"
)

// Factor is a second factor or a passkey of an identity of the fake.
type Factor struct {
	Kind            string // totp, webauthn or passkey
	Secret          string // of a TOTP
	ID, PublicKey   []byte // of a key
	UserHandle      []byte
	Eligible, Known bool // whether the key can be backed up, and whether that is known
}

// totpBody and keysBody are the credentials as Ory documents them for the release after 26.2.
type totpBody struct {
	Config struct {
		URL string `json:"totp_url"`
	} `json:"config"`
}

type keysBody struct {
	Config struct {
		UserHandle  []byte `json:"user_handle"`
		Credentials []struct {
			ID              []byte `json:"id"`
			PublicKey       []byte `json:"public_key"`
			AttestationType string `json:"attestation_type"`
			DisplayName     string `json:"display_name"`
			IsPasswordless  bool   `json:"is_passwordless"`
			Authenticator   *struct {
				AAGUID       []byte `json:"aaguid"`
				SignCount    uint32 `json:"sign_count"`
				CloneWarning bool   `json:"clone_warning"`
			} `json:"authenticator"`
			Flags *struct {
				UserPresent    bool `json:"user_present"`
				UserVerified   bool `json:"user_verified"`
				BackupEligible bool `json:"backup_eligible"`
				BackupState    bool `json:"backup_state"`
			} `json:"flags"`
			Transport []string `json:"transport"`
		} `json:"credentials"`
	} `json:"config"`
}

// takeFactors adds the factors of the body to the identity, or returns why they are refused.
func (c createBody) takeFactors(p *Identity) (refused string) {
	if totp := c.Credentials.TOTP; totp != nil {
		u, err := url.Parse(totp.Config.URL)
		if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Query().Get("secret") == "" || u.Query().Get("issuer") == "" || !strings.Contains(u.Path, ":") {
			return "the TOTP URL is malformed"
		}
		p.Factors = append(p.Factors, Factor{Kind: "totp", Secret: u.Query().Get("secret")})
	}
	return c.Credentials.WebAuthn.take(p, "webauthn") + c.Credentials.Passkey.take(p, "passkey")
}

func (b *keysBody) take(p *Identity, kind string) (refused string) {
	if b == nil {
		return ""
	}
	passkey := kind == "passkey"
	if len(b.Config.Credentials) == 0 || passkey && len(b.Config.UserHandle) == 0 {
		return "Passkey credential import requires a non-empty user_handle."
	}
	for _, key := range b.Config.Credentials {
		if len(key.ID) == 0 || len(key.PublicKey) == 0 || key.AttestationType != "none" || key.IsPasswordless != passkey || key.Authenticator == nil || len(key.Authenticator.AAGUID) != 16 {
			return "the key lacks a required field"
		}
		f := Factor{Kind: kind, ID: key.ID, PublicKey: key.PublicKey, UserHandle: b.Config.UserHandle, Known: key.Flags != nil}
		f.Eligible = f.Known && key.Flags.BackupEligible
		p.Factors = append(p.Factors, f)
	}
	return ""
}
