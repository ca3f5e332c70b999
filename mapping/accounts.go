package mapping

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Account is one of the identities of a user at Auth0: the primary one, or a linked one.
type Account struct {
	// Provider is such as auth0 or google-oauth2.
	Provider string
	// UserID is the id at the provider, without the provider.
	UserID string
	// Connection is empty if unknown.
	Connection string
}

// HasPassword reports whether the account is in a database, or in a directory that
// verifies passwords for Auth0.
func (a Account) HasPassword() bool { return isDatabase(a.Provider) }

// Subject returns the user id of the provider. Auth0 prefixes the ids of enterprise
// connections with the connection.
func (a Account) Subject() string {
	if a.Connection == "" {
		return a.UserID
	}
	return strings.TrimPrefix(a.UserID, a.Connection+"|")
}

// IsPasswordless reports whether Auth0 itself checks the logins of the account by a code
// that it sends by e-mail or SMS.
func (a Account) IsPasswordless() bool {
	return a.Provider == providerEmail || a.Provider == providerSMS
}

// The providers of passwordless accounts.
const (
	providerEmail = "email"
	providerSMS   = "sms"
)

// takeCodes reads the address of a passwordless account from what Auth0 knows of it.
func (p *Profile) takeCodes(provider string, data map[string]any) {
	var address, name Address
	switch provider {
	case providerEmail:
		address = verifiedAddress(data, claimEmail, claimEmailTrue, ViaEmail)
		name = Address{Value: scalarText(data[claimEmail]), Via: ViaEmail}.Normalize()
	case providerSMS:
		address = verifiedAddress(data, claimPhone, userPhoneTrue, ViaSMS)
		name = Address{Value: scalarText(data[claimPhone]), Via: ViaSMS}.Normalize()
	}
	if name.Value != "" && !slices.Contains(p.CodeNames, name) {
		p.CodeNames = append(p.CodeNames, name)
	}
	if address != (Address{}) && !slices.Contains(p.Codes, address) {
		p.Codes = append(p.Codes, address)
	}
}

// HasPassword reports whether one of the user's accounts does.
func (p Profile) HasPassword() bool {
	for _, account := range p.Accounts {
		if account.HasPassword() {
			return true
		}
	}
	return false
}

// accountOf returns the account of a user id.
func accountOf(subject string) Account {
	provider, id, _ := strings.Cut(subject, "|")
	return Account{Provider: provider, UserID: id}
}

// listIdentities makes a list of identities that a job exported field by field, such
// as identities[1].provider; nil where it exported no more than connections. Of the
// first, which is the primary one, the user id tells what is missing.
func (p *Profile) listIdentities(fields map[string]any) any {
	primary := accountOf(p.UserID)
	identities := []map[string]any{{keyProvider: primary.Provider, keyUserID: primary.UserID}}
	told := false
	for key, value := range fields {
		rest, isIdentity := strings.CutPrefix(key, keyIdentities+"[")
		index, name, isField := strings.Cut(rest, "].")
		n, err := strconv.Atoi(index)
		if !isIdentity || !isField || err != nil || n < 0 || n > mostIdentities || empty(value) {
			continue
		}
		for len(identities) <= n {
			identities = append(identities, map[string]any{})
		}
		setField(identities[n], name, value)
		told = told || name == keyProvider || name == keyUserID
	}
	if !told {
		return nil
	}
	if connection := p.primaryConnection(fields); connection != "" {
		identities[0][keyConnection] = connection
	}
	list := []any{}
	for _, one := range identities {
		if one[keyProvider] != nil || one[keyUserID] != nil {
			list = append(list, one)
		}
	}
	return list
}

// setField sets a field of an identity, or of its profile: CSV has profileData.email.
func setField(identity map[string]any, name string, value any) {
	field, ofProfile := strings.CutPrefix(name, keyProfileData+".")
	if !ofProfile {
		identity[name] = value
		return
	}
	data, _ := identity[keyProfileData].(map[string]any)
	if data == nil {
		data = map[string]any{}
		identity[keyProfileData] = data
	}
	data[field] = value
}

// readProfileBooleans converts booleans in the profile of an identity that are texts. Other
// values stay: the profile may be that of a provider.
func readProfileBooleans(data map[string]any) {
	for _, key := range [...]string{claimEmailTrue, userPhoneTrue} {
		text, _ := data[key].(string)
		if is := strings.EqualFold(text, "true"); is || strings.EqualFold(text, "false") {
			data[key] = is
		}
	}
}

// mostIdentities bounds the index of an identity.
const mostIdentities = 999

// factorKeys are the keys of second factors in user objects and the interchange format.
func factorKeys() []string {
	return []string{keyMultifactor, "guardian_authenticators", "guardian_enrollments", "authenticators", keyMFAFactors}
}

// factorsOf returns the names of the second factors. A value that is not a list of names
// counts as one factor.
func factorsOf(claims map[string]any) []string {
	var factors []string
	for _, key := range factorKeys() {
		value := claims[key]
		if empty(value) {
			continue
		}
		list, isList := value.([]any)
		if !isList {
			list = []any{value}
		}
		for _, element := range list {
			name, isText := element.(string)
			if !isText {
				name = key
			}
			factors = append(factors, name)
		}
	}
	for _, method := range listedMethods(claims) {
		if method.IsSecondFactor() && !slices.Contains(factors, method.Type) {
			factors = append(factors, method.Type)
		}
	}
	// An export of single fields has names such as multifactor[0].
	for key, value := range claims {
		list, _, isElement := strings.Cut(key, "[")
		if isElement && !empty(value) && slices.Contains(factorKeys(), list) && !slices.Contains(factors, list) {
			factors = append(factors, list)
		}
	}
	return factors
}

// Time reads a date of a user object: RFC 3339, or an object {"$date": …} with such a text
// or milliseconds since 1970.
func Time(value any) (time.Time, bool) {
	switch value := value.(type) {
	case string:
		t, err := time.Parse(time.RFC3339, value)
		return t, err == nil
	case json.Number:
		ms, err := strconv.ParseInt(value.String(), 10, 64)
		return time.UnixMilli(ms), err == nil
	case map[string]any:
		if date, ok := value["$date"]; ok {
			return Time(date)
		}
		if long, ok := value["$numberLong"].(string); ok {
			return Time(json.Number(long))
		}
	}
	return time.Time{}, false
}
