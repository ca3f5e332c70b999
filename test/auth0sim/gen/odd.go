package gen

import (
	"fmt"
	"strings"
)

// pad writes a number with seven digits.
func pad(n int) string { return fmt.Sprintf("%07d", n) }

// oddEmail is an address that looks wrong and is valid.
func (m *maker) oddEmail() row {
	p := m.database()
	unique := pad(m.count)
	p.email = []string{
		"plus+tag" + unique + "@example.test",
		"many.dots.in.a.row." + unique + "@a.b.c.example.test",
		strings.Repeat("l", 64-len(unique)) + unique + "@example.test",
		"j\u00fcrgen.\u6768." + unique + "@example.test",
		"o'brien_=&" + unique + "@xn--bcher-kva.example",
		"a" + unique + "@" + strings.Repeat(strings.Repeat("d", 50)+".", 3) + "example",
	}[m.turn("odd email")%6]
	p.name, p.nickname, p.picture = p.email, "", ""
	return m.either(p)
}

// badEmail is an address that no identity schema accepts.
func (m *maker) badEmail() row {
	variant := m.turn("bad email") % 6
	p := m.database()
	if variant == 5 {
		p = m.person(google, google)
	}
	unique := pad(m.count)
	p.email = []string{
		strings.Repeat("l", 65-len(unique)) + unique + "@example.test",
		"no-at-sign-" + unique,
		"idn." + unique + "@b\u00fccher.example",
		"two..dots." + unique + "@example.test",
		"long." + unique + "@" + strings.Repeat(strings.Repeat("d", 60)+".", 4) + "example",
		unique + "@-hyphen.example",
	}[variant]
	p.name, p.nickname, p.picture = "Bad Address", "", ""
	return failed(p, Invalid)
}

// badPhone is a number without its country's code, which Kratos refuses: the identity
// is made without it.
func (m *maker) badPhone() row {
	p := m.database()
	p.phone = "0151" + pad(m.count)
	return pending(p, NoHash)
}

func (m *maker) oddName() row {
	p := m.database()
	names := oddNames()[m.turn("odd name")%len(oddNames())]
	p.given, p.family, p.name = names.given, names.family, names.given+" "+names.family
	p.nickname = names.given
	if m.chance(30) {
		p.phone = m.number()
	}
	return m.either(p)
}

// oddMetadata is unusual metadata.
func (m *maker) oddMetadata() row {
	p := m.database()
	odd := []map[string]any{
		{"deep": map[string]any{"er": map[string]any{"and": []any{1, []any{map[string]any{"deeper": nil}}}}}},
		{"big": uint64(9_007_199_254_740_993), "small": -1.5e-9, "huge": uint64(18_446_744_073_709_551_615), "zero": 0},
		{},
		{"Key": "upper", "key": "lower", "KEY": "both"},
		{"": "no name", "a.b": "a dot", "white space": true, "\u00fcml\u00e4ut": "\u2028", "<html>": "&"},
		{"long": strings.Repeat("0123456789", 200), "list": []any{"a", 1, nil, false}},
	}
	p.app = odd[m.turn("odd app")%len(odd)]
	p.own = odd[m.turn("odd own")*5%len(odd)]
	return m.either(p)
}
