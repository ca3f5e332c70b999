package mapping

import (
	"net/url"
	"slices"
	"strings"

	"ferry/identifier"
)

// Default is a mapper without a program: it fills the traits that the schema has and
// whose names say what they are, and lists of texts that are named so, such as emails,
// with the one value that a profile has. Without a schema it makes the flat traits that
// ferry's example schema has.
//
// What Auth0 makes up is no fact and is left out: a name that is the e-mail address,
// a nickname that is its local part, a picture of Gravatar's or of Auth0's letters.
// Nothing of app_metadata or user_metadata becomes a trait.
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
	for _, f := range m.fields {
		value := fact(p, f.claim)
		if value == "" {
			continue
		}
		into := out.Traits
		for _, name := range f.path[:len(f.path)-1] {
			child, ok := into[name].(map[string]any)
			if !ok {
				child = map[string]any{}
				into[name] = child
			}
			into = child
		}
		into[f.path[len(f.path)-1]] = value
		if f.list {
			into[f.path[len(f.path)-1]] = []any{value}
		}
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

// claimFor says which claim a trait is, by its name and those of the objects it is
// in: only objects that are about the person, for a company has a name as well.
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

// listClaim says which claim a list of texts holds: identifiers and addresses alone,
// of which Kratos' documentation has lists.
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

// plain is a name without case, dashes and underscores: givenName is given_name.
func plain(name string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))
}

// personal are the names of objects that group a person's own traits.
func personal() []string {
	return []string{
		"name", "names", "profile", "person", "personal", "personaldata", "personalinfo", "user", "userinfo", "me", "self",
		"contact", "contacts", "contactinfo", "account", "details", "info", "identity", "identifiers", "login", "data",
		"attributes", "basic", "general", "preferences", "settings",
	}
}

// claims are the names of traits, as plain writes them, and the claims they are.
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

// fact is a claim's text, or nothing where Auth0 made it up.
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

// madeUp reports whether a name is one of the person's identifiers, or the local part
// of the e-mail address. Databases keep addresses in lower case, so that is how Auth0
// repeats them: Kim is a name even where the address is kim@.
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

// madeUpPicture reports whether a picture is Auth0's default: Gravatar's for the
// e-mail address, or two letters on a colour, perhaps behind a cache of WordPress'.
func madeUpPicture(address string) bool {
	if strings.HasPrefix(address, "https://s.gravatar.com/") || strings.HasPrefix(address, "https://cdn.auth0.com/avatars/") {
		return true // as nearly all of them are: they need no parsing
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
