package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"ferry/identifier"
)

const (
	// PasswordPlaceholder stands where a password was.
	PasswordPlaceholder = "[password]"
	// HashMark is what a hash begins with where a value was.
	HashMark = "#"
	// maxBody is several times the whole of what Kratos knows about a login.
	maxBody  = 32 << 10
	maxDepth = 32
	maxTexts = 1000
)

// Redact is what may be kept of a body: its structure, with a keyed hash in the
// place of every text but the harmless ones, a placeholder for the password, and no
// headers, cookies and tokens. Numbers become 0, and hashes among people's data, such
// as traits. Empty texts, nulls and, elsewhere, booleans stay: the same answer must
// come of a replay.
//
// The hash of the identifier is that of its normalised form, as in the log. It gives
// nothing for what is no JSON object, or one that two readers could read differently.
func Redact(body []byte, hash func(string) string) json.RawMessage {
	if len(body) > maxBody {
		return nil
	}
	var out bytes.Buffer
	r := redactor{in: jsontext.NewDecoder(bytes.NewBuffer(body)), out: jsontext.NewEncoder(&out), hash: hash}
	r.identifier, r.password = typedIn(body)
	if r.in.PeekKind() != '{' || r.value(place{}) != nil {
		return nil
	}
	if _, err := r.in.ReadToken(); !errors.Is(err, io.EOF) {
		return nil
	}
	return bytes.TrimSpace(out.Bytes())
}

// typedIn is what the person typed, wherever else in the body it may turn up.
func typedIn(body []byte) (typed, password string) {
	in := jsontext.NewDecoder(bytes.NewBuffer(body))
	if token, err := in.ReadToken(); err != nil || token.Kind() != '{' {
		return "", ""
	}
	for in.PeekKind() == '"' {
		token, err := in.ReadToken()
		if err != nil {
			break
		}
		key := token.String()
		if (key != "identifier" && key != "password") || in.PeekKind() != '"' {
			if in.SkipValue() != nil {
				break
			}
			continue
		}
		if token, err = in.ReadToken(); err != nil {
			break
		}
		if key == "password" {
			password = token.String()
		} else {
			typed = identifier.Normalize(token.String())
		}
	}
	return typed, password
}

type redactor struct {
	in     *jsontext.Decoder
	out    *jsontext.Encoder
	hash   func(string) string
	hashed int

	identifier, password string // as typed, the identifier normalised; empty where there is none
}

// place is where in the body a value stands.
type place struct {
	in, key  string // the key, and the one of the object around it; in lists none
	depth    int
	personal bool // below traits or their like
	password bool // below a password's key
}

var (
	errTooDeep = errors.New("too deep")
	errTooMany = errors.New("too many values")
)

// value copies one value, redacted.
func (r *redactor) value(at place) error {
	if r.hashed > maxTexts {
		return errTooMany
	}
	switch r.in.PeekKind() {
	case '{':
		return r.object(at)
	case '[':
		return r.list(at)
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

// scalar is a number or boolean: a hash among people's data, else what instead says.
func (r *redactor) scalar(at place, token, instead jsontext.Token) error {
	switch {
	case at.password:
		return r.out.WriteToken(jsontext.Null)
	case at.personal:
		return r.out.WriteToken(jsontext.String(r.mark(token.String())))
	}
	return r.out.WriteToken(instead)
}

func (r *redactor) list(at place) error {
	if at.depth == maxDepth {
		return errTooDeep
	}
	at.depth++
	at.in, at.key = "", ""
	if err := r.copyToken(); err != nil {
		return err
	}
	for r.in.PeekKind() != ']' {
		if err := r.value(at); err != nil {
			return err
		}
	}
	return r.copyToken()
}

func (r *redactor) object(at place) error {
	if at.depth == maxDepth {
		return errTooDeep
	}
	if err := r.copyToken(); err != nil {
		return err
	}
	for r.in.PeekKind() != '}' {
		token, err := r.in.ReadToken()
		if err != nil {
			return err
		}
		key := token.String()
		if isDropped(key) {
			if err := r.in.SkipValue(); err != nil {
				return err
			}
			continue
		}
		if err := r.out.WriteToken(jsontext.String(r.key(key))); err != nil {
			return err
		}
		if err := r.value(at.below(key)); err != nil {
			return err
		}
	}
	return r.copyToken()
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

// personalKeys hold what people and operators keep about a person.
func personalKeys() []string {
	return []string{"traits", "metadata_public", "metadata_admin", "transient_payload"}
}

// isDropped: what may hold credentials of another kind, and the form that the person
// filled in.
func isDropped(key string) bool {
	key = strings.ToLower(key)
	return key == "ui" || slices.ContainsFunc(
		[]string{"header", "cookie", "token", "authorization", "secret", "credential", "csrf", "jwt"},
		func(part string) bool { return strings.Contains(key, part) })
}

// keyPattern is a name that somebody gave to a field; a person's data among the keys
// looks otherwise, as a rule.
var keyPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)

// isOwnKey: a key of the bodies that ferry knows. It stays even where the password is
// the same word: that it is missing would tell it.
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

// mark is the keyed hash that stands for a value.
func (r *redactor) mark(value string) string {
	r.hashed++
	return HashMark + r.hash(value)
}

// text is what stands for a text.
func (r *redactor) text(at place, text string) string {
	switch {
	case text == "":
		return ""
	case at.password:
		return PasswordPlaceholder
	case at.depth == 2 && isOwnWord(at.in, at.key, text): // even where it is the password, as keys
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

// isOwnWord: ids that Kratos made, and its own words.
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
