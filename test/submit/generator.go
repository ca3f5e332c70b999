package submit

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
)

// The people whose identifiers the generated requests carry, in the form that Kratos
// stores.
const (
	Email    = "kim@example.org"
	Other    = "lee@example.org"
	Number   = "12345678"
	Password = "correct horse"
)

// FlowID is the flow in the query of generated requests.
const FlowID = "3f2c8a0e-1d7b-4c55-9a60-0b9c1f7e2d41"

// Generated is a request to a self-service route.
type Generated struct {
	Route       string
	Query       string
	ContentType string
	Body        []byte
}

// Generator makes requests: most are close to one that Kratos accepts. The same random
// numbers make the same requests.
type Generator struct{ Rand *rand.Rand }

// Next makes a request for any of the routes.
func (g Generator) Next() Generated {
	return g.For(pick(g, "login", "login", "login", "recovery", "verification", "registration"))
}

// For makes a request for one route.
func (g Generator) For(route string) Generated {
	made := Generated{Route: route, Query: g.query()}
	fields := g.fields(route)
	if g.one(3) {
		made.ContentType = g.mutatedType("application/x-www-form-urlencoded")
		made.Body = g.form(fields)
	} else {
		made.ContentType = g.mutatedType("application/json")
		made.Body = g.json(fields)
	}
	if g.one(40) {
		made.ContentType = pick(g, "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=B")
	}
	if g.one(5) {
		made.Body = g.mutate(made.Body)
	}
	return made
}

// one is true once in n times.
func (g Generator) one(n int) bool { return g.Rand.IntN(n) == 0 }

func pick[T any](g Generator, from ...T) T { return from[g.Rand.IntN(len(from))] }

func (g Generator) query() string {
	if !g.one(40) {
		return "flow=" + FlowID
	}
	return "flow=" + FlowID + pick(g, "&identifier=x", "&email="+Other, "&method=code", "&a=%zz", "&a;b", "&flow=x", "&organization=1", "&traits.email=x")
}

func (g Generator) mutatedType(mediaType string) string {
	if !g.one(20) {
		return mediaType + pick(g, "", "", "; charset=utf-8", "; charset=UTF-16", ";a=b")
	}
	return pick(g, "", "text/json", strings.ToUpper(mediaType), " "+mediaType+" ", mediaType+";", mediaType+"; =", mediaType+"; charset",
		mediaType+", text/plain", "text/plain, "+mediaType, mediaType+`; a=","`, "application/ld+json", mediaType+"; a=b; a=b")
}

// field is a field before it is encoded: a text, or for JSON any value.
type field struct {
	name  string
	value any
}

// raw is JSON text to insert as it is.
type raw string

func (g Generator) fields(route string) []field {
	fields := []field{{"method", g.method(route)}}
	add := func(chance int, name string, value any) {
		if g.Rand.IntN(100) < chance {
			fields = append(fields, field{name, value})
		}
	}
	switch route {
	case "login":
		add(90, "identifier", g.identifier())
		add(15, "password_identifier", g.identifier())
		add(95, "password", g.password())
		add(8, "identifier", g.identifier())
		add(5, "password", g.password())
		add(5, "address", g.identifier())
		add(4, pick(g, "provider", "passkey_login", "resend", "code", "traits", "traits.email", "upstream_parameters", "id_token"), g.oddity())
	case "registration":
		fields = append(fields, g.traits()...)
		add(90, "password", g.password())
		add(10, "screen", pick(g, "credential-selection", "previous", "x"))
	default:
		add(80, "email", g.identifier())
		add(10, "email", g.identifier())
		add(20, "recovery_address", g.identifier())
		add(10, "recovery_confirm_address", g.identifier())
		add(10, pick(g, "code", "token", "screen"), g.oddity())
	}
	add(10, "method", g.method(route))
	add(12, "transient_payload", g.transient())
	add(6, "flow", pick[any](g, FlowID, "", nil, "x"))
	add(20, pick(g, "csrf_token", "a", "Identifier", "METHOD", "", "identifier.a", "password.b", "email.0"), g.oddity())
	g.Rand.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	return fields
}

func (g Generator) method(route string) any {
	if g.one(20) {
		return pick[any](g, nil, "", "Password", "password ", []any{"password"}, 1, "oidc", "totp")
	}
	switch route {
	case "login":
		return pick(g, "password", "password", "password", "code", "identifier_first")
	case "registration":
		return pick(g, "password", "code", "profile")
	default:
		return pick(g, "code", "link")
	}
}

func (g Generator) identifier() any {
	switch g.Rand.IntN(12) {
	case 0:
		return g.oddity()
	case 1:
		return pick[any](g, raw(Number), raw(Number+"e0"), raw("1.2345678E7"), raw("1234567800e-2"), raw("-"+Number), raw(Number+".0"), raw("1e999"))
	case 2:
		return pick(g, " ", "\t", "\u00a0", "\u2003", "\n", "\u200b", "") + Email + pick(g, " ", "\u00a0", "\u200b", "\x00", "")
	case 3:
		return pick(g, "KIM@example.org", "Kim@Example.ORG", "\u212aim@example.org", "kim@example.org", "k\u0131m@example.org")
	case 4:
		return pick(g, "kim\xff@example.org", "\xed\xa0\x80", "kim@example.org\xc3", "kim\ufffd@example.org")
	case 5:
		return raw(pick(g, `"kim\u0040example.org"`, `"\ud800kim@example.org"`, `"\uD83D\uDE00"`, `"kim@example.org\u0000"`, `"\ud800\u0041"`, `"k\/m"`, `"kim@example\u002eorg"`))
	case 6, 7:
		return pick(g, Other, Number, "nobody@example.org")
	default:
		return Email
	}
}

func (g Generator) password() any {
	switch g.Rand.IntN(10) {
	case 0:
		return g.oddity()
	case 1:
		return raw(pick(g, "123456789", "1e3", "1.50", "true", `"\u0063orrect horse"`, `"\ud800\u0041"`, `"\"\\\b\f\n\r\t\/"`, `"<&>\u2028"`))
	case 2:
		return pick(g, "p\xff\xfe", "päß 🔑", "\xe2\x82", "a+b%20c&d=e;f", " blanks ", "\x7f\x01", `"quoted" \ back`, "<&>\u2028")
	default:
		return Password
	}
}

func (g Generator) oddity() any {
	if g.one(50) {
		return raw(strings.Repeat("[", 2000) + strings.Repeat("]", 2000))
	}
	return pick[any](g, nil, "", true, false, 0, []any{}, []any{Email}, map[string]any{"a": 1}, map[string]any{}, "x", " ", "code", "credential-selection",
		`{},"identifier":"`+Other+`"`, `{}}`, `{"a":1}`)
}

// transient makes payloads, some of which would add fields where they are inserted.
func (g Generator) transient() any {
	return pick[any](g, map[string]any{"identifier": Other}, `{"identifier":"`+Other+`"}`, `{},"identifier":"`+Other+`"`, `{},"method":"code"`, `{"a":`, `x`, ` `, `{} `,
		`{}}`, `{"a":{}},"password":"x"`, nil, []any{}, 1, `{"a":1}{"b":2}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", raw(`{"identifier":"a","identifier":"b"}`))
}

func (g Generator) traits() []field {
	object := map[string]any{"email": g.plain(g.identifier()), "name": map[string]any{"nick": g.plain(g.identifier())}, "emails": []any{Other, g.plain(g.identifier())}}
	encoded, err := json.Marshal(object)
	if err != nil {
		encoded = []byte(`{}`)
	}
	whole := []field{{"traits", raw(encoded)}, {"traits", string(encoded)}}
	flat := []field{{"traits.email", g.identifier()}, {"traits.name.nick", g.identifier()}, {"traits.name", g.transient()}, {"traits.emails", g.identifier()}}
	switch g.Rand.IntN(8) {
	case 0:
		return []field{{"traits", g.transient()}}
	case 1:
		return []field{pick(g, whole...), pick(g, flat...)}
	case 2:
		return flat
	case 3, 4:
		return flat[:2]
	case 5:
		return []field{{"traits", raw(pick(g, `{"email":"`+Email+`","email":"`+Other+`"}`, `{"email":"a","Email":"b"}`, `{"\u0065mail":"`+Email+`"}`, `{"email":["`+Email+`"]}`))}}
	default:
		return []field{pick(g, whole...)}
	}
}

// plain turns raw JSON into a text.
func (Generator) plain(value any) any {
	if text, ok := value.(raw); ok {
		return strings.Trim(string(text), `"`)
	}
	return value
}

func (g Generator) json(fields []field) []byte {
	var b strings.Builder
	b.WriteString(pick(g, "", "", "", "", "", " \n", "\t\r"))
	b.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			b.WriteString(pick(g, ",", ",", " , "))
		}
		b.WriteString(g.quote(f.name) + pick(g, ":", ":", " : "))
		switch value := f.value.(type) {
		case raw:
			b.WriteString(string(value))
		case string:
			b.WriteString(g.quote(value))
		default:
			encoded, err := json.Marshal(value)
			if err != nil {
				encoded = []byte("null")
			}
			b.Write(encoded)
		}
	}
	b.WriteByte('}')
	if g.one(15) {
		b.WriteString(pick(g, "x", "{}", "\n", `{"identifier":"`+Other+`"}`, "\x00", "]", "}"))
	}
	return []byte(b.String())
}

// quote encodes a JSON string: bytes that are not UTF-8 stay, some characters are escaped
// without need.
func (g Generator) quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			b.WriteString(`\` + string(rune(c)))
		case c < ' ' || c < 0x80 && g.one(200):
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func (g Generator) form(fields []field) []byte {
	var parts []string
	for _, f := range fields {
		text := ""
		switch value := f.value.(type) {
		case raw:
			text = string(value)
			var decoded string
			if json.Unmarshal([]byte(text), &decoded) == nil {
				text = decoded
			}
		case string:
			text = value
		case nil:
		default:
			encoded, err := json.Marshal(value)
			if err == nil {
				text = string(encoded)
			}
		}
		name := url.QueryEscape(f.name)
		if g.one(50) && name != "" {
			name = fmt.Sprintf("%%%02x", name[0]) + name[1:]
		}
		parts = append(parts, name+"="+url.QueryEscape(text))
	}
	if g.one(30) {
		parts = append(parts, pick(g, "a=%zz", "a;b=c", "=", "", "%", "identifier", "a=b=c", "a=+"))
	}
	return []byte(strings.Join(parts, "&"))
}

// mutate changes some bytes.
func (g Generator) mutate(body []byte) []byte {
	if g.one(10) {
		return append([]byte(pick(g, "\ufeff", " ", "[", "\x1f\x8b", "\xff\xfe")), body...)
	}
	for range 1 + g.Rand.IntN(3) {
		if len(body) == 0 {
			return body
		}
		at := g.Rand.IntN(len(body))
		switch g.Rand.IntN(4) {
		case 0:
			body[at] = byte(g.Rand.IntN(256))
		case 1:
			body[at] = pick(g, []byte(`"\{}[]:,;&=+%. 0-e`)...)
		case 2:
			body = append(body[:at:at], body[at+1:]...)
		default:
			body = append(body[:at:at], append([]byte{pick(g, []byte(`"\{}[]:,;&=+%. 0-e`)...)}, body[at:]...)...)
		}
	}
	return body
}
