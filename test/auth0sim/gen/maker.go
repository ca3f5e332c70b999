package gen

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"ferry/test/auth0sim"
)

const (
	objectIDLength = 24
	day            = 24 * time.Hour
	years          = 5
)

// maker makes users and their lines. It does not keep them.
type maker struct {
	rng       *rand.Rand
	passwords []password
	first     time.Time // the tenant's first day
	machine   uint64    // a part of object ids
	ids       int       // how many were made: no two are the same
	count     int       // users
	turns     map[string]int
	deck      []card
	far       int
}

func newMaker(seed uint64, cost int) (*maker, error) {
	m := &maker{
		rng:   rand.New(rand.NewPCG(seed, 0x66657272795f6765)),
		first: time.Date(2019, 1, 2, 3, 4, 5, 678e6, time.UTC),
		turns: map[string]int{},
	}
	m.machine = m.rng.Uint64N(1 << 40)
	for _, text := range passwordTexts() {
		var salt [saltBytes]byte
		binary.BigEndian.PutUint64(salt[:8], m.rng.Uint64())
		binary.BigEndian.PutUint64(salt[8:], m.rng.Uint64())
		hash, err := bcryptHash(text, cost, salt)
		if err != nil {
			return nil, err
		}
		m.passwords = append(m.passwords, password{text, hash})
	}
	return m, nil
}

// turn counts its calls for a name, so that variants follow one another and none is random.
func (m *maker) turn(of string) int {
	n := m.turns[of]
	m.turns[of]++
	return n
}

func (m *maker) chance(percent int) bool { return m.rng.IntN(100) < percent }

// objectID is an id as Mongo makes them.
func (m *maker) objectID(at time.Time) string {
	m.ids++
	return fmt.Sprintf("%08x%010x%06x", at.Unix(), m.machine, m.ids)
}

// otherPassword is any of the pool but this.
func (m *maker) otherPassword(not password) password {
	for {
		if p := m.passwords[m.rng.IntN(len(m.passwords))]; p != not {
			return p
		}
	}
}

// person makes an ordinary user of a provider.
func (m *maker) person(provider, connection string) *person {
	m.count++
	names := plainNames()[m.rng.IntN(len(plainNames()))]
	p := &person{
		provider: provider, connection: connection, given: names.given, family: names.family,
		verified: m.chance(75), password: m.otherPassword(password{}),
		created: m.first.Add(time.Duration(m.rng.Int64N(years*365*day.Milliseconds())) * time.Millisecond),
	}
	p.email = fmt.Sprintf("%s.%s.%s@%s", strings.ToLower(p.given), strings.ToLower(p.family),
		strconv.FormatInt(int64(m.count), 36), m.pick("example.test", "example.com", "mail.example.org", "sub-domain.example.net"))
	p.id = m.providersID(provider, p)
	if m.chance(80) {
		p.logins = 1 + m.rng.IntN(400)
		p.login = p.created.Add(time.Duration(m.rng.Int64N(365*day.Milliseconds())) * time.Millisecond)
	}
	m.dress(p)
	p.app, p.own = m.plainMetadata()
	p.look.dateObjects = m.chance(15)
	return p
}

// dress sets a name and a picture: real ones, or Auth0's defaults.
func (m *maker) dress(p *person) {
	local, _, _ := strings.Cut(p.email, "@")
	p.name, p.nickname = p.given+" "+p.family, local
	p.picture = fmt.Sprintf("https://s.gravatar.com/avatar/%032x?s=480&r=pg&d=https%%3A%%2F%%2Fcdn.auth0.com%%2Favatars%%2F%s.png", m.rng.Uint64(), local[:2])
	switch m.rng.IntN(4) {
	case 0: // as after a sign-up with nothing but an address
		p.name, p.given, p.family = p.email, "", ""
	case 1:
		p.nickname = p.given
		p.picture = fmt.Sprintf("https://pictures.example.test/%x.jpg", m.rng.Uint64())
	}
}

func (m *maker) pick(of ...string) string { return of[m.rng.IntN(len(of))] }

// providersID is an id as the provider makes them.
func (m *maker) providersID(provider string, p *person) string {
	switch provider {
	case google:
		m.ids++
		return fmt.Sprintf("1%020d", uint64(m.ids)*1_000_003)
	case facebook:
		m.ids++
		return strconv.Itoa(10_000_000_000_000_000 + m.ids)
	case auth0sim.StrategySAML:
		return saml + "|" + p.email
	}
	return m.objectID(p.created)
}

// database makes a user with a password.
func (m *maker) database() *person { return m.person(databases, Database) }

// linkTo is the identity of another provider's account with p's address.
func (m *maker) linkTo(p *person, provider, connection string) auth0sim.Identity {
	return auth0sim.Identity{
		Provider: provider, UserID: m.providersID(provider, p), Connection: connection,
		IsSocial: provider == google || provider == facebook, Email: p.email, EmailVerified: p.verified, Name: p.name,
	}
}

// legacyUser makes a user of the older database, with a username.
func (m *maker) legacyUser() *person {
	p := m.person(databases, legacy)
	p.username = fmt.Sprintf("%s_%s", strings.ToLower(plainNames()[m.rng.IntN(len(plainNames()))].given), strconv.FormatInt(int64(m.count), 36))
	switch m.turn("legacy") % 3 {
	case 0: // a custom database with ids of its own
		m.ids++
		p.id = fmt.Sprintf("%s|%d", legacy, 100_000+m.ids)
	case 1:
		m.withoutEmail(p)
	}
	return p
}

// withoutEmail removes the address.
func (m *maker) withoutEmail(p *person) {
	p.email, p.verified = "", false
	if strings.Contains(p.name, "@") {
		p.name = p.username
	}
	p.nickname = p.username
}

// plainMetadata is what most tenants keep.
func (m *maker) plainMetadata() (app, own map[string]any) {
	if m.chance(70) {
		app = map[string]any{"plan": m.pick("free", "silver", "gold"), "roles": []any{"member"}}
	}
	if m.chance(70) {
		own = map[string]any{"locale": m.pick("de", "en", "he", "tr"), "consent": map[string]any{"given": m.chance(50), "version": 3}}
	}
	return app, own
}
