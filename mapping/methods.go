package mapping

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"ferry/secret"
	"ferry/strictjson"
)

// Method is a second factor or a passkey of a user, with what is needed to use it elsewhere.
type Method struct {
	// Type is as at Auth0: totp, webauthn-roaming, webauthn-platform, passkey, recovery-code,
	// phone and so on.
	Type string
	// Secret is the secret of a TOTP, in base32, or a recovery code; empty: the file does not
	// have it.
	Secret secret.String
	// KeyID, PublicKey and UserHandle are those of a security key or a passkey; empty: the
	// file does not have them. PublicKey is in COSE form.
	KeyID, PublicKey, UserHandle []byte
	// RelyingParty is the domain that the key is bound to; empty: the file does not tell.
	RelyingParty string
	// Name is how the user calls it.
	Name string
	// CreatedAt is when the user added it; zero: unknown.
	CreatedAt  time.Time
	AAGUID     uuid.UUID
	Transports []string
	// Device is single_device or multi_device, and BackedUp whether the key is backed up;
	// empty: unknown.
	Device   string
	BackedUp bool
}

// The types of methods that Kratos may have.
const (
	MethodTOTP     = "totp"
	MethodRecovery = "recovery-code"
	MethodRoaming  = "webauthn-roaming"
	MethodPlatform = "webauthn-platform"
	MethodPasskey  = "passkey"
)

// The keys of methods in user objects: the answer of the Management API to
// GET /users/{id}/authentication-methods, the factors of the interchange format, and the
// answer to POST /users/{id}/recovery-code-regeneration.
const (
	keyMethods    = "authentication_methods"
	keyMFAFactors = "mfa_factors"
	keyRecovery   = "recovery_code"
)

// methodsOf reads the confirmed methods of a user object, without the password. A method
// without its secret is left out if the secret is there in another place.
func methodsOf(claims map[string]any) []Method {
	methods := listedMethods(claims)
	factors, _ := claims[keyMFAFactors].([]any)
	for _, element := range factors {
		one, _ := element.(map[string]any)
		for kind, value := range one {
			fields, _ := value.(map[string]any)
			methods = append(methods, Method{Type: kind, Secret: totpSecret(fields["secret"])})
		}
	}
	if code := textOf(claims, keyRecovery); code != "" {
		methods = append(methods, Method{Type: MethodRecovery, Secret: secret.New(code)})
	}
	return withSecrets(methods)
}

// withSecrets leaves out the methods without a secret of types that have one with a secret.
func withSecrets(methods []Method) []Method {
	has := map[string]bool{}
	for _, m := range methods {
		has[m.Type] = has[m.Type] || !m.Secret.Empty()
	}
	return slices.DeleteFunc(methods, func(m Method) bool { return has[m.Type] && m.Secret.Empty() })
}

// listedMethods are those that the Management API lists.
func listedMethods(claims map[string]any) []Method {
	var methods []Method
	list, _ := claims[keyMethods].([]any)
	for _, element := range list {
		one, _ := element.(map[string]any)
		kind := textOf(one, "type")
		if confirmed, told := one["confirmed"].(bool); told && !confirmed || slices.Contains([]string{"", "password"}, kind) {
			continue
		}
		m := Method{
			Type: kind, Secret: totpSecret(one["totp_secret"]), Name: textOf(one, "name"), RelyingParty: cmp.Or(textOf(one, "relying_party_identifier"), textOf(one, "relying_party_id")),
			KeyID: bytesOf(one["key_id"]), PublicKey: bytesOf(one["public_key"]), UserHandle: bytesOf(one["user_handle"]),
			Device: textOf(one, "credential_device_type"),
		}
		m.CreatedAt, _ = Time(one["created_at"])
		m.AAGUID, _ = uuid.Parse(textOf(one, "aaguid"))
		m.BackedUp, _ = one["credential_backed_up"].(bool)
		transports, _ := one["transports"].([]any)
		for _, transport := range transports {
			if text, isText := transport.(string); isText {
				m.Transports = append(m.Transports, text)
			}
		}
		methods = append(methods, m)
	}
	return methods
}

// IsSecondFactor reports whether the method is asked for after a password. A recovery code
// only stands in for one.
func (m Method) IsSecondFactor() bool {
	return m.Type != MethodPasskey && m.Type != MethodRecovery
}

func textOf(fields map[string]any, key string) string {
	text, _ := fields[key].(string)
	return strings.TrimSpace(text)
}

// totpSecret returns a secret in base32 without padding; empty if it is not one.
func totpSecret(value any) secret.String {
	text, _ := value.(string)
	text = strings.ToUpper(strings.TrimRight(strings.ReplaceAll(strings.TrimSpace(text), " ", ""), "="))
	if strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return secret.String{}
	}
	return secret.New(text)
}

// bytesOf decodes base64 of either alphabet, with padding or without; nil if it is not that.
func bytesOf(value any) []byte {
	text, _ := value.(string)
	text = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(decoded) == 0 {
		return nil
	}
	return decoded
}

// UserMethods are the methods of a user.
type UserMethods struct {
	UserID  string
	Methods []Method
	// Keys are the keys of the object that methods were read from.
	Keys []string
}

// ReadMethods reads a user's methods from an object that has nothing but user_id and the
// keys of methods, one of them at least.
func ReadMethods(text []byte) (UserMethods, error) {
	read, err := strictjson.Value(text)
	if err != nil {
		return UserMethods{}, fmt.Errorf("read methods: %w", err)
	}
	fields, _ := read.(map[string]any)
	userID, _ := fields[keyUserID].(string)
	if !IsUserID(userID) {
		return UserMethods{}, errors.New("read methods: user_id is missing, or not of the form provider|id")
	}
	var keys []string
	for _, key := range []string{keyMethods, keyMFAFactors, keyRecovery} {
		switch fields[key].(type) {
		case nil:
			continue
		case []any:
		default:
			if key != keyRecovery {
				return UserMethods{}, errors.New("read methods: " + key + " is not a list")
			}
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return UserMethods{}, errors.New("read methods: there is neither " + keyMethods + " nor " + keyMFAFactors + " nor " + keyRecovery)
	}
	return UserMethods{UserID: userID, Methods: methodsOf(fields), Keys: keys}, nil
}

// AddMethods adds methods from another source than the user object.
func (p *Profile) AddMethods(methods []Method) {
	for _, method := range methods {
		p.Methods = append(p.Methods, method)
		if method.IsSecondFactor() && !slices.Contains(p.Factors, method.Type) {
			p.Factors = append(p.Factors, method.Type)
		}
	}
	p.Methods = withSecrets(p.Methods)
}
