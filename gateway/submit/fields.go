package submit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tidwall/gjson"
)

// The names of the fields that decide something.
const (
	fieldMethod           = "method"
	fieldFlow             = "flow"
	fieldIdentifier       = "identifier"
	fieldLegacyIdentifier = "password_identifier"
	fieldPassword         = "password"
	fieldAddress          = "address"
	fieldCode             = "code"
	fieldResend           = "resend"
	fieldPasskey          = "passkey_login"
	fieldWebAuthn         = "webauthn_login"
	fieldEmail            = "email"
	fieldRecoveryAddress  = "recovery_address"
	fieldRecoveryConfirm  = "recovery_confirm_address"
	fieldScreen           = "screen"
	fieldToken            = "token"
	fieldTransientPayload = "transient_payload"
	fieldTraits           = "traits"
	fieldUpstream         = "upstream_parameters"
)

// isField reports whether a field decides what Kratos reads in a body for this route. All
// others are ignored, as Kratos ignores what is not in its schemas.
func isField(route Route, name string) bool {
	switch name {
	case fieldMethod, fieldFlow, fieldTransientPayload:
		return true
	case fieldIdentifier, fieldLegacyIdentifier, fieldAddress, fieldPasskey, fieldWebAuthn:
		return route == Login
	case fieldPassword:
		return route == Login || route == Registration
	case fieldCode, fieldResend:
		return true
	case fieldEmail, fieldToken, fieldRecoveryAddress, fieldRecoveryConfirm:
		return route == Recovery || route == Verification
	case fieldScreen:
		return route == Recovery || route == Registration
	}
	return (route == Login || route == Registration) && (isBelow(name, fieldTraits) || isBelow(name, fieldUpstream))
}

// isBelow reports whether a field is the object with this name, or a part of it.
func isBelow(name, object string) bool {
	rest, ok := strings.CutPrefix(name, object)
	return ok && (rest == "" || rest[0] == '.')
}

// fields are the fields of a body as Kratos sees them: text by name. A field with the text
// "" counts as missing, as with Kratos.
type fields map[string]value

type value struct {
	text string
	// structured: an object or a list. Its text is its JSON.
	structured bool
}

// text returns the text of a field. plain has refused structured ones.
func (f fields) text(name string) string { return f[name].text }

// first returns the first of the fields that has a text, and the text.
func (f fields) first(names ...string) (name, text string) {
	for _, name := range names {
		if text := f.text(name); text != "" {
			return name, text
		}
	}
	return "", ""
}

// decode returns the fields of a body that decide something.
func decode(r Request) (fields, bool) {
	mediaType, ok := mediaType(r.ContentType)
	if !ok || len(r.Body) == 0 {
		return nil, false
	}
	switch mediaType {
	case "application/json":
		return decodeJSON(r.Route, r.Body)
	case "application/x-www-form-urlencoded":
		return decodeForm(r.Route, r.Body)
	default: // Kratos accepts multipart/form-data and finds no field in it
		return nil, false
	}
}

// mediaType returns the media type without its parameters, in lower case. Kratos 1.3.1
// splits the header at commas, 26.2 does not: without a comma both read the same.
func mediaType(header string) (string, bool) {
	if strings.Contains(header, ",") {
		return "", false
	}
	mediaType, _, err := mime.ParseMediaType(strings.TrimSpace(header))
	return mediaType, err == nil
}

// decodeJSON decodes an object as Kratos does: encoding/json finds the first value in the
// body and checks its syntax, without recursion; gjson reads the members. The last of
// several members with one name counts. Numbers and booleans become text, null is empty.
func decodeJSON(route Route, body []byte) (fields, bool) {
	var first json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&first); err != nil {
		return nil, false
	}
	object := gjson.ParseBytes(first)
	if !object.IsObject() {
		return nil, false
	}
	f := fields{}
	object.ForEach(func(name, member gjson.Result) bool {
		if isField(route, name.String()) {
			f[name.String()] = value{text: member.String(), structured: member.IsObject() || member.IsArray()}
		}
		return true
	})
	return f, true
}

// decodeForm decodes a form as Kratos does. The first of several values of one name counts.
func decodeForm(route Route, body []byte) (fields, bool) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, false
	}
	f := fields{}
	for name := range values {
		if isField(route, name) {
			f[name] = value{text: values.Get(name)}
		}
	}
	return f, true
}

// plain reports whether Kratos reads the fields in one way only.
//
// Kratos puts them together into one JSON text, in random order, and decodes that. It
// inserts transient_payload, traits and upstream_parameters unchecked: text that is not
// JSON can add other fields. And it takes the flow's id from the query or from the body,
// by route and media type.
func (f fields) plain(flow string) bool {
	for name, v := range f {
		switch {
		case name == fieldTransientPayload:
			if v.text != "" && !isObject(v.text) {
				return false
			}
		case name == fieldFlow:
			if v.text != "" && v.text != flow {
				return false
			}
		case isBelow(name, fieldUpstream):
			return false
		case isBelow(name, fieldTraits):
			if !f.plainTrait(name, v) {
				return false
			}
		case v.structured:
			return false
		default:
			f[name] = value{text: replaceInvalid(v.text)}
		}
	}
	return true
}

// maxDepth bounds the nesting of an object in a field that Kratos passes on to its hooks.
const maxDepth = 64

// isObject reports whether text is one JSON object that every decoder reads in the same way:
// without names that occur twice, and with valid UTF-8. Kratos 26.2 passes
// transient_payload through Jsonnet to the migration hook, which fails otherwise, and fails
// at numbers that are too large and at deep nesting.
func isObject(text string) bool {
	decoder := jsontext.NewDecoder(strings.NewReader(text))
	if decoder.PeekKind() != '{' {
		return false
	}
	for {
		token, err := decoder.ReadToken()
		if err != nil || decoder.StackDepth() > maxDepth {
			return false
		}
		if token.Kind() == '0' {
			if _, err := strconv.ParseFloat(token.String(), 64); err != nil {
				return false
			}
		}
		if decoder.StackDepth() == 0 {
			break
		}
	}
	_, err := decoder.ReadToken()
	return errors.Is(err, io.EOF)
}

// replaceInvalid replaces each byte that is not UTF-8 by U+FFFD, as Kratos' encoder does.
func replaceInvalid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return string([]rune(text))
}

// has reports whether a field has one of these texts.
func (f fields) has(name string, texts ...string) bool {
	return slices.Contains(texts, f.text(name))
}
