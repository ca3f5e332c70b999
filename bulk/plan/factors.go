package plan

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"ferry/kratos"
	"ferry/mapping"
	"ferry/secret"
)

// addMethods adds the methods that the factors file has of the user.
func (o *Options) addMethods(profile *mapping.Profile) error {
	if o.Factors == nil {
		return nil
	}
	methods, err := o.Factors.Find(profile.UserID)
	profile.AddMethods(methods)
	return err
}

// RelyingParties are the domains that Kratos' passkeys and security keys are bound to.
type RelyingParties struct{ Passkey, WebAuthn string }

// String returns the domains as text: one if they are the same.
func (r RelyingParties) String() string {
	if r.Passkey == r.WebAuthn {
		return r.Passkey
	}
	return "passkey=" + r.Passkey + ",webauthn=" + r.WebAuthn
}

func (r RelyingParties) of(field kratos.Field) string {
	if field == kratos.FieldPasskey {
		return r.Passkey
	}
	return r.WebAuthn
}

// factors are the second factors and passkeys of a user that Kratos can take.
type factors struct {
	totp              kratos.TOTP
	webAuthn, passkey kratos.Keys
	codes             []secret.String // for recovery
	// left are the types of the others, with the reason.
	left []string
}

// second reports whether there is a second factor.
func (f factors) second() bool { return !f.totp.Secret.Empty() || len(f.webAuthn.Keys) > 0 }

// factors returns the second factors and passkeys of a user that Kratos can take: those for
// which the file has the secret or the public key, and of the keys those that are bound to
// Kratos' domain. Recovery codes come with another second factor only: Kratos would ask for
// them alone, and each works once.
func (o *Options) factors(profile mapping.Profile) factors {
	var f factors
	if !o.KeepMFA {
		return f
	}
	described := false
	for _, method := range profile.Methods {
		if method.Type == mapping.MethodRecovery {
			continue // see below
		}
		described = true
		if why := o.addFactor(&f, profile, method); why != "" {
			f.leave(method.Type, why)
		}
	}
	for _, name := range profile.Factors {
		if !described {
			f.leave(name, "the file has only its name")
		}
	}
	for _, method := range profile.Methods {
		if method.Type != mapping.MethodRecovery {
			continue
		}
		if why := o.addCode(&f, method); why != "" {
			f.leave(method.Type, why)
		}
	}
	return f
}

func (f *factors) leave(name, why string) {
	if text := name + " (" + why + ")"; !slices.Contains(f.left, text) {
		f.left = append(f.left, text)
	}
}

// addFactor adds a method, or returns why it cannot come.
func (o *Options) addFactor(f *factors, profile mapping.Profile, method mapping.Method) (why string) {
	switch method.Type {
	case mapping.MethodTOTP:
		switch {
		case slices.Contains(o.Lacks, kratos.FieldTOTP):
			return "this Kratos cannot import it"
		case method.Secret.Empty():
			return "the file does not have the secret"
		case f.totp.Secret == method.Secret:
			return ""
		case !f.totp.Secret.Empty():
			return "Kratos takes one"
		}
		email, _ := profile.Claims["email"].(string)
		f.totp = kratos.TOTP{Secret: method.Secret, Issuer: "Auth0", Account: cmp.Or(email, profile.UserID)}
		return ""
	case mapping.MethodRoaming, mapping.MethodPlatform:
		return o.addKey(&f.webAuthn, kratos.FieldWebAuthn, method)
	case mapping.MethodPasskey:
		return o.addKey(&f.passkey, kratos.FieldPasskey, method)
	}
	return "Kratos has no such factor"
}

// addCode adds a recovery code, or returns why it cannot come.
func (o *Options) addCode(f *factors, method mapping.Method) (why string) {
	switch {
	case method.Secret.Empty():
		return "Auth0 does not export the code"
	case slices.Contains(o.Lacks, kratos.FieldLookup):
		return "this Kratos cannot import it"
	case !f.second():
		return "no other second factor is imported with it"
	}
	f.codes = append(f.codes, method.Secret)
	return ""
}

func (o *Options) addKey(keys *kratos.Keys, field kratos.Field, method mapping.Method) (why string) {
	switch {
	case o.RelyingParties.of(field) == "":
		return "--rp-id is not given"
	case slices.Contains(o.Lacks, field):
		return "this Kratos cannot import it"
	case method.RelyingParty == "":
		return "the file does not have its domain"
	case !strings.EqualFold(method.RelyingParty, o.RelyingParties.of(field)):
		return "it is bound to another domain"
	case len(method.KeyID) == 0, len(method.PublicKey) == 0:
		return "the file does not have the public key"
	case field == kratos.FieldPasskey && len(method.UserHandle) == 0:
		return "the file does not have the user handle"
	case field == kratos.FieldPasskey && !isText(method.UserHandle):
		return "its user handle is not UTF-8 text, which Kratos' database needs"
	case slices.ContainsFunc(keys.Keys, func(k kratos.Key) bool { return bytes.Equal(k.ID, method.KeyID) }):
		return "" // both files have it
	case len(keys.Keys) > 0 && !bytes.Equal(keys.UserHandle, method.UserHandle):
		return "it has another user handle than the first"
	}
	key := kratos.Key{ID: method.KeyID, PublicKey: method.PublicKey, Name: method.Name, AddedAt: method.CreatedAt, AAGUID: method.AAGUID, Transports: method.Transports}
	if method.Device != "" {
		eligible := method.Device == "multi_device"
		key.Flags = &kratos.KeyFlags{BackupEligible: eligible, BackedUp: eligible && method.BackedUp}
	}
	keys.UserHandle, keys.Keys = method.UserHandle, append(keys.Keys, key)
	return ""
}

// isText reports whether Kratos can store a user handle as the identifier of a passkey.
func isText(handle []byte) bool { return utf8.Valid(handle) && bytes.IndexByte(handle, 0) < 0 }

// weighFactors decides whether the second factors of the user keep the row out, and reports
// false if they do.
func (o *Options) weighFactors(s *draft, profile mapping.Profile, f factors) (detail string, in bool) {
	if len(f.left) > 0 {
		detail = "left out: " + strings.Join(f.left, ", ")
	}
	switch {
	case len(profile.Factors) == 0, f.second():
	case !o.DropMFA:
		return detail, false
	default:
		s.mfaDropped = true
	}
	s.mfaKept = f.second()
	if detail != "" {
		s.note = strings.TrimPrefix(s.note+"; "+detail, "; ")
	}
	return "", true
}
