package plan

import (
	"errors"
	"slices"
	"strings"

	"ferry/bulk/results"
	"ferry/bulk/userfile"
	"ferry/identifier"
	"ferry/kratos"
	"ferry/mapping"
	"ferry/provenance"
)

// Row is one row of the plan: what it becomes, and with what data.
type Row struct {
	Line   int
	UserID string
	// Outcome is what the row becomes unless there is a conflict.
	Outcome results.Outcome
	Reason  results.Cause
	// Identifiers find the identities that the row can be in conflict with: those of the
	// password credential, and provider:subject of the others.
	Identifiers []string
	// Body is the request that creates the identity. It holds the password hash.
	Body []byte
	// User is the row itself, with KeepUsers or where rows are merged.
	User []byte
	// Merged are the other rows that become part of the same identity, each with Line, UserID
	// and User. They have no identity of their own.
	Merged []Row
	// BlockedAccounts are the users among Merged who are blocked at Auth0.
	BlockedAccounts []string
}

// Creates reports whether the plan creates an identity for the row.
func (r Row) Creates() bool { return r.Outcome != results.Skipped && r.Outcome != results.Failed }

// draft is the plan of a row with the keys for the index.
type draft struct {
	Row

	keys          []indexKey
	mfaDropped    bool
	mfaKept       bool
	code          bool // the user can log in by a code
	socialLeftOut int
	phonesLeftOut int
	bridgeLeftOut bool
	unverified    bool // Auth0 verified none of the addresses
	unaddressed   bool // the identity has no verified address
	hashed        bool // the hash file has a hash of the user
	database      bool
	told          mapping.Told
	tenant        string   // the domain that the row names
	connection    string   // that has the password; empty: unknown
	notes         []string // of the mapper, warned about once
	note          string   // for the detail of the result
	fields        []kratos.Field
}

type indexKey struct {
	value string
	rank  uint32
	// folded is the form that the next Kratos gives the identifier, if it differs.
	folded string
}

func (s draft) refuse(outcome results.Outcome, word, detail string) draft {
	s.Outcome, s.Reason = outcome, results.Because(word, detail)
	return s
}

// plan decides what the row becomes, without regard to other rows. The draft always has the
// identifiers of the row, also if the row is skipped or fails: they can still collide with
// those of another user. It is safe for concurrent use.
func (o *Options) plan(line int, row []byte, fault error) (draft, error) {
	s := draft{Row: Row{Line: line}}
	absent := errors.Is(fault, userfile.ErrAbsent)
	if fault != nil && !absent {
		return s.refuse(results.Failed, results.ReasonUnreadable, fault.Error()), nil
	}
	profile, err := mapping.FromUser(row)
	switch {
	case err != nil:
		return s.refuse(results.Failed, results.ReasonUnreadable, err.Error()), nil
	case absent: // without identifiers: another user may have them at Auth0 now
		s.UserID, s.tenant = profile.UserID, profile.Tenant
		return s.refuse(results.Failed, results.ReasonNotAtAuth0, fault.Error()), nil
	}
	if err := o.addMethods(&profile); err != nil {
		return s, err
	}
	return o.planProfile(s, profile)
}

// planProfile is plan for the profile of a row.
func (o *Options) planProfile(s draft, profile mapping.Profile) (draft, error) {
	s.UserID, s.told, s.tenant = profile.UserID, profile.Told, profile.Tenant
	s.addKey(profile.UserID, rankUser)
	mapped, err := o.Mapper.Map(profile)
	if err != nil {
		s.addProfileKeys(profile)
		return s.refuse(results.Failed, results.ReasonInvalid, err.Error()), nil
	}
	invalid := o.validate(&s, profile, &mapped)
	handles := o.Schema.Handles(mapped.Traits)
	s.code = byCode(handles, profile.Codes)
	verified, rank := o.verified(profile, s.code)
	s.addHandleKeys(handles, verified, rank)
	s.database, s.connection, s.notes = profile.HasPassword(), profile.Connection, mapped.Notes
	logins := o.logins(&s, profile, handles)
	if logins.none() {
		return s.refuse(results.Skipped, logins.only.Reason, logins.only.Detail), nil
	}
	if s.unverified = o.unverified(profile); s.unverified && o.SkipUnverified {
		return s.refuse(results.Skipped, results.ReasonUnverified, "Auth0 verified none of the user's addresses"), nil
	}
	if invalid != nil {
		return s.refuse(results.Failed, results.ReasonInvalid, Violations(invalid)), nil
	}
	if s.database && !logins.bridgeOnly() && !hasPassword(handles) {
		return s.refuse(results.Failed, results.ReasonNoIdentifier, noIdentifier(o.Schema)), nil
	}
	s, err = o.finish(s, profile, mapped, handles, logins)
	if s.Creates() {
		s.Reason = s.Reason.Also(s.note)
	}
	return s, err
}

// validate checks the traits. It leaves out optional phone numbers that Kratos would refuse
// and that Auth0 did not verify, if that makes the traits valid.
func (o *Options) validate(s *draft, profile mapping.Profile, mapped *mapping.Identity) error {
	err := o.Schema.Validate(mapped.Traits)
	if err == nil {
		return nil
	}
	verified := o.Rules.Verified(profile)
	rest, left := o.Schema.WithoutPhones(mapped.Traits, err, func(number string) bool {
		return slices.Contains(verified, mapping.Address{Value: number, Via: mapping.ViaSMS}.Normalize())
	})
	if len(left) == 0 || o.Schema.Validate(rest) != nil || hasPassword(o.Schema.Handles(mapped.Traits)) && !hasPassword(o.Schema.Handles(rest)) {
		return err
	}
	mapped.Traits, s.phonesLeftOut = rest, len(left)
	s.note = strings.Join(left, ", ") + " is left out: it is not a valid phone number for Kratos"
	return nil
}

// passwordIdentifiers returns the identifiers of the password credential, as Kratos stores
// them.
func passwordIdentifiers(handles []mapping.Handle) []string {
	var identifiers []string
	for _, handle := range handles {
		if handle.Password {
			identifiers = append(identifiers, identifier.Normalize(handle.Value))
		}
	}
	return identifiers
}

// loginIdentifiers returns the identifiers of the password and of the code, as Kratos stores
// them, sorted and each once.
func loginIdentifiers(handles []mapping.Handle) []string {
	identifiers := passwordIdentifiers(handles)
	for _, handle := range handles {
		if handle.Code != "" {
			identifiers = append(identifiers, codeIdentifier(handle))
		}
	}
	slices.Sort(identifiers)
	return slices.Compact(identifiers)
}

// codeIdentifier returns an identifier of the code, as Kratos stores it.
func codeIdentifier(handle mapping.Handle) string {
	return mapping.Address{Value: handle.Value, Via: handle.Code}.Normalize().Value
}

// allIdentifiers returns what Kratos finds the identity by: those of the password credential
// first, then the logins at providers, then the other handles.
func allIdentifiers(handles []mapping.Handle, social []kratos.Social) []string {
	identifiers := passwordIdentifiers(handles)
	for _, one := range social {
		identifiers = append(identifiers, one.Provider+":"+one.Subject)
	}
	for _, handle := range handles {
		if !handle.Password {
			identifiers = append(identifiers, identifier.Normalize(handle.Value))
		}
	}
	return identifiers
}

// unverified reports whether the user has a password and addresses, none of which counts as
// verified.
func (o *Options) unverified(profile mapping.Profile) bool {
	email, _ := profile.Claims["email"].(string)
	number, _ := profile.Claims["phone_number"].(string)
	return profile.HasPassword() && email+number != "" && len(o.Rules.Verified(profile)) == 0
}

// hasPassword reports whether one of the handles is an identifier of the password.
func hasPassword(handles []mapping.Handle) bool {
	return slices.ContainsFunc(handles, func(h mapping.Handle) bool { return h.Password })
}

// finish completes the draft of a row that can have an identity.
func (o *Options) finish(s draft, profile mapping.Profile, mapped mapping.Identity, handles []mapping.Handle, logins logins) (draft, error) {
	identity := kratos.CreateIdentity{
		SchemaID: o.SchemaID, Traits: mapped.Traits, MetadataPublic: mapped.MetadataPublic,
		Inactive: profile.Blocked, Social: logins.social, Organization: o.Organizations.of(profile),
		TOTP: logins.factors.totp, WebAuthn: logins.factors.webAuthn, Passkey: logins.factors.passkey, RecoveryCodes: logins.factors.codes,
	}
	trusted := o.Rules.Trusted(profile, mapped)
	if s.code {
		trusted = append(trusted, profile.Codes...)
	}
	identity.Verified = verifiedAddresses(handles, trusted)
	if profile.OwnEmail {
		s.note = strings.TrimPrefix(s.note+"; the e-mail address is that of the linked account with the password", "; ")
	}
	note := provenance.Import{Run: o.Run, At: o.Now()}
	for _, account := range s.Merged {
		note.Merged = append(note.Merged, account.UserID)
	}
	switch {
	case logins.bridgeOnly():
		s.Outcome, s.Reason = results.CreatedBridge, logins.only
	case s.database && s.unverified && o.NoPasswordUnverified:
		s.Outcome = results.CreatedCode
	case s.database:
		crosses := profile.Crosses(passwordIdentifiers(handles))
		if err := o.password(&s, &identity, profile, &note, crosses, len(logins.bridge) > 0); err != nil || !s.Creates() {
			return s, err
		}
	case len(logins.social) > 0:
		s.Outcome = results.CreatedSocial
	default:
		s.Outcome = results.CreatedCode
	}
	s.unaddressed = (s.Outcome == results.CreatedHash || s.Outcome == results.CreatedPending) && len(identity.Verified) == 0
	identity.Social = append(identity.Social, logins.bridge...)
	note.Keys = len(identity.WebAuthn.Keys) > 0
	note.As, note.Logins = string(s.Outcome), o.LoginsOf(profile, identity.Social)
	content := provenance.Content{Import: &note}
	if s.database || s.code {
		content.IdentifiersSHA256 = provenance.IdentifiersDigest(loginIdentifiers(handles))
	}
	identity.MetadataAdmin = mapping.Record(profile, mapped, content)
	if o.ExternalID {
		identity.ExternalID = profile.UserID
	}
	s.fields = fieldsOf(identity)
	s.Identifiers = allIdentifiers(handles, identity.Social)
	if o.DryRun {
		return s, nil
	}
	var err error
	if s.Body, err = identity.Body(); err != nil {
		return s.refuse(results.Failed, results.ReasonInvalid, err.Error()), nil
	}
	return s, nil
}

// social returns the linked accounts that become credentials: those whose provider is named,
// if the primary e-mail address is verified or there are no other accounts.
func (o *Options) social(profile mapping.Profile, s *draft) []kratos.Social {
	var credentials []kratos.Social
	verified, _ := profile.Claims["email_verified"].(bool)
	allowed := verified || !slices.ContainsFunc(profile.Accounts, isLocal)
	for _, account := range profile.Accounts {
		if account.HasPassword() || account.IsPasswordless() && s.code {
			continue
		}
		credential, named := o.Providers.login(account)
		credential.Organization = o.Organizations[account.Connection]
		switch {
		case !named, credential.SAML && slices.Contains(o.Lacks, kratos.FieldSAML), !allowed, credential.Subject == "":
			s.socialLeftOut++
		case !slices.Contains(credentials, credential):
			credentials = append(credentials, credential)
			s.addKey(credential.Provider+":"+credential.Subject, rankUnverified)
		}
	}
	return credentials
}

// isLocal reports whether Auth0 itself checks the logins of the account, by a password or by
// a code that it sends.
func isLocal(account mapping.Account) bool {
	return account.HasPassword() || account.IsPasswordless()
}

func (s *draft) addKey(value string, rank uint32) {
	s.keys = append(s.keys, indexKey{value: value, rank: rank})
}

// verified returns the addresses that Auth0 verified, with rankVerified if the rules trust
// their source or the user logs in by a code sent there, else with rankClaimed.
func (o *Options) verified(profile mapping.Profile, code bool) ([]mapping.Address, uint32) {
	trusted := o.Rules.Verified(profile)
	if code {
		trusted = append(trusted, profile.Codes...)
	}
	if len(trusted) > 0 {
		return trusted, rankVerified
	}
	return everySource().Verified(profile), rankClaimed
}

// everySource returns rules that trust what any source calls verified.
func everySource() mapping.Rules {
	return mapping.Rules{TrustVerified: func(string, string) bool { return true }}
}

// addHandleKeys adds the identifiers. Those that are among the verified addresses get the
// rank.
func (s *draft) addHandleKeys(handles []mapping.Handle, verified []mapping.Address, ofVerified uint32) {
	for _, handle := range handles {
		rank := rankUnverified
		if slices.ContainsFunc(verified, func(a mapping.Address) bool {
			return (mapping.Address{Value: handle.Value, Via: a.Via}).Normalize() == a
		}) {
			rank = ofVerified
		}
		s.addKey(identifier.Normalize(handle.Value), rank)
		key := &s.keys[len(s.keys)-1]
		if folded := identifier.Fold(key.value); folded != key.value {
			key.folded = folded
		}
	}
}

// addProfileKeys adds the identifiers that the failed mapper would most likely have set.
func (s *draft) addProfileKeys(profile mapping.Profile) {
	for _, claim := range []string{"email", "preferred_username", "phone_number"} {
		if value, _ := profile.Claims[claim].(string); value != "" {
			s.addKey(identifier.Normalize(value), rankUnverified)
		}
	}
}

// verifiedAddresses returns the addresses in the traits that count as verified, as they are
// written there: Kratos keeps the blanks in a number.
func verifiedAddresses(handles []mapping.Handle, trusted []mapping.Address) []kratos.Address {
	var verified []kratos.Address
	for _, address := range trusted {
		for _, handle := range handles {
			if handle.Via != address.Via || (mapping.Address{Value: handle.Value, Via: handle.Via}).Normalize() != address {
				continue
			}
			value := address.Value
			if address.Via == mapping.ViaSMS {
				value = handle.Value
			}
			if one := (kratos.Address{Value: value, Via: address.Via, Verified: true}); !slices.Contains(verified, one) {
				verified = append(verified, one)
			}
			break
		}
	}
	return verified
}

// noIdentifier names the traits without a value of which a password needs one.
func noIdentifier(schema *mapping.Schema) string {
	var names []string
	for _, trait := range schema.Traits() {
		if trait.Identifier {
			names = append(names, trait.Name())
		}
	}
	if len(names) == 0 {
		return "the identity schema has no identifier for a password: write a --mapper"
	}
	return "the traits have no identifier for the password: " + strings.Join(names, ", ") + " has no value; if the user has one at Auth0, write a --mapper that sets it"
}

// Violations describes what the schema refuses, without values.
func Violations(err error) string {
	var invalid *mapping.InvalidError
	if !errors.As(err, &invalid) {
		return err.Error()
	}
	texts := make([]string, len(invalid.Violations))
	for i, v := range invalid.Violations {
		texts[i] = v.String()
	}
	return strings.Join(texts, "; ")
}
