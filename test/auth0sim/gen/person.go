package gen

import (
	"strings"
	"time"

	"ferry/test/auth0sim"
)

// The connections of a tenant.
const (
	// Database is the connection of most users, and the default directory.
	Database   = "Username-Password-Authentication"
	legacy     = "legacy"
	google     = auth0sim.StrategyGoogle
	facebook   = auth0sim.StrategyFacebook
	azure      = "corp-azure"
	saml       = "corp-saml"
	emailCodes = auth0sim.StrategyEmail
	smsCodes   = auth0sim.StrategySMS
)

// databases is the provider of both databases' users.
const databases = auth0sim.StrategyDatabase

// person is a user of the tenant.
type person struct {
	provider, id string
	connection   string
	email        string
	verified     bool
	username     string
	phone        string
	linked       []auth0sim.Identity
	// password is that of the database, the user's own or a linked one.
	password password

	given, family, name, nickname, picture string

	created, login, reset time.Time
	logins                int
	mfa                   []string
	blocked               bool
	app, own              map[string]any // app_metadata, user_metadata

	look look
}

// look is how an exported line shows a user.
type look struct {
	dateObjects    bool // dates are {"$date": …}
	noIdentities   bool
	flatConnection bool     // identities[0].connection instead of identities
	missing        []string // attributes that are not there
}

func (p *person) userID() string { return p.provider + "|" + p.id }

// loginConnection is the connection of the user's password, and whether there is one.
func (p *person) loginConnection() (string, bool) {
	if p.provider == databases {
		return p.connection, true
	}
	for _, identity := range p.linked {
		if identity.Provider == databases {
			return identity.Connection, true
		}
	}
	return "", false
}

// databaseID is the id that the hash file knows the user by.
func (p *person) databaseID() string {
	if p.provider == databases {
		return p.id
	}
	for _, identity := range p.linked {
		if identity.Provider == databases {
			return identity.UserID
		}
	}
	return ""
}

// line is the user as an export has it.
func (p *person) line() map[string]any {
	line := map[string]any{"user_id": p.userID()}
	for name, text := range map[string]string{
		"email": p.email, "username": p.username, "phone_number": p.phone, "name": p.name, "given_name": p.given,
		"family_name": p.family, "nickname": p.nickname, "picture": p.picture,
	} {
		if text != "" {
			line[name] = text
		}
	}
	if p.email != "" {
		line["email_verified"] = p.verified
	}
	if p.phone != "" {
		line["phone_verified"] = true
	}
	p.putDates(line)
	if p.logins > 0 {
		line["logins_count"] = p.logins
		line["last_ip"] = "203.0.113.7"
	}
	if p.blocked {
		line["blocked"] = true
	}
	if p.mfa != nil {
		line["multifactor"] = p.mfa
	}
	if p.app != nil {
		line["app_metadata"] = p.app
	}
	if p.own != nil {
		line["user_metadata"] = p.own
	}
	switch {
	case p.look.flatConnection:
		line["identities[0].connection"] = p.connection
	case !p.look.noIdentities:
		line["identities"] = p.identities()
	}
	for _, name := range p.look.missing {
		delete(line, name)
	}
	return line
}

func (p *person) putDates(line map[string]any) {
	for name, date := range map[string]time.Time{
		"created_at": p.created, "updated_at": p.login, "last_login": p.login, "last_password_reset": p.reset,
	} {
		switch {
		case date.IsZero():
		case p.look.dateObjects:
			line[name] = map[string]any{"$date": stamp(date)}
		default:
			line[name] = stamp(date)
		}
	}
}

// stamp writes a time as Auth0 does.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func (p *person) identities() []any {
	social := func(provider string) bool { return provider == google || provider == facebook }
	list := []any{map[string]any{
		"connection": p.connection, "user_id": p.id, "provider": p.provider, "isSocial": social(p.provider),
	}}
	for _, linked := range p.linked {
		profile := map[string]any{}
		if linked.Email != "" {
			profile["email"], profile["email_verified"] = linked.Email, linked.EmailVerified
		}
		if linked.Name != "" {
			profile["name"] = linked.Name
		}
		list = append(list, map[string]any{
			"connection": linked.Connection, "user_id": linked.UserID, "provider": linked.Provider,
			"isSocial": social(linked.Provider), "profileData": profile,
		})
	}
	return list
}

// seed is the user in the simulator.
func (p *person) seed() auth0sim.User {
	u := auth0sim.User{
		ID: p.userID(), Connection: p.connection, Email: p.email, EmailVerified: p.verified, Username: p.username,
		Phone: p.phone, PhoneVerified: p.phone != "", Blocked: p.blocked, Multifactor: p.mfa, Name: p.name,
		GivenName: p.given, FamilyName: p.family, Nickname: p.nickname, Picture: p.picture, CreatedAt: p.created,
		UpdatedAt: p.login, LastLogin: p.login, LoginsCount: p.logins, LastPasswordReset: p.reset,
		AppMetadata: p.app, UserMetadata: p.own,
	}
	if u.UpdatedAt.IsZero() {
		u.UpdatedAt = p.created
	}
	if p.provider == databases {
		u.Password = p.password.text
	}
	for _, identity := range p.linked {
		if identity.Provider == databases {
			identity.Password = p.password.text
		}
		u.Identities = append(u.Identities, identity)
	}
	return u
}

// expected is the part of the expectation that does not depend on the outcome.
func (p *person) expected() Expected {
	e := Expected{UserID: p.userID(), Blocked: p.blocked}
	connection, hasLogin := p.loginConnection()
	if !hasLogin {
		return e
	}
	e.Identifier, e.Password = strings.TrimSpace(p.email), p.password.text
	if e.Identifier == "" {
		e.Identifier = p.username
	}
	if !p.look.noIdentities {
		e.Connection = connection
	}
	return e
}
