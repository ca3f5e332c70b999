package submit

import (
	"net/mail"
	"strings"

	"ferry/secret"
)

// The methods, by Kratos' names.
const (
	methodPassword        = "password"
	methodCode            = "code"
	methodLink            = "link"
	methodProfile         = "profile"
	methodIdentifierFirst = "identifier_first"
)

// readLogin follows Kratos' strategies for a login, in their order. A body without a method
// is not seen: Kratos gives it to the first step of a two-step login, but only where that is
// enabled, and answers 400 elsewhere.
func readLogin(f fields) (s Submit, ok bool) {
	s.Method = f.text(fieldMethod)
	if hasTraits(f) {
		return Submit{}, false // no login has any
	}
	switch s.Method {
	case methodPassword:
		password := f.text(fieldPassword)
		if password == "" {
			return Submit{}, false
		}
		s.Password = secret.New(password)
		s.add(f.first(fieldIdentifier, fieldLegacyIdentifier))
	case methodCode:
		if !f.has(fieldResend, "", methodCode) {
			return Submit{}, false
		}
		s.add(f.first(fieldIdentifier, fieldAddress))
	case methodIdentifierFirst:
		if _, other := f.first(fieldAddress, fieldPasskey, fieldWebAuthn); other != "" {
			return Submit{}, false // another method takes precedence
		}
		s.add(f.first(fieldIdentifier))
	default:
		return Submit{}, false
	}
	return s, true
}

// readRecovery reads both forms of a recovery: the e-mail address, and since 26.2 the choice
// among recovery addresses, in which Kratos does not need the method. A body with the fields
// of both is refused in one of them.
func readRecovery(f fields) (s Submit, ok bool) {
	s.Method = f.text(fieldMethod)
	email := f.text(fieldEmail)
	address, confirm := f.text(fieldRecoveryAddress), f.text(fieldRecoveryConfirm)
	switch {
	case f.text(fieldToken) != "", f.has(fieldScreen, "previous"), email != "" && address+confirm != "":
		return Submit{}, false
	case email != "":
		if !f.has(fieldMethod, methodCode, methodLink) || !isEmail(email) {
			return Submit{}, false
		}
		s.add(fieldEmail, email)
	default:
		if !f.has(fieldMethod, "", methodCode) || f.text(fieldCode) != "" {
			return Submit{}, false
		}
		s.Method = methodCode
		s.add(fieldRecoveryAddress, address)
		s.add(fieldRecoveryConfirm, confirm)
	}
	return s, true
}

// readVerification reads the request for a code or a link. A body with a code or token
// confirms an address, and Kratos does not look at its e-mail address.
func readVerification(f fields) (s Submit, ok bool) {
	s.Method = f.text(fieldMethod)
	email := f.text(fieldEmail)
	if !f.has(fieldMethod, methodCode, methodLink) || f.text(fieldCode) != "" || f.text(fieldToken) != "" || !isEmail(email) {
		return Submit{}, false
	}
	s.add(fieldEmail, email)
	return s, true
}

// readRegistration reads the traits of a registration, in each of its steps. A social
// sign-up is not seen: its address comes from the provider.
func readRegistration(f fields, traits []string) (s Submit, ok bool) {
	s.Method = f.text(fieldMethod)
	screen := f.text(fieldScreen)
	switch s.Method {
	case methodPassword:
		ok = screen == "" && f.text(fieldPassword) != ""
	case methodCode:
		ok = screen == "" && f.has(fieldResend, "", methodCode)
	case methodProfile:
		ok = screen == "" || screen == "credential-selection"
	}
	if !ok {
		return Submit{}, false
	}
	for _, path := range traits {
		if typed, ok := f.trait(path); ok {
			s.add(path, typed)
		}
	}
	return s, true
}

// isEmail reports whether a text passes Kratos' check of the format email, and for both
// parts a stricter one: Kratos refuses the body where its own check fails.
func isEmail(text string) bool {
	const maxAddress, maxLocal = 254, 64
	at := strings.LastIndexByte(text, '@')
	if len(text) > maxAddress || at < 0 || at > maxLocal || !isHostname(text[at+1:]) {
		return false
	}
	_, err := mail.ParseAddress(text)
	return err == nil
}

func isHostname(text string) bool {
	const maxLabel = 63
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return false
		}
	}
	return true
}
