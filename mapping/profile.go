// Package mapping makes a Kratos identity from an Auth0 profile, and computes what to
// change in an existing identity. Its functions do no I/O and log nothing, and their
// errors contain no personal data.
//
// A trait that is an identifier, or an address for recovery or verification, is filled
// only with a value that Auth0 verified, and never overwritten.
package mapping

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ferry/strictjson"
	"ferry/wire"
)

// Profile is what Auth0 knows about a user.
type Profile struct {
	// UserID is the subject, such as auth0|63d17c4a9d503d76c056c160, byte for byte.
	UserID string
	// UserIDs are the ids of the user and of every linked one, UserID first. From claims
	// it has UserID only: a token does not list linked users.
	UserIDs []string
	// Merged are the ids of the other users of the same person, which are not linked at Auth0.
	// Only WithAccounts sets it.
	Merged []string `json:",omitempty"`
	// Connection is that of the Auth0 identity with the password; empty: unknown, or no
	// password.
	Connection string
	// Provider is the provider of that identity, such as auth0; without a password, that
	// of the primary identity.
	Provider string
	// Source is the Auth0 identity that the claims describe: the primary one, or, with
	// OwnEmail, the one with the password. Whether verified addresses are trusted depends
	// on it.
	Source Source
	// PasswordNames are the e-mail address, username and number with which Auth0 accepts the
	// password, if a linked account has it; empty if unknown.
	PasswordNames []string
	// OwnEmail is true if the e-mail address is that of the linked account with the
	// password, where it is verified, and not that of the primary one.
	OwnEmail bool
	// LinkedVerified is the e-mail address, normalized, if the linked account with the
	// password has the same one as the primary account, and verified it. Mappers and JSON
	// do not have it.
	LinkedVerified Address `json:"-"`
	// Claims are named as OpenID Connect names them; others keep their own names.
	Claims map[string]any
	// AppMetadata is written by the tenant; nil: unknown.
	AppMetadata map[string]any
	// UserMetadata may be written by the user, so it is never trusted; nil: unknown.
	UserMetadata map[string]any
	// Blocked is true if the user is blocked at Auth0.
	Blocked bool
	// Accounts are the user's identities at Auth0, in Auth0's order; empty from claims.
	Accounts []Account
	// AccountsListed is true if Accounts are all of them: the user object has the whole list.
	// Mappers and JSON have none.
	AccountsListed bool `json:"-"`
	// Codes are the addresses to which Auth0 sends the codes of the user's passwordless
	// logins, and which it verified by that, normalized.
	Codes []Address
	// CodeNames are these addresses and those that Auth0 did not verify. Mappers and JSON have
	// none.
	CodeNames []Address `json:"-"`
	// Methods are the second factors and passkeys of which the file has more than the name.
	Methods []Method
	// Factors are the enrolled second factors, as far as Auth0 reports them.
	Factors []string
	// OwnHash is the password hash in the user object; empty from claims. Mappers and JSON have
	// none.
	OwnHash OwnHash `json:"-"`
	// Told are the deciding fields that the user object has; 0 from claims.
	Told Told
	// Tenant is the canonical domain of the tenant, in the first user of an export that
	// `ferry export` wrote. Mappers and JSON have none.
	Tenant string `json:"-"`
}

// Subjects returns the ids that Auth0 names as the subject of the person's logins. A login with
// a linked account has the subject of the primary one.
func (p Profile) Subjects() []string { return append([]string{p.UserID}, p.Merged...) }

// Source names where claims come from.
type Source struct {
	// Connection is empty if unknown.
	Connection string
	// Provider is the part of the user id before the bar.
	Provider string
}

// The keys of a user object and of claims that are not copied as they are.
const (
	keyUserID       = "user_id"
	keyPasswordHash = "password_hash"
	keyCustomHash   = "custom_password_hash"
	keyConnection   = "connection"
	keyProvider     = "provider"
	keyAppMetadata  = "app_metadata"
	// keyWriteBack is ferry's own note below it, which tells nothing of the person.
	keyWriteBack     = "ferry"
	keyUserMetadata  = "user_metadata"
	keyIdentities    = "identities"
	keyProfileData   = "profileData"
	keyBlocked       = "blocked"
	keyReset         = "last_password_reset"
	keyMultifactor   = "multifactor"
	claimSubject     = "sub"
	claimIssuer      = "iss"
	claimEmail       = "email"
	claimEmailTrue   = "email_verified"
	claimPhone       = "phone_number"
	claimPhoneTrue   = "phone_number_verified"
	claimUsername    = "preferred_username"
	claimName        = "name"
	claimNickname    = "nickname"
	claimPicture     = "picture"
	claimLocale      = "locale"
	claimUpdated     = "updated_at"
	userUsername     = "username"
	userPhoneTrue    = "phone_verified"
	exportConnection = "identities[0].connection"
	titleConnection  = "Connection" // of the User Import/Export Extension
)

// FromClaims reads the claims of an ID token or of /userinfo; sub is required. The profile
// shares values with the claims. Claims do not contain the connection: a caller that
// knows it sets Connection.
func FromClaims(claims map[string]any) (Profile, error) {
	subject, _ := claims[claimSubject].(string)
	if subject == "" {
		return Profile{}, errors.New("read claims: sub is missing")
	}
	p := Profile{
		UserID:   subject,
		UserIDs:  []string{subject},
		Provider: providerOf(subject),
		Source:   Source{Provider: providerOf(subject)},
		Claims:   maps.Clone(claims),
	}
	p.takeMetadata()
	return p, nil
}

// ReadClaims is FromClaims for JSON text. Numbers are json.Number, digit for digit.
func ReadClaims(text []byte) (Profile, error) {
	read, err := strictjson.Value(text, keyAppMetadata, keyUserMetadata)
	if err != nil {
		return Profile{}, fmt.Errorf("read claims: %w", err)
	}
	claims, ok := read.(map[string]any)
	if !ok {
		return Profile{}, errors.New("read claims: not an object")
	}
	return FromClaims(claims)
}

// takeMetadata moves everything that is not a claim out of the claims.
func (p *Profile) takeMetadata() {
	p.AppMetadata, _ = p.Claims[keyAppMetadata].(map[string]any)
	if _, noted := p.AppMetadata[keyWriteBack]; noted {
		p.AppMetadata = maps.Clone(p.AppMetadata) // the map belongs to the caller
		delete(p.AppMetadata, keyWriteBack)
	}
	p.UserMetadata, _ = p.Claims[keyUserMetadata].(map[string]any)
	p.Blocked, _ = p.Claims[keyBlocked].(bool)
	p.Factors, p.Methods = factorsOf(p.Claims), methodsOf(p.Claims)
	for _, key := range notClaims() {
		delete(p.Claims, key)
	}
	maps.DeleteFunc(p.Claims, func(key string, _ any) bool {
		list, _, isElement := strings.Cut(key, "[")
		return isElement && slices.Contains(notClaims(), list)
	})
}

// notClaims are kept elsewhere, or are secrets, which no mapper sees: hashes and
// factors of the interchange format, tokens of other providers.
func notClaims() []string {
	return []string{
		keyAppMetadata, keyUserMetadata, keyBlocked, keyIdentities, keyUserID, keyTenant, "_id",
		"password", keyPasswordHash, "passwordHash", keyCustomHash,
		keyMFAFactors, keyMethods, keyRecovery, "guardian_authenticators", "guardian_enrollments", "authenticators",
		"access_token", "access_token_secret", "refresh_token", "id_token",
	}
}

// FromUser reads a user object of the Management API or of an export. It needs a user_id;
// without one, the fields may have the titles that [FieldName] knows. In Auth0's users_import
// format, which a row with a password hash has, the user_id has no provider. Dates may be
// texts or objects, and booleans texts. Unknown keys become claims, like the attributes of
// providers.
//
// Numbers are kept as json.Number, digit for digit.
func FromUser(user []byte) (Profile, error) {
	read, err := strictjson.Value(user, keyAppMetadata, keyUserMetadata, keyProfileData)
	if err != nil {
		return Profile{}, fmt.Errorf("read user: %w", err)
	}
	fields, ok := read.(map[string]any)
	if !ok {
		return Profile{}, errors.New("read user: not an object")
	}
	if fields[keyUserID] == nil {
		renameFields(fields)
	}
	own := ownHash(fields)
	id, _ := fields[keyUserID].(string)
	if id == "" {
		return Profile{}, fmt.Errorf("read user: user_id is missing: %s", whereID(fields))
	}
	id = own.subject(id)
	if !IsUserID(id) {
		return Profile{}, errors.New("read user: user_id is not of the form provider|id")
	}
	if err := readBooleans(fields); err != nil {
		return Profile{}, fmt.Errorf("read user: %w", err)
	}
	p := Profile{UserID: id, UserIDs: []string{id}, Provider: providerOf(id), Source: Source{Provider: providerOf(id)}, Claims: fields}
	if err := p.takeIdentities(fields); err != nil {
		return Profile{}, fmt.Errorf("read user: %w", err)
	}
	p.OwnHash = own
	p.Tenant, _ = fields[keyTenant].(string)
	p.toldBy(fields)
	p.takeMetadata()
	p.renameClaims()
	return p, nil
}

// renameClaims replaces the Management API's names by those of OpenID Connect. It deletes
// attributes of providers that have such a name, because Auth0 does not vouch for them.
func (p *Profile) renameClaims() {
	delete(p.Claims, claimIssuer)
	delete(p.Claims, claimPhoneTrue)
	p.Claims[claimSubject] = p.UserID
	if verified, ok := p.Claims[userPhoneTrue]; ok {
		p.Claims[claimPhoneTrue] = verified
		delete(p.Claims, userPhoneTrue)
	}
	if username, ok := p.Claims[userUsername]; ok {
		p.Claims[claimUsername] = username
	}
}

// takeIdentities reads the linked identities. The first one is the primary account, which
// the user object describes; the first one of a database has the password.
func (p *Profile) takeIdentities(fields map[string]any) error {
	list := fields[keyIdentities]
	told, isList := list.([]any)
	if p.AccountsListed = len(told) > 0; list == nil || isList && len(told) == 0 {
		list = p.listIdentities(fields)
	}
	if list == nil {
		connection := p.primaryConnection(fields)
		p.Source.Connection = connection
		account := accountOf(p.UserID)
		account.Connection = connection
		p.Accounts = []Account{account}
		if isDatabase(p.Provider) {
			p.Connection = connection
		}
		p.takeCodes(p.Provider, fields)
		return nil
	}
	identities, ok := list.([]any)
	if !ok {
		return errors.New("identities is not a list")
	}
	var holder map[string]any // of the password: the first with a database
	for i, element := range identities {
		one, _ := element.(map[string]any)
		account, err := p.takeIdentity(one)
		if err != nil {
			return fmt.Errorf("identities[%d] %w", i, err)
		}
		data, _ := one[keyProfileData].(map[string]any)
		readProfileBooleans(data)
		if subjectOf(one) == p.UserID {
			data = fields
		}
		p.takeCodes(account.Provider, data)
		if holder == nil && account.HasPassword() {
			holder = one
			p.Connection, p.Provider = account.Connection, account.Provider
		}
	}
	if holder != nil && subjectOf(holder) != p.UserID {
		p.takeLinkedPassword(holder, fields)
	}
	return nil
}

// takeIdentity reads one of the linked identities.
func (p *Profile) takeIdentity(one map[string]any) (Account, error) {
	subject := subjectOf(one)
	provider, _ := one[keyProvider].(string)
	switch {
	case subject == "":
		return Account{}, errors.New("has no provider or no user_id")
	case !isProvider(provider):
		return Account{}, errors.New("has a provider that is not the name of one, such as auth0")
	}
	if !slices.Contains(p.UserIDs, subject) {
		p.UserIDs = append(p.UserIDs, subject)
	}
	connection, _ := one[keyConnection].(string)
	account := Account{Provider: provider, UserID: scalarText(one[keyUserID]), Connection: connection}
	p.Accounts = append(p.Accounts, account)
	if subject == p.UserID {
		p.Source.Connection = connection
	}
	return account, nil
}

// subjectOf returns provider|id of an identity, or "" if one of them is missing.
func subjectOf(one map[string]any) string {
	provider, _ := one[keyProvider].(string)
	id := scalarText(one[keyUserID])
	if provider == "" || id == "" {
		return ""
	}
	return provider + "|" + id
}

// isDatabase reports whether Auth0 checks passwords for the provider, itself or in a
// directory.
func isDatabase(provider string) bool {
	return provider == wire.DatabaseProvider || provider == "ad" || provider == "auth0-adldap"
}

func providerOf(subject string) string {
	provider, _, found := strings.Cut(subject, "|")
	if !found {
		return ""
	}
	return provider
}

// scalarText returns a text or a number as text: some providers' ids are numbers.
func scalarText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	default:
		return ""
	}
}

// text returns a claim without blanks around it, or "" if it is not a text.
func (p Profile) text(claim string) string {
	value, _ := p.Claims[claim].(string)
	return strings.TrimSpace(value)
}

// source returns where the claims come from, as far as that is known.
func (p Profile) source() Source {
	s := p.Source
	if s.Provider == "" {
		s.Provider = providerOf(p.UserID)
	}
	if s.Connection == "" && s.Provider == p.Provider {
		s.Connection = p.Connection
	}
	return s
}
