package gen

import (
	"math"
	"slices"
	"time"

	"ferry/test/auth0sim"
)

// row is a line of the file, and its expected result.
type row struct {
	kind    string
	raw     string  // the whole line, if it has no user
	person  *person // nil with raw
	outcome Outcome
	reason  Reason
	hashes  []hashLine
	again   bool // the seed has this user already
	wait    int  // how many rows come before it, after the one before it of its card
}

// far is the wait until the end of the file.
const far = math.MaxInt / 2

// card deals the rows of one kind, or of several that belong together.
type card struct {
	kind   string // of its only row; the rows of the others have their own
	weight int    // how many of them are in a deck
	deal   func(*maker, string) []row
}

// cards are those of a deck: 220 rows or so, so that 500 rows hold two decks and with
// them every kind.
func cards() []card { return slices.Concat(singleCards(), socialCards(), twinCards()) }

// singleCards deal single users of the databases, and lines without a user.
func singleCards() []card {
	return []card{
		{"db_hash", 34, one((*maker).freshHash)},
		{"db_pending", 30, one((*maker).noHash)},
		{"db_hash_twice", 2, one((*maker).newestHash)},
		{"db_hash_undated", 2, one((*maker).undatedHash)},
		{"db_hash_tied", 2, one((*maker).tiedHashes)},
		{"db_stale", 3, one((*maker).staleHash)},
		{"db_stale_undated", 1, one((*maker).staleUndated)},
		{"db_unusable", 4, one((*maker).unusableHash)},
		{"legacy_username", 12, one((*maker).legacyUsername)},
		{"phone_only", 2, one((*maker).phoneOnly)},
		{"blocked", 4, one((*maker).blockedUser)},
		{"mfa", 6, one((*maker).mfaUser)},
		{"odd_email", 6, one((*maker).oddEmail)},
		{"bad_email", 5, one((*maker).badEmail)},
		{"bad_phone", 1, one((*maker).badPhone)},
		{"odd_name", 5, one((*maker).oddName)},
		{"odd_metadata", 5, one((*maker).oddMetadata)},
		{"bare", 4, one((*maker).bareUser)},
		{"flat_connection", 2, one((*maker).flatConnection)},
		{"unreadable", 6, one((*maker).unreadable)},
	}
}

// Kinds lists every kind of line.
func Kinds() []string {
	kinds := []string{
		kindAttacker, kindVictim, kindUnverified, kindVerified, kindBystander, kindFirst, kindDuplicate,
	}
	for _, c := range slices.Concat(singleCards(), socialCards()) {
		kinds = append(kinds, c.kind)
	}
	slices.Sort(kinds)
	return kinds
}

// one makes a dealer of what makes a single row.
func one(single func(*maker) row) func(*maker, string) []row {
	return func(m *maker, kind string) []row {
		r := single(m)
		r.kind = kind
		return []row{r}
	}
}

// pending is the row of a user whose password only Auth0 knows.
func pending(p *person, reason Reason, hashes ...hashLine) row {
	return row{person: p, outcome: CreatedPending, reason: reason, hashes: hashes}
}

func social(p *person) row { return row{person: p, outcome: CreatedSocial} }

func skipped(p *person, reason Reason) row { return row{person: p, outcome: Skipped, reason: reason} }

func failed(p *person, reason Reason) row { return row{person: p, outcome: Failed, reason: reason} }

// hashed is the row of a user with a usable exported hash.
func (m *maker) hashed(p *person) row {
	set := p.created.Add(time.Duration(m.rng.IntN(1000)) * day)
	switch m.turn("fresh") % 3 {
	case 0:
		p.reset = set
	case 1:
		p.reset = set.Add(-time.Hour)
	}
	return row{person: p, outcome: CreatedHash, hashes: []hashLine{m.hashLine(p, p.password.hash, set)}}
}

// either has a hash every second time.
func (m *maker) either(p *person) row {
	if m.turn("either")%2 == 0 {
		return m.hashed(p)
	}
	return pending(p, NoHash)
}

func (m *maker) freshHash() row { return m.hashed(m.database()) }

func (m *maker) noHash() row {
	p := m.database()
	if m.turn("stray")%8 == 0 {
		return pending(p, NoHash, m.strayHash(p))
	}
	return pending(p, NoHash)
}

// newestHash has two hashes, of which the later one counts, in either order.
func (m *maker) newestHash() row {
	p := m.database()
	r := m.hashed(p)
	p.reset = time.Time{}
	older := m.hashLine(p, m.otherPassword(p.password).hash, p.created.Add(-day))
	r.hashes = append(r.hashes, older)
	if m.turn("newest")%2 == 0 {
		slices.Reverse(r.hashes)
	}
	return r
}

func (m *maker) undatedHash() row {
	p := m.database()
	return row{person: p, outcome: CreatedHash, hashes: []hashLine{m.hashLine(p, p.password.hash, time.Time{})}}
}

// tiedHashes are two of the same date, or without a date.
func (m *maker) tiedHashes() row {
	p := m.database()
	set := p.created.Add(day)
	if m.turn("tied")%2 == 1 {
		set = time.Time{}
	}
	return pending(p, UnusableHash,
		m.hashLine(p, p.password.hash, set), m.hashLine(p, m.otherPassword(p.password).hash, set))
}

// staleHash is that of a password that was changed since.
func (m *maker) staleHash() row {
	p := m.database()
	set := p.created.Add(day)
	p.reset = set.Add(time.Duration(1+m.rng.IntN(500)) * day)
	return pending(p, StaleHash, m.hashLine(p, m.otherPassword(p.password).hash, set))
}

func (m *maker) staleUndated() row {
	p := m.database()
	p.reset = p.created.Add(day)
	return pending(p, StaleHash, m.hashLine(p, m.otherPassword(p.password).hash, time.Time{}))
}

func (m *maker) unusableHash() row {
	p := m.database()
	return pending(p, UnusableHash, m.hashLine(p, m.unusable(p.password.hash), p.created))
}

func (m *maker) legacyUsername() row { return m.either(m.legacyUser()) }

// phoneOnly logs in at Auth0 with a phone number, which is not an identifier here.
func (m *maker) phoneOnly() row {
	p := m.database()
	p.phone = m.number()
	m.withoutEmail(p)
	p.name, p.nickname = p.phone, ""
	return failed(p, NoIdentifier)
}

// number is a German mobile number, which Kratos accepts.
func (m *maker) number() string {
	const subscribers = 10_000_000
	m.ids++
	return "+491511" + pad(m.ids%subscribers)
}

func (m *maker) blockedUser() row {
	var r row
	if m.turn("blocked")%4 == 3 {
		r = social(m.person(google, google))
	} else {
		r = m.either(m.database())
	}
	r.person.blocked = true
	return r
}

// mfaUser is always skipped.
func (m *maker) mfaUser() row {
	var p *person
	switch m.turn("mfa") % 4 {
	case 0:
		p = m.person(google, google)
	case 1:
		p = m.person(facebook, facebook)
	default:
		p = m.database()
	}
	p.mfa = []string{m.pick("google-authenticator", "guardian", "phone", "webauthn-roaming")}
	r := skipped(p, MFA)
	if p.provider == databases && m.chance(50) {
		r.hashes = []hashLine{m.hashLine(p, p.password.hash, p.created)}
	}
	return r
}

func (m *maker) bareUser() row {
	p := m.database()
	p.look.noIdentities = true
	p.look.missing = []string{"name", "given_name", "family_name", "nickname", "picture", "created_at", "updated_at", "last_login"}
	if m.turn("bare")%2 == 1 {
		p.look.missing = append(p.look.missing, "email_verified", "app_metadata", "user_metadata")
		p.verified = false
	}
	return m.either(p)
}

func (m *maker) flatConnection() row {
	p := m.database()
	p.look.flatConnection = true
	return m.either(p)
}

// unreadable is a line without a user.
func (m *maker) unreadable() row {
	m.ids++
	lines := []string{
		`{"user_id":"auth0|` + m.objectID(m.first) + `","email":"cut.off@exam`,
		`{"email":"nobody.` + pad(m.ids) + `@example.test","email_verified":true}`,
		`not a line of this file`,
		`{"user_id":"","email":"empty.` + pad(m.ids) + `@example.test"}`,
		`null`,
		`{"user_id":null}`,
	}
	return row{raw: lines[m.turn("unreadable")%len(lines)], outcome: Failed, reason: Unreadable}
}

// socialCards are users without a password, or with more than a password.
func socialCards() []card {
	return []card{
		{"google", 15, one((*maker).googleUser)},
		{"google_no_email", 2, one((*maker).googleNoEmail)},
		{"facebook", 4, one(func(m *maker) row { return skipped(m.person(facebook, facebook), NoLoginMethod) })},
		{"enterprise", 4, one((*maker).enterpriseUser)},
		{"passwordless", 4, one((*maker).passwordlessUser)},
		{"linked_google", 6, one((*maker).linkedGoogle)},
		{"linked_facebook", 2, one((*maker).linkedFacebook)},
		{"google_linked_database", 4, one((*maker).googleLinkedDatabase)},
	}
}

func (m *maker) googleUser() row {
	p := m.person(google, google)
	switch m.turn("google") % 5 {
	case 1:
		p.email = "Upper.Case." + p.email
	case 2:
		p.look.noIdentities = true
	}
	return social(p)
}

func (m *maker) googleNoEmail() row {
	p := m.person(google, google)
	p.name, p.nickname, p.picture = "No Address", "", ""
	p.email, p.verified = "", false
	return social(p)
}

func (m *maker) enterpriseUser() row {
	if m.turn("enterprise")%2 == 0 {
		return skipped(m.person(auth0sim.StrategyAzureAD, azure), NoLoginMethod)
	}
	return skipped(m.person(auth0sim.StrategySAML, saml), NoLoginMethod)
}

func (m *maker) passwordlessUser() row {
	if m.turn("passwordless")%2 == 0 {
		return skipped(m.person(auth0sim.StrategyEmail, emailCodes), NoLoginMethod)
	}
	p := m.person(auth0sim.StrategySMS, smsCodes)
	p.phone = m.number()
	p.email, p.verified, p.picture, p.nickname = "", false, "", ""
	p.name, p.given, p.family = p.phone, "", ""
	return skipped(p, NoLoginMethod)
}

func (m *maker) linkedGoogle() row {
	p := m.database()
	p.linked = []auth0sim.Identity{m.linkTo(p, google, google)}
	return m.either(p)
}

func (m *maker) linkedFacebook() row {
	p := m.database()
	p.linked = []auth0sim.Identity{m.linkTo(p, facebook, facebook)}
	return m.either(p)
}

func (m *maker) googleLinkedDatabase() row {
	p := m.person(google, google)
	p.linked = []auth0sim.Identity{m.linkTo(p, databases, Database)}
	return m.either(p)
}
