package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"ferry/identifier"
)

const (
	// PasswordPlaceholder replaces passwords.
	PasswordPlaceholder = "[password]"
	// HashMark is the prefix of hashes that replace values.
	HashMark = "#"
	// maxBody is several times what Kratos knows about a login.
	maxBody  = 32 << 10
	maxDepth = 32
	maxTexts = 1000
)

// redact returns the part of a body that may be stored. It keeps the structure, so that a
// replay gets the same answer:
//
//   - Passwords become PasswordPlaceholder. Headers, cookies and tokens are dropped.
//   - Other texts become keyed hashes, except for Kratos' own ids and words. The hash of the
//     identifier is that of its normalized form, as in the log.
//   - Numbers become 0. In personal data such as traits, numbers and booleans become hashes.
//   - Empty texts, nulls and other booleans stay.
//
// It returns nil if the body is not a JSON object, or if it is ambiguous.
func redact(body []byte, hash func(string) string) json.RawMessage {
	var typed struct {
		Identifier jsontext.Value `json:"identifier"`
		Password   jsontext.Value `json:"password"`
	}
	if len(body) > maxBody || jsonv2.Unmarshal(body, &typed) != nil {
		return nil
	}
	var out bytes.Buffer
	r := redactor{
		in: jsontext.NewDecoder(bytes.NewBuffer(body)), out: jsontext.NewEncoder(&out), hash: hash,
		identifier: identifier.Normalize(textOf(typed.Identifier)), password: textOf(typed.Password),
	}
	if r.in.PeekKind() != '{' || r.value(place{}) != nil {
		return nil
	}
	return bytes.TrimSpace(out.Bytes())
}

// textOf returns the text of a JSON string, or "" for another value.
func textOf(value jsontext.Value) string {
	text, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return ""
	}
	return string(text)
}

type redactor struct {
	in     *jsontext.Decoder
	out    *jsontext.Encoder
	hash   func(string) string
	hashed int

	identifier, password string // as typed, the identifier normalized; empty if missing
}

// place is the position of a value in the body.
type place struct {
	in, key  string // the key of the surrounding object, and of the value; empty in lists
	depth    int
	personal bool // in personal data
	password bool // below the key of a password
}

var (
	errTooDeep = errors.New("too deep")
	errTooMany = errors.New("too many values")
)

// value redacts one value.
func (r *redactor) value(at place) error {
	if r.hashed > maxTexts {
		return errTooMany
	}
	switch r.in.PeekKind() {
	case '{':
		return r.container(at, '}', func() error { return r.member(at) })
	case '[':
		item := place{depth: at.depth + 1, personal: at.personal, password: at.password}
		return r.container(at, ']', func() error { return r.value(item) })
	}
	token, err := r.in.ReadToken()
	if err != nil {
		return err
	}
	switch token.Kind() {
	case '"':
		return r.out.WriteToken(jsontext.String(r.text(at, token.String())))
	case '0':
		return r.scalar(at, token, jsontext.Int(0))
	case 't', 'f':
		return r.scalar(at, token, token)
	}
	return r.out.WriteToken(token)
}

// scalar redacts a number or boolean: to a hash in personal data, elsewhere to instead.
func (r *redactor) scalar(at place, token, instead jsontext.Token) error {
	switch {
	case at.password:
		return r.out.WriteToken(jsontext.Null)
	case at.personal:
		return r.out.WriteToken(jsontext.String(r.mark(token.String())))
	}
	return r.out.WriteToken(instead)
}

// container redacts an object or a list, with a function that redacts the next item.
func (r *redactor) container(at place, end jsontext.Kind, item func() error) error {
	if at.depth == maxDepth {
		return errTooDeep
	}
	if err := r.copyToken(); err != nil {
		return err
	}
	for r.in.PeekKind() != end {
		if err := item(); err != nil {
			return err
		}
	}
	return r.copyToken()
}

// member redacts one member of an object.
func (r *redactor) member(at place) error {
	token, err := r.in.ReadToken()
	if err != nil {
		return err
	}
	key := token.String()
	if isDropped(key) {
		return r.in.SkipValue()
	}
	if err := r.out.WriteToken(jsontext.String(r.key(key))); err != nil {
		return err
	}
	return r.value(at.below(key))
}

func (r *redactor) copyToken() error {
	token, err := r.in.ReadToken()
	if err != nil {
		return err
	}
	return r.out.WriteToken(token)
}

func (at place) below(key string) place {
	return place{
		in: at.key, key: key, depth: at.depth + 1, personal: at.personal || slices.Contains(personalKeys(), key),
		password: at.password || strings.Contains(strings.ToLower(key), "pass"),
	}
}

// personalKeys are the keys of personal data.
func personalKeys() []string {
	return []string{"traits", "metadata_public", "metadata_admin", "transient_payload"}
}

// isDropped reports whether the value of a key is dropped: it may hold other credentials, or
// the form that the user filled in.
func isDropped(key string) bool {
	key = strings.ToLower(key)
	return key == "ui" || slices.ContainsFunc(
		[]string{"header", "cookie", "token", "authorization", "secret", "credential", "csrf", "jwt"},
		func(part string) bool { return strings.Contains(key, part) })
}

// keyPattern matches the names of fields. Personal data in keys usually does not match.
var keyPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)

// isOwnKey reports whether ferry expects the key in a body. Such a key stays even if it equals
// the password, because its absence would reveal the password.
func isOwnKey(key string) bool {
	switch key {
	case "identifier", "password", "identity", "id", "external_id", "schema_id", "state", "flow", "type", "client", "ip", "user_agent", "response":
		return true
	}
	return slices.Contains(personalKeys(), key)
}

func (r *redactor) key(key string) string {
	switch {
	case isOwnKey(key):
		return key
	case key == r.password && key != "":
		return PasswordPlaceholder
	case identifier.Normalize(key) == r.identifier:
		return r.mark(key)
	case keyPattern.MatchString(key):
		return key
	}
	return r.mark(key)
}

// mark returns the keyed hash that replaces a value.
func (r *redactor) mark(value string) string {
	r.hashed++
	return HashMark + r.hash(value)
}

// text returns the replacement of a text.
func (r *redactor) text(at place, text string) string {
	switch {
	case text == "":
		return ""
	case at.password:
		return PasswordPlaceholder
	case at.depth == 2 && isOwnWord(at.in, at.key, text): // even if it equals the password, see isOwnKey
		return text
	case at.depth == 1 && at.key == "response" && (text == "ignore" || text == "parse"):
		return text
	case at.depth == 1 && at.key == "identifier":
		text = identifier.Normalize(text)
		if text == "" {
			return ""
		}
	case text == r.password:
		return PasswordPlaceholder
	}
	return r.mark(text)
}

// isOwnWord reports whether a text is an id or a word of Kratos.
func isOwnWord(in, key, text string) bool {
	switch in {
	case "identity":
		return key == "id" && isUUID(text) || key == "schema_id" && keyPattern.MatchString(text) ||
			key == "state" && (text == "active" || text == "inactive")
	case "flow":
		return key == "id" && isUUID(text) || key == "type" && (text == "api" || text == "browser")
	}
	return false
}

func isUUID(text string) bool { return len(text) == 36 && uuid.Validate(text) == nil }
