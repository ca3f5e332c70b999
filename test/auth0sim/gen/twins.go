package gen

import (
	"strings"

	"ferry/test/auth0sim"
)

// The kinds of lines that have something in common with another.
const (
	kindAttacker   = "twin_attacker"   // has an address that another user verified
	kindVictim     = "twin_victim"     // whose it is
	kindUnverified = "twin_unverified" // has what another has, and neither is verified
	kindVerified   = "twin_verified"   // has what another has, and both are verified
	kindBystander  = "twin_bystander"  // loses to a user who loses as well
	kindFirst      = "duplicate_first" // whose user_id comes again
	kindDuplicate  = "duplicate"       // has a user_id that was there
)

// maxWait is the longest that rows of a card are apart, but for those that are as far
// apart as can be. maxFar bounds these.
const (
	maxWait = 120
	maxFar  = 16
)

func twinCards() []card {
	return []card{
		{"attacker first", 5, (*maker).attackerFirst},
		{"victim first", 5, (*maker).victimFirst},
		{"far apart", 1, (*maker).farApart},
		{"both unverified", 1, (*maker).bothUnverified},
		{"both verified", 1, (*maker).bothVerified},
		{"crowd", 1, (*maker).crowd},
		{"victim skipped", 1, (*maker).victimSkipped},
		{"attacker skipped", 1, (*maker).attackerSkipped},
		{"username twice", 1, (*maker).usernameTwice},
		{"google twice", 1, (*maker).googleTwice},
		{"chain", 1, (*maker).chain},
		{"duplicates", 3, (*maker).duplicates},
	}
}

// apart puts some rows between those of a card.
func (m *maker) apart(rows ...row) []row {
	for i := range rows[1:] {
		rows[i+1].wait = m.rng.IntN(maxWait)
	}
	return rows
}

func (r row) as(kind string) row {
	r.kind = kind
	return r
}

// victim has a verified address in the database.
func (m *maker) victim() row {
	p := m.database()
	p.verified = true
	return m.either(p).as(kindVictim)
}

// attacker has the victim's address, and nothing that makes it his.
func (m *maker) attacker(victim *person) row {
	var p *person
	reason := IdentifierTwice
	switch m.turn("attacker") % 5 {
	case 0: // signed up in the other database
		p = m.person(databases, legacy)
		p.email, p.verified = victim.email, false
	case 1: // verified, says Google
		p = m.person(google, google)
		p.email, p.verified = " "+strings.ToUpper(victim.email), true
	case 2: // the address is the username
		p = m.legacyUser()
		m.withoutEmail(p)
		p.username = victim.email
	case 3: // no login, so nothing comes of it anyway
		p = m.person(facebook, facebook)
		p.email, p.verified = victim.email, true
		return skipped(p, NoLoginMethod).as(kindAttacker)
	case 4: // linked to an account with a password of his
		p = m.person(google, google)
		p.email, p.verified = victim.email, true
		link := m.linkTo(p, databases, legacy)
		link.EmailVerified = false
		p.linked = []auth0sim.Identity{link}
	}
	p.password = m.otherPassword(victim.password)
	r := failed(p, reason).as(kindAttacker)
	if _, hasLogin := p.loginConnection(); hasLogin {
		r.hashes = []hashLine{m.hashLine(p, p.password.hash, p.created)}
	}
	return r
}

func (m *maker) attackerFirst(string) []row {
	victim := m.victim()
	return m.apart(m.attacker(victim.person), victim)
}

func (m *maker) victimFirst(string) []row {
	victim := m.victim()
	return m.apart(victim, m.attacker(victim.person))
}

// farApart has the second at the end of the file, as long as there are few of them.
func (m *maker) farApart(kind string) []row {
	rows := m.attackerFirst(kind)
	if m.turn("far")%2 == 1 {
		rows = m.victimFirst(kind)
	}
	if m.far < maxFar {
		m.far++
		rows[1].wait = far
	}
	return rows
}

// bothUnverified have the same unverified address in two databases.
func (m *maker) bothUnverified(string) []row {
	a, b := m.database(), m.person(databases, legacy)
	b.email = a.email
	a.verified, b.verified = false, false
	return m.apart(failed(a, IdentifierTwice).as(kindUnverified), failed(b, IdentifierTwice).as(kindUnverified))
}

// bothVerified have it verified: the first line has it.
func (m *maker) bothVerified(string) []row {
	a, b := m.database(), m.person(databases, legacy)
	b.email = a.email
	a.verified, b.verified = true, true
	return m.apart(m.either(a).as(kindVerified), failed(b, IdentifierTwice).as(kindVerified))
}

// crowd is a victim between two attackers.
func (m *maker) crowd(string) []row {
	victim := m.victim()
	before := m.person(databases, legacy)
	before.email, before.verified = victim.person.email, false
	after := m.person(google, google)
	after.email, after.verified = victim.person.email, true
	return m.apart(failed(before, IdentifierTwice).as(kindAttacker), victim, failed(after, IdentifierTwice).as(kindAttacker))
}

// victimSkipped keeps the address, though nothing becomes of the victim.
func (m *maker) victimSkipped(string) []row {
	victim := m.victim().person
	victim.mfa, victim.reset = []string{"google-authenticator"}, victim.created
	attacker := m.person(databases, legacy)
	attacker.email, attacker.verified = victim.email, false
	return m.apart(skipped(victim, MFA).as(kindVictim), failed(attacker, IdentifierTwice).as(kindAttacker))
}

// attackerSkipped claims the address all the same, and who has not verified it loses it.
func (m *maker) attackerSkipped(string) []row {
	a, b := m.person(facebook, facebook), m.database()
	b.email, b.verified = a.email, false
	return m.apart(skipped(a, NoLoginMethod).as(kindUnverified), failed(b, IdentifierTwice).as(kindUnverified))
}

// usernameTwice is one name in two databases.
func (m *maker) usernameTwice(string) []row {
	a, b := m.legacyUser(), m.database()
	m.withoutEmail(a)
	b.username = strings.ToUpper(a.username)
	m.withoutEmail(b)
	return m.apart(failed(a, IdentifierTwice).as(kindUnverified), failed(b, IdentifierTwice).as(kindUnverified))
}

// googleTwice is one account, linked to another and a user of its own.
func (m *maker) googleTwice(string) []row {
	a, b := m.person(google, google), m.person(google, google)
	b.verified = true
	link := m.linkTo(b, google, google)
	link.UserID, link.Email, link.Name = a.id, "", ""
	b.linked = []auth0sim.Identity{link}
	return m.apart(failed(a, IdentifierTwice).as(kindUnverified), failed(b, IdentifierTwice).as(kindUnverified))
}

// chain is a user who loses the address, and whose username another user loses.
func (m *maker) chain(string) []row {
	victim := m.victim()
	attacker := m.legacyUser()
	attacker.email, attacker.verified = victim.person.email, false
	bystander := m.database()
	m.withoutEmail(bystander)
	bystander.username = attacker.username
	return m.apart(failed(bystander, IdentifierTwice).as(kindBystander), failed(attacker, IdentifierTwice).as(kindAttacker), victim)
}

// duplicates are further lines about one user: the same one, one with another address,
// or of a user who is skipped.
func (m *maker) duplicates(string) []row {
	var first row
	variant := m.turn("duplicates") % 3
	if variant == 2 {
		first = skipped(m.person(facebook, facebook), NoLoginMethod)
	} else {
		first = m.victim()
	}
	again := failed(first.person, DuplicateUser).as(kindDuplicate)
	again.again = true
	rows := []row{first.as(kindFirst), again}
	if variant == 1 {
		changed := *first.person
		changed.email = "changed." + changed.email
		again.person = &changed
		rows = append(rows, again)
	}
	return m.apart(rows...)
}
