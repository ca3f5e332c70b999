package mapping

import (
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/message"

	"ferry/identifier"
)

// kratosRules are the rules of Kratos' own keyword for a value. Kratos starts with a schema
// whose keyword is incomplete, and then refuses identities.
type kratosRules struct {
	// never says why Kratos refuses every value; empty if it does not.
	never string
	// email and phone require the value to be one, whatever the schema's format is.
	email, phone bool
}

// rulesOf returns the rules of the keyword in a schema with this format.
func (e *extension) rulesOf(format any) kratosRules {
	text, isText := format.(string)
	unformatted := format == nil || isText && text == ""
	code := e.Credentials["code"]
	var r kratosRules
	switch {
	case code.Identifier && code.Via != ViaEmail && code.Via != ViaSMS:
		r.never = `can have no value in Kratos: its credential "code" has no "via" (email or sms)`
	case unformatted && e.Verification.Via == ViaSMS:
		r.never = `can have no value in Kratos: it is verified by SMS and has no "format" (tel, or no-validate)`
	}
	r.email = text != "email" && (e.Recovery.Via == ViaEmail || unformatted && e.Verification.Via == ViaEmail)
	r.phone = text != formatPhone && (e.Recovery.Via == ViaSMS || code.Identifier && code.Via == ViaSMS)
	return r
}

// Validate checks a value against the rules.
func (e *extension) Validate(ctx *jsonschema.ValidatorContext, value any) {
	text, isText := value.(string)
	switch {
	case e.rules.never != "":
		ctx.AddError(kratosKind{e.rules.never})
	case isText && e.rules.email && !isEmail(text):
		ctx.AddError(&kind.Format{Got: text, Want: "email"})
	case isText && e.rules.phone && !identifier.IsPhone(text):
		ctx.AddError(&kind.Format{Got: text, Want: formatPhone})
	}
}

// kratosKind is a broken rule of Kratos' keyword.
type kratosKind struct{ rule string }

// KeywordPath implements [jsonschema.ErrorKind].
func (kratosKind) KeywordPath() []string { return []string{extensionKeyword} }

// LocalizedString implements [jsonschema.ErrorKind].
func (k kratosKind) LocalizedString(*message.Printer) string { return k.rule }

// Refused returns the traits with which Kratos refuses every identity, although it starts
// with the schema.
func (s *Schema) Refused() []Violation { return s.refused }

// refuse adds a trait that must not have a value, once.
func (s *Schema) refuse(path []string, rule string) {
	v := Violation{Path: append([]string{"traits"}, path...), Rule: rule}
	if !slices.ContainsFunc(s.refused, func(known Violation) bool { return known.String() == v.String() }) {
		s.refused = append(s.refused, v)
	}
}
