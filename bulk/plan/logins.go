package plan

import (
	"slices"
	"strings"

	"ferry/kratos"
	"ferry/mapping"
)

// byCode reports whether Kratos can send the codes of a login to one of the addresses to
// which Auth0 sends them: the identity schema makes it an identifier of the code credential.
func byCode(handles []mapping.Handle, addresses []mapping.Address) bool {
	return slices.ContainsFunc(handles, func(h mapping.Handle) bool {
		return h.Code != "" && slices.Contains(addresses, mapping.Address{Value: h.Value, Via: h.Code}.Normalize())
	})
}

// unnamed says why none of the accounts becomes a login.
func (o *Options) unnamed(profile mapping.Profile) string {
	var names, why []string
	others, codes, saml := false, false, false
	for _, account := range profile.Accounts {
		switch login, named := o.Providers.login(account); {
		case named && login.SAML && slices.Contains(o.Lacks, kratos.FieldSAML):
			saml = true
		case account.IsPasswordless():
			codes = true
		case named:
			others = true
		case !slices.Contains(names, account.Provider):
			names = append(names, account.Provider)
		}
	}
	if len(names) > 0 {
		why = append(why, "no provider is named for "+strings.Join(names, ", "))
	}
	if saml {
		why = append(why, "this Kratos cannot import logins with SAML")
	}
	switch {
	case codes && len(profile.Codes) == 0:
		why = append(why, "the address of the passwordless login is not verified")
	case codes:
		why = append(why, "no trait has the address of the passwordless login as an identifier of the credential code")
	}
	switch {
	case len(why) == 0:
		return "the accounts have no subject"
	case others:
		why = append(why, "the others need a verified e-mail address")
	}
	return strings.Join(why, "; ")
}
