package plan

import (
	"slices"
	"time"

	"ferry/bulk/results"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/provenance"
	"ferry/secret"
)

// Expected is what an import would give an identity to log in with.
type Expected struct {
	// Identifiers are those of the password, as Kratos stores them; empty if Auth0 has no
	// password of the user.
	Identifiers []string
	// Codes are the addresses to which Auth0 sends codes at a login and Kratos would, as Kratos
	// stores them; Auth0 may not have verified them.
	Codes []string
	// Social are the logins at the providers that are named, and at the bridge.
	Social []kratos.Social
	// bridged is true if the user has a second factor at Auth0 that Kratos does not have. An
	// identity that was imported for the bridge alone must not get another login then.
	bridged bool
	// bridge is the provider of the login at the bridge; empty: none is expected.
	bridge string
}

// Expect returns what an import would give the user now, also if the traits do not satisfy
// the schema. Schema, Rules and Providers must be set.
func (o *Options) Expect(profile mapping.Profile, mapped mapping.Identity) Expected {
	var s draft
	_ = o.validate(&s, profile, &mapped) // it leaves out numbers that an import would
	var e Expected
	handles := o.Schema.Handles(mapped.Traits)
	if profile.HasPassword() {
		e.Identifiers = passwordIdentifiers(handles)
	}
	for _, h := range handles {
		if byCode([]mapping.Handle{h}, profile.CodeNames) {
			e.Codes = append(e.Codes, codeIdentifier(h))
		}
	}
	s.code = byCode(handles, profile.Codes)
	e.bridged = len(profile.Factors) > 0 && !o.DropMFA
	bridge := o.expectBridge(profile, handles)
	e.Social, e.bridge = append(o.social(profile, &s), bridge.Social...), bridge.bridge
	return e
}

// ExpectBridge is Expect for the logins at the bridge alone.
func (o *Options) ExpectBridge(profile mapping.Profile, mapped mapping.Identity) Expected {
	var s draft
	_ = o.validate(&s, profile, &mapped)
	return o.expectBridge(profile, o.Schema.Handles(mapped.Traits))
}

func (o *Options) expectBridge(profile mapping.Profile, handles []mapping.Handle) (e Expected) {
	if e.Social = o.bridge(profile, handles); len(e.Social) > 0 {
		e.bridge = o.Bridge
	}
	return e
}

// LoginIdentifiers returns the identifiers that the traits give the password and the code, as
// Kratos stores them, sorted and each once.
func (o *Options) LoginIdentifiers(traits map[string]any) []string {
	return loginIdentifiers(o.Schema.Handles(traits))
}

// Missing returns the identifiers of the password that the identity does not have.
func (e Expected) Missing(record kratos.Record) []string {
	return without(e.Identifiers, record.Identifiers)
}

// MissingCodes returns the addresses that the identity cannot log in with by a code.
func (e Expected) MissingCodes(record kratos.Record) []string { return without(e.Codes, record.Codes) }

// Renamed reports whether the identity lacks an identifier that the user has.
func (e Expected) Renamed(record kratos.Record) bool {
	return len(e.Missing(record)) > 0 || len(e.MissingCodes(record)) > 0
}

func without(all, has []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(one string) bool { return slices.Contains(has, one) })
}

// MissingSocial returns the logins at providers that the identity does not have, among them those
// at the bridge of the accounts that an import merged into it.
func (e Expected) MissingSocial(record kratos.Record) []kratos.Social {
	origin := provenance.ImportOf(record.MetadataAdmin)
	alone := e.bridged && origin.As == string(results.CreatedBridge)
	all := slices.Clone(e.Social)
	for _, merged := range origin.Merged {
		if e.bridge != "" && record.Binding.Has(merged) {
			all = append(all, kratos.Social{Provider: e.bridge, Subject: merged})
		}
	}
	return slices.DeleteFunc(all, func(one kratos.Social) bool {
		if alone && !record.IsBridge(one.Provider+":"+one.Subject) {
			return true
		}
		has := record.Social
		if one.SAML {
			has = record.SAML
		}
		return slices.Contains(has, one.Provider+":"+one.Subject)
	})
}

// LoginsOf returns the logins at providers, provider:subject, each with the Auth0 user id of
// the account that it is of.
func (o *Options) LoginsOf(profile mapping.Profile, all []kratos.Social) map[string]string {
	of := map[string]string{}
	for _, one := range all {
		if o.Bridge != "" && one.Provider == o.Bridge {
			of[one.Login()] = one.Subject
		}
		for _, account := range profile.Accounts {
			if login, named := o.Providers.login(account); named && login.Login() == one.Login() {
				of[one.Login()] = account.Provider + "|" + account.UserID
			}
		}
	}
	return of
}

// FreshHash returns the hash of the user's password in Kratos' form, and when it was set;
// empty if there is no usable one, or a reset at Auth0 came later.
func (o *Options) FreshHash(profile mapping.Profile) (hash secret.String, setAt time.Time, err error) {
	found, err := o.hash(profile)
	return found.Form, found.SetAt, err
}
