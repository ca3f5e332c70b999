package mapping

import (
	"net/url"
	"slices"
	"strings"

	"ferry/identifier"
)

// Default returns the built-in mapper. It fills the traits of the schema that have a known
// name, such as email, and lists of texts, such as emails, with one value. Without a schema
// it fills the traits of ferry's example schema.
//
// It leaves out values that Auth0 generates: a name that is the e-mail address, a nickname
// that is its local part, a picture of Gravatar or of letters. It does not use
// app_metadata or user_metadata.
func Default(schema *Schema) Mapper {
	m := defaultMapper{}
	traits := plainTraits()
	if schema != nil {
		traits = schema.Traits()
	}
	for _, trait := range traits {
		claim, known := claimFor(trait)
		if known {
			m.fields = append(m.fields, field{path: trait.Path, claim: claim, list: trait.Type == "array"})
		}
	}
	return m
}

type defaultMapper struct{ fields []field }

type field struct {
	path  []string
	claim string
	list  bool // the value is the only element of a list
}

// Map implements [Mapper]. It never fails.
func (m defaultMapper) Map(p Profile) (Identity, error) {
	out := Identity{Traits: map[string]any{}, VerifiedAddresses: claimedVerified(p)}
	if linked := p.LinkedVerified; linked != (Address{}) && !slices.Contains(out.VerifiedAddresses, linked) {
		out.VerifiedAddresses = append(out.VerifiedAddresses, linked)
	}
	for _, f := range m.fields {
		value := fact(p, f.claim)
		if value == "" {
			continue
		}
		var trait any = value
		if f.list {
			trait = []any{value}
		}
		out.Traits = with(out.Traits, f.path, trait)
	}
	return out, nil
}

func plainTraits() []Trait {
	var traits []Trait
	for _, name := range []string{"email", "username", "phone", "name", "given_name", "family_name", "nickname", "picture"} {
		traits = append(traits, Trait{Path: []string{name}, Type: "string"})
	}
	return traits
}

// claimFor returns the claim for a trait, by its name and those of the objects around it.
// Only objects about the user count: a company has a name too.
func claimFor(t Trait) (claim string, known bool) {
	list := t.Type == "array" && t.Element == "string"
	if t.Type != "" && t.Type != "string" && !list {
		return "", false
	}
	last := plain(t.Path[len(t.Path)-1])
	within := t.Path[:len(t.Path)-1]
	for _, name := range within {
		if !slices.Contains(personal(), plain(name)) {
			return "", false
		}
	}
	if len(within) > 0 && slices.Contains([]string{"name", "names"}, plain(within[len(within)-1])) {
		last = strings.TrimSuffix(last, "name") + "name"
	}
	if list {
		return listClaim(last)
	}
	claim, known = claims()[last]
	return claim, known
}

// listClaim returns the claim for a list of texts. Only identifiers and addresses count, of
// which Kratos' documentation has lists.
func listClaim(name string) (claim string, known bool) {
	for _, plural := range []string{"es", "s"} {
		singular, isPlural := strings.CutSuffix(name, plural)
		claim, known = claims()[singular]
		if isPlural && known && slices.Contains([]string{claimEmail, claimPhone, claimUsername}, claim) {
			return claim, true
		}
	}
	return "", false
}

// plain returns a name in lower case, without dashes and underscores.
func plain(name string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))
}

// personal returns the names of objects that group traits of the user.
func personal() []string {
	return []string{
		"name", "names", "profile", "person", "personal", "personaldata", "personalinfo", "user", "userinfo", "me", "self",
		"contact", "contacts", "contactinfo", "account", "details", "info", "identity", "identifiers", "login", "data",
		"attributes", "basic", "general", "preferences", "settings",
	}
}

// claims returns the claims by the plain names of traits.
func claims() map[string]string {
	names := map[string][]string{
		claimEmail:    {"email", "mail", "emailaddress"},
		claimUsername: {"username", "preferredusername", "login", "loginname"},
		claimPhone:    {"phone", "phonenumber", "mobile", "mobilenumber", "mobilephone", "tel", "telephone"},
		claimName:     {"name", "fullname", "displayname", "formattedname"},
		"given_name":  {"givenname", "firstname", "forename"},
		"family_name": {"familyname", "lastname", "surname"},
		"middle_name": {"middlename"},
		claimNickname: {"nickname", "nick"},
		claimPicture:  {"picture", "avatar", "avatarurl", "photo", "pictureurl"},
		claimLocale:   {"locale"},
		"birthdate":   {"birthdate", "birthday", "dateofbirth"},
		"zoneinfo":    {"zoneinfo", "timezone"},
		"gender":      {"gender"},
		"website":     {"website"},
		"profile":     {"profileurl"},
	}
	out := map[string]string{}
	for claim, all := range names {
		for _, name := range all {
			out[name] = claim
		}
	}
	return out
}

// fact returns the text of a claim, or "" if Auth0 generated it.
func fact(p Profile, claim string) string {
	value := p.text(claim)
	switch claim {
	case claimPhone:
		return identifier.CompactPhone(value)
	case claimUsername:
		if value == "" {
			value = p.text(userUsername)
		}
	case claimName:
		if value == p.text(claimNickname) || madeUp(p, value) {
			return ""
		}
	case claimNickname:
		if madeUp(p, value) {
			return ""
		}
	case claimPicture:
		if madeUpPicture(value) {
			return ""
		}
	}
	return value
}

// madeUp reports whether a name is one of the user's identifiers, or the local part of the
// e-mail address. Auth0 copies addresses in lower case: Kim is a name even if the address
// is kim@.
func madeUp(p Profile, name string) bool {
	if email := p.text(claimEmail); isAddressOrLocal(name, email) || isAddressOrLocal(name, strings.ToLower(email)) {
		return true
	}
	number := p.text(claimPhone)
	return name == number || name == identifier.CompactPhone(number) || name == p.text(claimUsername) || name == p.text(userUsername)
}

func isAddressOrLocal(name, address string) bool {
	local, _, _ := strings.Cut(address, "@")
	return name == address || name == local
}

// madeUpPicture reports whether a picture is Auth0's default: a Gravatar for the e-mail
// address, or two letters, possibly behind WordPress' cache.
func madeUpPicture(address string) bool {
	if strings.HasPrefix(address, "https://s.gravatar.com/") || strings.HasPrefix(address, "https://cdn.auth0.com/avatars/") {
		return true // the usual form
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return true
	}
	host := strings.ToLower(u.Hostname())
	if strings.HasSuffix(host, ".wp.com") {
		host, u.Path, _ = strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
		u.Path = "/" + u.Path
	}
	if host == "gravatar.com" || strings.HasSuffix(host, ".gravatar.com") {
		return true
	}
	return host == "cdn.auth0.com" && strings.HasPrefix(u.Path, "/avatars/")
}
